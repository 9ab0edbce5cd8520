//! A configuration: it does not differ from itself, and differs from another one in the same places whoever is left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebuild_compare::{Options, compare};
use samebuild_image::Image;

fuzz_target!(|data: &[u8]| {
    let Ok(config) = serde_json::from_slice(data) else { return };
    let image = Image { config, ..Image::default() };
    let options = Options::strict();
    let same = compare(&image, &image, &options).unwrap();
    assert!(same.is_empty(), "{same:?}");
    let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":["A=1"],"Cmd":["sh"]},"history":[{"created_by":"x"}]}"#;
    let other = Image { config: serde_json::from_str(text).unwrap(), ..Image::default() };
    let there = compare(&image, &other, &options).unwrap();
    let back = compare(&other, &image, &options).unwrap();
    assert_eq!(there.len(), back.len());
});
