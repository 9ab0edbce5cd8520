//! The fault `mtime-lag` on a file system that lies to everybody: which times are told of which file, and a log of every
//! lie. How the question reaches us is the pass-through's affair; the shapes are those of [`super::mtime_lag`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::mtime_lag::Shape;
use crate::cases::glob;

const A_SECOND: i128 = 1_000_000_000;

/// A point in time, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(i128);

impl Stamp {
    /// As the kernel writes it: nanoseconds count forward before 1970 too.
    pub fn new(secs: i64, nanos: u32) -> Self {
        Self(i128::from(secs) * A_SECOND + i128::from(nanos))
    }

    /// As the kernel writes it.
    pub fn parts(self) -> (i64, u32) {
        let nanos = u32::try_from(self.0.rem_euclid(A_SECOND)).unwrap_or(0);
        (i64::try_from(self.0.div_euclid(A_SECOND)).unwrap_or(i64::MAX), nanos)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = self.parts();
        write!(f, "{secs}.{nanos:09}")
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Lag {
    pub shape: Shape,
    /// A glob over paths below the directory; all files if none.
    pub scope: Option<String>,
    /// Only the so-manieth change that is seen lags, counted from 1 over all files in scope; every one without it.
    pub nth: Option<usize>,
    /// With a seed, a coin is thrown for each path in scope; it lags on heads. All lag without one.
    pub seed: Option<u64>,
}

impl Lag {
    /// # Errors
    /// The scope is no glob.
    pub fn new(shape: Shape, scope: Option<String>, seed: Option<u64>) -> Result<Self, String> {
        if let Some(scope) = &scope {
            glob::matches(scope, "").map_err(|error| format!("`{scope}` is no glob: {error}"))?;
        }
        Ok(Self { shape, scope, nth: None, seed })
    }

    /// Every file, every change.
    pub fn everywhere(shape: Shape) -> Self {
        Self { shape, scope: None, nth: None, seed: None }
    }

    /// Whether the change of this number is one to lie about; a file that was not seen to change has none.
    pub fn lies_about(&self, change: usize) -> bool {
        self.nth.is_none_or(|nth| nth == change)
    }

    /// Whether the times of a file at this path lag.
    pub fn covers(&self, path: &[u8]) -> bool {
        let text = String::from_utf8_lossy(path);
        let in_scope = |scope: &String| glob::matches(scope, &text).unwrap_or(false);
        self.scope.as_ref().is_none_or(in_scope) && self.seed.is_none_or(|seed| heads(seed, path))
    }
}

fn heads(seed: u64, path: &[u8]) -> bool {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(path).finalize();
    digest.first().is_some_and(|byte| byte % 2 == 0)
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no shape; accepted: truncate=1s, freeze=2s, and the like");
        let (name, seconds) = text.split_once('=').ok_or_else(bad)?;
        let seconds = seconds.strip_suffix('s').and_then(|number| number.parse().ok());
        let seconds: i64 = seconds.filter(|seconds| (1..=1 << 32).contains(seconds)).ok_or_else(bad)?;
        match name {
            "truncate" => Ok(Self::Truncate { granularity_s: seconds }),
            "freeze" => Ok(Self::Freeze { window_s: seconds }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Shape {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncate { granularity_s } => write!(f, "truncate={granularity_s}s"),
            Self::Freeze { window_s } => write!(f, "freeze={window_s}s"),
        }
    }
}

impl Shape {
    fn tells(self, held: &mut Option<Stamp>, truth: Stamp) -> Stamp {
        match self {
            Self::Truncate { granularity_s } => {
                Stamp(truth.0 - truth.0.rem_euclid(i128::from(granularity_s.max(1)) * A_SECOND))
            }
            Self::Freeze { window_s } => {
                let since = *held.get_or_insert(truth);
                if truth.0 < since.0 + i128::from(window_s) * A_SECOND {
                    return since;
                }
                *held = Some(truth);
                truth
            }
        }
    }
}

/// A file, whatever its names: its inode number is used again when it is gone, its birth is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    pub birth: Stamp,
}

/// The two times that comparators look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub mtime: Stamp,
    pub ctime: Stamp,
}

/// A line of the log.
#[derive(Debug, Serialize)]
struct Lie<'a> {
    path: &'a str,
    time: &'static str,
    #[serde(rename = "true")]
    truth: String,
    told: String,
}

