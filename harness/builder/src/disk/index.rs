//! What is known of a directory's files from the last time: their digests and extended attributes, each as long as the file's
//! stat is the same and was old enough to tell. git's rule of the racily clean entry: what may have changed in the tick in
//! which it was looked at is looked at again. Walking is [`super::scan`]'s.
//!
//! A stat that lies (a time that stands still, a mapped page) defeats this like any other index; [`Belief::Nothing`] reads
//! every file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use rustix::fs::Stat;
use samebuild_image::{At, Content, Digest};

use crate::framing::{array, put, take};

/// Beginning of the file; the number changes with the form.
const MAGIC: &[u8] = b"samebuild index 2\n";

/// No clock of a file system ticks slower than it is looked at; FAT's ticks are two seconds.
const SLACK_SECS: i64 = 2;
/// Times that are all multiples of something larger may be ticks of a clock as slow as this, and no slower.
const MOST_SECS: i64 = 3600;

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

#[derive(Clone, Debug)]
struct Row {
    look: Look,
    xattrs: Attributes,
    content: Option<Content>,
    digest: Option<Digest>,
    /// Whether it was old enough, then, for its stat to tell.
    settled: bool,
}

/// What is known of the files of one directory.
#[derive(Default)]
pub struct Index {
    old: BTreeMap<At, Row>,
    new: Vec<(At, Row)>,
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
        let bytes = std::fs::read(path).unwrap_or_default();
        Self { old: parse(&bytes).unwrap_or_default(), ..Self::new(now, belief) }
    }

    /// The attributes of a file that is as it was, if that can be told.
    pub(super) fn attributes(&mut self, at: &At, look: &Look) -> Option<&Attributes> {
        let row = self.old.get(at).filter(|row| row.look == *look && row.settled);
        row.filter(|_| self.belief == Belief::Stat).map(|row| &row.xattrs)
    }

    /// Takes note of a file; its content gets the digest that is known of it.
    pub(super) fn note(&mut self, at: &At, look: Look, xattrs: &Attributes, content: Option<&Content>) {
        let known = self.old.get(at).filter(|row| row.look == look && row.settled);
        let digest = known.filter(|_| self.belief == Belief::Stat).and_then(|row| row.digest);
        if let (Some(digest), Some(content)) = (digest, content) {
            let _ = content.clone().with_digest(digest);
            self.used += 1;
        }
        let row = Row { look, xattrs: xattrs.clone(), content: content.cloned(), digest, settled: false };
        self.new.push((at.clone(), row));
    }

    /// How many contents were known.
    pub fn known(&self) -> usize {
        self.used
    }

    /// Writes what is known now to `path`, if that is more or other than before: a whole file or none.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn write(mut self, path: &Path) -> io::Result<()> {
        let limit = self.now.0 - slack(self.new.iter().map(|(_, row)| &row.look));
        let is_old = |look: &Look| look.mtime.0 < limit && look.ctime.0 < limit;
        let mut changed = self.new.len() != self.old.len();
        for (at, row) in &mut self.new {
            row.digest = row.digest.or_else(|| row.content.as_ref().and_then(Content::known_digest));
            row.settled = is_old(&row.look);
            let same = self.old.get(at).is_some_and(|old| {
                old.look == row.look && old.digest == row.digest && old.settled == row.settled
            });
            changed |= !same;
        }
        if !changed {
            return Ok(());
        }
        let mut out = MAGIC.to_vec();
        for (at, row) in &self.new {
            row.write(at, &mut out);
        }
        let digest = Digest::of(&out);
        out.extend(digest.hex().as_bytes());
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
            io::Write::write_all(&mut file, &out)?;
            file.persist(path).map_err(|error| error.error)?;
        }
        Ok(())
    }
}

