//! Puts trees and layers on disk, for RUN to work on: a tree whole, a layer computed on the Tree as one more lower directory
//! of an overlay. Only RUN needs any of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use filetime::FileTime;
use rustix::fs::{CWD, XattrFlags};
use samebuild_image::entry::Whiteout;
use samebuild_image::tree::Ino;
use samebuild_image::{At, Kind, Layer, Meta, Tree};

use crate::sandbox::standing;
use crate::session::StepError;

/// Why something could not be put on disk.
#[derive(Debug, thiserror::Error)]
#[error("unpack {at} into {}: {error}", dir.display())]
pub struct MaterialiseError {
    pub at: At,
    pub dir: PathBuf,
    #[source]
    pub error: io::Error,
}

impl MaterialiseError {
    /// As the end of a step. What root could unpack and this user cannot is an unmet need.
    pub fn in_step(self, what: &str) -> StepError {
        match standing().lacks(&self.error) {
            Some(need) => StepError::unmet(format!("unpack {}: {}: {need}", self.at, self.error)),
            None => StepError::broken(what)(self),
        }
    }
}

/// Writes all of `tree` into the new directory `dir`.
pub fn tree(tree: &Tree, dir: &Path) -> Result<(), MaterialiseError> {
    let mut writer = Writer::new(dir)?;
    for (at, ino, inode) in tree.iter() {
        writer.write(at, Some(ino), &inode.kind, &inode.meta)?;
    }
    writer.finish()
}

/// Writes `layer` into the new directory `dir` as an overlay's lower directory. `tree` is the tree with the layer
/// applied: directories above an entry that the layer leaves out look as they do there.
pub fn layer(layer: &Layer, tree: &Tree, dir: &Path) -> Result<(), MaterialiseError> {
    let mut writer = Writer::new(dir)?;
    let mut opaque = Vec::new();
    for entry in &layer.entries {
        let place = match entry.whiteout() {
            Some(Whiteout::Opaque(dir)) => {
                opaque.push(dir);
                continue;
            }
            Some(Whiteout::Removed(hidden)) => {
                writer.parents(&hidden, tree)?;
                writer.whiteout(&hidden)?;
                continue;
            }
            None => &entry.at,
        };
        writer.parents(place, tree)?;
        if let (Some(inode), Some(ino)) = (tree.get(place), tree.ino(place)) {
            writer.write(place, Some(ino), &inode.kind, &inode.meta)?;
        }
    }
    for dir in opaque {
        writer.opaque(&dir)?;
    }
    writer.finish()
}

struct Writer<'d> {
    dir: &'d Path,
    first_name: BTreeMap<Ino, At>,
    /// Directories, whose times are set when everything is in them.
    dirs: BTreeMap<At, Meta>,
}

impl<'d> Writer<'d> {
    fn new(dir: &'d Path) -> Result<Self, MaterialiseError> {
        fs::create_dir_all(dir).map_err(|error| MaterialiseError {
            at: At::root(),
            dir: dir.to_owned(),
            error,
        })?;
        Ok(Self { dir, first_name: BTreeMap::new(), dirs: BTreeMap::new() })
    }

    fn path(&self, at: &At) -> PathBuf {
        self.dir.join(OsStr::from_bytes(at.as_bytes()))
    }

    fn attempt<T>(&self, at: &At, result: io::Result<T>) -> Result<T, MaterialiseError> {
        result.map_err(|error| MaterialiseError { at: at.clone(), dir: self.dir.to_owned(), error })
    }

    fn parents(&mut self, at: &At, tree: &Tree) -> Result<(), MaterialiseError> {
        for parent in at.parents() {
            if !self.dirs.contains_key(&parent)
                && let Some(inode) = tree.get(&parent)
            {
                self.write(&parent, None, &Kind::Dir, &inode.meta)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, at: &At, ino: Option<Ino>, kind: &Kind, meta: &Meta) -> Result<(), MaterialiseError> {
        let path = self.path(at);
        if let (Some(ino), false) = (ino, kind.is_dir()) {
            if let Some(first) = self.first_name.get(&ino) {
                return self.attempt(at, fs::hard_link(self.path(first), &path));
            }
            self.first_name.insert(ino, at.clone());
        }
        self.attempt(at, create(&path, kind))?;
        self.attempt(at, set_meta(&path, kind, meta))?;
        if kind.is_dir() {
            self.dirs.insert(at.clone(), meta.clone());
        }
        Ok(())
    }

    fn whiteout(&self, at: &At) -> Result<(), MaterialiseError> {
        self.attempt(at, device(&self.path(at), rustix::fs::FileType::CharacterDevice, 0, 0))
    }

    fn opaque(&self, at: &At) -> Result<(), MaterialiseError> {
        let name = format!("{}opaque", standing().overlay_xattrs());
        let result = rustix::fs::lsetxattr(self.path(at), name, b"y", XattrFlags::empty());
        self.attempt(at, result.map_err(io::Error::from))
    }

    fn finish(self) -> Result<(), MaterialiseError> {
        for (at, meta) in self.dirs.iter().rev() {
            self.attempt(at, set_time(&self.path(at), meta))?;
        }
        Ok(())
    }
}

fn create(path: &Path, kind: &Kind) -> io::Result<()> {
    match kind {
        Kind::Dir => match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        },
        Kind::File(content) => {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
            let copied = io::copy(&mut content.open()?, &mut file)?;
            if copied != content.size() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the content ended early"));
            }
            Ok(())
        }
        Kind::Symlink(target) => symlink(OsStr::from_bytes(target), path),
        Kind::Char { major, minor } => device(path, rustix::fs::FileType::CharacterDevice, *major, *minor),
        Kind::Block { major, minor } => device(path, rustix::fs::FileType::BlockDevice, *major, *minor),
        Kind::Fifo => device(path, rustix::fs::FileType::Fifo, 0, 0),
        Kind::Hardlink(_) => Err(io::Error::other("a tree holds no hard link entries")),
    }
}

fn device(path: &Path, kind: rustix::fs::FileType, major: u32, minor: u32) -> io::Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    Ok(rustix::fs::mknodat(CWD, path, kind, mode, rustix::fs::makedev(major, minor))?)
}

/// Owner before mode, because changing the owner clears setuid; extended attributes after both. What is so already is not
/// set again: looking costs a fraction of a change of the inode.
fn set_meta(path: &Path, kind: &Kind, meta: &Meta) -> io::Result<()> {
    let (uid, gid) = (id(meta.uid)?, id(meta.gid)?);
    let made = fs::symlink_metadata(path)?;
    let is_owned = (made.uid(), made.gid()) == (uid, gid);
    if !is_owned {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    let has_mode = is_owned && made.mode() & 0o7777 == meta.mode;
    if !has_mode && !matches!(kind, Kind::Symlink(_)) {
        fs::set_permissions(path, fs::Permissions::from_mode(meta.mode))?;
    }
    for (name, value) in &meta.xattrs {
        rustix::fs::lsetxattr(path, name.as_slice(), value, XattrFlags::empty())?;
    }
    if kind.is_dir() { Ok(()) } else { set_time(path, meta) }
}

fn set_time(path: &Path, meta: &Meta) -> io::Result<()> {
    let (secs, nanos) = meta.mtime.timestamp().unwrap_or((0, 0));
    let time = FileTime::from_unix_time(secs, nanos);
    filetime::set_symlink_file_times(path, time, time)
}

fn id(number: u64) -> io::Result<u32> {
    u32::try_from(number)
        .map_err(|_| io::Error::other(format!("the owner {number} does not fit Linux's 32 bits")))
}
