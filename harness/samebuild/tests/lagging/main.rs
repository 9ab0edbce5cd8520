//! The file system that lags is, but for the times it tells, the file system below. Scripts from a seed are run on it and
//! on a plain directory, and every answer and the trees are compared. `SAMEBUILD_SEEDS=100` runs as many scripts.
//!
//! Needs root and /dev/fuse; a few seconds. Without them the trials are listed as ignored, and the reason is printed; they
//! do not pass.

mod script;
mod verb;
mod view;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};
use samebuild::faults::lag::Lag;
use samebuild::faults::passthrough::{self, Mounted, Namespace};
use script::Dice;
use view::{View, look};

fn main() {
    let args = Arguments::from_args();
    let unmet = unmet();
    if let Some(reason) = unmet.as_ref().filter(|_| !args.list) {
        eprintln!("lagging: not exercised: {reason}");
    }
    let mut trials = Vec::new();
    let mut add = |title: String, check: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        let reason = unmet.clone();
        let run = move || match reason {
            Some(reason) => Err(format!("not exercised: {reason}").into()),
            None => apart(check),
        };
        trials.push(Trial::test(format!("lagging::{title}"), run).with_ignored_flag(unmet.is_some()));
    };
    let seeds = std::env::var("SAMEBUILD_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3);
    for seed in 1..=seeds {
        add(
            format!("without_lag_it_is_the_directory_itself::seed_{seed}"),
            Box::new(move || is_the_directory_itself(seed)),
        );
    }
    add("truncated_times_are_all_that_differs".into(), Box::new(|| only_times_differ("truncate=1s", 5)));
    add("frozen_times_are_all_that_differs".into(), Box::new(|| only_times_differ("freeze=2s", 6)));
    add("a_big_directory_is_listed_once_and_whole".into(), Box::new(a_big_directory));
    add("mapped_memory_is_written_and_programs_run".into(), Box::new(programs_run));
    add("a_scan_of_times_loses_the_change_the_shape_predicts".into(), Box::new(a_scan_loses));
    for (name, check) in verb::CHECKS {
        add(format!("verb::{name}"), Box::new(check));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn unmet() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root, for devices, owners and trusted attributes".to_owned());
    }
    passthrough::unmet()
}

/// In a thread of its own with a mount namespace of its own: what it mounts is gone with it.
fn apart(check: Box<dyn FnOnce() -> Result<(), Failed> + Send>) -> Result<(), Failed> {
    let inside = thread::spawn(move || match passthrough::enter_private_namespace()? {
        Namespace::Private => check(),
        Namespace::Shared => Err("no mount namespace, although this is root".into()),
    });
    inside.join().unwrap_or_else(|_| Err("it panicked".into()))
}

struct Ground {
    dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Result<Self, Failed> {
        let dir = tempfile::tempdir()?;
        for name in ["plain", "below", "mounted"] {
            fs::create_dir(dir.path().join(name))?;
        }
        Ok(Self { dir })
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn mount(&self, shape: Option<&str>, scope: Option<&str>) -> Result<Mounted, Failed> {
        let lag = shape.map(|shape| Lag::new(shape.parse()?, scope.map(str::to_owned), None)).transpose()?;
        Ok(passthrough::mount(&self.at("below"), &self.at("mounted"), lag, None)?)
    }
}

/// Runs the script on both, and has every answer of the one from the other.
fn play(
    seed: u64,
    steps: usize,
    left: &Path,
    right: &Path,
    mut after: impl FnMut() -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut dice = Dice(seed);
    for number in 0..steps {
        let mut again = dice.clone();
        let (there, here) = (script::step(&mut dice, left), script::step(&mut again, right));
        if there != here {
            return Err(format!("seed {seed}, step {number}: plainly `{there}`, mounted `{here}`").into());
        }
        after().map_err(|error| {
            format!("seed {seed}, step {number}, {here}: {}", error.message().unwrap_or("?"))
        })?;
    }
    Ok(())
}

fn is_the_directory_itself(seed: u64) -> Result<(), Failed> {
    let ground = Ground::new()?;
    let started = now();
    let mounted = ground.mount(None, None)?;
    // A time that the kernel remembers from before the step would be a lie.
    let is_fresh = || script::glances(&ground.at("mounted"), &ground.at("below"));
    play(seed, 1000, &ground.at("plain"), &ground.at("mounted"), is_fresh)?;
    let (through, below) = (look(&ground.at("mounted"))?, look(&ground.at("below"))?);
    same(&format!("seed {seed}: seen through the mount and below it"), &through, &below, |entry| {
        if entry.inode == 1 || entry.inode == root_inode(&ground) {
            entry.inode = 0;
        }
    })?;
    let plain = look(&ground.at("plain"))?;
    same(&format!("seed {seed}: made plainly and through the mount"), &plain, &below, |entry| {
        entry.inode = 0;
        entry.ctime = (0, 0);
        // What the clock stamped, it stamped on both, but not in the same moment.
        if entry.mtime.0 >= started {
            entry.mtime = (i64::MAX, 0);
        }
    })?;
    if plain.len() < 4 {
        return Err(format!("seed {seed} makes hardly a tree: {} entries", plain.len()).into());
    }
    drop(mounted);
    if fs::read_dir(ground.at("mounted"))?.next().is_some() {
        return Err("it is still mounted".into());
    }
    Ok(())
}

fn root_inode(ground: &Ground) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(ground.at("below")).map_or(0, |meta| meta.ino())
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed() - 1
}

