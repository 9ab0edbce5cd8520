//! `cargo xtask test`: all tests. Through the nextest on PATH, or a pinned one fetched into the cache, or `cargo test`
//! where neither can be had — and says which of them it was.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, anyhow};

use crate::shell::{Checkout, code_of, succeed};

/// The nextest fetched when there is none; any older one on PATH than `OLDEST` counts as none.
const PINNED: &str = "0.9.143";
const OLDEST: (u32, u32, u32) = (0, 9, 90);

pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    match nextest() {
        Ok(program) => {
            let mut nextest = checkout.cargo();
            // cargo finds its subcommand on PATH; ours may lie in the cache.
            if let Some(dir) = program.as_deref().and_then(Path::parent) {
                nextest.env("PATH", in_front(dir)?);
            }
            // nextest leaves out the examples in documentation; a choice of tests means those tests.
            let are_all = args.is_empty() || (args.len() == 2 && args[0] == "--profile");
            if are_all {
                succeed(checkout.cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
            }
            code_of(nextest.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(args))
        }
        Err(why) => {
            eprintln!("cargo-nextest cannot be had ({why:#}); running `cargo test` instead");
            code_of(checkout.cargo().args(["test", "--workspace", "--no-fail-fast"]).args(args))
        }
    }
}

/// `None`: the one on PATH. `Some`: this one.
fn nextest() -> Result<Option<PathBuf>> {
    if recent_enough(Path::new("cargo-nextest")) {
        return Ok(None);
    }
    let root = cache_dir()?.join(format!("nextest-{PINNED}"));
    let program = root.join("bin/cargo-nextest");
    if !recent_enough(&program) {
        fetch(&root)?;
    }
    Ok(Some(program))
}

fn recent_enough(program: &Path) -> bool {
    let Ok(out) = Command::new(program).args(["nextest", "--version"]).output() else { return false };
    version_in(&String::from_utf8_lossy(&out.stdout)).is_some_and(|version| version >= OLDEST)
}

/// The version in `cargo-nextest 0.9.143 (60fa45f63 2026-08-04)`.
fn version_in(text: &str) -> Option<(u32, u32, u32)> {
    let word = text.lines().next()?.split_whitespace().nth(1)?;
    let mut parts = word.split(['.', '-', '+']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn fetch(root: &Path) -> Result<()> {
    eprintln!("there is no recent cargo-nextest on PATH: fetching {PINNED} into {}", root.display());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut install = Command::new(cargo);
    install.args(["install", "--locked", "--version", PINNED, "--root"]).arg(root).arg("cargo-nextest");
    succeed(&mut install)
}

fn in_front(dir: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(dir.to_owned()).chain(std::env::split_paths(&path)))?)
}

/// The same place `samebuild` keeps fetched things in.
fn cache_dir() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("SAMEBUILD_CACHE")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|dir| dir.join("samebuild")))
        .or_else(|| absolute("HOME").map(|dir| dir.join(".cache/samebuild")))
        .ok_or_else(|| anyhow!("none of SAMEBUILD_CACHE, XDG_CACHE_HOME and HOME is an absolute path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_first_line() {
        assert_eq!(version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 1"), Some((0, 9, 143)));
        assert_eq!(version_in("cargo-nextest 0.9.99-rc.1"), Some((0, 9, 99)));
        assert_eq!(version_in("error: no such command"), None);
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn the_pinned_one_is_recent_enough() {
        assert!(version_in(&format!("cargo-nextest {PINNED}")).is_some_and(|pinned| pinned >= OLDEST));
    }
}
