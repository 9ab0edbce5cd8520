//! A layer, as it is stored: read whole and walked it is the same or as unreadable, it does not differ from itself, and any
//! part of what is compressed in it is that part of the whole.
#![no_main]

use std::io::Read as _;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use samebuild_compare::{Options, compare_stored};
use samebuild_image::layer_read::{self, LayerOptions, TarLimits};
use samebuild_image::layer_walk::{Walk, WalkOptions};
use samebuild_image::compression::{self, Expansion};
use samebuild_image::{Bytes, Digest, Entry, Source, Stored, StoredLayer, Unpacked};

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

/// Parts in an order that follows from the bytes, so that readers go on from where others stopped and begin anew.
fn parts(data: &[u8], source: &Arc<dyn Source>) {
    let mut whole = Vec::new();
    let is_whole = compression::reader(data, EXPANSION).is_ok_and(|(_, mut tar)| tar.read_to_end(&mut whole).is_ok());
    let unpacked = Unpacked::new(Arc::clone(source), EXPANSION);
    for pair in data.rchunks_exact(2).take(8) {
        let offset = usize::from(pair[0]) * whole.len() / 256;
        let len = usize::from(pair[1]) * whole.len() / 512;
        let mut part = Vec::new();
        let read = unpacked.open(offset as u64, len as u64).and_then(|mut reader| reader.read_to_end(&mut part));
        let expected = &whole[offset..whole.len().min(offset + len)];
        // How much comes before an error depends on how much is asked for at once.
        let same = part.iter().zip(expected).all(|(one, other)| one == other);
        assert!(same && (part.len() == expected.len() || !is_whole), "{len} bytes at {offset}");
        assert!(read.is_ok() || !is_whole, "{read:?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let limits = TarLimits { entries: 1000, ..TarLimits::default() };
    let walk = WalkOptions { limits, expansion: EXPANSION, verify: false };
    let source: Arc<dyn Source> = Arc::new(Bytes::new(data));
    parts(data, &source);
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
