//! Everything that is planted is found, for the right reason, and nothing else is; walking two stored images says what
//! comparing the same images in memory says.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use samebuild_compare::planted::{SIZES, Size};
use samebuild_compare::{Difference, Hand, Options, compare_images, compare_stored, explain};
use samebuild_image::read::{self, ReadOptions};
use samebuild_image::{Bytes, Compression, Source, Stored};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn made(size: &Size, side: Hand, how: Compression) -> Stored {
    let mut bytes = Vec::new();
    size.write(side, how, &mut bytes).unwrap();
    read::find_image(Arc::new(Bytes::new(bytes)), &ReadOptions::default()).unwrap()
}

fn small() -> Size {
    SIZES[0]
}

/// Several layers, so that deletions have something to delete.
fn several() -> Size {
    Size { name: "several", layers: 3, files: 300, small: 512, big: 100 << 10, each: 2 }
}

#[test]
fn all_that_is_planted_is_found_for_the_right_reason_and_nothing_else() {
    for size in [small(), several()] {
        for how in ALL {
            let (left, right) = (made(&size, Hand::Left, how), made(&size, Hand::Right, how));
            let found = compare_stored(&left, &right, &Options::strict()).unwrap();
            let score = size.score(&found.differences);
            assert_eq!(score.missed, [""; 0], "{} {how:?}", size.name);
            assert_eq!(score.false_rows, [""; 0], "{} {how:?}", size.name);
            assert_eq!((score.found, score.right_reason), (score.planted, score.planted), "{how:?}");
        }
    }
}

#[test]
fn walking_two_images_says_what_comparing_them_whole_says() {
    let size = several();
    for (left_how, right_how) in [
        (Compression::None, Compression::None),
        (Compression::Gzip, Compression::Gzip),
        (Compression::None, Compression::Zstd),
    ] {
        let (left, right) = (made(&size, Hand::Left, left_how), made(&size, Hand::Right, right_how));
        let walked = compare_stored(&left, &right, &Options::strict()).unwrap().differences;
        let load = |stored: Stored| stored.load(&ReadOptions::default()).unwrap().image;
        let whole = compare_images(&load(left), &load(right), &Options::strict()).unwrap().differences;
        // How layers are stored is not to be seen any more when they are in memory.
        let stored = ["packing", "tar_form"];
        let places = |rows: &[Difference]| -> Vec<String> {
            let rows = rows.iter().filter(|row| !stored.contains(&row.rule));
            rows.map(|row| format!("{} {} {:?}", row.at, row.rule, row.seen)).collect()
        };
        assert_eq!(places(&walked), places(&whole), "{left_how:?} {right_how:?}");
    }
}

/// A source that counts the bytes that are read from it.
struct Counted(Arc<dyn Source>, AtomicU64);

impl Source for Counted {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn io::Read + Send + '_>> {
        self.1.fetch_add(len.min(self.0.size()?.saturating_sub(offset)), Relaxed);
        self.0.open(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

#[test]
fn a_compressed_layer_is_read_a_few_times_however_many_rows_want_its_contents() {
    let size = Size { each: 8, ..several() };
    let mut images = [Hand::Left, Hand::Right].map(|side| made(&size, side, Compression::Gzip));
    let counts: Vec<Arc<Counted>> = images
        .iter_mut()
        .flat_map(|image| &mut image.layers)
        .map(|layer| {
            let counted = Arc::new(Counted(Arc::clone(&layer.source), AtomicU64::new(0)));
            layer.source = Arc::clone(&counted) as Arc<dyn Source>;
            counted
        })
        .collect();
    let found = compare_stored(&images[0], &images[1], &Options::strict()).unwrap();
    let wanted = found.differences.iter().filter(|row| row.rule == "content" || row.rule == "paths").count();
    assert!(wanted > 40, "only {wanted} rows want a content");
    explain(&found, None);
    for counted in counts {
        let times = counted.1.load(Relaxed) as f64 / counted.size().unwrap() as f64;
        // The walk, and once more for what only the flattened file systems make one ask.
        assert!(times < 2.1, "{} was read {times:.1} times", counted.name());
    }
}

#[test]
fn digests_that_are_taken_say_the_same_as_digests_that_are_believed() {
    let size = small();
    for how in ALL {
        let (left, right) = (made(&size, Hand::Left, how), made(&size, Hand::Right, how));
        let mut verifying = Options::strict();
        verifying.walk.verify = true;
        let taken = compare_stored(&left, &right, &verifying).unwrap().differences;
        assert_eq!(taken, compare_stored(&left, &right, &Options::strict()).unwrap().differences, "{how:?}");
        let same = compare_stored(&left, &left, &verifying).unwrap().differences;
        assert_eq!(same, [], "{how:?}");
    }
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_an_error_where_digests_are_taken() {
    let size = small();
    let left = made(&size, Hand::Left, Compression::None);
    let mut right = made(&size, Hand::Right, Compression::None);
    right.layers[0].diff_id = left.layers[0].diff_id;
    let believed = compare_stored(&left, &right, &Options::strict()).unwrap();
    assert!(believed.differences.iter().all(|row| row.at.path().is_none()), "equal digests are not opened");
    let mut verifying = Options::strict();
    verifying.walk.verify = true;
    let error = compare_stored(&left, &right, &verifying).unwrap_err().to_string();
    assert!(error.starts_with("right image: failed to read layer 1") && error.contains("digest"), "{error}");
}

#[test]
fn a_layer_cut_anywhere_is_an_error_and_never_a_missing_file() {
    let size = Size { files: 30, each: 0, big: 2048, ..small() };
    for how in ALL {
        let left = made(&size, Hand::Left, how);
        let mut whole = Vec::new();
        let layer = &left.layers[0].source;
        layer.open(0, u64::MAX).unwrap().read_to_end(&mut whole).unwrap();
        // The last zeros of a plain tar are not missed by anybody.
        let end = if how == Compression::None { whole.len() - 1024 } else { whole.len() };
        for cut in (0..end).step_by(end / 97) {
            let mut right = left.clone();
            right.layers[0].source = Arc::new(Bytes::new(&whole[..cut]));
            right.layers[0].diff_id = None;
            let found = compare_stored(&left, &right, &Options::strict());
            assert!(found.is_err(), "{how:?} cut at {cut} of {}", whole.len());
        }
    }
}

use std::io::Read as _;