fn same(what: &str, left: &View, right: &View, mask: impl Fn(&mut view::Entry)) -> Result<(), Failed> {
    for path in left.keys().chain(right.keys()) {
        let of = |view: &View| {
            let mut entry = view.get(path).cloned();
            entry.iter_mut().for_each(&mask);
            entry.map(|mut entry| {
                entry.content.truncate(20);
                entry
            })
        };
        let equal_content = left.get(path).map(|e| &e.content) == right.get(path).map(|e| &e.content);
        if of(left) != of(right) || !equal_content {
            let path = path.escape_ascii();
            return Err(format!("{what}: {path} is {:#?} and {:#?}", of(left), of(right)).into());
        }
    }
    Ok(())
}

fn only_times_differ(shape: &str, seed: u64) -> Result<(), Failed> {
    let ground = Ground::new()?;
    let mounted = ground.mount(Some(shape), None)?;
    play(seed, 1000, &ground.at("plain"), &ground.at("mounted"), || Ok(()))?;
    let (through, below) = (look(&ground.at("mounted"))?, look(&ground.at("below"))?);
    same("with lag", &through, &below, |entry| {
        (entry.mtime, entry.ctime) = ((0, 0), (0, 0));
        if entry.inode == 1 || entry.inode == root_inode(&ground) {
            entry.inode = 0;
        }
    })?;
    let mut lied = 0;
    for (path, told) in &through {
        let truth = &below[path];
        for (told, truth) in [(told.mtime, truth.mtime), (told.ctime, truth.ctime)] {
            lied += usize::from(told != truth);
            let fits = if shape.starts_with("truncate") {
                told == (truth.0, 0)
            } else {
                let behind = nanos(truth) - nanos(told);
                (0..2_000_000_000).contains(&behind)
            };
            if !fits {
                return Err(format!("{}: {truth:?} is told as {told:?}", path.escape_ascii()).into());
            }
        }
    }
    if lied == 0 || mounted.lies().0 < lied {
        return Err(format!("{lied} times differ, and {:?} lies were counted", mounted.lies()).into());
    }
    Ok(())
}

fn nanos((secs, nanos): (i64, i64)) -> i128 {
    i128::from(secs) * 1_000_000_000 + i128::from(nanos)
}

fn a_big_directory() -> Result<(), Failed> {
    let ground = Ground::new()?;
    for number in 0..5000 {
        fs::write(ground.at("below").join(format!("file-{number:05}-with-a-name-that-takes-room")), "")?;
    }
    let _mounted = ground.mount(None, None)?;
    let mut names: Vec<_> = Vec::new();
    for entry in fs::read_dir(ground.at("mounted"))? {
        let entry = entry?;
        // Half of them go while we read, as `rm -r` does it.
        if names.len() % 2 == 0 {
            fs::remove_file(entry.path())?;
        }
        names.push(entry.file_name());
    }
    let count = names.len();
    names.sort();
    names.dedup();
    if (count, names.len()) != (5000, 5000) {
        return Err(format!("5000 files, {count} listed, {} of them different", names.len()).into());
    }
    let left = fs::read_dir(ground.at("below"))?.count();
    if left == 2500 { Ok(()) } else { Err(format!("{left} are left of 2500").into()) }
}

fn programs_run() -> Result<(), Failed> {
    let ground = Ground::new()?;
    let _mounted = ground.mount(Some("truncate=1s"), None)?;
    let program = ground.at("mounted").join("sh");
    fs::copy("/bin/sh", &program)?;
    let script = "set -e; cd \"$1\"; mkfifo p; (echo through > p) & cat p; echo done";
    let run =
        std::process::Command::new(&program).args(["-c", script, "sh"]).arg(ground.at("mounted")).output()?;
    if run.stdout != b"through\ndone\n" {
        return Err(format!("{run:?}").into());
    }
    Ok(())
}

/// The size and the time of a file: what a fast builder looks at.
type Glance = (u64, (i64, i64));

fn scan(dir: &Path) -> Result<Vec<Glance>, Failed> {
    let view = look(dir)?;
    Ok(["in", "out", "longer"]
        .map(|name| &view[name.as_bytes()])
        .map(|file| (file.size, file.mtime))
        .to_vec())
}

fn a_scan_loses() -> Result<(), Failed> {
    for (shape, loses) in [(None, false), (Some("truncate=3600s"), true), (Some("freeze=3600s"), true)] {
        let ground = Ground::new()?;
        let _mounted = ground.mount(shape, Some("[il]*"))?;
        let dir = ground.at("mounted");
        for name in ["in", "out", "longer"] {
            fs::write(dir.join(name), "aaaa\n")?;
        }
        // An hour's boundary may fall in between; not twice.
        for attempt in [1, 2] {
            let before = scan(&dir)?;
            thread::sleep(std::time::Duration::from_millis(20));
            for (name, text) in [("in", "bbbb\n"), ("out", "bbbb\n"), ("longer", "bbbbb")] {
                fs::OpenOptions::new().write(true).open(dir.join(name))?.write_all(text.as_bytes())?;
            }
            fs::OpenOptions::new().append(true).open(dir.join("longer"))?.write_all(b"more\n")?;
            let changed: Vec<bool> = before.iter().zip(scan(&dir)?).map(|(old, new)| *old != new).collect();
            if changed == [!loses, true, true] {
                break;
            }
            if attempt == 2 {
                return Err(format!("{shape:?}: a scan sees changes in {changed:?}").into());
            }
        }
    }
    Ok(())
}
