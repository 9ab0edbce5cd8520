//! The metamorphic claim: however a context, its arguments and its Dockerfile were edited, a build with the cache makes the
//! image that a build without makes. Contexts lie on disk and are scanned with an index, so that the index is held to it too:
//! with honest times, with truncated ones, and with ones that stand still and nothing but contents believed.
//!
//! `SAMEBUILD_SEQUENCES=20000` plays more of them; `SAMEBUILD_SEED` begins elsewhere, or plays one again.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::{LayerCache, Local};
use samebuild_builder::disk::index::{Belief, Index, Time};
use samebuild_builder::disk::scan_with;
use samebuild_image::Tree;

use crate::record;
use crate::yard::Yard;

/// How a file system shows times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Honest,
    /// Cut to ticks of so many seconds.
    Truncated(i64),
    /// Every file is from then.
    Frozen,
}

impl Shown {
    /// What a file system shows of a moment.
    fn of(self, (secs, nanos): Time) -> Time {
        match self {
            Self::Honest => (secs, nanos),
            Self::Truncated(tick) => (secs - secs.rem_euclid(tick), 0),
            Self::Frozen => (1_000_000_000, 0),
        }
    }

    /// Nobody can believe a clock that stands still.
    fn belief(self) -> Belief {
        if self == Self::Frozen { Belief::Nothing } else { Belief::Stat }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn cached_is_cold_however_it_was_edited_with_honest_times() {
    play(Shown::Honest, 1200);
}

#[test]
fn cached_is_cold_however_it_was_edited_with_truncated_times() {
    play(Shown::Truncated(1), 200);
    play(Shown::Truncated(2), 200);
}

#[test]
fn cached_is_cold_however_it_was_edited_with_frozen_times_and_nothing_believed() {
    play(Shown::Frozen, 400);
}

/// The oracle can be wrong-footed: believed, a clock that stands still makes wrong hits. If this test fails, the others
/// prove nothing.
#[test]
fn a_frozen_clock_that_is_believed_makes_wrong_hits() {
    let found = (0..200).any(|seed| sequence(seed, Shown::Frozen, Belief::Stat).is_err());
    assert!(found, "200 sequences and no wrong hit");
}

fn play(shown: Shown, share: u64) {
    let (all, first) = (number("SAMEBUILD_SEQUENCES", 2000), number("SAMEBUILD_SEED", 0));
    let count = (all * share / 2000).max(1);
    println!("seeds {first} to {} under {shown:?}", first + count - 1);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4)) as u64;
    let failed = std::thread::scope(|scope| {
        let part = |thread| {
            let seeds = (first..first + count).skip(thread as usize).step_by(threads as usize);
            seeds.filter_map(|seed| sequence(seed, shown, shown.belief()).err()).next()
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        running.into_iter().find_map(|thread| thread.join().unwrap())
    });
    if let Some(why) = failed {
        panic!("{why}");
    }
    let what = match shown {
        Shown::Honest => "sequences of edits, honest times".to_owned(),
        Shown::Truncated(tick) => format!("sequences of edits, times cut to {tick} s"),
        Shown::Frozen => "sequences of edits, times that stand still, --rehash".to_owned(),
    };
    record::add(&what, count, "0 images differ from a cold build");
}

/// A sequence takes milliseconds, in which no honest index believes any stat. So its clock goes ten thousand times as fast:
/// some stats are old enough and some are not, as in a day's work.
#[derive(Clone, Copy)]
struct Clock {
    began: Time,
}

impl Clock {
    fn fast(self, (secs, nanos): Time) -> Time {
        let whole = |(secs, nanos): Time| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        let since = whole((secs, nanos)) - whole(self.began);
        // What was set to another time by hand stays there.
        if since < 0 {
            return (secs, nanos);
        }
        let fast = whole(self.began) + since * 10_000;
        ((fast / 1_000_000_000) as i64, (fast % 1_000_000_000) as u32)
    }
}

fn now() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (now.as_secs() as i64, now.subsec_nanos())
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// What is built, as it stands after some edits.
#[derive(Clone, Debug)]
struct Project {
    dir: PathBuf,
    arg: usize,
    env: usize,
    lines: Vec<usize>,
    ignores: bool,
    dialect: usize,
    began: Time,
}

const LINES: [&str; 12] = [
    "COPY d /d",
    "COPY d/ /d/",
    "COPY a b* /few/",
    "ADD d/e $TO",
    "COPY . /all/",
    "WORKDIR /w/$A",
    "COPY --chown=$ARG:7 a ./",
    "ENV A=x",
    "COPY --from=other /o /o",
    "USER app",
    "LABEL l=$ARG",
    "COPY --chmod=755 d/e a /modes/",
];

impl Project {
    fn dockerfile(&self) -> String {
        let mut text = "FROM base AS other\nCOPY d /o\nFROM base\nARG TO=/t\nARG ARG\n".to_owned();
        text.push_str(&format!("ENV A=env{}\n", self.env));
        for line in &self.lines {
            text.push_str(LINES[*line]);
            text.push('\n');
        }
        text
    }

