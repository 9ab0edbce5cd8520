//! Where times are looked at: directories that somebody names, and file systems that are mounted for it, in a mount
//! namespace of one thread, with which they go away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::file_system::{Measured, measure};
use super::loop_disk::LoopDisk;
use crate::faults::lag::Lag;
use crate::faults::passthrough::{self, Namespace, enter_private_namespace};

/// A directory, and what is known of it beforehand.
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
    pub how: How,
    /// Whether times lag there, where that is no question of the machine.
    pub lags: Option<bool>,
}

/// How it comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// It is there.
    Dir(PathBuf),
    /// An overlay over a directory that is.
    Overlay(PathBuf),
    /// Ext4 with inodes of so many bytes on a loop device, whose file is in a directory that is.
    Ext4(PathBuf, u32),
    /// Our pass-through over a directory that is, with a shape of lag as `--shape` takes it.
    Lagging(PathBuf, &'static str),
}

/// The directories of `dirs`; then an overlay, both sizes of ext4's inodes, and both shapes of lag, over `work`.
pub fn places(dirs: &[PathBuf], work: &Path) -> Vec<Place> {
    let own = |name: &str, how, lags| Place { name: name.to_owned(), how, lags };
    let named = dirs.iter().map(|dir| own(&dir.display().to_string(), How::Dir(dir.clone()), None));
    let mounted = [
        own("an overlay", How::Overlay(work.to_owned()), None),
        own("inodes of 128 bytes", How::Ext4(work.to_owned(), 128), Some(true)),
        own("inodes of 256 bytes", How::Ext4(work.to_owned(), 256), None),
        own("cut to 1 s", How::Lagging(work.to_owned(), "truncate=1s"), Some(true)),
        own("frozen for 60 s", How::Lagging(work.to_owned(), "freeze=60s"), Some(true)),
    ];
    named.chain(mounted).collect()
}

impl Place {
    /// Measures there; what this machine lacks for it as a sentence.
    ///
    /// # Errors
    /// It is there, and cannot be written to.
    pub fn measure(&self, pairs: u32) -> io::Result<Result<Measured, String>> {
        match &self.how {
            How::Dir(dir) => measure(dir, pairs).map(Ok),
            How::Overlay(below) => aside(|| {
                let dir = tempfile::tempdir_in(below)?;
                let at = |name: &str| dir.path().join(name);
                for name in ["lower", "upper", "work", "merged"] {
                    fs::create_dir(at(name))?;
                }
                let options = format!(
                    "lowerdir={},upperdir={},workdir={}",
                    at("lower").display(),
                    at("upper").display(),
                    at("work").display()
                );
                let options = Some(options.as_str());
                match mount(Some("overlay"), &at("merged"), Some("overlay"), MsFlags::empty(), options) {
                    Ok(()) => {
                        let measured = measure(&at("merged"), pairs);
                        // A directory that something is mounted on cannot be removed.
                        umount2(&at("merged"), MntFlags::MNT_DETACH)?;
                        measured.map(Ok)
                    }
                    Err(error) => {
                        Ok(Err(format!("an overlay over {} cannot be mounted: {error}", below.display())))
                    }
                }
            }),
            How::Ext4(below, bytes) => aside(|| match LoopDisk::new(*bytes, below)? {
                Ok(disk) => measure(disk.path(), pairs).map(Ok),
                Err(why) => Ok(Err(why)),
            }),
            How::Lagging(below, shape) => aside(|| {
                let dir = tempfile::tempdir_in(below)?;
                let lag = Lag::new(shape.parse().map_err(io::Error::other)?, None, None);
                let mounted =
                    passthrough::mount(dir.path(), dir.path(), Some(lag.map_err(io::Error::other)?), None);
                match mounted {
                    Ok(_mounted) => measure(dir.path(), pairs).map(Ok),
                    Err(passthrough::MountError::Unmet(need)) => Ok(Err(need)),
                    Err(error) => Err(io::Error::other(error)),
                }
            }),
        }
    }
}

/// On a thread with mounts of its own.
pub(super) fn aside<T: Send>(
    work: impl FnOnce() -> io::Result<Result<T, String>> + Send,
) -> io::Result<Result<T, String>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Err("mounting takes root".to_owned()));
    }
    let enter = || match enter_private_namespace()? {
        Namespace::Private => work(),
        Namespace::Shared => Ok(Err("there are no mount namespaces here".to_owned())),
    };
    let ended = thread::scope(|scope| scope.spawn(enter).join());
    ended.unwrap_or_else(|_| Err(io::Error::other("a thread with mounts of its own panicked")))
}

#[cfg(test)]
mod tests {
    use super::super::blind::lags;
    use super::*;

    #[test]
    fn file_systems_of_ours_that_lag_are_found_out() {
        let dir = tempfile::tempdir().unwrap();
        for place in places(&[], dir.path()) {
            match place.measure(5).unwrap() {
                Err(why) => println!("{}: not exercised: {why}", place.name),
                Ok(measured) => {
                    assert!(place.lags.is_none_or(|known| lags(&measured) == known), "{measured:?}")
                }
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
