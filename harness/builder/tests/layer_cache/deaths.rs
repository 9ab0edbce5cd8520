//! Builds that die while they keep something, of a signal that nobody can catch or of a disk that is full: what is in the
//! cache afterwards is what it says, and the next build is right. And builds that share a cache at once.
//!
//! 200 of each in the local directory, 40 in a layout; `SAMEBUILD_DEATHS=1000` for more. The children are this program, started
//! again.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::gc;
use samebuild_builder::cache::{LayerCache, Local, OciLayout};
use samebuild_image::manifest::{Index, Manifest};
use samebuild_image::{Digest, Tree};

use crate::record;
use crate::yard::{Yard, tree};

const TEXT: &str = "FROM base\nCOPY a /x/\nWORKDIR /w\nCOPY d .\nCOPY d/f1 /y/\nADD a /z\nCOPY d/f2 d/f3 /few/\nCOPY a b /end/\n";

fn deaths() -> u64 {
    std::env::var("SAMEBUILD_DEATHS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// A context that takes a while to keep; each round another, so that something is always new.
fn context(round: u64) -> Tree {
    let text = |n: u64| format!("{round} {n} ").repeat(2000);
    let names: Vec<(String, String)> = (0..8)
        .map(|n| (format!("d/f{n}"), text(n)))
        .chain([("a".into(), text(90)), ("b".into(), text(91))])
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    tree(&files)
}

/// What may be damaged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Local,
    Layout,
}

impl Place {
    fn cache(self, dir: &Path) -> LayerCache {
        LayerCache::at(match self {
            Self::Local => Arc::new(Local::new(dir)),
            Self::Layout => Arc::new(OciLayout::new(dir)),
        })
    }

    /// In the record.
    fn of(self, what: &str) -> String {
        if self == Self::Local { what.to_owned() } else { format!("{what}, in an OCI layout") }
    }

    /// How many of `all` are tried here.
    fn share(self, all: u64) -> u64 {
        if self == Self::Local { all } else { (all / 5).max(1) }
    }

    fn problems(self, dir: &Path) -> Vec<String> {
        match self {
            Self::Local => {
                gc::verify(&Local::new(dir)).unwrap().1.iter().map(|it| format!("{it:?}")).collect()
            }
            Self::Layout => in_layout(dir),
        }
    }
}

/// What the index names, or what that names, and is not there or is not that. Who died may leave what nobody names.
fn in_layout(dir: &Path) -> Vec<String> {
    let read = |digest: &Digest| {
        let bytes = std::fs::read(dir.join("blobs/sha256").join(digest.hex()))
            .map_err(|e| format!("{digest}: {e}"))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(format!("{digest} is something else")) }
    };
    let Ok(index) = std::fs::read(dir.join("index.json")) else { return Vec::new() };
    let index: Index = match serde_json::from_slice(&index) {
        Ok(index) => index,
        Err(error) => return vec![format!("the index: {error}")],
    };
    let mut problems = Vec::new();
    for entry in &index.manifests {
        let named = read(&entry.digest).and_then(|bytes| {
            let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            manifest.layers.iter().chain([&manifest.config]).try_for_each(|part| read(&part.digest).map(drop))
        });
        problems.extend(named.err());
    }
    problems
}

/// What a child does: builds round after round with the cache it is told, until it dies.
#[test]
fn child() {
    let Ok(task) = std::env::var("SAMEBUILD_TEST_CHILD") else { return };
    let mut words = task.split('|');
    let (dir, first, rounds) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let place = if words.next() == Some("Layout") { Place::Layout } else { Place::Local };
    let yard = Yard::within(Path::new(dir).parent().unwrap());
    let (first, rounds): (u64, u64) = (first.parse().unwrap(), rounds.parse().unwrap());
    for round in first..first + rounds {
        let done =
            yard.with(DIALECTS[3], TEXT, &context(round), &[], Some(&place.cache(Path::new(dir)))).unwrap();
        println!("built {} {}", done.manifest, done.used.warnings.len());
    }
}

