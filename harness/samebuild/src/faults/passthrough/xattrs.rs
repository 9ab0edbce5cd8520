//! Extended attributes below, by the names that descriptors have in `/proc`: a descriptor that only stands for a file has
//! none itself.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use fuser::ReplyXattr;
use rustix::fs::XattrFlags;
use rustix::io::{Errno, Result};

use super::lower::proc_path;

/// The kernel's limits for a value and for a list of names.
const LONGEST: usize = 64 * 1024;

pub(super) fn set(fd: &OwnedFd, name: &OsStr, value: &[u8], flags: i32) -> Result<()> {
    rustix::fs::setxattr(proc_path(fd), name, value, XattrFlags::from_bits_retain(flags.cast_unsigned()))
}

pub(super) fn get(fd: &OwnedFd, name: &OsStr) -> Result<Vec<u8>> {
    let mut value = vec![0; LONGEST];
    let length = rustix::fs::getxattr(proc_path(fd), name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

/// The names, each ended by a zero byte. Those of the namespace `trusted` are for root's eyes.
pub(super) fn list(fd: &OwnedFd, for_root: bool) -> Result<Vec<u8>> {
    let mut names = vec![0; LONGEST];
    let length = rustix::fs::listxattr(proc_path(fd), &mut names[..])?;
    names.truncate(length);
    if !for_root {
        let seen = names.split_inclusive(|byte| *byte == 0).filter(|name| !name.starts_with(b"trusted."));
        names = seen.flatten().copied().collect();
    }
    Ok(names)
}

pub(super) fn remove(fd: &OwnedFd, name: &OsStr) -> Result<()> {
    rustix::fs::removexattr(proc_path(fd), name)
}

/// A size of zero asks how long the answer is.
pub(super) fn answer(reply: ReplyXattr, size: u32, found: Result<Vec<u8>>) {
    match found {
        Ok(found) if size == 0 => reply.size(u32::try_from(found.len()).unwrap_or(u32::MAX)),
        Ok(found) if found.len() > size as usize => reply.error(fuser::Errno::ERANGE),
        Ok(found) => reply.data(&found),
        Err(Errno::OPNOTSUPP) => reply.error(fuser::Errno::EOPNOTSUPP),
        Err(error) => reply.error(fuser::Errno::from_i32(error.raw_os_error())),
    }
}
