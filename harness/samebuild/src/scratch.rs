//! Scratch space of one run: where builds unpack, write and compare. It goes with the run; what a killed one left goes when
//! the next asks for its own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use rustix::fs::XattrFlags;

use crate::held::{self, HeldDir};

const PREFIX: &str = "samebuild-scratch-";

/// A directory that is removed with this.
#[derive(Debug)]
pub struct Scratch(HeldDir);

/// Where builds may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A corpus of a checkout: many builds of kilobytes each, in memory where there is room for them. Making and removing
    /// thousands of small files in a row is what a disk's file system is slowest at (ext4 keeps looking for inode numbers
    /// that were not in use in the last seconds).
    Memory,
    /// Anybody's Dockerfile: layers may be gigabytes, and lie on disk.
    Disk,
}

impl Scratch {
    /// At that place, or on a disk.
    ///
    /// # Errors
    /// There is no directory that can be written to.
    pub fn at(place: Place, cache: &Path) -> Result<Self> {
        match place {
            Place::Memory => Self::in_memory().map_or_else(|| Self::on_disk(cache), Ok),
            Place::Disk => Self::on_disk(cache),
        }
    }

    /// On a file system that can hold an overlay's upper directory, if this machine has one; where it has none, whoever
    /// needs it says so.
    ///
    /// # Errors
    /// There is no such directory that can be written to.
    pub fn on_disk(cache: &Path) -> Result<Self> {
        let candidates = [std::env::temp_dir(), cache.to_owned(), PathBuf::from("/dev/shm")];
        let fits = |dir: &&PathBuf| {
            statfs(dir.as_path()).is_ok_and(|stat| stat.filesystem_type() != OVERLAYFS_SUPER_MAGIC)
        };
        let dir = candidates.iter().find(fits).unwrap_or(&candidates[0]);
        let made = Self::within(dir);
        made.with_context(|| {
            format!("make scratch space in {}; set TMPDIR to another directory", dir.display())
        })
    }

    /// In memory, unless `TMPDIR` says where it is wanted: where there is a tmpfs with room that takes the extended
    /// attributes an overlay of a user namespace is written in (Linux 6.6).
    fn in_memory() -> Option<Self> {
        const ROOM: u64 = 2 << 30;
        if std::env::var_os("TMPDIR").is_some() {
            return None;
        }
        let memory = Path::new("/dev/shm");
        let stat = nix::sys::statvfs::statvfs(memory).ok()?;
        let is_memory = statfs(memory).ok()?.filesystem_type() == TMPFS_MAGIC;
        if !is_memory || stat.blocks_available() * stat.fragment_size() < ROOM {
            return None;
        }
        let made = Self::within(memory).ok()?;
        let flags = XattrFlags::empty();
        rustix::fs::setxattr(made.path(), "user.samebuild", b"y", flags).is_ok().then_some(made)
    }

    fn within(dir: &Path) -> std::io::Result<Self> {
        for dead in held::left_in(dir, PREFIX) {
            // Another run may be at it, or may not be allowed to: it is not in our way.
            let _ = held::remove(&dead);
        }
        HeldDir::create(dir, PREFIX).map(Self)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = held::remove(self.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_with_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (running, killed) =
            (Scratch::within(dir.path()).unwrap(), HeldDir::create(dir.path(), PREFIX).unwrap());
        std::fs::create_dir_all(killed.path().join("step-1/upper")).unwrap();
        let left = killed.path().to_owned();
        // As the kernel does for the dead.
        drop(killed);
        let next = Scratch::within(dir.path()).unwrap();
        assert!(!left.exists() && running.path().exists());
        drop((next, running));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left by those that ended");
    }
}
