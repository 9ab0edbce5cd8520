//! Programs of one Debian package, for whoever needs them and nothing else: the machine's, where it has them all on PATH;
//! else the package, unpacked without installing, with the shared libraries that this machine lacks beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Progress;
use super::debian::Debian;
use super::error::EngineError;
use super::libraries;

/// Programs, and the directories of shared libraries that they need and this machine lacks.
#[derive(Debug, Clone)]
pub struct Tools {
    /// In the order they were asked for.
    pub programs: Vec<PathBuf>,
    pub libraries: Vec<PathBuf>,
}

/// The oldest release whose programs run on every machine that the engines run on.
const RELEASE: &str = "bookworm";

/// Finds or fetches the programs `names` of the Debian package `package`; what it takes to run them is the caller's
/// affair, as `newuidmap`'s being owned by root with setuid on.
///
/// # Errors
/// They are not on PATH, and [`Debian::package`] fails or has no program of that name.
pub fn tools(package: &str, names: &[&str], cache: &Path, progress: Progress) -> Result<Tools, EngineError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found: Vec<PathBuf> = names
        .iter()
        .filter_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file()))
        .collect();
    if found.len() == names.len() {
        return Ok(Tools { programs: found, libraries: Vec::new() });
    }
    let debian = Debian::new(cache, RELEASE, progress)?;
    let unpacked = debian.package(package, None)?;
    let place = |name: &&str| {
        let mut places = ["usr/bin", "usr/sbin"].map(|dir| unpacked.root.join(dir).join(name)).into_iter();
        places.find(|program| program.is_file()).ok_or_else(|| {
            let why = format!("the package {package} {} has no such file", unpacked.version);
            EngineError::fetch(format!("the program {name}"), why)
        })
    };
    let programs: Vec<PathBuf> = names.iter().map(place).collect::<Result<_, _>>()?;
    let supplied = libraries::supply(&programs, &[unpacked], &debian)?;
    let libraries = std::env::split_paths(&libraries::search_path(&supplied)).collect();
    Ok(Tools { programs, libraries })
}

impl Tools {
    /// The program of this name, ready to be given arguments; `None` where it was not asked for.
    pub fn command(&self, name: &str) -> Option<Command> {
        let program = self.programs.iter().find(|program| program.ends_with(name))?;
        let mut command = Command::new(program);
        if let Ok(libraries) = std::env::join_paths(&self.libraries)
            && !libraries.is_empty()
        {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_path_is_taken_from_there_and_needs_no_libraries() {
        let cache = tempfile::tempdir().unwrap();
        let tools = tools("coreutils", &["ls", "true"], cache.path(), &|_| {}).unwrap();
        assert!(tools.libraries.is_empty());
        assert!(tools.command("true").unwrap().status().unwrap().success());
        assert!(tools.command("rue").is_none());
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
