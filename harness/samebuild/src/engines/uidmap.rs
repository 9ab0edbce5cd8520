//! `newuidmap` and `newgidmap`, without which nobody but root maps more than one id into a user namespace: the machine's,
//! or Debian's package `uidmap`, unpacked without installing. They only work owned by root and with setuid on; seeing to
//! that is the caller's.

use std::path::{Path, PathBuf};

use super::Progress;
use super::debian::Debian;
use super::error::EngineError;
use super::libraries;

/// The two programs and the directories of shared libraries they need and this machine lacks.
pub(crate) struct Uidmap {
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) libraries: Vec<PathBuf>,
}

const PROGRAMS: [&str; 2] = ["newuidmap", "newgidmap"];
/// The oldest release whose programs run on every machine that the engines run on.
const RELEASE: &str = "bookworm";

/// Finds or fetches them.
///
/// # Errors
/// They are not on PATH, and [`Debian::package`] fails.
pub(crate) fn uidmap(cache: &Path, progress: Progress) -> Result<Uidmap, EngineError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found: Vec<PathBuf> = PROGRAMS
        .iter()
        .filter_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()))
        .collect();
    if found.len() == PROGRAMS.len() {
        return Ok(Uidmap { programs: found, libraries: Vec::new() });
    }
    let debian = Debian::new(cache, RELEASE, progress)?;
    let package = debian.package("uidmap", None)?;
    let programs: Vec<PathBuf> =
        PROGRAMS.iter().map(|name| package.root.join("usr/bin").join(name)).collect();
    let supplied = libraries::supply(&programs, &[package], &debian)?;
    let libraries = std::env::split_paths(&libraries::search_path(&supplied)).collect();
    Ok(Uidmap { programs, libraries })
}
