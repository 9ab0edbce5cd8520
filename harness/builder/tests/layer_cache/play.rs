//! Plays sequences of edits, and holds what is built with the cache after each against what is built without. The context is
//! scanned with an index, so that the index is held to it too. What the sequences are of is the caller's affair.
//!
//! `SAMEBUILD_SEQUENCES=20000` plays more of them; `SAMEBUILD_SEED` begins elsewhere, or plays one again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::{LayerCache, Local};
use samebuild_builder::disk::index::Index;
pub use samebuild_builder::disk::index::{Belief, Time};
use samebuild_builder::disk::scan_with;
use samebuild_image::Tree;

use crate::project::{Dice, Project, edit};
use crate::record;
use crate::yard::Yard;

/// How a file system shows times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// As they are. A sequence takes milliseconds, in which no honest index believes any stat. So its clock goes ten thousand
    /// times as fast: some stats are old enough and some are not, as in a day's work.
    Honest,
    /// The same, cut to ticks of so many seconds.
    Truncated(i64),
    /// Every file is from then.
    Frozen,
    /// As the file system has them, which does the lying; who plays waits.
    ByTheKernel,
}

impl Shown {
    /// What is shown of a moment, in a project that began then.
    fn of(self, time: Time, began: Time) -> Time {
        match self {
            Self::Honest => fast(time, began),
            Self::Truncated(tick) => {
                let (secs, _) = fast(time, began);
                (secs - secs.rem_euclid(tick), 0)
            }
            Self::Frozen => (1_000_000_000, 0),
            Self::ByTheKernel => time,
        }
    }
}

fn fast((secs, nanos): Time, began: Time) -> Time {
    let whole = |(secs, nanos): Time| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
    let since = whole((secs, nanos)) - whole(began);
    // What was set to another time by hand stays there.
    if since < 0 {
        return (secs, nanos);
    }
    let fast = whole(began) + since * 10_000;
    ((fast / 1_000_000_000) as i64, (fast % 1_000_000_000) as u32)
}

/// What all sequences of a kind have in common.
pub struct Kind<'k> {
    /// In the record.
    pub what: &'k str,
    /// How many are played, where 2,000 are played of all kinds.
    pub share: u64,
    /// However few are asked for: where it takes so many to prove anything.
    pub fewest: u64,
    pub shown: Shown,
    pub belief: Belief,
    /// Lines for the Dockerfile.
    pub words: &'static [&'static str],
    pub yard: &'k (dyn Fn() -> Yard + Sync),
    /// Where contexts lie, if not in the yard.
    pub contexts: Option<&'k Path>,
    /// What passes before the context is looked at.
    pub pause: Duration,
    /// At once.
    pub threads: u64,
}