    fn args(&self) -> Vec<(&'static str, &'static str)> {
        let arg = ["1", "2", "3"][self.arg % 3];
        if self.arg.is_multiple_of(2) {
            vec![("ARG", arg)]
        } else {
            vec![("ARG", arg), ("TO", "/u/"), ("UNSEEN", arg)]
        }
    }
}

/// One edit, in words.
fn edit(project: &mut Project, dice: &mut Dice) -> String {
    let dir = project.dir.clone();
    let names = ["a", "b1", "b2", "d/e", "d/f", "d/g/h", "link", "late"];
    let path = |dice: &mut Dice| dir.join(names[dice.next(names.len())]);
    let shown = |path: &Path| path.strip_prefix(&dir).unwrap_or(path).display().to_string();
    match dice.next(14) {
        0 | 1 => {
            // The same size as before, mostly: what a stat cannot tell but by its times.
            let (path, text) = (path(dice), ["x\n", "y\n", "z\n", "longer\n"][dice.next(4)]);
            let _ = std::fs::create_dir_all(path.parent().unwrap());
            if path.is_dir() || path.is_symlink() {
                return "nothing".to_owned();
            }
            std::fs::write(&path, text).unwrap();
            format!("write {text:?} to {}", shown(&path))
        }
        2 => {
            let (from, to) = (path(dice), path(dice));
            if !from.is_file() || to.is_dir() || from.is_symlink() || to.is_symlink() {
                return "nothing".to_owned();
            }
            let _ = std::fs::create_dir_all(to.parent().unwrap());
            std::fs::rename(&from, &to).unwrap();
            format!("rename {} to {}", shown(&from), shown(&to))
        }
        3 => {
            let (path, mode) = (path(dice), [0o644, 0o755, 0o4755, 0o600][dice.next(4)]);
            if !path.is_file() || path.is_symlink() {
                return "nothing".to_owned();
            }
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            format!("chmod {mode:o} {}", shown(&path))
        }
        4 => {
            let (path, secs) = (path(dice), 1_500_000_000 + dice.next(3) as i64);
            if path.is_symlink() || !path.exists() {
                return "nothing".to_owned();
            }
            filetime(&path, secs);
            format!("touch {} to {secs}", shown(&path))
        }
        5 => {
            let (link, target) = (dir.join("link"), ["a", "d/e", "nowhere"][dice.next(3)]);
            let _ = std::fs::remove_file(&link);
            symlink(target, &link).unwrap();
            format!("link to {target}")
        }
        6 => {
            let (one, two) = (path(dice), path(dice));
            if !one.is_file() || one.is_symlink() || two.exists() || two.is_symlink() {
                return "nothing".to_owned();
            }
            let _ = std::fs::create_dir_all(two.parent().unwrap());
            std::fs::hard_link(&one, &two).unwrap();
            format!("hard link {} to {}", shown(&two), shown(&one))
        }
        7 => {
            let path = path(dice);
            // The first line's sources have to be there, or nothing is built at all; that is tried often enough.
            let _ = std::fs::remove_file(&path);
            format!("remove {}", shown(&path))
        }
        8 => {
            project.arg = dice.next(6);
            format!("arguments {:?}", project.args())
        }
        9 => {
            project.env = dice.next(3);
            format!("environment {}", project.env)
        }
        10 => {
            let n = project.lines.len();
            let (a, b) = (dice.next(n), dice.next(n));
            project.lines.swap(a, b);
            format!("swap lines {a} and {b}")
        }
        11 => {
            let n = dice.next(project.lines.len());
            project.lines[n] = dice.next(LINES.len());
            format!("line {n} is {}", LINES[project.lines[n]])
        }
        12 => {
            project.ignores = !project.ignores;
            let text = if project.ignores { "d/f\nlate\n" } else { "" };
            std::fs::write(dir.join(".dockerignore"), text).unwrap();
            format!("ignore {text:?}")
        }
        _ => {
            // As `git checkout` does, to and fro.
            std::fs::write(dir.join("a"), "other\n").unwrap();
            std::fs::write(dir.join("a"), "x\n").unwrap();
            "write a twice".to_owned()
        }
    }
}

fn filetime(path: &Path, secs: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: secs, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Plays one sequence; an error says where the two images parted, and how to play it again.
fn sequence(seed: u64, shown: Shown, belief: Belief) -> Result<(), String> {
    let mut dice = Dice(seed);
    let yard = Yard::new();
    let dir = yard.dir.path().join("context");
    std::fs::create_dir_all(dir.join("d/g")).unwrap();
    for (name, text) in [("a", "x\n"), ("b1", "y\n"), ("d/e", "x\n"), ("d/f", "y\n"), ("d/g/h", "z\n")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let lines = (0..3).map(|_| dice.next(LINES.len())).collect();
    // Of the dialects that are cached.
    let dialect = dice.next(6);
    let mut project = Project { dir, arg: 0, env: 0, lines, ignores: false, dialect, began: now() };
    let mut told = vec![format!("{:?}", project.dockerfile())];
    for n in 0..4 {
        if n > 0 {
            for _ in 0..=dice.next(2) {
                told.push(edit(&mut project, &mut dice));
            }
        }
        let same = compare(&yard, &project, shown, belief);
        same.map_err(|why| {
            let told = told.join("\n  ");
            format!(
                "{why}\n  {told}\nplay it again: SAMEBUILD_SEED={seed} SAMEBUILD_SEQUENCES=1 cargo test -p samebuild-builder --test layer_cache sequences"
            )
        })?;
    }
    Ok(())
}

fn compare(yard: &Yard, project: &Project, shown: Shown, belief: Belief) -> Result<(), String> {
    let (dockerfile, args) = (project.dockerfile(), project.args());
    let dialect = DIALECTS[project.dialect];
    let path = yard.dir.path().join("index");
    let clock = Clock { began: project.began };
    let shift = |time: Time| shown.of(clock.fast(time));
    let now = clock.fast(now());
    let mut index = Index::read(&path, now, belief);
    let seen = scan_with(&project.dir, &mut index, &shift).map_err(|error| error.to_string())?;
    let cache =
        LayerCache { whole: true, ..LayerCache::at(Arc::new(Local::new(&yard.dir.path().join("cache")))) };
    let cached = yard.with(dialect, &dockerfile, &seen, &args, Some(&cache));
    index.write(&path).unwrap();
    // The truth: every content read, times as they are shown.
    let cold = yard.with(dialect, &dockerfile, &honest(&project.dir, &shift), &args, None);
    match (cached, cold) {
        (Ok(cached), Ok(cold)) if cached.manifest == cold.manifest && cached.used.warnings.is_empty() => {
            Ok(())
        }
        (Ok(cached), Ok(cold)) => {
            let not_in = |a: &[String], b: &[String]| -> Vec<String> {
                a.iter().filter(|line| !b.contains(line)).cloned().collect()
            };
            let (less, more) = (not_in(&cold.told, &cached.told), not_in(&cached.told, &cold.told));
            Err(format!("{}: the images differ: - {less:#?} + {more:#?}; {:?}", dialect.id, cached.used))
        }
        (Err(cached), Err(cold)) if cached == cold => Ok(()),
        (cached, cold) => Err(format!(
            "{}: cached {:?}, cold {:?}",
            dialect.id,
            cached.map(|done| done.manifest),
            cold.map(|done| done.manifest)
        )),
    }
}

fn honest(dir: &Path, shift: &dyn Fn(Time) -> Time) -> Tree {
    scan_with(dir, &mut Index::new((0, 0), Belief::Nothing), shift).unwrap()
}
