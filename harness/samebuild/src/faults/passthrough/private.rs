//! A mount namespace of our own: what is mounted in it is seen by us and by what we start, and is gone when we all are,
//! however we end.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where this process is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// A namespace of our own.
    Private,
    /// It is not allowed here; what is mounted is seen by everybody, and has to be unmounted.
    Shared,
}

/// Enters one. By root directly; by anybody else through a user namespace, in which the user stays who it is.
/// Concerns the calling thread and what it starts, so it comes before any thread.
///
/// # Errors
/// The namespace was entered, but is not as it should be.
pub fn enter_private_namespace() -> io::Result<Namespace> {
    if nix::unistd::geteuid().is_root() {
        if unshare(CloneFlags::CLONE_NEWNS).is_err() {
            return Ok(Namespace::Shared);
        }
    } else {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        if unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).is_err() {
            return Ok(Namespace::Shared);
        }
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    // What others mount is still seen here; what we mount stays here.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)?;
    Ok(Namespace::Private)
}