/// How far back a time may have been shown that is later than another: at least two seconds, and as long as a tick of which
/// every time here could be a multiple.
fn slack<'l>(looks: impl Iterator<Item = &'l Look>) -> i64 {
    let mut tick = 0;
    for look in looks {
        for (secs, nanos) in [look.mtime, look.ctime] {
            if nanos != 0 {
                return SLACK_SECS;
            }
            tick = gcd(tick, secs.unsigned_abs());
        }
    }
    i64::try_from(tick).unwrap_or(MOST_SECS).clamp(SLACK_SECS, MOST_SECS) + 1
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Row {
    fn write(&self, at: &At, out: &mut Vec<u8>) {
        put(out, at.as_bytes());
        let look = &self.look;
        for number in [look.dev, look.ino, u64::from(look.mode), look.size] {
            out.extend(number.to_be_bytes());
        }
        for (secs, nanos) in [look.mtime, look.ctime] {
            out.extend(secs.to_be_bytes());
            out.extend(nanos.to_be_bytes());
        }
        out.push(u8::from(self.settled));
        match self.digest {
            Some(digest) => {
                out.push(1);
                out.extend(digest.bytes());
            }
            None => out.push(0),
        }
        out.extend(u32::try_from(self.xattrs.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (name, value) in &self.xattrs {
            put(out, name);
            put(out, value);
        }
    }

    fn read(from: &mut &[u8]) -> Option<(At, Self)> {
        let at = At::clean(take(from)?);
        let mut number = || Some(u64::from_be_bytes(array(from)?));
        let (dev, ino, mode, size) = (number()?, number()?, number()?, number()?);
        let mut time = || Some((i64::from_be_bytes(array(from)?), u32::from_be_bytes(array(from)?)));
        let (mtime, ctime) = (time()?, time()?);
        let [settled, has_digest] = array(from)?;
        let digest = match has_digest {
            0 => None,
            _ => Some(Digest::from_bytes(array(from)?)),
        };
        let mut xattrs = Attributes::new();
        for _ in 0..u32::from_be_bytes(array(from)?) {
            let name = take(from)?.to_vec();
            xattrs.insert(name, take(from)?.to_vec());
        }
        let look = Look { dev, ino, mode: u32::try_from(mode).ok()?, size, mtime, ctime };
        Some((at, Self { look, xattrs, content: None, digest, settled: settled != 0 }))
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<At, Row>> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
    // Half a file would be half as fast; a damaged one would be wrong.
    if Digest::of(body).hex().as_bytes() != digest {
        return None;
    }
    let mut from = body.strip_prefix(MAGIC)?;
    let mut rows = Vec::new();
    while !from.is_empty() {
        rows.push(Row::read(&mut from)?);
    }
    Some(rows.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_600_000_000;

    fn look(mtime: Time, ctime: Time) -> Look {
        Look { dev: 1, ino: 2, mode: 0o100_644, size: 3, mtime, ctime }
    }

    /// What a second walk at `later` knows of a file that the first, at [`NOW`], saw as `first`.
    fn known(first: Look, second: Look, belief: Belief) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let (at, none) = (At::from("f"), Attributes::new());
        let content = Content::inline(*b"abc");
        let mut index = Index::new((NOW, 0), Belief::Stat);
        index.note(&at, first, &none, Some(&content));
        content.digest().unwrap();
        index.write(&path).unwrap();
        let mut index = Index::read(&path, (NOW + 100, 0), belief);
        let again = Content::inline(*b"xyz");
        index.note(&at, second, &none, Some(&again));
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
        assert_eq!(slack([ticking(30), ticking(60)].iter()), 31);
        assert_eq!(slack([ticking(30), look((base, 1), (base, 0))].iter()), SLACK_SECS);
        assert_eq!(slack([ticking(0)].iter()), MOST_SECS + 1);
    }

    #[test]
    fn a_damaged_index_knows_nothing_and_harms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut index = Index::new((NOW, 0), Belief::Stat);
        let content = Content::inline(*b"abc");
        let old = look((NOW - 50, 1), (NOW - 50, 1));
        index.note(
            &At::from("f"),
            old,
            &Attributes::from([(b"user.a".to_vec(), vec![0xff])]),
            Some(&content),
        );
        content.digest().unwrap();
        index.write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(parse(&whole).unwrap().len(), 1);
        for n in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[n] ^= 1;
            assert!(parse(&damaged).is_none(), "byte {n}");
            assert!(parse(&whole[..n]).is_none(), "cut at {n}");
        }
    }
}
