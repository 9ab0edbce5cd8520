//! The fault `mtime-lag`, in process: a [`Lens`] that shows old modification times, and logs every lie. What a snapshotter
//! concludes from them is the snapshotter's affair; [`losses`] asks each of them.
//!
//! Two shapes, because comparators differ: moby takes a whole second for "same", containerd re-reads exactly then.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lag::Lag;
use samebuild_builder::snapshot::probe::{Clear, Honest, Lens, Probe, Stat};
use samebuild_builder::snapshot::walk::{SNAPSHOTTERS, compare};
use samebuild_image::{At, Content, Digest, Kind, Meta, Mtime, Tree};

/// How a modification time lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Cut down to a multiple of so many seconds, as a file system with coarse times does (ext4 with 128-byte inodes: 1).
    Truncate { granularity_s: i64 },
    /// Held at what was seen first until the true time is so many seconds further (a network file system's attribute
    /// cache; a file whose time was put back).
    Freeze { window_s: i64 },
}

/// What a case's `with` may say of it.
pub const KEYS: &[&str] = &["shape", "window", "scope", "nth", "seed", "snapshotter", "rehash"];

/// The fault. It remembers what it has shown, over several looks; it ends when it drops.
#[derive(Clone, Debug)]
pub struct MtimeLag {
    lag: Lag,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    held: BTreeMap<At, Mtime>,
    /// The true time last seen of each place, and the number of the change that led to it.
    last: BTreeMap<At, (Mtime, usize)>,
    /// Changes that were seen.
    changes: usize,
    lies: Vec<Lie>,
}

/// One modification time that was not the true one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lie {
    /// Number of the instruction after which it was told.
    pub step: usize,
    pub at: At,
    pub truth: Mtime,
    pub shown: Mtime,
}

impl MtimeLag {
    /// Nothing shown yet.
    pub fn new(shape: Shape) -> Self {
        Self::of(Lag::everywhere(shape))
    }

    /// Nothing shown yet.
    pub fn of(lag: Lag) -> Self {
        Self { lag, told: Arc::default() }
    }

    /// What a case's `[[under]]` asks for: `with = { shape = "freeze", window = "2s" }`.
    ///
    /// # Errors
    /// In words: a key or value that is not understood, with the accepted ones.
    pub fn from_table(with: &toml::Table) -> Result<Self, String> {
        let text = |key: &str| with.get(key).and_then(toml::Value::as_str);
        if let Some(key) = with.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("mtime-lag has no `{key}`; accepted: {}", KEYS.join(", ")));
        }
        let window = text("window").ok_or("mtime-lag needs a window, such as \"2s\"")?;
        let seconds = window.strip_suffix('s').and_then(|number| number.parse().ok()).filter(|s| *s > 0);
        let seconds =
            seconds.ok_or_else(|| format!("`{window}` is no window; accepted: seconds, such as \"2s\""))?;
        let shape = match text("shape") {
            Some("freeze") => Shape::Freeze { window_s: seconds },
            Some("truncate") => Shape::Truncate { granularity_s: seconds },
            _ => return Err("mtime-lag needs a shape: freeze or truncate".to_owned()),
        };
        let number = |key: &str| match with.get(key) {
            None => Ok(None),
            Some(value) => match value.as_integer().and_then(|number| u64::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("`{key}` is {value}; accepted: a number, not below 0")),
            },
        };
        let nth = number("nth")?.map(|nth| usize::try_from(nth).unwrap_or(usize::MAX));
        let lag = Lag::new(shape, text("scope").map(str::to_owned), number("seed")?)?;
        Ok(Self::of(Lag { nth, ..lag }))
    }

    /// Every lie so far, in the order they were told.
    pub fn lies(&self) -> Vec<Lie> {
        self.told().lies.clone()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, step: usize, at: &At, truth: Mtime) -> Mtime {
        if !self.lag.covers(at.as_bytes()) {
            return truth;
        }
        let mut told = self.told();
        let Told { held, last, changes, .. } = &mut *told;
        let change = match last.get(at) {
            None => 0,
            Some((before, change)) if *before == truth => *change,
            Some(_) => {
                *changes += 1;
                *changes
            }
        };
        last.insert(at.clone(), (truth, change));
        if !self.lag.lies_about(change) {
            held.insert(at.clone(), truth);
            return truth;
        }
        let shown = self.lag.shape.lagged(held, at, truth);
        if shown != truth {
            told.lies.push(Lie { step, at: at.clone(), truth, shown });
        }
        shown
    }
}

