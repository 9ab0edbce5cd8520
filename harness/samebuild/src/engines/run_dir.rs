//! The one directory an engine of ours lives in while it runs, and getting rid of those left behind.
//!
//! A directory is alive as long as somebody holds a shared lock on the file `lock` in it: we do, and so does the
//! engine's supervisor. The kernel drops the locks of the dead, whatever they died of, so nothing has to be guessed
//! from process ids.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Progress;
use super::error::{EngineError, IoContext};

const PREFIX: &str = "samebuild-engine-";
const UNFINISHED: &str = "samebuild-new-";
/// A directory is given its final name within milliseconds.
const UNFINISHED_FOR: Duration = Duration::from_secs(600);

/// Held by the process that started the engine.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// A new one in the directory for temporary files. Its path is short: sockets allow 107 bytes.
    pub(super) fn create() -> Result<Self, EngineError> {
        let parent = parent();
        let parent = parent.canonicalize().io(|| format!("find {}", parent.display()))?;
        if parent.starts_with("/run") {
            let why = "an engine has a /run of its own, which hides it; set TMPDIR to a directory elsewhere";
            return Err(EngineError::fetch(format!("a place to run in: {}", parent.display()), why));
        }
        let new = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&parent);
        let new = new.io(|| format!("create a directory in {}", parent.display()))?;
        let lock = hold(new.path())?;
        let name = new.path().file_name().and_then(OsStr::to_str).unwrap_or_default();
        let path = parent.join(name.replacen(UNFINISHED, PREFIX, 1));
        fs::rename(new.path(), &path).io(|| format!("create {}", path.display()))?;
        let _ = new.keep();
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the shared lock that says "alive".
pub(super) fn hold(dir: &Path) -> Result<File, EngineError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.io(|| format!("create {}", path.display()))?;
    file.lock_shared().io(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// Removes what engines of dead processes left. Never touches a live one's.
pub(super) fn sweep(progress: Progress) {
    sweep_in(&parent(), progress);
}

fn parent() -> PathBuf {
    std::env::temp_dir()
}

fn sweep_in(parent: &Path, progress: Progress) {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for dir in entries.filter(|dir| is_ours(dir) && is_dead(dir)) {
        progress(&format!("removing {}, left by an engine that was killed", dir.display()));
        let _ = remove(&dir);
    }
}

/// A directory, not a link, of our names and of our user.
fn is_ours(dir: &Path) -> bool {
    let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let named = name.starts_with(PREFIX) || name.starts_with(UNFINISHED);
    named
        && fs::symlink_metadata(dir)
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw())
}

fn is_dead(dir: &Path) -> bool {
    if dir.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(UNFINISHED)) {
        let age =
            fs::metadata(dir).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        return age.is_some_and(|age| age > UNFINISHED_FOR);
    }
    match File::options().write(true).open(dir.join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound, // half removed
    }
}

/// Removes the directory, and the control groups of the engine that was named after it. Nothing is mounted there in
/// our own mount namespace; the engine's ended with its last process.
pub(super) fn remove(dir: &Path) -> Result<(), EngineError> {
    if let Some(name) = dir.file_name() {
        remove_cgroups(name);
    }
    // The lock goes last, so that half a directory can be told from a live one.
    let entries = fs::read_dir(dir).io(|| format!("read {}", dir.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !path.ends_with("lock")) {
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.io(|| format!("remove {}", path.display()))?;
    }
    fs::remove_dir_all(dir).io(|| format!("remove {}", dir.display()))
}

/// The engine's control group below every hierarchy (version 1) or below the root (version 2).
fn remove_cgroups(name: &OsStr) {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for group in hierarchies.map(|dir| dir.join(name)).chain([root.join(name)]) {
        remove_cgroup(&group);
    }
}

/// Control groups go by rmdir, children first; their files go with them.
fn remove_cgroup(group: &Path) {
    let children = fs::read_dir(group).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    children.filter(|path| path.is_dir()).for_each(|child| remove_cgroup(&child));
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_swept_only_when_nobody_holds_its_lock() {
        let parent = tempfile::tempdir().unwrap();
        let (live, dead) =
            (parent.path().join("samebuild-engine-a"), parent.path().join("samebuild-engine-b"));
        for dir in [&live, &dead] {
            fs::create_dir_all(dir.join("data/overlay2")).unwrap();
            drop(hold(dir).unwrap());
        }
        let held = hold(&live).unwrap();
        sweep_in(parent.path(), &|_| {});
        assert!(live.exists() && !dead.exists());
        drop(held);
        sweep_in(parent.path(), &|_| {});
        assert!(!live.exists());
    }

    #[test]
    fn directories_of_other_names_links_and_new_ones_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("other");
        let unfinished = parent.path().join("samebuild-new-x");
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(&unfinished).unwrap();
        let link = parent.path().join("samebuild-engine-link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        sweep_in(parent.path(), &|_| {});
        assert!(other.exists() && unfinished.exists() && link.is_symlink());
    }
}
