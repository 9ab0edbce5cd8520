//! Cleaning the local store up: what goes first, what stays, and that builds beside it make the images that they make without
//! a cache, however much is taken from under them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::gc::{self, Gone, Limits};
use samebuild_image::Tree;

use crate::yard::{Yard, tree};

const HOUR: Duration = Duration::from_secs(3600);

fn later(hours: u32) -> SystemTime {
    SystemTime::now() + hours * HOUR
}

fn clean(yard: &Yard, limits: Limits, hours: u32) -> Gone {
    gc::clean(&yard.local(), &limits, later(hours)).unwrap()
}

/// A file that is not kept again where it is there, and does not get smaller.
fn context(salt: usize) -> Tree {
    let mut seed = salt as u64 + 1;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (seed >> 40) as u8 % 90)
    })
    .take(200_000)
    .collect();
    tree(&[("a", &salt.to_string()), ("d/big", &noise), ("d/c", "3")])
}

const TEXT: &str =
    "FROM base AS one\nCOPY d /d/\nWORKDIR /w\nCOPY a /a\nFROM base\nCOPY --from=one /d/big /a /x/\n";

#[test]
fn what_was_not_used_for_longest_goes_first_and_what_is_found_is_used() {
    let yard = Yard::new();
    let built = |salt: usize| yard.build(DIALECTS[3], "FROM base\nCOPY d /d/\n", &context(salt), &[], true);
    for salt in 0..3 {
        built(salt);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(built(0).used.found(), 1);
    let rows = gc::list(&yard.local()).unwrap();
    let steps: Vec<_> =
        rows.iter().filter(|row| row.entry.as_ref().unwrap().instruction.starts_with("COPY")).collect();
    assert_eq!(steps.len(), 3);
    // Room for two, and for what is kept of the base.
    let bytes = rows.iter().map(|row| row.bytes).sum::<u64>() - steps[2].bytes;
    let gone = clean(&yard, Limits { bytes: Some(bytes), ..Limits::default() }, 2);
    assert!(gone.entries >= 1 && gone.left <= bytes, "{gone:?}");
    assert_eq!((built(0).used.found(), built(1).used.found()), (1, 0));
}

#[test]
fn an_entry_that_was_not_used_within_the_time_goes_and_its_bytes_an_hour_after_they_were_written() {
    let yard = Yard::new();
    yard.build(DIALECTS[3], TEXT, &context(0), &[], true);
    let unused = |hours| Limits { unused: Some(hours * HOUR), ..Limits::default() };
    assert_eq!(clean(&yard, unused(3), 2).entries, 0);
    // All entries go, and no blob: somebody may be about to refer to it.
    let gone = gc::clean(&yard.local(), &unused(0), later(0) + HOUR / 2).unwrap();
    assert!(gone.entries >= 4 && gone.blobs == 0 && gone.left > 200_000, "{gone:?}");
    let gone = clean(&yard, Limits::default(), 2);
    assert!(gone.blobs >= 4 && gone.left == 0, "{gone:?}");
    assert!(gc::list(&yard.local()).unwrap().is_empty());
}

// What is there already was not kept again, and went as what nobody had referred to for long.
#[test]
fn what_is_kept_once_more_is_as_young_as_what_is_new() {
    let yard = Yard::new();
    let build = || yard.build(DIALECTS[3], TEXT, &context(0), &[], true);
    build();
    let blobs = yard.dir.path().join("cache/blobs/sha256");
    for blob in std::fs::read_dir(blobs).unwrap() {
        let file = std::fs::File::open(blob.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - 5 * HOUR).unwrap();
    }
    // Their entries go, and then come back while somebody cleans who has looked already at which blobs are wanted.
    let keys: Vec<_> = gc::list(&yard.local()).unwrap().into_iter().map(|row| row.key).collect();
    for key in keys {
        samebuild_builder::cache::Backend::forget(&yard.local(), &key, &[]).unwrap();
    }
    build();
    let entries = yard.dir.path().join("cache/entries");
    let aside = yard.dir.path().join("aside");
    std::fs::rename(&entries, &aside).unwrap();
    assert_eq!(clean(&yard, Limits::default(), 0).blobs, 0);
    std::fs::rename(&aside, &entries).unwrap();
    let found = build();
    assert_eq!((found.used.found(), found.used.looked.len()), (4, 4), "{:?}", found.used.warnings);
}

/// With `now`, and from the future: against its own advice, the worst there is.
#[test]
fn whatever_is_taken_from_under_a_build_its_image_is_the_one_it_makes_without_a_cache() {
    const BUILDS: usize = 60;
    let yard = Yard::with_store();
    let cold: Vec<_> =
        (0..4).map(|salt| yard.build(DIALECTS[3], TEXT, &context(salt), &[], false).manifest).collect();
    let (left, cleaned) = (AtomicUsize::new(2), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (yard, left, cold) = (&yard, &left, &cold);
            scope.spawn(move || {
                for n in 0..BUILDS {
                    let salt = (n * 7 + thread * 3) % 4;
                    let built = yard.try_build(DIALECTS[3], TEXT, &context(salt));
                    let built = built.unwrap_or_else(|why| panic!("build {n} of {thread}: {why}"));
                    assert_eq!(built.manifest, cold[salt], "build {n} of {thread}");
                }
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while left.load(Ordering::Relaxed) > 0 {
            let bytes = Some(400_000 * (cleaned.load(Ordering::Relaxed) as u64 % 3));
            let gone =
                gc::clean(&yard.local(), &Limits { bytes, at_once: true, ..Limits::default() }, later(2));
            cleaned.fetch_add(gone.unwrap().blobs, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    println!("{} blobs removed beside {} builds", cleaned.load(Ordering::Relaxed), 2 * BUILDS);
    assert!(cleaned.load(Ordering::Relaxed) > 0);
}
