//! New files belong to who asks for them, with the mask of who asks: file-system IDs and umask of one thread of ours, for
//! the length of one call. Whether the caller may is what the kernel has asked before us (`default_permissions`).

use std::cell::Cell;

use caps::{CapSet, CapsHashSet};
use fuser::Request;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::fs::Mode;
use rustix::io::{Errno, Result};
use rustix::process::umask;

thread_local! {
    static OWN_MASK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act` as the caller would be recorded: its user, group and umask; with our capabilities.
pub(super) fn as_caller<T>(request: &Request, mask: u32, act: impl FnOnce() -> Result<T>) -> Result<T> {
    give_this_thread_its_own_mask()?;
    let _ids = Ids::of(request);
    let ours = umask(Mode::from_raw_mode(mask & 0o777));
    let done = act();
    umask(ours);
    done
}

/// A umask belongs to all threads of a process that share their working directory.
fn give_this_thread_its_own_mask() -> Result<()> {
    if OWN_MASK.get() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_FS).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    OWN_MASK.set(true);
    Ok(())
}

struct Ids {
    before: Option<(Uid, Gid)>,
}

impl Ids {
    fn of(request: &Request) -> Self {
        let (uid, gid) = (Uid::from_raw(request.uid()), Gid::from_raw(request.gid()));
        let ours = (nix::unistd::geteuid(), nix::unistd::getegid());
        if (uid, gid) == ours || !ours.0.is_root() {
            return Self { before: None };
        }
        let capabilities: Option<CapsHashSet> = caps::read(None, CapSet::Effective).ok();
        setfsgid(gid);
        setfsuid(uid);
        // Leaving user 0 takes the capabilities over files away; the kernel has decided already that the caller may.
        if let Some(capabilities) = capabilities {
            let _ = caps::set(None, CapSet::Effective, &capabilities);
        }
        Self { before: Some(ours) }
    }
}

impl Drop for Ids {
    fn drop(&mut self) {
        if let Some((uid, gid)) = self.before {
            setfsuid(uid);
            setfsgid(gid);
        }
    }
}
