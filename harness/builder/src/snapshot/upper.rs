//! Reads an overlay's upper directory as the layer it is: whiteouts are character devices 0:0, opaque directories carry an
//! extended attribute. Contents stay on disk, by reference.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use samebuild_image::{At, Entry, Kind, Layer, Meta, Mtime};

use crate::delta;
use crate::disk::FileSource;
use crate::sandbox::standing;

/// Why an upper directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read what RUN changed at {at}: {error}")]
pub struct SnapshotError {
    pub at: At,
    #[source]
    pub error: std::io::Error,
}

/// Everything in the upper directory `dir`, in walking order, without the root.
pub fn read_upper(dir: &Path) -> Result<Layer, SnapshotError> {
    let mut walk = Walk { entries: Vec::new(), first_name: BTreeMap::new() };
    walk.directory(dir, &At::root())?;
    Ok(Layer { entries: walk.entries, ..Layer::default() })
}

struct Walk {
    entries: Vec<Entry>,
    /// First name of each inode that has several, by device and inode number.
    first_name: BTreeMap<(u64, u64), At>,
}

impl Walk {
    fn directory(&mut self, dir: &Path, at: &At) -> Result<(), SnapshotError> {
        let fail = |error| SnapshotError { at: at.clone(), error };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name().into_vec());
        }
        names.sort();
        for name in names {
            let path = dir.join(std::ffi::OsStr::from_bytes(&name));
            let at = at.join(&name);
            self.entry(path, at.clone()).map_err(|error| SnapshotError { at, error })??;
        }
        Ok(())
    }

    /// The outer error is this entry's, the inner one that of something below it.
    fn entry(&mut self, path: PathBuf, at: At) -> std::io::Result<Result<(), SnapshotError>> {
        let stat = std::fs::symlink_metadata(&path)?;
        let meta = meta_of(&path, &stat)?;
        let kind = stat.file_type();
        if kind.is_char_device() && stat.rdev() == 0 {
            self.entries.push(delta::whiteout(&at, 0o600, meta.mtime));
            return Ok(Ok(()));
        }
        if kind.is_dir() {
            self.entries.push(Entry::new(at.clone(), Kind::Dir, meta.clone()));
            if xattr(&path, &format!("{}opaque", standing().overlay_xattrs()))?
                .is_some_and(|value| value == b"y")
            {
                self.entries.push(delta::opaque(&at, &meta));
            }
            return Ok(self.directory(&path, &at));
        }
        if kind.is_socket() {
            // A socket cannot be put into a tar; Docker leaves it out.
            return Ok(Ok(()));
        }
        let identity = (stat.dev(), stat.ino());
        let kind = match self.first_name.get(&identity) {
            Some(first) if stat.nlink() > 1 => Kind::Hardlink(first.clone()),
            _ => {
                self.first_name.insert(identity, at.clone());
                kind_of(path, &stat)?
            }
        };
        self.entries.push(Entry::new(at, kind, meta));
        Ok(Ok(()))
    }
}

fn kind_of(path: PathBuf, stat: &std::fs::Metadata) -> std::io::Result<Kind> {
    let kind = stat.file_type();
    let (major, minor) = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
    Ok(if kind.is_symlink() {
        Kind::Symlink(std::fs::read_link(&path)?.into_os_string().into_vec())
    } else if kind.is_char_device() {
        Kind::Char { major, minor }
    } else if kind.is_block_device() {
        Kind::Block { major, minor }
    } else if kind.is_fifo() {
        Kind::Fifo
    } else {
        Kind::File(FileSource::new(path, stat.size()).content())
    })
}

/// Mode, owner, time and extended attributes but the overlay's own.
fn meta_of(path: &Path, stat: &std::fs::Metadata) -> std::io::Result<Meta> {
    let mut xattrs = BTreeMap::new();
    let mut names = vec![0; 4096];
    let length = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    for name in names[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let text = std::str::from_utf8(name).map_err(std::io::Error::other)?;
        if !text.starts_with(standing().overlay_xattrs())
            && let Some(value) = xattr(path, text)?
        {
            xattrs.insert(name.to_vec(), value);
        }
    }
    let nanos = u32::try_from(stat.mtime_nsec()).unwrap_or(0);
    Ok(Meta {
        mode: stat.mode() & 0o7777,
        uid: u64::from(stat.uid()),
        gid: u64::from(stat.gid()),
        mtime: Mtime::At { secs: stat.mtime(), nanos },
        xattrs,
    })
}

fn xattr(path: &Path, name: &str) -> std::io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; 64 * 1024];
    match rustix::fs::lgetxattr(path, name, value.as_mut_slice()) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
