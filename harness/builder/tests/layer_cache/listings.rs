//! Layers of which only the listing was read: nothing of their bytes is touched until somebody looks into a file, and whatever
//! became of the listing or of the layer, the image is the one a cold build makes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::entry::Entry;
use samebuild_builder::cache::{Backend, BackendError, Fate, Key, Local, gc, turn};
use samebuild_image::{Digest, Source, Tree};

use crate::backends::flip;
use crate::yard::{Yard, tree};

const TEXT: &str = "FROM base\nCOPY d /d/\nWORKDIR /w\nCOPY a /a\n";
const STAGES: &str = "FROM base AS one\nCOPY d /d/\nFROM scratch\nCOPY a /a\nCOPY --from=one /d/b /d/c /x/\n";

fn context(a: &str) -> Tree {
    tree(&[("a", a), ("d/b", "2"), ("d/c", "3"), ("d/s/e", "4")])
}

/// A local store that counts what is read of each blob.
struct Counted {
    inner: Local,
    read: Arc<Mutex<BTreeMap<Digest, u64>>>,
}

struct CountedBlob {
    inner: Arc<dyn Source>,
    digest: Digest,
    read: Arc<Mutex<BTreeMap<Digest, u64>>>,
}

impl Source for CountedBlob {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        *self.read.lock().unwrap().entry(self.digest).or_default() += len;
        self.inner.open(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn name(&self) -> String {
        self.inner.name()
    }

    fn stated(&self) -> Option<Digest> {
        self.inner.stated()
    }
}

impl Backend for Counted {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.inner.manifest(key)
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError> {
        let inner = self.inner.blob(digest, size)?;
        Ok(Arc::new(CountedBlob { inner, digest: *digest, read: Arc::clone(&self.read) }))
    }

