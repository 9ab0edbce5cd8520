//! A case.toml beside a Dockerfile: a case, or what is wrong with it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use samebuild::cases::{Vocabulary, load_one};

static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("samebuild-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    dir
});

fuzz_target!(|data: &[u8]| {
    std::fs::write(DIR.join("case.toml"), data).unwrap();
    if let Err(error) = load_one(&DIR, "a/b".parse().unwrap(), &Vocabulary::default()) {
        assert!(!error.to_string().is_empty());
    }
});
