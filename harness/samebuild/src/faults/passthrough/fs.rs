//! The pass-through: what the kernel asks is asked of the file system below, and the answer is handed on; but for two
//! times, which `Teller` may tell otherwise. Permissions are checked by the kernel. How a file below is found and changed is
//! in `ops.rs`.
//!
//! What is not passed on (and what the kernel then says): `O_TMPFILE` (not supported), `ioctl` (no such request), birth
//! times (absent); locks are the kernel's own.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{AtFlags, FallocateFlags, FileType, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, Result};

use super::caller::as_caller;
use super::lower::{self, proc_path};
use super::ops::{Asked, Passthrough, read_all};
use super::xattrs;

/// How long the kernel may believe an answer. It asks again after every change made through the mount, and the
/// directory below is out of everybody else's sight.
const TTL: Duration = Duration::from_secs(1);

fn errno(error: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(error.raw_os_error())
}

fn answer_entry(reply: ReplyEntry, made: Result<FileAttr>) {
    match made {
        Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
        Err(error) => reply.error(errno(error)),
    }
}

fn answer_empty(reply: ReplyEmpty, done: Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

impl Filesystem for Passthrough {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Masks are ours to apply, because default ACLs decide whether they are.
        for flag in [InitFlags::FUSE_DONT_MASK, InitFlags::FUSE_POSIX_ACL, InitFlags::FUSE_PARALLEL_DIROPS] {
            // What an old kernel has not, it does without.
            let _ = config.add_capabilities(flag);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer_entry(reply, self.inodes.get(parent).and_then(|parent| self.entry(&parent, name)));
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        self.inodes.forget(inode, lookups);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let stat = self.inodes.get(inode).and_then(|inode| Ok((lower::stat(&inode.fd)?, inode)));
        match stat {
            Ok((stat, inode)) => reply.attr(&TTL, &self.attributes(&inode, &stat)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        file: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let asked = Asked { mode, uid, gid, size, atime, mtime };
        let set = self.inodes.get(inode).and_then(|inode| {
            self.set(&inode, &asked, file)?;
            Ok((lower::stat(&inode.fd)?, inode))
        });
        match set {
            Ok((stat, inode)) => reply.attr(&TTL, &self.attributes(&inode, &stat)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn readlink(&self, _: &Request, inode: INodeNo, reply: ReplyData) {
        match self.inodes.get(inode).and_then(|inode| rustix::fs::readlinkat(&inode.fd, "", Vec::new())) {
            Ok(target) => reply.data(target.to_bytes()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let (kind, mode) = (FileType::from_raw_mode(mode), Mode::from_raw_mode(mode & 0o7777));
        let make = |parent: &OwnedFd| rustix::fs::mknodat(parent, name, kind, mode, lower::device(device));
        answer_entry(reply, self.make(request, umask, (parent, name), make));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let make = |parent: &OwnedFd| rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode & 0o7777));
        answer_entry(reply, self.make(request, umask, (parent, name), make));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let make = |parent: &OwnedFd| rustix::fs::symlinkat(target, parent, name);
        answer_entry(reply, self.make(request, 0, (parent, name), make));
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let linked = self.inodes.get(inode).and_then(|inode| {
            let parent = self.inodes.get(parent)?;
            let below = proc_path(&inode.fd);
            rustix::fs::linkat(rustix::fs::CWD, below, &parent.fd, name, AtFlags::SYMLINK_FOLLOW)?;
            self.entry(&parent, name)
        });
        answer_entry(reply, linked);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let parent = self.inodes.get(parent);
        answer_empty(
            reply,
            parent.and_then(|parent| rustix::fs::unlinkat(&parent.fd, name, AtFlags::empty())),
        );
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let parent = self.inodes.get(parent);
        answer_empty(
            reply,
            parent.and_then(|parent| rustix::fs::unlinkat(&parent.fd, name, AtFlags::REMOVEDIR)),
        );
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let flags = rustix::fs::RenameFlags::from_bits_retain(flags.bits());
        let renamed = self.inodes.get(parent).and_then(|old| {
            let new = self.inodes.get(new_parent)?;
            // As the caller, because a whiteout is a new file.
            let done =
                as_caller(request, 0, || rustix::fs::renameat_with(&old.fd, name, &new.fd, new_name, flags));
            if done.is_err() {
                // On ext4 one that leaves a whiteout and fails has touched the directories; the kernel thinks it has not.
                self.doubt(&old);
                self.doubt(&new);
            }
            done
        });
        answer_empty(reply, renamed);
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.inodes.get(inode).and_then(|inode| lower::reopen(&inode.fd, lower::open_flags(flags.0))) {
            Ok(file) => reply.opened(self.keep(file), FopenFlags::empty()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = OFlags::from_bits_retain(flags.cast_unsigned()) & (OFlags::EXCL | OFlags::TRUNC);
        let flags =
            lower::open_flags(flags) | exclusive | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let made = self.inodes.get(parent).and_then(|parent| {
            let file = as_caller(request, umask, || rustix::fs::openat(&parent.fd, name, flags, mode))?;
            Ok((self.entry(&parent, name)?, file))
        });
        match made {
            Ok((attributes, file)) => {
                reply.created(&TTL, &attributes, Generation(0), self.keep(file), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.file(file).and_then(|file| read_all(&file, offset, size as usize)) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.file(file).and_then(|file| rustix::io::pwrite(&*file, data, offset)) {
            Ok(written) => reply.written(u32::try_from(written).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.forget_file(file);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, file: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let sync = |file: Arc<OwnedFd>| {
            if data_only { rustix::fs::fdatasync(&*file) } else { rustix::fs::fsync(&*file) }
        };
        answer_empty(reply, self.file(file).and_then(sync));
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, file: FileHandle, _: bool, reply: ReplyEmpty) {
        answer_empty(reply, self.file(file).and_then(|file| rustix::fs::fsync(&*file)));
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.inodes.get(inode).and_then(|inode| lower::reopen(&inode.fd, flags)) {
            Ok(file) => reply.opened(self.keep(file), FopenFlags::empty()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn readdir(&self, _: &Request, inode: INodeNo, file: FileHandle, from: u64, mut reply: ReplyDirectory) {
        match self.list(inode, file, from, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, file: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.forget_file(file);
        reply.ok();
    }

    fn statfs(&self, _: &Request, inode: INodeNo, reply: ReplyStatfs) {
        match self.inodes.get(inode).and_then(|inode| rustix::fs::fstatvfs(&inode.fd)) {
            Ok(of) => {
                let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                let (block, name, fragment) = (small(of.f_bsize), small(of.f_namemax), small(of.f_frsize));
                let (blocks, inodes) = ((of.f_blocks, of.f_bfree, of.f_bavail), (of.f_files, of.f_ffree));
                reply.statfs(blocks.0, blocks.1, blocks.2, inodes.0, inodes.1, block, name, fragment);
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        inode: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        answer_empty(
            reply,
            self.inodes.get(inode).and_then(|inode| xattrs::set(&inode.fd, name, value, flags)),
        );
    }

    fn getxattr(&self, _: &Request, inode: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = self.inodes.get(inode).and_then(|inode| xattrs::get(&inode.fd, name));
        xattrs::answer(reply, size, value);
    }

    fn listxattr(&self, request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.inodes.get(inode).and_then(|inode| xattrs::list(&inode.fd, request.uid() == 0));
        xattrs::answer(reply, size, names);
    }

    fn removexattr(&self, _: &Request, inode: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(reply, self.inodes.get(inode).and_then(|inode| xattrs::remove(&inode.fd, name)));
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = FallocateFlags::from_bits_retain(mode.cast_unsigned());
        answer_empty(
            reply,
            self.file(file).and_then(|file| rustix::fs::fallocate(&*file, mode, offset, length)),
        );
    }

    fn lseek(&self, _: &Request, _: INodeNo, file: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let seek = |file: Arc<OwnedFd>| {
            let offset = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
            match whence {
                nix::libc::SEEK_DATA => rustix::fs::seek(&*file, SeekFrom::Data(offset)),
                nix::libc::SEEK_HOLE => rustix::fs::seek(&*file, SeekFrom::Hole(offset)),
                _ => Err(Errno::INVAL),
            }
        };
        match self.file(file).and_then(seek) {
            Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        from: FileHandle,
        mut from_offset: u64,
        _: INodeNo,
        to: FileHandle,
        mut to_offset: u64,
        length: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        // A reply says how much in 32 bits.
        let length = usize::try_from(length.min(1 << 30)).unwrap_or(1 << 30);
        let copied = self.file(from).and_then(|from| {
            let to = self.file(to)?;
            rustix::fs::copy_file_range(&*from, Some(&mut from_offset), &*to, Some(&mut to_offset), length)
        });
        match copied {
            Ok(copied) => reply.written(u32::try_from(copied).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }
}
