//! A file system that is the one below, but for the modification times it tells: whatever builds on it is lied to, without
//! its cooperation. How it is mounted and goes away again; what it answers is in `fs.rs`, what it tells in [`super::lag`].

mod caller;
mod fs;
mod inodes;
mod lower;
mod ops;
mod private;
mod xattrs;

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use nix::mount::{MntFlags, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fs::{CWD, Mode, OFlags};

pub use private::{Namespace, enter_private_namespace};

use super::lag::{Lag, Teller};

/// As mount tables call it.
const NAME: &str = "samebuild-lag";

/// A mounted pass-through; unmounted when it drops.
#[derive(Debug)]
pub struct Mounted {
    session: Option<BackgroundSession>,
    at: PathBuf,
    teller: Arc<Teller>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Nothing is wrong but the place: not exercised.
    #[error("{0}")]
    Unmet(String),
    #[error("mount a pass-through over {dir}: {source}")]
    Failed { dir: PathBuf, source: io::Error },
}

/// What this machine lacks, if it lacks something that can be seen before a mount is tried.
pub fn unmet() -> Option<String> {
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => None,
        Err(error) => {
            Some(format!("a file system that lags needs /dev/fuse, which cannot be opened: {error}"))
        }
    }
}

/// Shows `dir` at `at` (which may be the same), with times that lag if asked to; lies are logged as JSON lines.
///
/// # Errors
/// What the machine lacks, or what the kernel says.
pub fn mount(
    dir: &Path,
    at: &Path,
    lag: Option<Lag>,
    log: Option<Box<dyn Write + Send>>,
) -> Result<Mounted, MountError> {
    if let Some(unmet) = unmet() {
        return Err(MountError::Unmet(unmet));
    }
    let failed = |source: io::Error| MountError::Failed { dir: dir.to_owned(), source };
    inodes::needs_proc().map_err(|error| failed(error.into()))?;
    let root =
        rustix::fs::openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.map_err(|error| failed(error.into()))?;
    let at = at.canonicalize().map_err(failed)?;
    let teller = Arc::new(Teller::new(lag, log));
    let passthrough =
        ops::Passthrough::new(root, Arc::clone(&teller)).map_err(|error| failed(error.into()))?;
    let notifier = passthrough.notifier();
    let session = Session::new(passthrough, &at, &config()).and_then(Session::spawn);
    let session = session.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::NotFound => MountError::Unmet(format!(
            "a file system that lags needs root, a user namespace, or fusermount3, to mount it: {error}"
        )),
        _ => failed(error),
    })?;
    let _ = notifier.set(session.notifier());
    Ok(Mounted { session: Some(session), at, teller })
}

fn config() -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(NAME.to_owned()),
        MountOption::Subtype(NAME.to_owned()),
        MountOption::DefaultPermissions,
        MountOption::Dev,
        MountOption::Suid,
    ];
    if !nix::unistd::geteuid().is_root() {
        // Not ours to give.
        config.mount_options.truncate(3);
    }
    config.acl = SessionACL::All;
    config.n_threads = Some(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8)));
    config
}

impl Mounted {
    /// How many lies were told, about how many files.
    pub fn lies(&self) -> (usize, usize) {
        self.teller.lies()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        match umount2(&self.at, MntFlags::empty()) {
            // All that was written has reached us when its last answer has.
            Ok(()) => drop(session.join()),
            // Somebody is still in there: out of sight at least, and gone when they are.
            Err(_) => drop(umount2(&self.at, MntFlags::MNT_DETACH)),
        }
    }
}

/// As many open files as may be: each file the kernel remembers is one of ours.
pub fn raise_descriptor_limit() {
    const PLENTY: u64 = 1 << 20;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.max(PLENTY);
        // Beyond the hard limit only by root; up to it by anybody.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted)
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard.max(soft), hard));
    }
}

/// Takes away what a process of ours has left at `dir` when it was killed. Says whether there was something.
///
/// # Errors
/// It is there and cannot be taken away.
pub fn clean_up(dir: &Path) -> io::Result<bool> {
    let is_dead =
        std::fs::metadata(dir).is_err_and(|error| error.raw_os_error() == Some(nix::libc::ENOTCONN));
    if !is_dead {
        return Ok(false);
    }
    let dir = std::path::absolute(dir)?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let is_ours = |line: &str| {
        line.split(' ').nth(4) == dir.to_str()
            && line.split_once(" - ").is_some_and(|(_, of)| of.contains(NAME))
    };
    if !mounts.lines().any(is_ours) {
        return Ok(false);
    }
    umount2(&dir, MntFlags::MNT_DETACH)?;
    Ok(true)
}
