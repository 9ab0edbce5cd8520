//! What is known of a directory's files from the last time: their digests and extended attributes, each as long as the file's
//! stat is the same and was old enough to tell. git's rule of the racily clean entry: what may have changed in the tick in
//! which it was looked at is looked at again. Walking is [`super::scan`]'s, how it is written `rows`'.
//!
//! It is written again when that is less work than reading again what it lacks: a file that was edited is read in each build
//! until there are enough of them.
//!
//! A stat that lies (a time that stands still, a mapped page) defeats this like any other index; [`Belief::Nothing`] reads
//! every file.

mod rows;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use rustix::fs::Stat;
use samebuild_image::{At, Content};

use rows::{Row, Rows};

/// No clock of a file system ticks slower than it is looked at; FAT's ticks are two seconds.
const SLACK_SECS: i64 = 2;
/// Times that are all multiples of something larger may be ticks of a clock as slow as this, and no slower.
const MOST_SECS: i64 = 3600;
/// What reading a file costs besides its bytes, counted in bytes that are written: an index is a few nanoseconds a byte, a
/// file is tens of microseconds.
const READING: u64 = 32 * 1024;
/// What asking for attributes alone costs.
const ASKING: u64 = 1024;

/// How much a stat is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Belief {
    /// A stat that is the same means that the file is, if it was old enough.
    #[default]
    Stat,
    /// Every file is read.
    Nothing,
}

/// A clock's reading: seconds and nanoseconds.
pub type Time = (i64, u32);

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub size: u64,
    pub mtime: Time,
    pub ctime: Time,
}

impl Look {
    /// Of a stat, its times put through `shown`.
    pub fn of(stat: &Stat, shown: impl Fn(Time) -> Time) -> Self {
        let time = |secs: i64, nanos: u64| shown((secs, u32::try_from(nanos).unwrap_or(0)));
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            mode: stat.st_mode,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// Extended attributes by name.
pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// A file that was walked past.
enum Noted {
    /// All is as it is written there.
    Same(Range<usize>),
    New(Box<New>),
}

/// One of which not all is known, or not what was.
struct New {
    at: At,
    row: Row,
    /// Its digest may become known until the index is written.
    content: Option<Content>,
    /// What was known of it.
    old: Option<Row>,
}

/// What is known of the files of one directory.
#[derive(Default)]
pub struct Index {
    old: Rows,
    new: Vec<Noted>,
    ticks: Ticks,
    /// When the walk began.
    now: Time,
    belief: Belief,
    used: usize,
}

impl Index {
    /// Knows nothing; `now` is when the walk begins.
    pub fn new(now: Time, belief: Belief) -> Self {
        Self { now, belief, ..Self::default() }
    }

    /// As it was written at `path`; one that is missing, damaged or of another form knows nothing.
    pub fn read(path: &Path, now: Time, belief: Belief) -> Self {
        Self { old: Rows::of(std::fs::read(path).unwrap_or_default()), ..Self::new(now, belief) }
    }

    /// The attributes of the file at `at`, which looks like this, known or as `ask` says; its content gets the digest that is
    /// known of it. Takes note of it. To be called in the order of a walk: what was passed over is not known again.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(super) fn attributes(
        &mut self,
        at: &At,
        look: Look,
        content: Option<&Content>,
        ask: impl FnOnce() -> io::Result<Attributes>,
    ) -> io::Result<Attributes> {
        self.ticks.see(&look);
        let old = self.old.find(at);
        let tells = |row: &Row| self.belief == Belief::Stat && row.settled && row.look == look;
        if let Some((row, span)) = old.as_ref().filter(|(row, _)| tells(row)) {
            match (row.digest, content) {
                (Some(digest), Some(content)) => {
                    let _ = content.clone().with_digest(digest);
                    self.used += 1;
                    self.new.push(Noted::Same(span.clone()));
                }
                (_, None) => self.new.push(Noted::Same(span.clone())),
                (None, Some(content)) => {
                    let (at, content) = (at.clone(), Some(content.clone()));
                    self.note(New { at, row: row.clone(), content, old: Some(row.clone()) });
                }
            }
            return Ok(row.xattrs.clone());
        }
        let xattrs = ask()?;
        let row = Row { look, xattrs: xattrs.clone(), digest: None, settled: false };
        let old = old.map(|(row, _)| row);
        self.note(New { at: at.clone(), row, content: content.cloned(), old });
        Ok(xattrs)
    }

    fn note(&mut self, new: New) {
        self.new.push(Noted::New(Box::new(new)));
    }

    /// How many contents were known.
    pub fn known(&self) -> usize {
        self.used
    }

    /// Writes what is known now to `path`, a whole file or none, if that is worth it; whether it was.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn write(mut self, path: &Path) -> io::Result<bool> {
        let slack = self.ticks.slack();
        let limit = self.now.0 - slack;
        let is_old = |look: &Look| look.mtime.0 < limit && look.ctime.0 < limit;
        // What would have to be read again next time.
        let mut lacks = 0;
        for noted in &mut self.new {
            // By what is known now its stat may have been too young to tell.
            if let Noted::Same(span) = noted
                && slack > SLACK_SECS
                && let Some((at, row)) = self.old.row(span)
                && !is_old(&row.look)
            {
                lacks = u64::MAX;
                let new = New { at, row: row.clone(), content: None, old: Some(row) };
                *noted = Noted::New(Box::new(new));
            }
            if let Noted::New(new) = noted {
                let New { row, content, old, .. } = new.as_mut();
                row.digest = row.digest.or_else(|| content.as_ref().and_then(Content::known_digest));
                row.settled = is_old(&row.look);
                if old.as_ref() != Some(row) {
                    let cost = row.digest.map_or(ASKING, |_| READING.saturating_add(row.look.size));
                    lacks = u64::saturating_add(lacks, cost);
                }
            }
        }
        if lacks <= self.old.len() as u64 && !self.old.is_mostly_stale() {
            return Ok(false);
        }
        let rows = self.new.iter().map(|noted| match noted {
            Noted::Same(span) => rows::Line::Copied(span.clone()),
            Noted::New(new) => rows::Line::Row(&new.at, &new.row),
        });
        let bytes = self.old.rewritten(rows);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
            io::Write::write_all(&mut file, &bytes)?;
            file.persist(path).map_err(|error| error.error)?;
        }
        Ok(true)
    }
}

