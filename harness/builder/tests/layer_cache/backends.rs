//! The same bytes in every place, and what becomes of a build when a place is damaged, full or gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::{Backend, BackendError, Key, LayerCache, OciLayout};
use samebuild_image::{Digest, Source};

use crate::yard::{Yard, files, tree};

const TEXT: &str = "FROM base\nCOPY a /x/\nWORKDIR /w\nCOPY d .\n";

#[test]
fn a_layout_and_the_local_store_hold_the_same_blobs() {
    let yard = Yard::new();
    let layout = yard.dir.path().join("layout");
    let places: [Arc<dyn Backend>; 2] = [Arc::new(yard.local()), Arc::new(OciLayout::new(&layout))];
    let context = tree(&[("a", "1"), ("d/b", "2")]);
    yard.build_at(DIALECTS[3], TEXT, &context, &places);
    assert_eq!(files(&yard.dir.path().join("cache/blobs")), files(&layout.join("blobs")));
    // Whoever has only the layout finds as much.
    let alone = yard.build_at(DIALECTS[3], TEXT, &context, &places[1..]);
    assert_eq!(alone.used.found(), 3);
    assert_eq!(alone.manifest, yard.build(DIALECTS[3], TEXT, &context, &[], false).manifest);
}

#[test]
fn a_damaged_blob_is_noticed_forgotten_and_built_anew() {
    let context = tree(&[("a", "1"), ("d/b", "2")]);
    // What a step stands on is read when a step above it changed.
    let changed = tree(&[("a", "1"), ("d/b", "3")]);
    let yard = Yard::new();
    let cold = yard.build(DIALECTS[3], TEXT, &changed, &[], false);
    yard.build(DIALECTS[3], TEXT, &context, &[], true);
    let blobs = yard.dir.path().join("cache/blobs/sha256");
    let names: BTreeSet<String> = files(&blobs).into_keys().collect();
    for name in names {
        for damage in [flip as fn(&Path), truncate, remove] {
            let yard = Yard::new();
            yard.build(DIALECTS[3], TEXT, &context, &[], true);
            let path = yard.dir.path().join("cache/blobs/sha256").join(&name);
            assert!(path.exists(), "two builds keep the same");
            damage(&path);
            let built = yard.build(DIALECTS[3], TEXT, &changed, &[], true);
            assert_eq!(built.manifest, cold.manifest);
            let again = yard.build(DIALECTS[3], TEXT, &changed, &[], true);
            assert_eq!(again.manifest, cold.manifest);
            assert_eq!(again.used.found(), 3, "what was damaged was mended: {:?}", again.used);
        }
    }
}

pub fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

fn remove(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

/// A place that nothing comes from and nothing goes to.
#[derive(Default)]
struct Gone(Mutex<usize>);

impl Gone {
    fn asked<T>(&self) -> Result<T, BackendError> {
        *self.0.lock().unwrap() += 1;
        Err(BackendError::new("reach gone.test", "no such host"))
    }
}

impl Backend for Gone {
    fn name(&self) -> String {
        "gone.test".to_owned()
    }

    fn manifest(&self, _: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.asked()
    }

    fn blob(&self, _: &Digest, _: u64) -> Result<Arc<dyn Source>, BackendError> {
        self.asked()
    }

    fn put_blob(&self, _: &Digest, _: u64, _: &Path) -> Result<(), BackendError> {
        self.asked()
    }

    fn put_manifest(&self, _: &Key, _: &[u8]) -> Result<(), BackendError> {
        self.asked()
    }

    fn forget(&self, _: &Key, _: &[Digest]) -> Result<(), BackendError> {
        self.asked()
    }

    fn is_near(&self) -> bool {
        false
    }
}

#[test]
fn a_place_that_is_gone_is_asked_once_told_of_and_fails_no_build() {
    let yard = Yard::new();
    let gone = Arc::new(Gone::default());
    let context = tree(&[("a", "1"), ("d/b", "2")]);
    let place: Arc<dyn Backend> = gone.clone();
    let here: Arc<dyn Backend> = Arc::new(yard.local());
    let cache = LayerCache { from: vec![place.clone()], to: Vec::new(), ..LayerCache::at(here.clone()) };
    let built = yard.with(DIALECTS[3], TEXT, &context, &[], Some(&cache)).unwrap();
    assert_eq!(*gone.0.lock().unwrap(), 1);
    assert!(built.used.warnings[0].contains("gone.test"), "{:?}", built.used.warnings);
    let cache =
        LayerCache { from: vec![here.clone()], to: vec![place, here.clone()], ..LayerCache::at(here) };
    let built = yard.with(DIALECTS[3], TEXT, &context, &[], Some(&cache)).unwrap();
    let warnings = built.used.warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("nothing more of this build"), "{warnings:?}");
    // Both workers may have been on their way there.
    assert!((2..=3).contains(&*gone.0.lock().unwrap()));
    let again = yard.build(DIALECTS[3], TEXT, &context, &[], true);
    assert_eq!(again.used.found(), 3, "what failed there was kept here");
}
