//! Answers: which files of an unpacked root did a RUN surely leave as they were? Their content is known and not read again,
//! so that each is hashed once for each time it changes.
//!
//! A file is as it was when it is the same inode with the same ctime and size, and that ctime is older than the moment
//! before the command (git's rule for a racily clean entry: within one tick of the clock two changes look like one). ctime
//! can be set by nobody, and every way of writing moves it, a store through `mmap` too, because nothing has been mapped
//! yet. On tmpfs a mapped store moves no time at all, and what other file systems do was not measured: there everything is
//! read. So it is where no stat is to be trusted ([`Trust::Content`]).
//!
//! What a snapshotter makes of a file is `snapshot`'s affair: it is asked about files that are kept as about all others.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Stat};
use samebuild_image::{Kind, Tree};

use crate::disk::scan::Known;
use crate::request::Trust;

/// By inode number; the root is one file system.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<u64, (Looks, Known)>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Looks {
    ctime: (i64, i64),
    device: u64,
    size: i64,
}

/// File systems whose ctime was measured to move with every way of writing: ext2 to ext4, XFS, btrfs.
const MEASURED: [u64; 3] = [0xEF53, 0x5846_5342, 0x9123_683E];

impl Kept {
    /// The files of `tree`, which has just been written to `root`.
    ///
    /// # Errors
    /// What the file system says when it is asked.
    pub(super) fn of(tree: &Tree, root: &Path, trust: Trust) -> io::Result<Self> {
        let kind = rustix::fs::statfs(root)?.f_type as u64;
        if trust == Trust::Content || !MEASURED.contains(&kind) {
            return Ok(Self::default());
        }
        let moment = moment(root)?;
        let mut kept = BTreeMap::new();
        for (at, _, inode) in tree.iter() {
            let Kind::File(content) = &inode.kind else { continue };
            let path = root.join(std::ffi::OsStr::from_bytes(at.as_bytes()));
            let stat = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW)?;
            if looks(&stat).ctime < moment {
                kept.insert(stat.st_ino, (looks(&stat), (content.clone(), inode.meta.xattrs.clone())));
            }
        }
        Ok(Self(kept))
    }

    /// What is in a file that looks as it did, and what is on it.
    pub(super) fn known(&self, stat: &Stat) -> Option<Known> {
        let (before, known) = self.0.get(&stat.st_ino)?;
        (*before == looks(stat)).then(|| known.clone())
    }
}

fn looks(stat: &Stat) -> Looks {
    let ctime = (stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0));
    Looks { ctime, device: stat.st_dev, size: stat.st_size }
}

/// What the clock of the file system says now, in its own granularity.
fn moment(root: &Path) -> io::Result<(i64, i64)> {
    let beside = tempfile::NamedTempFile::new_in(root.parent().unwrap_or(root))?;
    Ok(looks(&rustix::fs::fstat(beside.as_file())?).ctime)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use samebuild_image::{At, Content, Meta, Mtime};

    use super::*;
    use crate::disk::scan::scan_knowing;

    const TEXT: &[u8] = b"as it was";

    /// The names of the files whose content is known after `change`, of `a`, `b` and a second name of `b`; none where
    /// the file system is not among those that were measured.
    fn kept_after(trust: Trust, change: impl FnOnce(&Path)) -> Option<Vec<String>> {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        if !MEASURED.contains(&(rustix::fs::statfs(place.path()).unwrap().f_type as u64)) {
            eprintln!("not exercised: {} is on a file system where all is read", place.path().display());
            return None;
        }
        let mut tree = Tree::new();
        for name in ["a", "b"] {
            let content = Content::inline(TEXT);
            content.digest().unwrap();
            tree.insert(&At::from(name), Kind::File(content), Meta::new(0o644, Mtime::secs(1)));
        }
        tree.link(&At::from("c"), &At::from("b"));
        crate::materialise::tree(&tree, &root).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let kept = Kept::of(&tree, &root, trust).unwrap();
        change(&root);
        let after = scan_knowing(&root, &|_, _| false, &|stat| kept.known(stat)).unwrap();
        let is_known = |kind: &Kind| matches!(kind, Kind::File(content) if content.known_digest().is_some());
        let known = after.iter().filter(|(_, _, inode)| is_known(&inode.kind));
        Some(known.map(|(at, _, _)| at.to_string()).collect())
    }

    #[test]
    fn what_nobody_touched_is_known_and_what_was_read_too() {
        let Some(kept) = kept_after(Trust::Dialect, |root| drop(std::fs::read(root.join("a")))) else {
            return;
        };
        assert_eq!(kept, ["/a", "/b", "/c"]);
    }

    #[test]
    fn nothing_is_where_no_stat_is_trusted() {
        let Some(kept) = kept_after(Trust::Content, |_| {}) else { return };
        assert!(kept.is_empty(), "{kept:?}");
    }

    /// GoogleContainerTools/kaniko#251 and #289 are about times that lag: the same size, and the old time put back.
    #[test]
    fn a_rewrite_of_the_same_size_is_read_again_whatever_its_mtime() {
        let Some(kept) = kept_after(Trust::Dialect, |root| {
            std::fs::write(root.join("c"), b"not as it").unwrap();
            filetime::set_file_mtime(root.join("c"), filetime::FileTime::from_unix_time(1, 0)).unwrap();
        }) else {
            return;
        };
        assert_eq!(kept, ["/a"]);
    }

    #[test]
    fn a_new_file_at_an_old_place_and_a_renamed_one_are_read() {
        let Some(kept) = kept_after(Trust::Dialect, |root| {
            let old = std::fs::File::open(root.join("a")).unwrap();
            let mut bytes = vec![0; TEXT.len()];
            old.read_exact_at(&mut bytes, 0).unwrap();
            std::fs::write(root.join("new"), &bytes).unwrap();
            std::fs::rename(root.join("new"), root.join("a")).unwrap();
            std::fs::rename(root.join("b"), root.join("d")).unwrap();
        }) else {
            return;
        };
        assert!(kept.is_empty(), "{kept:?}");
    }
}
