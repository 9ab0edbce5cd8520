//! Mount points a container runtime makes in the root file system, and what is done about them afterwards. They are why
//! an image can gain an empty `/etc/hosts`, or an `/etc` from now, by a RUN that touched neither.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::spec::{Spec, Stub};

/// Makes those that are missing; which of them are to go again.
pub(super) fn make(spec: &Spec) -> Result<Vec<PathBuf>, (String, String)> {
    let root = spec.merged();
    let mut made = Vec::new();
    for stub in &spec.stubs {
        let path = root.join(stub.at.trim_start_matches('/'));
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        if stub.parents_too && !stub.keep {
            made.extend(missing_above(&root, &path));
        }
        create(stub, &path)
            .map_err(|error| (format!("make the mount point {}", stub.at), error.to_string()))?;
        if !stub.keep {
            made.push(path);
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
pub(super) fn tidy(made: &[PathBuf]) {
    for path in made.iter().rev() {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => drop(fs::remove_dir(path)),
            Ok(meta) if meta.len() == 0 => drop(fs::remove_file(path)),
            _ => {}
        }
    }
}
