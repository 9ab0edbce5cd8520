//! Where a busybox comes from: the ways in their order, and what each of them said if none had one that fits.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use samebuild_image::Digest;

use super::elf;
use super::policy::BasePolicy;
use super::stored;
use crate::engines::{Debian, Progress};

/// What is asked for.
pub(super) struct Search<'a> {
    pub(super) policy: &'a BasePolicy,
    /// This base's place in the cache.
    pub(super) dir: &'a Path,
    /// The whole cache.
    pub(super) cache: &'a Path,
    pub(super) progress: Progress<'a>,
}

/// A busybox that fits.
pub(super) struct Found {
    pub(super) bytes: Arc<[u8]>,
    /// Where it came from, in words; kept in the cache with it.
    pub(super) from: String,
}

/// A way to come by a busybox.
pub(super) struct Way {
    /// In words, for messages.
    name: &'static str,
    take: fn(&Search) -> Result<Found, String>,
}

/// The ways, in the order they are tried.
pub(super) const WAYS: [Way; 4] = [
    Way { name: "the cache", take: from_cache },
    Way { name: "a static busybox on PATH", take: from_path },
    Way { name: "Debian's busybox-static, unpacked without installing", take: from_debian },
    Way { name: "busybox from a registry, by digest", take: from_registry },
];

/// A way that did not lead anywhere.
#[derive(Debug)]
pub struct Tried {
    pub way: &'static str,
    pub why: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.way, self.why)
    }
}

/// The first that fits, or what each way said.
pub(super) fn find(search: &Search) -> Result<Found, Vec<Tried>> {
    let mut tried = Vec::new();
    for way in &WAYS {
        match (way.take)(search) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(Tried { way: way.name, why }),
        }
    }
    Err(tried)
}

fn from_cache(search: &Search) -> Result<Found, String> {
    stored::busybox(search.dir)
}

fn from_path(search: &Search) -> Result<Found, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut reasons = Vec::new();
    for dir in std::env::split_paths(&path).filter(|dir| dir.is_absolute()) {
        let program = dir.join("busybox");
        if !program.is_file() {
            continue;
        }
        match fitting(&program, search) {
            Ok(bytes) => return Ok(Found { bytes, from: program.display().to_string() }),
            Err(why) => reasons.push(format!("{}: {why}", program.display())),
        }
    }
    Err(if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") })
}

fn from_debian(search: &Search) -> Result<Found, String> {
    let pin = &search.policy.package;
    let debian = Debian::new(search.cache, &pin.release, search.progress).map_err(|e| e.to_string())?;
    let package = debian.package(&pin.name, Some(&pin.upstream)).map_err(|e| e.to_string())?;
    let from = format!("Debian's {} {}", package.name, package.version);
    // Debian has moved it from /bin to /usr/bin with the release after 12.
    let program = ["bin/busybox", "usr/bin/busybox"].map(|place| package.root.join(place));
    let program = program
        .iter()
        .find(|program| program.is_file())
        .ok_or_else(|| format!("{from} has no busybox in it"))?;
    let bytes = fitting(program, search).map_err(|why| format!("{from}: {why}"))?;
    Ok(Found { bytes, from })
}

fn from_registry(_: &Search) -> Result<Found, String> {
    Err("not supported yet".to_owned())
}

/// The program's bytes, if it is static and has every applet.
fn fitting(program: &Path, search: &Search) -> Result<Arc<[u8]>, String> {
    let bytes = std::fs::read(program).map_err(|e| e.to_string())?;
    elf::is_static(&bytes)?;
    let listed = Command::new(program).arg("--list").output().map_err(|e| format!("it does not run: {e}"))?;
    if !listed.status.success() {
        return Err(format!("`--list` ended with {}", listed.status));
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    let has: BTreeSet<&str> = text.lines().map(str::trim).collect();
    let lacks: Vec<&str> =
        search.policy.applets.iter().map(String::as_str).filter(|applet| !has.contains(applet)).collect();
    if !lacks.is_empty() {
        let more = if lacks.len() > 5 { ", …" } else { "" };
        let first = lacks[..lacks.len().min(5)].join(", ");
        return Err(format!(
            "it lacks {} of {} applets: {first}{more}",
            lacks.len(),
            search.policy.applets.len()
        ));
    }
    Ok(bytes.into())
}

/// What the cache records about a busybox: one line of digest, one of where it came from.
pub(super) fn record(found: &Found) -> String {
    format!("{}\n{}\n", Digest::of(&found.bytes), found.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bases::{BaseError, Policy};

    #[test]
    fn when_no_way_leads_anywhere_each_says_why() {
        let tried: Vec<Tried> =
            WAYS.iter().map(|way| Tried { way: way.name, why: format!("no {}", way.name.len()) }).collect();
        let error = BaseError::NoBusybox { name: "busybox".to_owned(), tried }.to_string();
        for way in &WAYS {
            assert!(error.contains(way.name), "{error}");
        }
        assert!(error.contains("put a static busybox"), "{error}");
    }

    #[test]
    fn a_program_that_is_no_static_busybox_does_not_fit() {
        let policy = Policy::compiled_in().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("busybox");
        std::fs::write(&script, "#!/bin/sh\necho sh\n").unwrap();
        let search = Search {
            policy: policy.base("busybox").unwrap(),
            dir: dir.path(),
            cache: dir.path(),
            progress: &|_| {},
        };
        assert!(fitting(&script, &search).unwrap_err().contains("no ELF program"));
        let dynamic = fitting(Path::new("/proc/self/exe"), &search).unwrap_err();
        assert!(
            dynamic.contains("dynamically") || dynamic.contains("list") || dynamic.contains("lacks"),
            "{dynamic}"
        );
    }
}