#[derive(Debug, Default)]
struct Held {
    mtime: Option<Stamp>,
    ctime: Option<Stamp>,
    logged: [Option<(Stamp, Stamp)>; 2],
    /// The true times when it was last asked about, and the number of the change that led to them.
    last: Option<Times>,
    change: usize,
}

/// Tells times, and remembers what it told.
pub struct Teller {
    lag: Option<Lag>,
    told: Mutex<Told>,
}

struct Told {
    held: BTreeMap<FileId, Held>,
    liars: BTreeSet<FileId>,
    lies: usize,
    /// Changes that were seen.
    changes: usize,
    log: Option<Box<dyn Write + Send>>,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("lag", &self.lag).finish_non_exhaustive()
    }
}

impl Teller {
    /// Tells the truth if there is no lag. Each lie is a line in the log.
    pub fn new(lag: Option<Lag>, log: Option<Box<dyn Write + Send>>) -> Self {
        let told = Told { held: BTreeMap::new(), liars: BTreeSet::new(), lies: 0, changes: 0, log };
        Self { lag, told: Mutex::new(told) }
    }

    /// The times to tell of a file. A lie is told and logged once for each pair of times.
    pub fn tell(&self, file: FileId, path: impl FnOnce() -> Vec<u8>, truth: Times) -> Times {
        let Some(lag) = &self.lag else { return truth };
        let path = path();
        if !lag.covers(&path) {
            return truth;
        }
        let mut told = self.told();
        let Told { held, changes, .. } = &mut *told;
        let held = held.entry(file).or_default();
        if held.last.is_some_and(|last| last != truth) {
            *changes += 1;
            held.change = *changes;
        }
        held.last = Some(truth);
        if !lag.lies_about(held.change) {
            (held.mtime, held.ctime) = (Some(truth.mtime), Some(truth.ctime));
            return truth;
        }
        let shown = Times {
            mtime: lag.shape.tells(&mut held.mtime, truth.mtime),
            ctime: lag.shape.tells(&mut held.ctime, truth.ctime),
        };
        let pairs = [("mtime", truth.mtime, shown.mtime), ("ctime", truth.ctime, shown.ctime)];
        let mut news = Vec::new();
        for (logged, (time, truth, shown)) in held.logged.iter_mut().zip(pairs) {
            if truth != shown && *logged != Some((truth, shown)) {
                *logged = Some((truth, shown));
                news.push((time, truth, shown));
            }
        }
        for (time, truth, shown) in news {
            told.liars.insert(file);
            told.lies += 1;
            told.log(&path, time, truth, shown);
        }
        shown
    }

    /// Somebody has set a file's modification time: that is no lag, and what is held from now on.
    pub fn was_set(&self, file: FileId, mtime: Stamp) {
        if self.lag.is_some() {
            self.told().held.entry(file).or_default().mtime = Some(mtime);
        }
    }