/// What all times that were seen say of the clock that made them.
#[derive(Default)]
struct Ticks {
    /// Seconds of which every time could be a multiple; 0 before the first.
    tick: u64,
    has_fractions: bool,
}

impl Ticks {
    fn see(&mut self, look: &Look) {
        for (secs, nanos) in [look.mtime, look.ctime] {
            self.has_fractions |= nanos != 0;
            if !self.has_fractions {
                self.tick = gcd(self.tick, secs.unsigned_abs());
            }
        }
    }

    /// How far back a time may have been shown that is later than another: at least two seconds, and as long as a tick of
    /// which every time here could be a multiple.
    fn slack(&self) -> i64 {
        match self.has_fractions {
            true => SLACK_SECS,
            false => i64::try_from(self.tick).unwrap_or(MOST_SECS).clamp(SLACK_SECS, MOST_SECS) + 1,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_600_000_000;

    fn look(mtime: Time, ctime: Time) -> Look {
        Look { dev: 1, ino: 2, mode: 0o100_644, size: 3, mtime, ctime }
    }

    fn none() -> io::Result<Attributes> {
        Ok(Attributes::new())
    }

    /// What a second walk at `later` knows of a file that the first, at [`NOW`], saw as `first`.
    fn known(first: Look, second: Look, belief: Belief) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let at = At::from("f");
        let content = Content::inline(*b"abc");
        let mut index = Index::new((NOW, 0), Belief::Stat);
        index.attributes(&at, first, Some(&content), none).unwrap();
        content.digest().unwrap();
        assert!(index.write(&path).unwrap());
        let mut index = Index::read(&path, (NOW + 100, 0), belief);
        let again = Content::inline(*b"xyz");
        index.attributes(&at, second, Some(&again), none).unwrap();
        assert_eq!(index.known(), usize::from(again.known_digest().is_some()));
        again.known_digest().is_some()
    }

    #[test]
    fn a_stat_that_is_the_same_and_old_enough_is_believed_and_no_other() {
        let old = look((NOW - 50, 1), (NOW - 50, 1));
        assert!(known(old, old, Belief::Stat));
        assert!(!known(old, old, Belief::Nothing));
        for other in [
            Look { size: 4, ..old },
            Look { ino: 9, ..old },
            Look { mode: 0o100_755, ..old },
            Look { mtime: (NOW - 50, 2), ..old },
            Look { ctime: (NOW - 40, 1), ..old },
        ] {
            assert!(!known(old, other, Belief::Stat), "{other:?}");
        }
    }

    // git's racily clean entries: written in the tick in which the index was.
    #[test]
    fn a_file_as_young_as_the_index_is_read_again() {
        for age in [0, 1, 2] {
            let young = look((NOW - 50, 1), (NOW - age, 1));
            assert!(!known(young, young, Belief::Stat), "{age}");
        }
        let old = look((NOW - 50, 1), (NOW - 3, 1));
        assert!(known(old, old, Belief::Stat));
        // A time that was set into the future tells nothing either.
        let future = look((NOW + 50, 1), (NOW - 50, 1));
        assert!(!known(future, future, Belief::Stat));
    }

    #[test]
    fn whole_ticks_are_waited_for() {
        // All times could be ticks of a clock of 30 seconds: what it shows as 40 s old may be 10 s old.
        let base = NOW - NOW % 30;
        let ticking = |age: i64| look((base - age, 0), (base - age, 0));
        let slack = |looks: &[Look]| {
            let mut ticks = Ticks::default();
            looks.iter().for_each(|look| ticks.see(look));
            ticks.slack()
        };
        assert_eq!(slack(&[ticking(30), ticking(60)]), 31);
        assert_eq!(slack(&[ticking(30), look((base, 1), (base, 0))]), SLACK_SECS);
        assert_eq!(slack(&[ticking(0)]), MOST_SECS + 1);
    }

    /// An index of these files, all read by a walk at `when` and old enough by then; whether it was written.
    fn walked(path: &Path, when: i64, files: &[(&str, Look)], belief: Belief) -> (usize, bool) {
        let mut index = Index::read(path, (when, 0), belief);
        for (at, look) in files {
            let content = Content::inline(vec![b'x'; usize::try_from(look.size).unwrap()]);
            index.attributes(&At::from(*at), *look, Some(&content), none).unwrap();
            content.digest().unwrap();
        }
        (index.known(), index.write(path).unwrap())
    }

    #[test]
    fn it_is_written_again_when_that_is_less_than_reading_again_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let names: Vec<String> = (0..1000).map(|n| format!("f{n:04}")).collect();
        let old = look((NOW - 50, 1), (NOW - 50, 1));
        let mut files: Vec<(&str, Look)> = names.iter().map(|name| (name.as_str(), old)).collect();
        assert_eq!(walked(&path, NOW, &files, Belief::Stat), (0, true));
        let written = std::fs::read(&path).unwrap();
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (1000, false), "nothing is another");
        files[7].1.ctime.1 = 2;
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (999, false), "one file is read again");
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Nothing), (0, false));
        assert_eq!(std::fs::read(&path).unwrap(), written);
        files[7].1.size = 1 << 20;
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (999, true), "a large one is not");
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (1000, false));
        for (_, look) in &mut files[..100] {
            look.mtime.1 = 9;
        }
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (900, true), "and many are not");
        files.drain(..501);
        assert_eq!(walked(&path, NOW + 1, &files, Belief::Stat), (499, true), "most of it was of nothing");
        assert!(std::fs::metadata(&path).unwrap().len() < written.len() as u64);
    }

    // git's racily clean entries, in an index that is not written again for their sake.
    #[test]
    fn a_file_that_was_too_young_is_read_again_each_time_until_it_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let names: Vec<String> = (0..1000).map(|n| format!("f{n:04}")).collect();
        let old = look((NOW - 50, 1), (NOW - 50, 1));
        let mut files: Vec<(&str, Look)> = names.iter().map(|name| (name.as_str(), old)).collect();
        files[3].1.mtime.0 = NOW;
        assert_eq!(walked(&path, NOW, &files, Belief::Stat), (0, true));
        for later in [1, 100, 1000] {
            assert_eq!(walked(&path, NOW + later, &files, Belief::Stat), (999, false), "{later}");
        }
    }
}