impl Shape {
    fn lagged(self, held: &mut BTreeMap<At, Mtime>, at: &At, truth: Mtime) -> Mtime {
        let Some((secs, _)) = truth.timestamp() else { return truth };
        match self {
            Self::Truncate { granularity_s } => Mtime::secs(secs - secs.rem_euclid(granularity_s.max(1))),
            Self::Freeze { window_s } => {
                let since = *held.entry(at.clone()).or_insert(truth);
                let is_over =
                    since.timestamp().is_none_or(|(start, _)| secs >= start.saturating_add(window_s));
                if is_over {
                    held.insert(at.clone(), truth);
                }
                if is_over { truth } else { since }
            }
        }
    }
}

impl Lens for MtimeLag {
    fn through<'t>(&self, honest: Honest<'t>, step: usize) -> Box<dyn Probe + 't> {
        Box::new(Lagging { fault: self.clone(), step, honest })
    }
}

struct Lagging<'t> {
    fault: MtimeLag,
    step: usize,
    honest: Honest<'t>,
}

impl Probe for Lagging<'_> {
    fn paths(&self) -> Vec<At> {
        self.honest.paths()
    }

    fn lstat(&mut self, at: &At) -> io::Result<Stat> {
        let stat = self.honest.lstat(at)?;
        let mtime = self.fault.shown(self.step, at, stat.mtime);
        Ok(Stat { mtime, ..stat })
    }

    fn digest(&mut self, at: &At) -> io::Result<Option<Digest>> {
        self.honest.digest(at)
    }

    fn link(&mut self, at: &At) -> io::Result<Option<Vec<u8>>> {
        self.honest.link(at)
    }
}

/// What one snapshotter made of a file rewritten with as many bytes a second later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub snapshotter: &'static str,
    pub means_unchanged: &'static str,
    /// Whether the new content gets into the layer: without the fault, and with each shape of it.
    pub kept: bool,
    pub kept_truncated: bool,
    pub kept_frozen: bool,
}

/// `RUN echo aaaa > /f` and, a second later, `RUN echo bbbb > /f`, as every snapshotter sees it. Lag on must equal lag off:
/// a bug that happens every time is perfectly reproducible.
///
/// # Errors
/// None but those of reading memory.
pub fn losses() -> io::Result<Vec<Loss>> {
    let (before, after) = (one_file("aaaa\n", 100), one_file("bbbb\n", 101));
    SNAPSHOTTERS
        .iter()
        .map(|snapshotter| {
            let kept = |lens: &dyn Lens| -> io::Result<bool> {
                let see = |tree, step| snapshotter.see(lens.through(Honest(tree), step).as_mut());
                Ok(!compare(&see(&before, 1)?, &see(&after, 2)?).changed.is_empty())
            };
            Ok(Loss {
                snapshotter: snapshotter.name,
                means_unchanged: snapshotter.means_unchanged,
                kept: kept(&Clear)?,
                kept_truncated: kept(&MtimeLag::new(Shape::Truncate { granularity_s: 2 }))?,
                kept_frozen: kept(&MtimeLag::new(Shape::Freeze { window_s: 2 }))?,
            })
        })
        .collect()
}

