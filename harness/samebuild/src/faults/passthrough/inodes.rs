//! The inodes the kernel knows of, by number: each a file descriptor of the file below, so that it is found again whatever
//! its name has become, and so that its number is not given to another file meanwhile. Names of one file share an inode.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::INodeNo;
use rustix::fs::{Statx, openat};
use rustix::io::{Errno, Result};

use super::lower::{self, PROC};
use crate::faults::lag::FileId;

/// A file below.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) fd: OwnedFd,
    pub(super) id: FileId,
}

impl Inode {
    /// Where the file is now, from the root of the pass-through.
    pub(super) fn path(&self, root: &Inode) -> Vec<u8> {
        let name =
            |fd| rustix::fs::readlink(lower::proc_path(fd), Vec::new()).map(std::ffi::CString::into_bytes);
        let (Ok(path), Ok(root)) = (name(&self.fd), name(&root.fd)) else { return Vec::new() };
        let below = path.strip_prefix(root.as_slice()).unwrap_or(&path);
        below.strip_prefix(b"/").unwrap_or(below).to_vec()
    }
}

/// The table. Its root stays; any other is dropped when the kernel has forgotten it.
#[derive(Debug)]
pub(super) struct Inodes {
    root: Arc<Inode>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_number: BTreeMap<u64, (Arc<Inode>, u64)>,
    /// Files whose own number is taken or means something else: the root's, and those of file systems mounted below.
    renumbered: BTreeMap<(u64, u64), u64>,
}

impl Inodes {
    pub(super) fn new(root: OwnedFd) -> Result<Self> {
        let id = lower::id(&lower::stat(&root)?);
        let root = Arc::new(Inode { number: INodeNo::ROOT.0, fd: root, id });
        Ok(Self { root, known: Mutex::default() })
    }

    pub(super) fn root(&self) -> &Inode {
        &self.root
    }

    pub(super) fn get(&self, number: INodeNo) -> Result<Arc<Inode>> {
        if number == INodeNo::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        self.known().by_number.get(&number.0).map(|(inode, _)| Arc::clone(inode)).ok_or(Errno::STALE)
    }

    /// The inode of a name, which the kernel now knows once more.
    pub(super) fn look_up(&self, parent: &Inode, name: &OsStr) -> Result<(Arc<Inode>, Statx)> {
        let fd = openat(&parent.fd, name.as_bytes(), lower::HANDLE, rustix::fs::Mode::empty())?;
        let stat = lower::stat(&fd)?;
        let id = lower::id(&stat);
        let mut known = self.known();
        let number = known.number(id, &self.root);
        let (inode, lookups) =
            known.by_number.entry(number).or_insert_with(|| (Arc::new(Inode { number, fd, id }), 0));
        *lookups += 1;
        Ok((Arc::clone(inode), stat))
    }

    /// The kernel has dropped this many of its references.
    pub(super) fn forget(&self, number: INodeNo, times: u64) {
        let mut known = self.known();
        let Some((_, lookups)) = known.by_number.get_mut(&number.0) else { return };
        *lookups = lookups.saturating_sub(times);
        if *lookups == 0 {
            known.by_number.remove(&number.0);
        }
    }

    /// The number to tell of an entry of a directory on the same file system as `parent`.
    pub(super) fn listed(&self, parent: &Inode, number: u64) -> INodeNo {
        let id = FileId { inode: number, ..parent.id };
        if (id.device, id.inode) == (self.root.id.device, self.root.id.inode) {
            return INodeNo::ROOT;
        }
        INodeNo(number)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn number(&mut self, id: FileId, root: &Inode) -> u64 {
        /// Far from what file systems give out.
        const OURS: u64 = 1 << 62;
        if id.device == root.id.device && id.inode > INodeNo::ROOT.0 && id.inode < OURS {
            return id.inode;
        }
        let next = OURS + self.renumbered.len() as u64;
        *self.renumbered.entry((id.device, id.inode)).or_insert(next)
    }
}

/// Fails early where `/proc` is missing, without which a descriptor has no name.
pub(super) fn needs_proc() -> Result<()> {
    rustix::fs::stat(PROC).map(drop)
}
