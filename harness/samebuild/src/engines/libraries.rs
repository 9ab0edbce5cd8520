//! Shared libraries that an unpacked program needs and this machine lacks, fetched beside it.
//!
//! They reach only the processes that need them, by `LD_LIBRARY_PATH`. The C library is never one of them: a program
//! that needs a newer one than the machine's is reported, since a loader and its libc belong together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian::{Debian, Package};
use super::error::EngineError;

/// Where the multiarch libraries of a package are, below its root.
const LIBRARY_DIRS: [&str; 4] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib"];

/// Fetches what `programs` miss, and what that misses in turn, searching the dependencies of `packages`.
///
/// # Errors
/// No dependency has a library of the missing name, or a fetch failed.
pub(super) fn supply(
    programs: &[PathBuf],
    packages: &[Package],
    debian: &Debian,
) -> Result<Vec<Package>, EngineError> {
    let mut supplied: Vec<Package> = Vec::new();
    let mut tried = BTreeSet::new();
    loop {
        let missing = missing(programs, &search_path(&supplied))?;
        let Some(soname) = missing.first() else { return Ok(supplied) };
        let mut candidates: Vec<&String> = packages
            .iter()
            .chain(&supplied)
            .flat_map(|package| &package.depends)
            .filter(|name| name.starts_with("lib") && !tried.contains(*name))
            .collect();
        // The package that Debian's naming policy would give this soname first.
        candidates.sort_by_key(|name| !named_after(name, soname));
        candidates.dedup();
        let Some(name) = candidates.first() else {
            let why = "no package that the programs depend on has it; install it on this machine";
            return Err(EngineError::fetch(format!("the shared library {soname}"), why));
        };
        let name = (*name).clone();
        let package = debian.package(&name, None)?;
        tried.insert(name);
        supplied.push(package);
    }
}

/// The value of `LD_LIBRARY_PATH`, empty if there is nothing to add.
pub(super) fn search_path(packages: &[Package]) -> String {
    let dirs =
        packages.iter().flat_map(|p| LIBRARY_DIRS.map(|dir| p.root.join(dir))).filter(|dir| dir.is_dir());
    dirs.map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(":")
}

/// The sonames the loader does not find, sorted.
fn missing(programs: &[PathBuf], search: &str) -> Result<BTreeSet<String>, EngineError> {
    let mut all = BTreeSet::new();
    for program in programs {
        all.extend(not_found(&ldd(program, search)?));
    }
    Ok(all)
}

fn ldd(program: &Path, search: &str) -> Result<String, EngineError> {
    let mut command = Command::new("ldd");
    command.arg(program).env("LC_ALL", "C").env_remove("LD_LIBRARY_PATH").env_remove("LD_PRELOAD");
    if !search.is_empty() {
        command.env("LD_LIBRARY_PATH", search);
    }
    let output = command.output().map_err(|error| {
        EngineError::fetch(
            format!("the shared libraries of {}", program.display()),
            format!("`ldd`, which lists them, did not start: {error}; install libc-bin"),
        )
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lines such as `libdevmapper.so.1.02.1 => not found`.
fn not_found(listing: &str) -> Vec<String> {
    let line = |line: &str| line.trim().strip_suffix(" => not found").map(str::to_owned);
    listing.lines().filter_map(line).collect()
}

/// Debian's policy (8.1): `libfoo.so.2` is in libfoo2, `libfoo2.so.3` in libfoo2-3; `t64` may follow since trixie.
fn named_after(package: &str, soname: &str) -> bool {
    let Some((stem, version)) = soname.split_once(".so.") else { return false };
    let dash = if stem.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    package.strip_suffix("t64").unwrap_or(package) == format!("{stem}{dash}{version}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_loader_does_not_find_is_missing() {
        let listing = "\tlinux-vdso.so.1 (0x1)\n\tlibsystemd.so.0 => /lib/libsystemd.so.0 (0x2)\n\
                       \tlibdevmapper.so.1.02.1 => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        assert_eq!(not_found(listing), ["libdevmapper.so.1.02.1"]);
        assert!(not_found("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn a_soname_leads_to_the_package_named_after_it() {
        assert!(named_after("libdevmapper1.02.1", "libdevmapper.so.1.02.1"));
        assert!(named_after("libpcre2-8-0", "libpcre2-8.so.0"));
        assert!(named_after("libdb5-3t64", "libdb5.so.3"));
        assert!(!named_after("libsystemd0", "libdevmapper.so.1.02.1"));
    }

    #[test]
    fn a_program_of_this_machine_misses_nothing() {
        assert_eq!(missing(&["/bin/sh".into()], "").unwrap(), BTreeSet::new());
    }
}
