//! A layer, as it is stored: read whole and walked it is the same or as unreadable, and it does not differ from itself.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use samebuild_compare::{Options, compare_stored};
use samebuild_image::layer_read::{self, LayerOptions, TarLimits};
use samebuild_image::layer_walk::{Walk, WalkOptions};
use samebuild_image::compression::{self, Expansion};
use samebuild_image::{Bytes, Digest, Entry, Source, Stored, StoredLayer};

const EXPANSION: Expansion = Expansion { free: 1 << 20, ratio: 100, total: 1 << 22 };

fn entries(layer: &StoredLayer, options: &WalkOptions) -> Option<Vec<Entry>> {
    let mut walk = Walk::open(layer, 0, options).ok()?;
    let mut entries = Vec::new();
    while let Some(entry) = walk.next_entry().ok()? {
        entries.push(entry);
    }
    walk.finish().ok()?;
    Some(entries)
}

fuzz_target!(|data: &[u8]| {
    let limits = TarLimits { entries: 1000, ..TarLimits::default() };
    let walk = WalkOptions { limits, expansion: EXPANSION, verify: false };
    let source: Arc<dyn Source> = Arc::new(Bytes::new(data));
    let layer = StoredLayer { source, stated: None, diff_id: None, media_type: None };
    let walked = entries(&layer, &walk);
    let whole = compression::reader(data, EXPANSION)
        .ok()
        .and_then(|(_, tar)| layer_read::stream(tar, &LayerOptions { limits, ..LayerOptions::default() }).ok());
    let shape = |entries: &[Entry]| -> Vec<String> {
        entries.iter().map(|e| format!("{:?} {:?} {:?} {}", e.at, e.raw, e.meta, e.kind.word())).collect()
    };
    assert_eq!(walked.as_deref().map(shape), whole.as_ref().map(|read| shape(&read.layer.entries)));
    let stored = Stored {
        config: serde_json::Map::new(),
        config_digest: Digest::of(b""),
        layers: vec![layer],
        names: Vec::new(),
        manifest: None,
    };
    let mut options = Options::strict();
    options.walk = walk;
    match compare_stored(&stored, &stored, &options) {
        Ok(found) => assert!(found.differences.is_empty(), "{:?}", found.differences),
        Err(_) => assert!(walked.is_none()),
    }
});
