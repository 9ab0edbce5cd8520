//! The programs of an engine: its packages unpacked, missing libraries beside them, every program tried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Progress;
use super::debian::{Debian, Package};
use super::error::EngineError;
use super::libraries;
use super::policy::EngineSpec;

/// What it takes to start an engine.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// With the revision the archive had when they were fetched.
    pub packages: Vec<Package>,
    /// Fetched because this machine lacks them.
    pub libraries: Vec<Package>,
    programs: BTreeMap<&'static str, PathBuf>,
}

impl Fetched {
    /// Where a program of the engine is: `dockerd`, `containerd`, `containerd-shim-runc-v2`, `runc`, and `docker` if
    /// a package has the client.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Path> {
        self.programs.get(name).map(PathBuf::as_path)
    }

    /// `PATH` for the daemon: the engine's own programs, then the machine's (iptables, mount helpers).
    #[must_use]
    pub fn search_path(&self) -> String {
        let dirs: BTreeSet<_> = self.programs.values().filter_map(|path| path.parent()).collect();
        let dirs = dirs.into_iter().map(|dir| dir.display().to_string());
        let machine = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        dirs.chain(machine.map(str::to_owned)).collect::<Vec<_>>().join(":")
    }

    /// `LD_LIBRARY_PATH` for the daemon; empty if the machine has everything.
    #[must_use]
    pub fn library_path(&self) -> String {
        libraries::search_path(&self.libraries)
    }
}

/// A program, the option that makes it say its version, and whether the engine cannot do without.
const PROGRAMS: [(&str, &str, bool); 6] = [
    ("dockerd", "--version", true),
    ("containerd", "--version", true),
    ("containerd-shim-runc-v2", "-v", true), // knows no --version
    ("runc", "--version", true),
    ("docker", "--version", false),
    ("docker-buildx", "version", false), // a plugin: it has a verb for it
];

/// Fetches what is not in the cache yet, and tries every program. Uses no network if all is there.
///
/// # Errors
/// [`EngineError::Fetch`]: see [`Debian::package`]; a package lacks a program, or a program does not run here.
pub fn fetch(spec: &EngineSpec, cache: &Path, progress: Progress) -> Result<Fetched, EngineError> {
    let mut by_release: BTreeMap<&str, Debian> = BTreeMap::new();
    // In the order of their names, so that two processes cannot wait for each other.
    let releases: BTreeSet<&str> =
        spec.packages.iter().map(|pin| pin.release.as_str()).chain([spec.libraries.as_str()]).collect();
    for release in releases {
        by_release.insert(release, Debian::new(cache, release, progress)?);
    }
    let debian = |release: &str| {
        by_release.get(release).ok_or_else(|| EngineError::fetch(release, "that release was not opened"))
    };
    let mut packages = Vec::new();
    for pin in &spec.packages {
        packages.push(debian(&pin.release)?.package(&pin.name, Some(&pin.upstream))?);
    }
    let programs = find_programs(spec, &packages)?;
    let paths: Vec<PathBuf> = programs.values().cloned().collect();
    let libraries = libraries::supply(&paths, &packages, debian(&spec.libraries)?)?;
    let fetched = Fetched { packages, libraries, programs };
    for (name, option, _) in PROGRAMS {
        if let Some(path) = fetched.program(name) {
            try_program(path, option, &fetched.library_path())?;
        }
    }
    Ok(fetched)
}

fn find_programs(
    spec: &EngineSpec,
    packages: &[Package],
) -> Result<BTreeMap<&'static str, PathBuf>, EngineError> {
    let mut programs = BTreeMap::new();
    for (name, _, needed) in PROGRAMS {
        let places = packages.iter().flat_map(|p| {
            ["usr/bin", "usr/sbin", "usr/libexec/docker/cli-plugins"].map(|dir| p.root.join(dir).join(name))
        });
        match places.into_iter().find(|path| path.is_file()) {
            Some(path) => drop(programs.insert(name, path)),
            None if needed => {
                let names: Vec<_> = packages.iter().map(|p| p.name.as_str()).collect();
                let why = format!("none of its packages ({}) has it", names.join(", "));
                return Err(EngineError::fetch(
                    format!("the program `{name}` of engine `{}`", spec.name),
                    why,
                ));
            }
            None => {}
        }
    }
    Ok(programs)
}

fn try_program(path: &Path, option: &str, library_path: &str) -> Result<(), EngineError> {
    let mut command = Command::new(path);
    command.arg(option).env("LC_ALL", "C");
    if !library_path.is_empty() {
        command.env("LD_LIBRARY_PATH", library_path);
    }
    let failed = |why: String| {
        EngineError::fetch(
            format!("a program that runs here: `{} {option}`", path.display()),
            format!("{why}; the packages may be for a newer C library than this machine's"),
        )
    };
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() || output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!(
            "{}: {}",
            output.status,
            said.lines().next().unwrap_or("it said nothing")
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_says_no_version_is_refused_by_name() {
        let error = try_program(Path::new("/bin/false"), "--version", "").unwrap_err().to_string();
        assert!(error.contains("/bin/false --version"), "{error}");
        let error = try_program(Path::new("/no/such/dockerd"), "--version", "").unwrap_err().to_string();
        assert!(error.contains("/no/such/dockerd"), "{error}");
        assert!(try_program(Path::new("/bin/sh"), "-c", "").is_err());
    }
}