    fn put_blob(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError> {
        self.inner.put_blob(digest, size, from)
    }

    fn put_manifest(&self, key: &Key, manifest: &[u8]) -> Result<(), BackendError> {
        self.inner.put_manifest(key, manifest)
    }

    fn forget(&self, key: &Key, damaged: &[Digest]) -> Result<(), BackendError> {
        self.inner.forget(key, damaged)
    }
}

/// Copies out of the base, whose files are behind its listing then.
const FROM_BASE: &str = "FROM base\nCOPY a /a\nCOPY --from=base /etc/passwd /x/\n";

// A step that is carried out used to have every layer of its base read and verified, however large.
#[test]
fn one_changed_file_costs_no_byte_of_the_base() {
    for dialect in [DIALECTS[1], DIALECTS[3]] {
        let yard = Yard::with_store();
        yard.build(dialect, TEXT, &context("1"), &[], true);
        let (asked, trees) = (yard.base_bytes_asked(), yard.trees_asked());
        assert!(asked > 0, "the first build reads it");
        let built = yard.build(dialect, TEXT, &context("5"), &[], true);
        assert_eq!((yard.base_bytes_asked(), yard.trees_asked()), (asked, trees), "{}", dialect.id);
        assert_eq!(built.manifest, yard.build(dialect, TEXT, &context("5"), &[], false).manifest);
        assert_eq!(built.used.warnings, [""; 0]);
        assert!(gc::verify(&yard.local()).unwrap().1.is_empty());
    }
}

#[test]
fn what_is_copied_out_of_a_listed_image_is_read_and_verified() {
    let yard = Yard::new();
    let first = yard.build(DIALECTS[3], FROM_BASE, &context("1"), &[], true);
    assert_eq!(first.used.warnings, [""; 0]);
    let asked = yard.base_bytes_asked();
    let text = format!("{FROM_BASE}COPY --from=base /etc/passwd /again\n");
    let built = yard.build(DIALECTS[3], &text, &context("1"), &[], true);
    let asked_once = yard.base_bytes_asked() - asked;
    assert!(asked_once > 0);
    let asked = yard.base_bytes_asked();
    let twice = text.replace("/x/", "/y/").replace("/again", "/twice");
    assert_eq!(yard.build(DIALECTS[3], &twice, &context("1"), &[], true).used.found(), 1);
    assert_eq!(yard.base_bytes_asked() - asked, asked_once, "however many look into it, it is read once");
    assert_eq!(built.manifest, yard.build(DIALECTS[3], &text, &context("1"), &[], false).manifest);
    yard.damage_base();
    let other = text.replace("/again", "/once-more");
    let why = yard.try_build(DIALECTS[3], &other, &context("1")).err().unwrap();
    assert!(why.contains("find the image `base`") && why.contains("damaged"), "{why}");
    yard.mend_base();
    let built = yard.build(DIALECTS[3], &other, &context("1"), &[], true);
    assert_eq!(built.manifest, yard.build(DIALECTS[3], &other, &context("1"), &[], false).manifest);
    assert!(gc::verify(&yard.local()).unwrap().1.is_empty());
}

#[test]
fn whatever_became_of_a_bases_listing_the_base_tells() {
    let cold = Yard::new().build(DIALECTS[3], TEXT, &context("5"), &[], false);
    for what in ["damaged", "missing", "forgotten"] {
        let yard = Yard::new();
        yard.build(DIALECTS[3], TEXT, &context("1"), &[], true);
        let kept = entry(&yard.local(), "layer 1 of base");
        assert_eq!((kept.layer, kept.fixes), (None, None), "nothing else of it is kept");
        let path = yard.local().blobs().path(&kept.listing.unwrap().0);
        match what {
            "damaged" => flip(&path),
            "missing" => std::fs::remove_file(&path).unwrap(),
            _ => yard.local().forget(&kept.key, &[]).unwrap(),
        }
        let problems = gc::verify(&yard.local()).unwrap().1;
        assert_eq!(problems.len(), usize::from(what != "forgotten"), "{what}: {problems:?}");
        let asked = yard.base_bytes_asked();
        let built = yard.build(DIALECTS[3], TEXT, &context("5"), &[], true);
        assert_eq!((built.manifest, built.used.found()), (cold.manifest, 2), "{what}");
        assert!(yard.base_bytes_asked() > asked, "{what}");
    }
}

fn entries(store: &Local) -> Vec<Entry> {
    gc::list(store).unwrap().into_iter().map(|row| row.entry.unwrap()).collect()
}

fn entry(store: &Local, instruction: &str) -> Entry {
    entries(store).into_iter().find(|entry| entry.instruction == instruction).unwrap()
}

/// Keeps an entry anew, with this in place of its listing.
fn relist(store: &Local, entry: &Entry, listing: Option<(Digest, u64)>) {
    let (config, manifest) = Entry { listing, ..entry.clone() }.write().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &config).unwrap();
    store.put_blob(&Digest::of(&config), config.len() as u64, file.path()).unwrap();
    store.put_manifest(&entry.key, &manifest).unwrap();
    let manifest = store.manifest(&entry.key).unwrap().unwrap();
    assert_eq!(turn::read(&entry.key, &manifest, store).unwrap().0.listing, listing);
}

#[test]
fn one_changed_file_costs_no_byte_of_the_layers_below() {
    for (text, looks_into_files) in [(TEXT, false), (STAGES, true)] {
        let yard = Yard::with_store();
        yard.build(DIALECTS[3], text, &context("1"), &[], true);
        let read = Arc::default();
        let place = Counted { inner: yard.local(), read: Arc::clone(&read) };
        let built = yard.build_at(DIALECTS[3], text, &context("5"), &[Arc::new(place)]);
        assert_eq!(built.manifest, yard.build(DIALECTS[3], text, &context("5"), &[], false).manifest);
        assert_eq!(built.used.found(), built.used.looked.len() - if looks_into_files { 2 } else { 1 });
        let layers = entries(&yard.local()).into_iter().filter_map(|entry| entry.layer);
        let read = read.lock().unwrap();
        let of_layers: u64 = layers.filter_map(|kept| read.get(&kept.digest)).sum();
        assert_eq!(of_layers > 0, looks_into_files, "{read:?}");
        assert!(read.values().sum::<u64>() > 0, "something is counted");
    }
}

#[test]
fn whatever_became_of_a_listing_the_layer_tells() {
    let cold = Yard::new().build(DIALECTS[3], TEXT, &context("5"), &[], false);
    for what in ["damaged", "missing", "none, as in older entries"] {
        let yard = Yard::new();
        yard.build(DIALECTS[3], TEXT, &context("1"), &[], true);
        let kept = entry(&yard.local(), "COPY d /d/");
        let path = yard.local().blobs().path(&kept.listing.unwrap().0);
        match what {
            "damaged" => flip(&path),
            "missing" => std::fs::remove_file(&path).unwrap(),
            _ => relist(&yard.local(), &kept, None),
        }
        let built = yard.build(DIALECTS[3], TEXT, &context("5"), &[], true);
        assert_eq!((built.manifest, built.used.found()), (cold.manifest, 2), "{what}");
        let told = built.used.warnings.iter().filter(|warning| warning.contains("the layer is read instead"));
        assert_eq!(told.count(), usize::from(what != "none, as in older entries"), "{:?}", built.used);
        let problems = gc::verify(&yard.local()).unwrap().1;
        assert_eq!(problems.len(), usize::from(what != "none, as in older entries"), "{problems:?}");
    }
}

#[test]
fn a_listing_of_another_layer_is_noticed_when_somebody_looks_into_a_file_and_by_verify() {
    let yard = Yard::new();
    yard.build(DIALECTS[3], STAGES, &context("1"), &[], true);
    let other = Yard::new();
    let others = tree(&[("a", "1"), ("d/b", "7"), ("d/c", "3"), ("d/s/e", "4")]);
    other.build(DIALECTS[3], STAGES, &others, &[], true);
    let (digest, size) = entry(&other.local(), "COPY d /d/").listing.unwrap();
    let path = other.local().blobs().path(&digest);
    yard.local().put_blob(&digest, size, &path).unwrap();
    relist(&yard.local(), &entry(&yard.local(), "COPY d /d/"), Some((digest, size)));
    let problems = gc::verify(&yard.local()).unwrap().1;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].why.contains("does not fit its layer"), "{problems:?}");
    let built = yard.build(DIALECTS[3], STAGES, &context("5"), &[], true);
    assert_eq!(built.manifest, yard.build(DIALECTS[3], STAGES, &context("5"), &[], false).manifest);
    assert!(gc::verify(&yard.local()).unwrap().1.is_empty(), "it was built again");
}

