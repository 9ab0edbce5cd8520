//! The one directory an engine of ours lives in while it runs, and getting rid of those left behind. It is held by us and by
//! the engine's supervisor (`held`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Progress;
use super::error::{EngineError, IoContext};
use crate::held::{self, HeldDir};

const PREFIX: &str = "samebuild-engine-";

/// A new one in the directory for temporary files. Its path is short: sockets allow 107 bytes.
pub(super) fn create() -> Result<HeldDir, EngineError> {
    let parent = parent();
    let parent = parent.canonicalize().io(|| format!("find {}", parent.display()))?;
    if parent.starts_with("/run") {
        let why = "an engine has a /run of its own, which hides it; set TMPDIR to a directory elsewhere";
        return Err(EngineError::fetch(format!("a place to run in: {}", parent.display()), why));
    }
    HeldDir::create(&parent, PREFIX).io(|| format!("create a directory in {}", parent.display()))
}

/// Takes the shared lock that says "alive".
pub(super) fn hold(dir: &Path) -> Result<File, EngineError> {
    held::hold(dir).io(|| format!("lock {}", dir.display()))
}

/// Removes what engines of dead processes left. Never touches a live one's.
pub(super) fn sweep(progress: Progress) {
    for dir in held::left_in(&parent(), PREFIX) {
        progress(&format!("removing {}, left by an engine that was killed", dir.display()));
        let _ = remove(&dir);
    }
}

fn parent() -> PathBuf {
    std::env::temp_dir()
}

/// Removes the directory, and the control groups of the engine that was named after it. Nothing is mounted there in
/// our own mount namespace; the engine's ended with its last process.
pub(super) fn remove(dir: &Path) -> Result<(), EngineError> {
    if let Some(name) = dir.file_name() {
        remove_cgroups(name);
    }
    held::remove(dir).io(|| format!("remove {}", dir.display()))
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
