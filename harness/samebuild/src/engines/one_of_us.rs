//! Builds and deletes of every process of ours on one daemon, kept out of each other's way. Builds share; a delete is alone.
//! The kernel lets go of the locks of the dead, whatever they died of. Whoever is not of ours knows nothing of it.
//!
//! Two files, for fairness: one is the turnstile that everybody goes through, the other what is used. A delete that waits
//! keeps the turnstile, so that builds one after the other cannot starve it, and waits for the builds of before only.

use std::fs::File;
use std::io::Result;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The locks of one daemon.
#[derive(Clone, Debug)]
pub struct OneOfUs {
    turnstile: PathBuf,
    in_use: PathBuf,
}

/// A build or a delete; over when dropped.
#[derive(Debug)]
#[must_use]
pub struct Underway {
    _in_use: File,
}

impl OneOfUs {
    /// In `dir`, for the daemon that calls itself `daemon`: the same through every socket.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn at(dir: &Path, daemon: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let name = hex::encode(&Sha256::digest(daemon)[..8]);
        Ok(Self {
            turnstile: dir.join(format!("{name}.turnstile")),
            in_use: dir.join(format!("{name}.in-use")),
        })
    }

    /// Waits until no delete is under way or due. From here to the drop, what the build makes is not deleted by one of us.
    ///
    /// # Errors
    /// The files cannot be locked.
    pub fn build(&self) -> Result<Underway> {
        let turnstile = open(&self.turnstile)?;
        turnstile.lock_shared()?;
        let in_use = open(&self.in_use)?;
        in_use.lock_shared()?;
        Ok(Underway { _in_use: in_use })
    }

    /// Waits until every build that began before is over; later ones wait for this.
    ///
    /// # Errors
    /// The files cannot be locked.
    pub fn delete(&self) -> Result<Underway> {
        let turnstile = open(&self.turnstile)?;
        turnstile.lock()?;
        let in_use = open(&self.in_use)?;
        in_use.lock()?;
        Ok(Underway { _in_use: in_use })
    }
}

fn open(path: &Path) -> Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}