    /// How many lies, about how many files.
    pub fn lies(&self) -> (usize, usize) {
        let told = self.told();
        (told.lies, told.liars.len())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn log(&mut self, path: &[u8], time: &'static str, truth: Stamp, shown: Stamp) {
        let Some(log) = &mut self.log else { return };
        let path = match std::str::from_utf8(path) {
            Ok("") => ".".to_owned(),
            Ok(path) => path.to_owned(),
            Err(_) => path.escape_ascii().to_string(),
        };
        let lie = Lie { path: &path, time, truth: truth.to_string(), told: shown.to_string() };
        if let Ok(line) = serde_json::to_string(&lie) {
            // A full disk is no reason to fail the file system.
            let _ = writeln!(log, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId { device: 1, inode: 2, birth: Stamp(3) };

    fn at(secs: i64, nanos: u32) -> Times {
        Times { mtime: Stamp::new(secs, nanos), ctime: Stamp::new(secs, nanos) }
    }

    fn told(shape: &str, stamps: &[(i64, u32)]) -> Vec<String> {
        let teller = Teller::new(Some(Lag::new(shape.parse().unwrap(), None, None).unwrap()), None);
        let tell =
            |(secs, nanos): &(i64, u32)| teller.tell(FILE, Vec::new, at(*secs, *nanos)).mtime.to_string();
        stamps.iter().map(tell).collect()
    }

    #[test]
    fn truncated_times_are_whole_multiples_before_1970_too() {
        assert_eq!(told("truncate=1s", &[(7, 9), (-1, 5)]), ["7.000000000", "-1.000000000"]);
        assert_eq!(told("truncate=60s", &[(119, 9), (-1, 0)]), ["60.000000000", "-60.000000000"]);
    }

    #[test]
    fn a_frozen_time_thaws_to_the_nanosecond() {
        assert_eq!(
            told("freeze=2s", &[(10, 5), (12, 4), (12, 5), (13, 0)]),
            ["10.000000005", "10.000000005", "12.000000005", "12.000000005"]
        );
    }

    #[test]
    fn a_time_that_somebody_set_is_told_at_once_and_held_from_then() {
        let teller = Teller::new(Some(Lag::new("freeze=2s".parse().unwrap(), None, None).unwrap()), None);
        let tell = |secs| teller.tell(FILE, Vec::new, at(secs, 0)).mtime;
        assert_eq!(tell(100), Stamp::new(100, 0));
        teller.was_set(FILE, Stamp::new(50, 0));
        assert_eq!([tell(50), tell(51), tell(52)], [50, 50, 52].map(|secs| Stamp::new(secs, 0)));
    }

    #[test]
    fn a_scope_and_a_seed_choose_files_and_the_same_seed_the_same() {
        let lag = |scope: Option<&str>, seed| {
            Lag::new("truncate=1s".parse().unwrap(), scope.map(str::to_owned), seed).unwrap()
        };
        assert!(lag(Some("srv/**"), None).covers(b"srv/a/b") && !lag(Some("srv/**"), None).covers(b"etc/a"));
        let chosen = |seed| {
            (0..64).map(|n| lag(None, Some(seed)).covers(format!("f{n}").as_bytes())).collect::<Vec<_>>()
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
        assert!(chosen(1).contains(&true) && chosen(1).contains(&false));
        assert!(Lag::new("truncate=1s".parse().unwrap(), Some("a/[".to_owned()), None).is_err());
    }

    #[test]
    fn only_the_change_of_that_number_is_lied_about() {
        let lag = Lag { nth: Some(2), ..Lag::everywhere(Shape::Freeze { window_s: 60 }) };
        let teller = Teller::new(Some(lag), None);
        let other = FileId { inode: 9, ..FILE };
        let tell = |file, secs| teller.tell(file, Vec::new, at(secs, 0)).mtime.parts().0;
        assert_eq!([tell(FILE, 1), tell(other, 1), tell(FILE, 2)], [1, 1, 2], "the first change");
        assert_eq!(
            [tell(other, 3), tell(other, 3)],
            [1, 1],
            "the second, of whatever file, as often as one asks"
        );
        assert_eq!([tell(FILE, 4), tell(other, 5)], [4, 5], "and no other");
    }

    #[test]
    fn a_shape_is_printed_as_it_is_read_and_what_is_none_is_refused_with_what_is() {
        for text in ["truncate=60s", "freeze=2s"] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
        }
        for bad in ["freeze", "freeze=2", "freeze=0s", "freeze=-1s", "melt=2s", "truncate=s"] {
            assert!(bad.parse::<Shape>().unwrap_err().contains("accepted: truncate=1s"), "{bad}");
        }
    }

    #[test]
    fn each_lie_is_one_line_and_a_truth_none() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let log: Box<dyn Write + Send> = Box::new(path.reopen().unwrap());
        let lag = Lag::new("truncate=1s".parse().unwrap(), None, None).unwrap();
        let teller = Teller::new(Some(lag), Some(log));
        for (secs, nanos) in [(1, 0), (1, 7), (1, 7), (2, 0)] {
            teller.tell(FILE, || b"a\xff".to_vec(), at(secs, nanos));
        }
        assert_eq!(teller.lies(), (2, 1));
        let lines = std::fs::read_to_string(path.path()).unwrap();
        let first = r#"{"path":"a\\xff","time":"mtime","true":"1.000000007","told":"1.000000000"}"#;
        assert_eq!(lines.lines().next(), Some(first));
        assert_eq!(lines.lines().count(), 2);
    }
}
