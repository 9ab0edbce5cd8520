//! Directories that live no longer than who made them: an engine's, a run's scratch space.
//!
//! One is alive as long as somebody holds a shared lock on the file `lock` in it. The kernel drops the locks of the dead,
//! whatever they died of, so nothing has to be guessed from process ids. What the dead left is removed by whoever makes
//! the next one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCK: &str = "lock";
const UNFINISHED: &str = "samebuild-new-";
/// A directory is given its final name within milliseconds.
const UNFINISHED_FOR: Duration = Duration::from_secs(600);

/// A directory, held as long as this lives. It is not removed with it: some have another holder.
#[derive(Debug)]
pub struct HeldDir {
    path: PathBuf,
    _lock: File,
}

impl HeldDir {
    /// A new one in `parent`, whose name begins with `prefix`.
    ///
    /// # Errors
    /// `parent` cannot be written to.
    pub fn create(parent: &Path, prefix: &str) -> io::Result<Self> {
        // Under another name until it is locked: nobody takes it for one of the dead.
        let new = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(parent)?;
        let lock = hold(new.path())?;
        let name = new.path().file_name().and_then(OsStr::to_str).unwrap_or_default();
        let path = parent.join(name.replacen(UNFINISHED, prefix, 1));
        fs::rename(new.path(), &path)?;
        let _ = new.keep();
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the shared lock that says "alive".
///
/// # Errors
/// The file system has no locks, or the directory cannot be written to.
pub fn hold(dir: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
    file.lock_shared()?;
    Ok(file)
}

/// What the dead left in `parent` under names that begin with `prefix`: directories, not links, of our user. Never a live
/// one's.
pub fn left_in(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|dir| is_ours(dir, prefix) && is_dead(dir) && !has_mounts(dir)).collect()
}

/// Whether something is mounted in it, which may be anybody's; whoever mounted that has to end it. The name is unlike any other, so
/// that it is found however the path is written.
fn has_mounts(dir: &Path) -> bool {
    let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(4)).any(|at| at.split('/').any(|part| part == name))
}

fn is_ours(dir: &Path, prefix: &str) -> bool {
    let name = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let named = name.starts_with(prefix) || name.starts_with(UNFINISHED);
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
    match File::options().write(true).open(dir.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound, // half removed
    }
}

/// Removes such a directory.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove(dir: &Path) -> io::Result<()> {
    // The lock goes last, so that half a directory can be told from a live one.
    let entries = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    for path in entries.filter(|path| !path.ends_with(LOCK)) {
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    fs::remove_dir_all(dir)
}

#[cfg(test)]
mod tests {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn a_directory_is_left_only_when_nobody_holds_its_lock() {
        let parent = tempfile::tempdir().unwrap();
        let (live, dead) = (parent.path().join("samebuild-a-1"), parent.path().join("samebuild-a-2"));
        for dir in [&live, &dead] {
            fs::create_dir_all(dir.join("data/overlay2")).unwrap();
            drop(hold(dir).unwrap());
        }
        let held = hold(&live).unwrap();
        assert_eq!(left_in(parent.path(), "samebuild-a-"), std::slice::from_ref(&dead));
        remove(&dead).unwrap();
        drop(held);
        assert_eq!(left_in(parent.path(), "samebuild-a-"), [live]);
    }

    #[test]
    fn directories_of_other_names_links_and_new_ones_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("other");
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(parent.path().join("samebuild-new-x")).unwrap();
        fs::create_dir_all(parent.path().join("samebuild-b-x")).unwrap();
        std::os::unix::fs::symlink(&other, parent.path().join("samebuild-a-link")).unwrap();
        assert!(left_in(parent.path(), "samebuild-a-").is_empty());
    }

    #[test]
    fn one_that_was_half_removed_is_removed_by_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let made = HeldDir::create(parent.path(), "samebuild-a-").unwrap();
        assert!(left_in(parent.path(), "samebuild-a-").is_empty());
        fs::remove_file(made.path().join(LOCK)).unwrap();
        assert_eq!(left_in(parent.path(), "samebuild-a-"), [made.path().to_owned()]);
    }

    /// Needs root, for a mount of its own.
    #[test]
    fn what_has_something_mounted_in_it_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dead = HeldDir::create(parent.path(), "samebuild-a-").unwrap().path().to_owned();
        let at = dead.join("somebody's");
        fs::create_dir(&at).unwrap();
        let none: Option<&str> = None;
        let mounted = std::thread::scope(|scope| {
            let alone = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS)?;
                mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
                mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), none)?;
                assert!(left_in(parent.path(), "samebuild-a-").is_empty());
                nix::Result::Ok(())
            });
            alone.join().unwrap()
        });
        if let Err(error) = mounted {
            println!("not exercised: mount something: {error}");
        }
        assert_eq!(left_in(parent.path(), "samebuild-a-"), [dead]);
    }
}
