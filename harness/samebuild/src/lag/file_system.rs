//! What a file system does with times, measured: files are changed in the ways builds change them, and looked at before and
//! after. What follows for a reader of stats is [`super::blind`]'s.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, StatxFlags, Timespec, Timestamps, statx, utimensat};
use serde::Serialize;

use super::mapped::Mapped;

/// How often a change of one kind was tried, and how often a stat was the same before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    pub tried: u32,
    pub same_mtime: u32,
    pub same_ctime: u32,
    pub same_inode: u32,
}

/// All that was measured of one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// As the mount table calls it.
    pub file_system: String,
    /// The finest difference between two times that somebody sets, in nanoseconds.
    pub kept_ns: u64,
    /// The least difference between the times of files made one after another, in nanoseconds.
    pub tick_ns: Option<u64>,
    /// Whether a file has a birth time.
    pub has_birth: bool,
    /// How long a file had to be left alone, in milliseconds, for a rewrite to show: the longest wait after which it did not.
    pub still_after_ms: Option<u64>,
    /// Written, looked at, written again with as many bytes.
    pub rewritten: Pairs,
    /// The same, with the file on disk each time before it is looked at: what `sync` does for a builder.
    pub synced: Pairs,
    /// Another file of the same size renamed over it.
    pub replaced: Pairs,
    /// Removed, and made again.
    pub made_again: Pairs,
    /// Written, and the modification time put back.
    pub put_back: Pairs,
    /// Stored to through a mapping, looked at, stored to again.
    pub mapped: Pairs,
    /// The same, with the page written to disk between the second store and the look.
    pub mapped_synced: Pairs,
    /// The same, with the page written to disk before the second store.
    pub mapped_after_sync: Pairs,
}

/// A kind of change that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done to a file.
    pub done: &'static str,
    /// The same, as what somebody misses.
    pub missed: &'static str,
    pub pairs: Pairs,
}

impl Measured {
    /// All kinds, in the order in which they are told.
    pub fn changes(&self) -> [Change; 8] {
        [
            ("written again", "a rewrite right after a look", self.rewritten),
            ("written again and synced", "the same, though it was synced to disk", self.synced),
            ("replaced by rename", "another file renamed over it", self.replaced),
            ("removed and made again", "the file removed and made again", self.made_again),
            ("written again, the time put back", "a rewrite whose time was put back", self.put_back),
            (
                "stored to through a mapping, again",
                "a store through a mapping that was stored to before",
                self.mapped,
            ),
            ("the same, then synced", "the same, though the page was synced to disk", self.mapped_synced),
            (
                "synced, then the same",
                "a store through a mapping after the page was synced",
                self.mapped_after_sync,
            ),
        ]
        .map(|(done, missed, pairs)| Change { done, missed, pairs })
    }
}

/// A file that a rewrite leaves as old as it was for so long lags: steps of a build are further apart than a tick.
pub const WAITS_MS: [u64; 3] = [12, 120, 1200];

/// Measures in a directory of its own below `dir`; `pairs` of each kind, fewer where each has to reach the disk.
///
/// # Errors
/// `dir` cannot be written to, or a file cannot be changed as builds change files.
pub fn measure(dir: &Path, pairs: u32) -> io::Result<Measured> {
    let place = tempfile::Builder::new().prefix("samebuild-probe-").tempdir_in(dir)?;
    let at = Place(place.path().to_owned());
    let few = pairs.min(25);
    Ok(Measured {
        file_system: name_of(place.path())?,
        kept_ns: at.kept()?,
        tick_ns: at.tick()?,
        has_birth: at.see("birth", "x")?.has_birth,
        still_after_ms: at.still(&WAITS_MS)?,
        rewritten: at.pairs(pairs, |path| rewrite(path).map(drop))?,
        synced: at.pairs(few, |path| rewrite(path)?.sync_all())?,
        replaced: at.pairs(pairs, |path| {
            let other = path.with_extension("new");
            fs::write(&other, "bbbb")?;
            fs::rename(&other, path)
        })?,
        made_again: at.pairs(pairs, |path| {
            fs::remove_file(path)?;
            fs::write(path, "bbbb")
        })?,
        put_back: at.pairs(pairs, |path| {
            let before = Seen::of(path)?;
            rewrite(path)?;
            set(path, before.mtime)
        })?,
        mapped: at.mapped(few, |_| Ok(()), |_| Ok(()))?,
        mapped_synced: at.mapped(few, |_| Ok(()), Mapped::sync)?,
        mapped_after_sync: at.mapped(few, Mapped::sync, |_| Ok(()))?,
    })
}

/// Whether times lag here, as a build has to know before it starts: one wait of a dozen milliseconds.
///
/// # Errors
/// As [`measure`].
pub fn lags(dir: &Path) -> io::Result<bool> {
    let place = tempfile::Builder::new().prefix("samebuild-probe-").tempdir_in(dir)?;
    let at = Place(place.path().to_owned());
    Ok(super::blind::is_lag(at.kept()?, at.still(&WAITS_MS[..1])?))
}

struct Place(PathBuf);

/// What a stat says that comparators look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    mtime: (i64, u32),
    ctime: (i64, u32),
    inode: u64,
    has_birth: bool,
}

