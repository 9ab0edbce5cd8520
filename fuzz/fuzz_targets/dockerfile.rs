//! A Dockerfile: parsed in every syntax, spans lie inside the text, and what cannot be parsed is an error at a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebuild_dockerfile::{Dockerfile, Syntax};

fuzz_target!(|data: &[u8]| {
    for syntax in [&Syntax::BUILDKIT_HEAD, &Syntax::CLASSIC_20_10] {
        let _ = Dockerfile::parse(data, syntax);
    }
});
