//! Base images on disk, for RUN to stand on: each unpacked once, flattened, and kept between builds under the chain of its
//! diff ids. A build holds those it stands on; what nobody holds can be removed when nobody has used it for long. How files
//! get on disk is `materialise`'s.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use samebuild_image::{At, Digest, Tree};

use crate::materialise::{self, MaterialiseError};
use crate::sandbox::standing;

/// Names of what is not one yet, and of what is none any more.
const UNPACKING: &str = ".unpacking-";
const GOING: &str = ".going-";
/// The file beside each, locked by whoever stands on it; its time is when it was used last.
const LOCK: &str = ".lock";
/// As long as this somebody may be unpacking.
const GRACE: Duration = Duration::from_secs(3600);

/// One that somebody stands on.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    /// None where the directory belongs to somebody else, who lets us read.
    _held: Option<File>,
}

impl Root {
    /// The directory that holds `tree`, unpacked before or now into the directory `unpacked`. `identity` tells trees apart:
    /// the chain of diff ids.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn of(tree: &Tree, identity: &Digest, unpacked: &Path) -> Result<Self, MaterialiseError> {
        let at_root = |error| MaterialiseError { at: At::root(), dir: unpacked.to_owned(), error };
        let path = unpacked.join(format!("{}{}", identity.hex(), standing().suffix()));
        let held = fs::create_dir_all(unpacked).and_then(|()| hold(&path));
        if path.is_dir() {
            return Ok(Self { path, _held: held.ok() });
        }
        let held = Some(held.map_err(at_root)?);
        // Under a temporary name first: whoever comes second finds the directory whole or not at all.
        let temporary = tempfile::Builder::new().prefix(UNPACKING).tempdir_in(unpacked).map_err(at_root)?;
        let dir = temporary.path().join("root");
        materialise::tree(tree, &dir)?;
        match fs::rename(&dir, &path) {
            Err(_) if path.is_dir() => {}
            result => result.map_err(at_root)?,
        }
        Ok(Self { path, _held: held })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock_of(root: &Path) -> PathBuf {
    let mut name = root.as_os_str().to_owned();
    name.push(LOCK);
    PathBuf::from(name)
}

/// Keeps it from being removed, and notes that it is used.
fn hold(root: &Path) -> io::Result<File> {
    let path = lock_of(root);
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        file.lock_shared()?;
        if is_its(&file, root) {
            file.set_modified(SystemTime::now())?;
            return Ok(file);
        }
    }
}

/// Its lock for one alone, if nobody stands on it and it is ours and `is_old`, by when it was used last.
fn take(root: &Path, is_old: impl Fn(SystemTime) -> bool) -> io::Result<Option<File>> {
    let lock = match File::options().write(true).open(lock_of(root)) {
        // It was removed meanwhile, or is being unpacked by somebody else.
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied].contains(&error.kind()) => {
            return Ok(None);
        }
        lock => lock?,
    };
    let fits = lock.try_lock().is_ok() && is_its(&lock, root) && {
        let stat = lock.metadata()?;
        is_ours(&stat) && is_old(stat.modified()?)
    };
    Ok(fits.then_some(lock))
}

/// Whoever removes a root removes its lock too, which is another file for who comes next.
fn is_its(lock: &File, root: &Path) -> bool {
    let inode = |stat: io::Result<fs::Metadata>| stat.ok().map(|stat| stat.ino());
    inode(fs::metadata(lock_of(root))).is_some_and(|now| inode(lock.metadata()) == Some(now))
}

fn is_ours(stat: &fs::Metadata) -> bool {
    stat.uid() == nix::unistd::geteuid().as_raw()
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    pub roots: usize,
    /// As the disk counts them.
    pub bytes: u64,
}