impl Seen {
    fn of(path: &Path) -> io::Result<Self> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
        Ok(Self {
            mtime: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            ctime: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
            inode: stat.stx_ino,
            has_birth: StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME),
        })
    }

    fn count(self, after: Self, pairs: &mut Pairs) {
        pairs.tried += 1;
        pairs.same_mtime += u32::from(self.mtime == after.mtime);
        pairs.same_ctime += u32::from(self.ctime == after.ctime);
        pairs.same_inode += u32::from(self.inode == after.inode);
    }
}

impl Place {
    fn see(&self, name: &str, text: &str) -> io::Result<Seen> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Seen::of(&path)
    }

    /// A file of four bytes, new each time: one that was looked at before would have finer times.
    fn file(&self, n: u32) -> io::Result<(File, PathBuf)> {
        let path = self.0.join(format!("f{n}"));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(b"aaaa", 0)?;
        Ok((file, path))
    }

    fn pairs(&self, count: u32, change: impl Fn(&Path) -> io::Result<()>) -> io::Result<Pairs> {
        let mut pairs = Pairs::default();
        for n in 0..count {
            // Nobody has it open: its inode can be used again.
            let (_, path) = self.file(n)?;
            let before = Seen::of(&path)?;
            change(&path)?;
            before.count(Seen::of(&path)?, &mut pairs);
            fs::remove_file(&path)?;
        }
        Ok(pairs)
    }

    fn mapped(
        &self,
        count: u32,
        between: impl Fn(&Mapped) -> io::Result<()>,
        afterwards: impl Fn(&Mapped) -> io::Result<()>,
    ) -> io::Result<Pairs> {
        let mut pairs = Pairs::default();
        for n in 0..count {
            let (file, path) = self.file(n)?;
            let mut mapped = Mapped::new(&file, 4)?;
            // The first store is what moves the time.
            mapped.store(b"bbbb");
            between(&mapped)?;
            let before = Seen::of(&path)?;
            mapped.store(b"cccc");
            afterwards(&mapped)?;
            before.count(Seen::of(&path)?, &mut pairs);
            fs::remove_file(&path)?;
        }
        Ok(pairs)
    }

    /// Of a time that somebody sets, what is kept.
    fn kept(&self) -> io::Result<u64> {
        let path = self.0.join("kept");
        fs::write(&path, "x")?;
        set(&path, (1_000_000_001, 123_456_789))?;
        let (secs, nanos) = Seen::of(&path)?.mtime;
        let lost = u64::from(123_456_789_u32.abs_diff(nanos));
        Ok(match (secs, lost) {
            (1_000_000_001, 0) => 1,
            (1_000_000_001, lost) => power_of_ten(lost + 1),
            // Even whole seconds are lost.
            (secs, _) => power_of_ten(secs.abs_diff(1_000_000_001).saturating_mul(1_000_000_000)),
        })
    }

    /// Files are made for a while; none was looked at before, so they have the file system's coarse time.
    fn tick(&self) -> io::Result<Option<u64>> {
        let mut times = Vec::new();
        for n in 0..200 {
            times.push(self.see(&format!("tick{n}"), "x")?.mtime);
            sleep(Duration::from_micros(200));
        }
        times.sort_unstable();
        times.dedup();
        let nanos = |(secs, nanos): (i64, u32)| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        let steps = times.windows(2).filter_map(|pair| u64::try_from(nanos(pair[1]) - nanos(pair[0])).ok());
        Ok(steps.min())
    }

    /// The longest wait after which a rewrite had left the time where it was.
    fn still(&self, waits_ms: &[u64]) -> io::Result<Option<u64>> {
        let path = self.0.join("still");
        let mut longest = None;
        for wait_ms in waits_ms {
            fs::write(&path, "aaaa")?;
            let before = Seen::of(&path)?;
            sleep(Duration::from_millis(*wait_ms));
            rewrite(&path)?;
            if Seen::of(&path)?.mtime != before.mtime {
                break;
            }
            longest = Some(*wait_ms);
        }
        Ok(longest)
    }
}

fn power_of_ten(least: u64) -> u64 {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    powers.into_iter().find(|power| *power >= least).unwrap_or(u64::MAX)
}

/// Opens a file that is there, and writes as many bytes as it has.
fn rewrite(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).open(path)?;
    file.write_all_at(b"bbbb", 0)?;
    Ok(file)
}

fn set(path: &Path, (secs, nanos): (i64, u32)) -> io::Result<()> {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The type of the mount that `path` lies on, as the mount table has it; the last of the longest names is on top.
fn name_of(path: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let table = fs::read_to_string("/proc/thread-self/mountinfo")?;
    let mounts = table.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let at = left.split(' ').nth(4)?.replace("\\040", " ");
        Some((at, right.split(' ').next()?))
    });
    let over = mounts.filter(|(at, _)| path.starts_with(OsStr::new(at)));
    let found = over.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned());
    Ok(found.unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_put_back_is_as_it_was_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let measured = measure(dir.path(), 4).unwrap();
        assert_eq!((measured.put_back.tried, measured.put_back.same_mtime), (4, 4));
        assert_eq!(measured.mapped.same_mtime, 4, "a dirty page moves no time, wherever it is");
        assert_eq!(measured.replaced.same_inode, 0, "both were there at once");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn powers_of_ten_are_the_next_ones() {
        assert_eq!([1, 2, 10, 790, 1_000_000_001].map(power_of_ten), [1, 10, 10, 1000, 10_000_000_000]);
    }
}
