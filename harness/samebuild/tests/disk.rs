//! The engine on disk under several processes, one of which is killed; and the races on it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use futures_util::FutureExt as _;
use samebuild::races::{self, DiskEngine};
use samebuild_store::choosers::Kind;
use samebuild_store::engine::{Build, Delete, Engine as _, EngineError};
use samebuild_store::floor::Floor;
use samebuild_store::model::Mode;
use samebuild_store::names::{Content, Name, Reference, Repository};
use samebuild_store::stage::Setting;
use samebuild_store::{races as scenarios, strategies};

const APP: Repository = Repository(0);

/// Names the store that a process of this program is to work on; see [`worker`].
const WORK_ON: &str = "SAMEBUILD_DISK_TEST_STORE";

fn open(dir: &Path) -> DiskEngine {
    DiskEngine::open(dir, Floor::free(), &["samebuild.test/app"]).unwrap()
}

fn build(content: u16, tag: u16) -> Build {
    Build { content: Content(content), name: Name::policy(APP, tag) }
}

#[test]
fn equal_content_gives_the_image_that_is_there_and_a_new_one_when_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let first = engine.build(build(1, 0)).now_or_never().unwrap().unwrap();
    let again = engine.build(build(1, 1)).now_or_never().unwrap().unwrap();
    assert_eq!(first, again);
    let force = Delete { force: true, parents: false };
    let soft = engine.delete(Reference::Id(first), Delete::default()).now_or_never().unwrap();
    assert_eq!(soft, Err(EngineError::SoftConflict(first)));
    let deleted = engine.delete(Reference::Id(first), force).now_or_never().unwrap().unwrap();
    assert_eq!((deleted.names.len(), deleted.images.as_slice()), (2, [first].as_slice()));
    assert_ne!(engine.build(build(1, 0)).now_or_never().unwrap().unwrap(), first);
}

#[test]
fn a_container_keeps_its_image_while_it_runs_whatever_force_says() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let id = engine.build(build(1, 0)).now_or_never().unwrap().unwrap();
    engine.create_container(Reference::Id(id), true).now_or_never().unwrap().unwrap();
    let force = Delete { force: true, parents: false };
    let refused = engine.delete(Reference::Id(id), force).now_or_never().unwrap();
    assert_eq!(refused, Err(EngineError::HardConflict(id)));
}

/// What other tools read: an index whose manifests, configurations and layers are there, under their digests.
#[test]
fn the_store_is_an_oci_layout() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.build(build(1, 0)).now_or_never().unwrap().unwrap();
    let image = samebuild::stored::read_image(dir.path()).unwrap().image;
    assert_eq!(image.layers.len(), 1);
    assert_eq!(check(dir.path()), 1);
}

#[test]
fn a_directory_with_something_else_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.json"), "{}").unwrap();
    let Err(error) = DiskEngine::open(dir.path(), Floor::free(), &[]) else { panic!("it was opened") };
    assert!(error.to_string().contains("open an empty directory"), "{error}");
}

/// Two processes build and delete; one is killed again and again, wherever it is. Nothing half-made is ever seen.
#[test]
fn processes_share_a_store_and_one_that_is_killed_leaves_it_whole() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let mut steady = worker_process(dir.path());
    for round in 0..12 {
        let mut doomed = worker_process(dir.path());
        std::thread::sleep(Duration::from_millis(15 + round * 7));
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        engine.build(build(50, 50)).now_or_never().unwrap().unwrap();
    }
    assert!(steady.try_wait().unwrap().is_none(), "the other one saw something it could not read");
    steady.kill().unwrap();
    steady.wait().unwrap();
    // One more change sweeps what the dead left.
    let last = engine.build(build(51, 52)).now_or_never().unwrap().unwrap();
    assert!(engine.inspect(last).now_or_never().unwrap().is_ok());
    assert!(check(dir.path()) > 0);
}

/// Not a test: what [`worker_process`] runs.
#[test]
fn worker() {
    let Some(dir) = std::env::var_os(WORK_ON) else { return };
    let engine = open(Path::new(&dir));
    for n in 0.. {
        let content = n % 7;
        let id = engine.build(build(content, content)).now_or_never().unwrap().unwrap();
        let force = Delete { force: true, parents: false };
        match engine.delete(Reference::Id(id), force).now_or_never().unwrap() {
            // The other process has the same contents, and may have been quicker.
            Ok(_) | Err(EngineError::NoSuchImage(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn worker_process(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker"]).env(WORK_ON, dir).stdout(std::process::Stdio::null());
    command.spawn().unwrap()
}

/// Every blob is needed and has the digest it is called by; how many manifests there are.
fn check(dir: &Path) -> usize {
    let read =
        |path: &Path| -> serde_json::Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = read(&dir.join("index.json"));
    let mut needed = BTreeSet::new();
    let digest = |value: &serde_json::Value| {
        value["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
    };
    let manifests: BTreeSet<String> = index["manifests"].as_array().unwrap().iter().map(digest).collect();
    for manifest in &manifests {
        let json = read(&dir.join("blobs/sha256").join(manifest));
        needed.insert(digest(&json["config"]));
        needed.extend(json["layers"].as_array().unwrap().iter().map(digest));
    }
    needed.extend(manifests.iter().cloned());
    let there = std::fs::read_dir(dir.join("blobs/sha256")).unwrap();
    let there: BTreeSet<String> =
        there.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(there, needed);
    for blob in &there {
        let bytes = std::fs::read(dir.join("blobs/sha256").join(blob)).unwrap();
        assert_eq!(samebuild_image::Digest::of(&bytes).hex().to_string(), *blob);
    }
    manifests.len()
}

/// GoogleContainerTools/skaffold#9251, on disk: caught, and ours survives the same seeds.
#[test]
fn async_by_id_is_caught_on_disk_and_generation_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let setting =
        Setting { race: scenarios::race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old: 2 };
    let lost = |strategy: &str| {
        let row = strategies::strategy(strategy).unwrap();
        let seeds = (1..=30).filter(|seed| {
            races::on_disk(dir.path(), &setting, row.strategy, Kind::Random, *seed).unwrap().fate.is_lost()
        });
        seeds.count()
    };
    assert!(lost("async-by-id") > 0);
    assert_eq!((lost("sync"), lost("generation")), (0, 0));
}

/// What can be made outside the model: generation survives wherever Skaffold's way loses.
#[test]
fn in_every_race_that_disks_can_play_async_by_id_is_caught_and_generation_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for id in ["dev-loop", "found-then-pruned", "overlapping-builds", "shared-id", "two-processes"] {
        let setting = Setting { race: scenarios::race(id).unwrap(), mode: Mode::Graphdriver, old: 2 };
        let lost = |strategy: &str| {
            let row = strategies::strategy(strategy).unwrap();
            let is_lost =
                |seed| races::on_disk(dir.path(), &setting, row.strategy, Kind::Random, seed).unwrap().fate;
            (1..=12).filter(|seed| is_lost(*seed).is_lost()).count()
        };
        assert!(lost("async-by-id") > 0, "{id}: async-by-id, seeds 1 to 12");
        assert_eq!(lost("generation"), 0, "{id}: generation, seeds 1 to 12");
    }
}
