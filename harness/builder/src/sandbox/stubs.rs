//! Mount points a container runtime makes in the root file system, and what is done about them afterwards. They are why
//! an image can gain an empty `/etc/hosts`, or an `/etc` from now, by a RUN that touched neither.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::spec::{Spec, Stub};

/// What was made and is to go again.
pub(super) struct Made {
    path: PathBuf,
    /// The directory around it gets its time back.
    traceless: bool,
}

/// Makes those that are missing; which of them are to go again.
pub(super) fn make(spec: &Spec) -> Result<Vec<Made>, (String, String)> {
    let root = spec.merged();
    let mut made = Vec::new();
    for stub in &spec.stubs {
        let path = root.join(stub.at.trim_start_matches('/'));
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        if stub.parents_too && !stub.keep {
            let above = missing_above(&root, &path);
            made.extend(above.into_iter().map(|path| Made { path, traceless: true }));
        }
        create(stub, &path)
            .map_err(|error| (format!("make the mount point {}", stub.at), error.to_string()))?;
        if !stub.keep {
            made.push(Made { path, traceless: stub.parents_too });
        }
    }
    Ok(made)
}

/// Directories that are not there between `root` and `path`, top first.
fn missing_above(root: &Path, path: &Path) -> Vec<PathBuf> {
    let above = path.ancestors().skip(1).take_while(|dir| *dir != root);
    let mut missing: Vec<PathBuf> =
        above.filter(|dir| fs::symlink_metadata(dir).is_err()).map(Path::to_owned).collect();
    missing.reverse();
    missing
}

fn create(stub: &Stub, path: &Path) -> io::Result<()> {
    if stub.is_dir {
        return fs::create_dir_all(path);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path).map(drop)
}

/// Removes those that are still empty. What cannot be removed was put to use by the command.
pub(super) fn tidy(made: &[Made]) {
    for Made { path, traceless } in made.iter().rev() {
        let around = path.parent().filter(|_| *traceless);
        let before = around.and_then(|dir| fs::symlink_metadata(dir).ok().map(|meta| (dir, meta)));
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => drop(fs::remove_dir(path)),
            Ok(meta) if meta.len() == 0 => drop(fs::remove_file(path)),
            _ => {}
        }
        if let Some((dir, meta)) = before {
            give_back_time(dir, &meta);
        }
    }
}

/// A time that cannot be set is one that the image will tell of; the command has run all the same.
fn give_back_time(dir: &Path, before: &fs::Metadata) {
    let time = rustix::fs::Timespec { tv_sec: before.mtime(), tv_nsec: before.mtime_nsec() };
    let last_access = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times = rustix::fs::Timestamps { last_access, last_modification: time };
    let _ = rustix::fs::utimensat(rustix::fs::CWD, dir, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
}