/// Removes what killed builds left in the directory `unpacked`, and every root that nobody stands on and nobody used for
/// longer than `unused`. One that belongs to somebody else stays.
///
/// # Errors
/// Something cannot be read or removed.
pub fn clean(unpacked: &Path, unused: Option<Duration>, now: SystemTime) -> io::Result<Gone> {
    let mut gone = Gone::default();
    let age = |then: SystemTime| now.duration_since(then).unwrap_or_default();
    let entries = match fs::read_dir(unpacked) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(gone),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // What has gone meanwhile need not go.
        let Some(stat) = entry.metadata().ok().filter(fs::Metadata::is_dir) else { continue };
        if name.starts_with(UNPACKING) || name.starts_with(GOING) {
            if is_ours(&stat) && age(stat.modified()?) > GRACE {
                gone.bytes += size(&path)?;
                fs::remove_dir_all(&path)?;
            }
            continue;
        }
        let Some(unused) = unused else { continue };
        let Some(_alone) = take(&path, |used| age(used) > unused)? else { continue };
        gone.bytes += size(&path)?;
        gone.roots += 1;
        // Away at once, so that nobody takes half of it for all if we die in the middle.
        let going = tempfile::Builder::new().prefix(GOING).tempdir_in(unpacked)?;
        fs::rename(&path, going.path().join("root"))?;
        fs::remove_file(lock_of(&path))?;
        going.close()?;
    }
    Ok(gone)
}

/// What is below a directory, hard links counted once.
fn size(dir: &Path) -> io::Result<u64> {
    let (mut bytes, mut seen, mut dirs) = (0, BTreeSet::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let stat = entry.metadata()?;
            if stat.is_dir() {
                dirs.push(entry.path());
            } else if stat.nlink() == 1 || seen.insert(stat.ino()) {
                bytes += stat.blocks() * 512;
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{Content, Kind, Meta, Mtime};

    fn tree() -> Tree {
        let mut tree = Tree::new();
        // As the one who runs the test: another owner takes root.
        let mut meta = Meta::new(0o644, Mtime::secs(5));
        meta.uid = u64::from(nix::unistd::geteuid().as_raw());
        meta.gid = u64::from(nix::unistd::getegid().as_raw());
        tree.change_meta(|_, _, own| (own.uid, own.gid) = (meta.uid, meta.gid));
        tree.insert(&At::from("f"), Kind::File(Content::inline(*b"text")), meta);
        tree
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_root_goes_when_nobody_stands_on_it_and_nobody_used_it_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let standing_on = Root::of(&tree(), &one, dir.path()).unwrap();
        let left = Root::of(&tree(), &other, dir.path()).unwrap().path().to_owned();
        let later = |hours: u32| SystemTime::now() + hours * HOUR;
        let clean = |hours| clean(dir.path(), Some(2 * HOUR), later(hours)).unwrap();
        assert_eq!(clean(1), Gone::default());
        assert!(left.is_dir());
        let gone = clean(3);
        assert_eq!(gone.roots, 1);
        assert!(gone.bytes > 0 && !left.exists());
        assert_eq!(fs::read(standing_on.path().join("f")).unwrap(), b"text");
        let path = standing_on.path().to_owned();
        drop(standing_on);
        assert_eq!(clean(3).roots, 1);
        assert!(names(dir.path()).is_empty(), "no lock is left either");
        assert!(Root::of(&tree(), &one, dir.path()).unwrap().path() == path && path.is_dir());
    }

    #[test]
    fn what_a_killed_build_or_cleaning_left_goes_without_being_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".unpacking-x", ".going-y"] {
            fs::create_dir_all(dir.path().join(name).join("root/etc")).unwrap();
        }
        let kept = Root::of(&tree(), &Digest::of(b"one"), dir.path()).unwrap().path().to_owned();
        clean(dir.path(), None, SystemTime::now()).unwrap();
        let name = kept.file_name().unwrap().to_string_lossy();
        assert_eq!(names(dir.path()), [".going-y", ".unpacking-x", &name, &format!("{name}.lock")]);
        clean(dir.path(), None, SystemTime::now() + 2 * HOUR).unwrap();
        assert_eq!(names(dir.path()).len(), 2);
        assert!(clean(&dir.path().join("none"), None, SystemTime::now()).is_ok());
    }
}