fn one_file(text: &str, secs: i64) -> Tree {
    let mut tree = Tree::new();
    let meta = Meta::new(0o644, Mtime::At { secs, nanos: 5 });
    tree.insert(&At::from("f"), Kind::File(Content::inline(text.as_bytes())), meta);
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(shape: Shape, secs: &[i64]) -> Vec<i64> {
        let fault = MtimeLag::new(shape);
        let shown = |secs: &i64| {
            let mtime = Mtime::At { secs: *secs, nanos: 5 };
            fault.shown(1, &At::from("f"), mtime).timestamp().map_or(0, |(secs, _)| secs)
        };
        secs.iter().map(shown).collect()
    }

    #[test]
    fn a_frozen_time_thaws_after_its_window_and_a_truncated_one_never_rises_early() {
        assert_eq!(times(Shape::Freeze { window_s: 3 }, &[10, 11, 12, 13, 14]), [10, 10, 10, 13, 13]);
        assert_eq!(times(Shape::Truncate { granularity_s: 2 }, &[10, 11, 12, -1]), [10, 10, 12, -2]);
    }

    #[test]
    fn a_scope_a_number_and_a_seed_say_what_is_lied_about_and_the_same_ones_the_same() {
        let lies = |lag: Lag| {
            let fault = MtimeLag::of(lag);
            for secs in 1..5 {
                for n in 0..16 {
                    fault.shown(1, &At::from(format!("d/{n}").as_str()), Mtime::secs(secs));
                }
            }
            fault.lies()
        };
        let every = Lag::everywhere(Shape::Freeze { window_s: 60 });
        assert_eq!(lies(every.clone()).len(), 3 * 16);
        let second = lies(Lag { nth: Some(2), ..every.clone() });
        assert_eq!(second.iter().map(|lie| lie.at.to_string()).collect::<Vec<_>>(), ["/d/1"]);
        assert_eq!((second[0].truth, second[0].shown), (Mtime::secs(2), Mtime::secs(1)));
        assert_eq!(lies(Lag { scope: Some("d/1".to_owned()), ..every.clone() }).len(), 3);
        let seeded = |seed| lies(Lag { seed: Some(seed), ..every.clone() });
        assert_eq!(seeded(7), seeded(7));
        assert_ne!(seeded(7), seeded(8));
    }

    #[test]
    fn every_lie_is_logged_and_a_truth_is_not() {
        let fault = MtimeLag::new(Shape::Freeze { window_s: 2 });
        for (secs, lies) in [(10, 0), (11, 1), (12, 1)] {
            fault.through(Honest(&one_file("x", secs)), 1).lstat(&At::from("f")).unwrap();
            assert_eq!(fault.lies().len(), lies, "at {secs}");
        }
    }

    #[test]
    fn the_time_snapshotter_loses_a_rewrite_under_lag_and_the_full_one_does_not() {
        let losses = losses().unwrap();
        let of = |name: &str| losses.iter().find(|loss| loss.snapshotter == name).unwrap();
        assert!(losses.iter().all(|loss| loss.kept), "without lag nothing is lost: {losses:?}");
        assert!(!of("time").kept_frozen && !of("time").kept_truncated);
        assert!(!of("redo").kept_frozen && !of("redo").kept_truncated);
        assert!(of("full").kept_frozen && of("full").kept_truncated);
    }

    #[test]
    fn what_a_case_asks_for_is_understood_or_refused_with_what_is_accepted() {
        let lag =
            |text: &str| MtimeLag::from_table(&text.parse::<toml::Table>().unwrap()).map(|lag| lag.lag.shape);
        assert_eq!(lag("shape = \"freeze\"\nwindow = \"2s\""), Ok(Shape::Freeze { window_s: 2 }));
        assert_eq!(lag("shape = \"truncate\"\nwindow = \"1s\""), Ok(Shape::Truncate { granularity_s: 1 }));
        for (bad, says) in [
            ("shape = \"freeze\"", "needs a window"),
            ("shape = \"melt\"\nwindow = \"2s\"", "freeze or truncate"),
            ("shape = \"freeze\"\nwindow = \"2m\"", "accepted: seconds"),
            ("shape = \"freeze\"\nwindow = \"2s\"\nspeed = 1", "accepted: shape, window, scope"),
            ("shape = \"freeze\"\nwindow = \"2s\"\nnth = -1", "accepted: a number"),
        ] {
            let error = lag(bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