impl<'k> Kind<'k> {
    /// Honest times, and a stat is believed.
    pub fn new(what: &'k str, words: &'static [&'static str], yard: &'k (dyn Fn() -> Yard + Sync)) -> Self {
        Self {
            what,
            share: 0,
            fewest: 1,
            shown: Shown::Honest,
            belief: Belief::Stat,
            words,
            yard,
            contexts: None,
            pause: Duration::ZERO,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().min(4)) as u64,
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// As many as the kind's share is, until one fails; records them.
pub fn play(kind: &Kind<'_>) -> Result<(), String> {
    let (all, first) = (number("SAMEBUILD_SEQUENCES", 2000), number("SAMEBUILD_SEED", 0));
    let (count, threads) = ((all * kind.share / 2000).max(kind.fewest), kind.threads);
    println!("seeds {first} to {}: {}", first + count - 1, kind.what);
    let ended: Result<Vec<Seen>, String> = std::thread::scope(|scope| {
        let part = |thread| {
            let seeds = (first..first + count).skip(thread as usize).step_by(threads as usize);
            seeds.map(|seed| sequence(seed, kind)).collect::<Result<Vec<_>, _>>()
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        let parts: Result<Vec<_>, _> = running.into_iter().map(|thread| thread.join().unwrap()).collect();
        Ok(parts?.concat())
    });
    let seen = ended?;
    let (images, found) = seen.iter().fold((0, 0), |(a, b), seen| (a + seen.images, b + seen.found));
    println!("{images} images of {} builds, {found} steps found", count * 4);
    // Failures are compared too, but nothing is found in them.
    if u64::try_from(found).is_ok_and(|found| found < count) {
        return Err(format!("{count} sequences in which hardly anything was found prove little"));
    }
    record::add(kind.what, count, "0 images differ from a cold build");
    Ok(())
}

/// What of a sequence was worth playing it.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    images: usize,
    /// Steps that were taken from the cache.
    found: usize,
}

/// Plays one sequence; an error says where the two images parted, and how to play it again.
pub fn sequence(seed: u64, kind: &Kind<'_>) -> Result<Seen, String> {
    let mut dice = Dice(seed);
    let yard = (kind.yard)();
    let dir = match kind.contexts {
        Some(contexts) => contexts.join(seed.to_string()),
        None => yard.dir.path().join("context"),
    };
    let mut project = Project::new(dir, kind.words, now(), &mut dice);
    let mut told = vec![format!("{:?}", project.dockerfile())];
    let mut seen = Seen::default();
    for n in 0..4 {
        if n > 0 {
            for _ in 0..=dice.next(2) {
                told.push(edit(&mut project, &mut dice));
            }
        }
        std::thread::sleep(kind.pause);
        let found = compare(&yard, &project, kind).map_err(|why| {
            let told = told.join("\n  ");
            format!(
                "{why}\n  {told}\nplay it again: SAMEBUILD_SEED={seed} SAMEBUILD_SEQUENCES=1 and this test"
            )
        })?;
        seen.images += usize::from(found.is_some());
        seen.found += found.unwrap_or(0);
    }
    Ok(seen)
}

fn now() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (now.as_secs() as i64, now.subsec_nanos())
}

/// How many steps were found; `None` where both builds fail alike.
fn compare(yard: &Yard, project: &Project, kind: &Kind<'_>) -> Result<Option<usize>, String> {
    let (dockerfile, args) = (project.dockerfile(), project.args());
    let dialect = DIALECTS[project.dialect];
    let path: PathBuf = yard.dir.path().join("index");
    let shift = |time: Time| kind.shown.of(time, project.began);
    let now = match kind.shown {
        Shown::ByTheKernel => now(),
        _ => fast(now(), project.began),
    };
    let mut index = Index::read(&path, now, kind.belief);
    let seen = scan_with(&project.dir, &mut index, &shift).map_err(|error| error.to_string())?;
    let cache =
        LayerCache { whole: true, ..LayerCache::at(Arc::new(Local::new(&yard.dir.path().join("cache")))) };
    let cached = yard.with(dialect, &dockerfile, &seen, &args, Some(&cache));
    index.write(&path).unwrap();
    // The truth: every content read, times as they are shown.
    let cold = yard.with(dialect, &dockerfile, &honest(&project.dir, &shift), &args, None);
    match (cached, cold) {
        (Ok(cached), Ok(cold)) if cached.manifest == cold.manifest && cached.used.warnings.is_empty() => {
            Ok(Some(cached.used.found()))
        }
        (Ok(cached), Ok(cold)) => {
            let not_in = |a: &[String], b: &[String]| -> Vec<String> {
                a.iter().filter(|line| !b.contains(line)).cloned().collect()
            };
            let (less, more) = (not_in(&cold.told, &cached.told), not_in(&cached.told, &cold.told));
            Err(format!("{}: the images differ: - {less:#?} + {more:#?}; {:?}", dialect.id, cached.used))
        }
        (Err(cached), Err(cold)) if cached == cold => Ok(None),
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
