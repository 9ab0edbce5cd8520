//! What the pass-through does below for one question: find, make, change, list. Who asks, and how an answer is given, is in
//! `fs.rs`. Files are reached by descriptors and names in them, never by a path.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fuser::{FileAttr, FileHandle, INodeNo, Notifier, ReplyDirectory, Request, TimeOrNow};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawDir, SeekFrom, Statx, Timestamps, Uid};
use rustix::io::{Errno, Result};

use super::caller::as_caller;
use super::inodes::{Inode, Inodes};
use super::lower::{self, proc_path};
use crate::faults::lag::Teller;

pub(super) struct Passthrough {
    pub(super) inodes: Inodes,
    teller: Arc<Teller>,
    open: Mutex<Open>,
    /// Where the kernel is told what it cannot know; there is one as soon as the mount is served.
    notifier: Arc<OnceLock<Notifier>>,
}

#[derive(Default)]
struct Open {
    files: BTreeMap<u64, Arc<OwnedFd>>,
    next: u64,
}

impl Passthrough {
    pub(super) fn new(root: OwnedFd, teller: Arc<Teller>) -> Result<Self> {
        Ok(Self { inodes: Inodes::new(root)?, teller, open: Mutex::default(), notifier: Arc::default() })
    }

    pub(super) fn notifier(&self) -> Arc<OnceLock<Notifier>> {
        Arc::clone(&self.notifier)
    }

    /// Has the kernel ask again for a file's attributes.
    pub(super) fn doubt(&self, inode: &Inode) {
        if let Some(notifier) = self.notifier.get() {
            // Attributes only, no pages. What the kernel does not know, it cannot have wrong.
            let _ = notifier.inval_inode(INodeNo(inode.number), -1, 0);
        }
    }

    pub(super) fn attributes(&self, inode: &Inode, stat: &Statx) -> FileAttr {
        let told = self.teller.tell(inode.id, || inode.path(self.inodes.root()), lower::times(stat));
        lower::attributes(inode.number, stat, told)
    }

    pub(super) fn entry(&self, parent: &Inode, name: &OsStr) -> Result<FileAttr> {
        let (inode, stat) = self.inodes.look_up(parent, name)?;
        Ok(self.attributes(&inode, &stat))
    }

    /// Makes something in a directory, as the caller, and looks it up.
    pub(super) fn make(
        &self,
        request: &Request,
        mask: u32,
        (parent, name): (INodeNo, &OsStr),
        make: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<FileAttr> {
        let parent = self.inodes.get(parent)?;
        as_caller(request, mask, || make(&parent.fd))?;
        self.entry(&parent, name)
    }

    pub(super) fn keep(&self, fd: OwnedFd) -> FileHandle {
        let mut open = self.handles();
        open.next += 1;
        let handle = open.next;
        open.files.insert(handle, Arc::new(fd));
        FileHandle(handle)
    }

    pub(super) fn file(&self, handle: FileHandle) -> Result<Arc<OwnedFd>> {
        self.handles().files.get(&handle.0).map(Arc::clone).ok_or(Errno::BADF)
    }

    pub(super) fn forget_file(&self, handle: FileHandle) {
        self.handles().files.remove(&handle.0);
    }

    fn handles(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, inode: &Inode, asked: &Asked, file: Option<FileHandle>) -> Result<()> {
        if let Some(size) = asked.size {
            match file.and_then(|file| self.file(file).ok()) {
                Some(file) => rustix::fs::ftruncate(&*file, size)?,
                None => rustix::fs::ftruncate(lower::reopen(&inode.fd, OFlags::WRONLY)?, size)?,
            }
        }
        // The owner first: a new owner takes the set-user-ID bit away.
        let (uid, gid) = (asked.uid.map(Uid::from_raw), asked.gid.map(Gid::from_raw));
        if uid.is_some() || gid.is_some() {
            rustix::fs::chownat(&inode.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        if let Some(mode) = asked.mode {
            let mode = Mode::from_raw_mode(mode & 0o7777);
            rustix::fs::chmod(proc_path(&inode.fd), mode)?;
        }
        if asked.atime.is_some() || asked.mtime.is_some() {
            let times = Timestamps {
                last_access: lower::timespec(asked.atime),
                last_modification: lower::timespec(asked.mtime),
            };
            rustix::fs::utimensat(&inode.fd, "", &times, AtFlags::EMPTY_PATH)?;
        }
        if let Some(TimeOrNow::SpecificTime(_)) = asked.mtime {
            // As it was kept, which may be coarser than what was asked for.
            self.teller.was_set(inode.id, lower::times(&lower::stat(&inode.fd)?).mtime);
        }
        Ok(())
    }

    pub(super) fn list(
        &self,
        directory: INodeNo,
        handle: FileHandle,
        from: u64,
        reply: &mut ReplyDirectory,
    ) -> Result<()> {
        let (inode, file) = (self.inodes.get(directory)?, self.file(handle)?);
        rustix::fs::seek(&*file, SeekFrom::Start(from))?;
        let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
        let mut entries = RawDir::new(&*file, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&*file, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            let number = self.inodes.listed(&inode, entry.ino());
            if reply.add(number, entry.next_entry_cookie(), lower::kind(kind), name) {
                break;
            }
        }
        Ok(())
    }
}

/// What is to become of a file.
pub(super) struct Asked {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<TimeOrNow>,
    pub(super) mtime: Option<TimeOrNow>,
}

/// As much as asked for, or all there is: a shorter answer would be filled up with zeros.
pub(super) fn read_all(file: &OwnedFd, offset: u64, size: usize) -> Result<Vec<u8>> {
    let mut data = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match rustix::io::pread(file, &mut data[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    Ok(data)
}