#[test]
fn a_layer_that_turns_out_damaged_behind_its_listing_is_forgotten_and_built_anew() {
    let yard = Yard::with_store();
    yard.build(DIALECTS[3], STAGES, &context("1"), &[], true);
    let kept = entry(&yard.local(), "COPY d /d/").layer.unwrap();
    flip(&yard.local().blobs().path(&kept.digest));
    let built = yard.build(DIALECTS[3], STAGES, &context("5"), &[], true);
    assert_eq!(built.manifest, yard.build(DIALECTS[3], STAGES, &context("5"), &[], false).manifest);
    assert_eq!(built.used.looked[0].fate, Fate::CarriedOut, "the layer was made again");
    assert!(gc::verify(&yard.local()).unwrap().1.is_empty());
}

#[test]
fn a_layer_that_turns_out_damaged_while_the_image_is_written_is_forgotten_and_built_anew() {
    let yard = Yard::new();
    let cold = yard.build(DIALECTS[3], TEXT, &context("1"), &[], true);
    let kept = entry(&yard.local(), "COPY d /d/").layer.unwrap();
    flip(&yard.local().blobs().path(&kept.digest));
    let built = yard.build(DIALECTS[3], TEXT, &context("1"), &[], true);
    assert_eq!((built.manifest, built.used.found()), (cold.manifest, 2));
    assert!(gc::verify(&yard.local()).unwrap().1.is_empty());
    let again = yard.build(DIALECTS[3], TEXT, &context("1"), &[], true);
    assert_eq!((again.manifest, again.used.found()), (cold.manifest, 3));
}