fn start(place: Place, dir: &Path, first: u64, rounds: u64) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "deaths::child", "--nocapture"])
        .env("SAMEBUILD_TEST_CHILD", format!("{}|{first}|{rounds}|{place:?}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn check(place: Place, dir: &Path, round: u64, yard: &Yard) {
    let problems = place.problems(dir);
    assert!(problems.is_empty(), "round {round}: {problems:?}");
    let context = context(round);
    let cached = yard.with(DIALECTS[3], TEXT, &context, &[], Some(&place.cache(dir))).unwrap();
    let cold = yard.with(DIALECTS[3], TEXT, &context, &[], None).unwrap();
    assert_eq!(cached.manifest, cold.manifest, "round {round}");
}

#[test]
fn killed_at_any_moment_a_build_leaves_only_what_is_whole() {
    killed(Place::Local);
    killed(Place::Layout);
}

fn killed(place: Place) {
    let yard = Yard::new();
    let mut killed = 0;
    let rounds = place.share(deaths());
    for round in 0..rounds {
        // Everything is read after each death: a cache that grows on would be read mostly.
        let dir = yard.dir.path().join(format!("cache-{}", round / 10));
        let mut child = start(place, &dir, round, 1000);
        // From before the first file to well into the second build; the same moments each time, as far as a clock can.
        std::thread::sleep(Duration::from_micros(3_000 + (round * 7_919) % 60_000));
        child.kill().unwrap();
        killed += u64::from(child.wait().unwrap().signal() == Some(9));
        check(place, &dir, round, &yard);
    }
    assert_eq!(killed, rounds, "every child was killed at work");
    record::add(
        &place.of("killed while keeping, SIGKILL"),
        killed,
        "0 entries damaged, every next build right",
    );
}

#[test]
fn a_disk_that_is_full_costs_a_warning_and_nothing_that_is_not_whole_is_kept() {
    full_disks(Place::Local);
    full_disks(Place::Layout);
}

fn full_disks(place: Place) {
    let rounds = place.share(deaths());
    let yard = Yard::new();
    let dir = yard.dir.path().join("small");
    std::fs::create_dir(&dir).unwrap();
    let mut full = 0;
    for round in 0..rounds {
        // From less than one entry to all.
        let size = 4096 * (1 + round % 64);
        let options = format!("size={size},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&dir).output();
        let _mounted = match mounted {
            Ok(output) if output.status.success() => Mounted(&dir),
            other => {
                println!("not exercised: a small disk needs root: {other:?}");
                return;
            }
        };
        let cache_dir = dir.join("cache");
        let cold = yard.with(DIALECTS[3], TEXT, &context(round), &[], None).unwrap();
        let built =
            yard.with(DIALECTS[3], TEXT, &context(round), &[], Some(&place.cache(&cache_dir))).unwrap();
        assert_eq!(built.manifest, cold.manifest, "round {round}");
        full += u64::from(built.used.warnings.iter().any(|warning| warning.contains("No space left")));
        check(place, &cache_dir, round, &yard);
    }
    assert!(full * 2 > rounds, "{full} of {rounds} disks were full");
    let what = format!("small disks, {full} of them full");
    record::add(
        &place.of("disks too small for what is kept"),
        rounds,
        &format!("{what}: 0 entries damaged, every build right"),
    );
}

struct Mounted<'d>(&'d Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn two_builders_that_share_a_cache_are_both_right() {
    let yard = Yard::new();
    let dir = yard.dir.path().join("cache");
    let rounds = deaths();
    let children = [Place::Local, Place::Local].map(|place| start(place, &dir, 0, rounds));
    let told: Vec<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let built = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.contains("built "))
            .map(|line| line[line.find("built ").unwrap()..].to_owned())
            .collect()
    };
    let (left, right) = (built(&told[0]), built(&told[1]));
    assert_eq!(left.len() as u64, rounds);
    assert_eq!(left, right);
    for (round, line) in left.iter().enumerate() {
        let cold = yard.with(DIALECTS[3], TEXT, &context(round as u64), &[], None).unwrap();
        assert_eq!(*line, format!("built {} 0", cold.manifest), "round {round}");
    }
    assert!(gc::verify(&Local::new(&dir)).unwrap().1.is_empty());
    record::add(
        "rounds of two builders on one cache",
        rounds,
        "0 images differ, 0 entries damaged, 0 warnings",
    );
}

// kaniko's --cleanup: several builds in one process.
#[test]
fn several_builds_in_one_process_are_what_they_are_in_processes_of_their_own() {
    let yard = Yard::new();
    let rounds = 6;
    let apart: Vec<String> = (0..rounds)
        .map(|round| {
            let output = start(Place::Local, &yard.dir.path().join(format!("own-{round}")), round, 1)
                .wait_with_output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let at = text.find("built ").unwrap();
            text[at..].lines().next().unwrap().to_owned()
        })
        .collect();
    // One after the other, and then all at once, with one cache and without.
    let shared = yard.dir.path().join("shared");
    let one = |round: u64, dir: Option<&Path>| {
        let cache = dir.map(|dir| Place::Local.cache(dir));
        let done = yard.with(DIALECTS[3], TEXT, &context(round), &[], cache.as_ref()).unwrap();
        format!("built {} 0", done.manifest)
    };
    for dir in [None, Some(shared.as_path())] {
        let in_turn: Vec<String> = (0..rounds).map(|round| one(round, dir)).collect();
        assert_eq!(in_turn, apart);
        let at_once: Vec<String> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..rounds).map(|round| scope.spawn(move || one(round, dir))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(at_once, apart);
    }
}
