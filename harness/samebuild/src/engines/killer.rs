//! The daemon of an engine of ours, killed in the middle of what it does; its init starts another one on the same data.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::child::{AGAIN, INIT_PID};

/// Kills the daemon of one private engine.
#[derive(Clone, Debug)]
pub struct Killer {
    dir: PathBuf,
}

impl Killer {
    /// Of the engine that runs in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// SIGKILL: nothing is finished, nothing tidied up. Returns at once; whether its successor answers is for the caller
    /// to find out.
    ///
    /// # Errors
    /// There is no daemon.
    pub fn kill(&self) -> Result<()> {
        let init = fs::read_to_string(self.dir.join(INIT_PID))?;
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", init.trim()))?;
        // Orphans of the daemon, containerd among them, are children of the init, too.
        let is_dockerd = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dockerd")
        };
        let pid = children.split_whitespace().find(is_dockerd).and_then(|pid| pid.parse().ok());
        let pid = pid.ok_or_else(|| Error::other("the engine has no daemon"))?;
        fs::write(self.dir.join(AGAIN), "")?;
        Ok(kill(Pid::from_raw(pid), Signal::SIGKILL)?)
    }
}
