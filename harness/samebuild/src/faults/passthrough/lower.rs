//! The file system below: descriptors that stand for files, their attributes, and the two shapes of device numbers.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags, StatxTimestamp, Timespec, UTIME_NOW, UTIME_OMIT};
use rustix::io::Result;

use crate::faults::lag::{FileId, Stamp, Times};

/// A descriptor that stands for a file without opening it: devices do not stir, links are not followed.
pub(super) const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where descriptors have names. A look-up there ends at the file itself, even if that is a symbolic link.
pub(super) const PROC: &str = "/proc/self/fd";

pub(super) fn proc_path(fd: &OwnedFd) -> String {
    format!("{PROC}/{}", fd.as_raw_fd())
}

pub(super) fn stat(fd: impl AsFd) -> Result<Statx> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

/// Opens what a descriptor stands for.
pub(super) fn reopen(fd: &OwnedFd, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(proc_path(fd), flags | OFlags::CLOEXEC, Mode::empty())
}

/// What makes sense below of flags given to `open`: names are resolved, positions and caches are the kernel's affair.
pub(super) fn open_flags(flags: i32) -> OFlags {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    let above = OFlags::APPEND
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::TRUNC
        | OFlags::NOCTTY
        | OFlags::NOFOLLOW
        | OFlags::DIRECT
        | OFlags::NONBLOCK;
    flags - above
}

pub(super) fn id(stat: &Statx) -> FileId {
    FileId {
        device: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
        inode: stat.stx_ino,
        birth: stamp(stat.stx_btime),
    }
}

fn stamp(time: StatxTimestamp) -> Stamp {
    Stamp::new(time.tv_sec, time.tv_nsec)
}

/// The true times.
pub(super) fn times(stat: &Statx) -> Times {
    Times { mtime: stamp(stat.stx_mtime), ctime: stamp(stat.stx_ctime) }
}

/// What the kernel is told of a file.
pub(super) fn attributes(number: u64, stat: &Statx, told: Times) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        atime: system_time(stamp(stat.stx_atime)),
        mtime: system_time(told.mtime),
        ctime: system_time(told.ctime),
        crtime: UNIX_EPOCH,
        kind: kind(rustix::fs::FileType::from_raw_mode(stat.stx_mode.into())),
        perm: stat.stx_mode & 0o7777,
        nlink: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        rdev: encode_device(stat.stx_rdev_major, stat.stx_rdev_minor),
        blksize: stat.stx_blksize,
        flags: 0,
    }
}

pub(super) fn kind(kind: rustix::fs::FileType) -> FileType {
    use rustix::fs::FileType as Below;
    match kind {
        Below::Directory => FileType::Directory,
        Below::Symlink => FileType::Symlink,
        Below::Fifo => FileType::NamedPipe,
        Below::Socket => FileType::Socket,
        Below::CharacterDevice => FileType::CharDevice,
        Below::BlockDevice => FileType::BlockDevice,
        Below::RegularFile | Below::Unknown => FileType::RegularFile,
    }
}

/// The kernel's 32-bit form, which FUSE speaks.
fn encode_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// And back.
pub(super) fn device(encoded: u32) -> u64 {
    rustix::fs::makedev((encoded & 0x000f_ff00) >> 8, (encoded & 0xff) | ((encoded >> 12) & 0x000f_ff00))
}

fn system_time(stamp: Stamp) -> SystemTime {
    let (secs, nanos) = stamp.parts();
    let whole = Duration::from_secs(secs.unsigned_abs());
    let start = if secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    start.and_then(|start| start.checked_add(Duration::from_nanos(nanos.into()))).unwrap_or(UNIX_EPOCH)
}

/// What is asked to be set. fuser 0.18 counts the nanoseconds of times before 1970 backwards: undone here.
pub(super) fn stamp_asked(time: SystemTime) -> Stamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Stamp::new(since.as_secs().try_into().unwrap_or(i64::MAX), since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            Stamp::new(-i64::try_from(before.as_secs()).unwrap_or(i64::MAX), before.subsec_nanos())
        }
    }
}

pub(super) fn timespec(time: Option<TimeOrNow>) -> Timespec {
    match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(TimeOrNow::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(TimeOrNow::SpecificTime(time)) => {
            let (tv_sec, nanos) = stamp_asked(time).parts();
            Timespec { tv_sec, tv_nsec: nanos.into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_the_way_there_and_back() {
        for (major, minor) in [(0, 0), (1, 3), (7, 255), (259, 1 << 18), (4095, 0x000f_ffff)] {
            let device = device(encode_device(major, minor));
            assert_eq!((rustix::fs::major(device), rustix::fs::minor(device)), (major, minor));
        }
    }

    #[test]
    fn times_before_1970_survive_what_fuser_makes_of_them() {
        for (secs, nanos) in [(0, 0), (5, 7), (-1, 0), (-3, 999_999_999)] {
            let asked = if secs < 0 {
                UNIX_EPOCH - Duration::new(i64::unsigned_abs(secs), nanos)
            } else {
                UNIX_EPOCH + Duration::new(i64::unsigned_abs(secs), nanos)
            };
            assert_eq!(stamp_asked(asked).parts(), (secs, nanos));
        }
    }
}
