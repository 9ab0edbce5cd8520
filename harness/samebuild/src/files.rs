//! The few things we do to files: outputs appear whole or not at all (written beside their place under a temporary
//! name, then renamed), and directories are read in a fixed order.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Writes `bytes` to `path`; parent directories are made.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let place = || format!("write {}", path.display());
    let dir = parent(path);
    std::fs::create_dir_all(&dir).with_context(place)?;
    let mut file = temporary(&dir).with_context(place)?;
    file.write_all(bytes).with_context(place)?;
    publish(file, path).with_context(place)
}

/// A file written by `fill`, which is given another path in the same directory.
pub fn fill_file(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let place = || format!("write {}", path.display());
    let file = temporary(&parent(path)).with_context(place)?;
    fill(file.path())?;
    publish(file, path).with_context(place)
}

/// A directory written by `fill`. `path` must not exist, or be an empty directory: nobody's files are replaced.
pub fn fill_dir(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if !is_free(path) {
        bail!("write {}: it exists already and is not an empty directory", path.display());
    }
    let place = || format!("write {}", path.display());
    let dir = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(parent(path)).with_context(place)?;
    fill(dir.path())?;
    open_up(dir.path(), 0o755).with_context(place)?;
    std::fs::rename(dir.path(), path).with_context(place)?;
    // It has moved: there is nothing left to remove.
    let _ = dir.keep();
    Ok(())
}

/// Whether a directory can be written at `path`: there is nothing, or an empty directory.
pub fn is_free(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => path.symlink_metadata().is_err(),
    }
}

/// All files below `dir`, sorted; none where it does not exist.
pub fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("read {}", dir.display())),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", dir.display()))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a file; `false` where there was none.
pub fn remove_if_there(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("remove {}", path.display())),
    }
}

const TEMPORARY: &str = ".samebuild-";

fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir)
}

/// Gives a finished temporary file its place.
pub(crate) fn publish(file: tempfile::NamedTempFile, path: &Path) -> std::io::Result<()> {
    open_up(file.path(), 0o644)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Temporary files are private; what is published is as readable as anything else.
fn open_up(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_behind_when_writing_fails() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let failed = fill_dir(&out, |at| {
            std::fs::write(at.join("half"), "x")?;
            bail!("disk full")
        });
        assert!(failed.is_err());
        assert!(fill_file(&out, |_| bail!("disk full")).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_with_something_in_it_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), "x").unwrap();
        assert!(fill_dir(dir.path(), |_| Ok(())).is_err());
        let fresh = dir.path().join("fresh");
        fill_dir(&fresh, |at| Ok(std::fs::write(at.join("a"), "x")?)).unwrap();
        assert!(fresh.join("a").is_file());
    }
}
