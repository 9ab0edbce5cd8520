//! A golden: printing and parsing are inverses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebuild_image::golden::Observation;

fuzz_target!(|text: &str| {
    let Ok(read) = Observation::parse(text) else { return };
    let printed = read.to_string();
    let again = Observation::parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again.to_string(), printed);
});
