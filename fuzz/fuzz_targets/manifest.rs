//! The JSON around an image: as index.json, as a manifest that an index names, as a configuration, and as a docker-archive.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use samebuild_image::files::Memory;
use samebuild_image::read::{self, ReadOptions};
use samebuild_image::{Bytes, Digest, layout};

fuzz_target!(|data: &[u8]| {
    let options = ReadOptions::default();
    let files = Memory::new();
    files.insert("index.json", data);
    let _ = layout::find(&files, &options).map(|stored| stored.load(&options));

    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        files.insert(&layout::blob_name(&digest), bytes);
        format!(r#"{{"digest":"{digest}","size":{}}}"#, bytes.len())
    };
    let named = put(data);
    files.insert("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{named}]}}"#).into_bytes());
    let _ = layout::find(&files, &options).map(|stored| stored.load(&options));
    let manifest = put(format!(r#"{{"schemaVersion":2,"config":{named},"layers":[]}}"#).as_bytes());
    files.insert("index.json", format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#).into_bytes());
    let _ = layout::find(&files, &options).map(|stored| stored.load(&options));

    let source = Arc::new(Bytes::new(data));
    let _ = read::find_image(source, &options).map(|stored| stored.load(&options));
});
