//! What a package manager says is installed: other versions, or the same ones written down otherwise.

use std::collections::BTreeMap;

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Versions;
pub(super) struct Database;
pub(super) struct Files;

/// Packages that are named in a finding.
const NAMED: usize = 3;

impl Cause for Versions {
    fn page(&self) -> &'static Page {
        &Page {
            id: "package-drift",
            title: "Other versions of packages are installed",
            severity: Severity::Behaviour,
            what: "The lists of installed packages differ: another version, or a package that only one image has. Most other differences in files follow from it.",
            how: "The mirror moved on between the two builds, or `latest` did; a base image was updated.",
            fix: "Pin versions (`apt-get install hello=2.10-3`), pin the base by digest, or build from a snapshot of the archive (snapshot.debian.org, repro-sources-list.sh).",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let path = row.path();
        let (left, right) = peek.filter(|_| is_database(&path))?.texts()?;
        let (left, right) = (packages(left)?, packages(right)?);
        let mut said = Vec::new();
        for name in left.keys().chain(right.keys().filter(|name| !left.contains_key(*name))) {
            match (left.get(name), right.get(name)) {
                (Some(l), Some(r)) if l != r => said.push(format!("{name} {l} → {r}")),
                (Some(l), None) => said.push(format!("{name} {l} only on the left")),
                (None, Some(r)) => said.push(format!("{name} {r} only on the right")),
                _ => {}
            }
        }
        let more = said.len().saturating_sub(NAMED);
        said.truncate(NAMED);
        let tail = if more > 0 { format!(", and {more} more") } else { String::new() };
        (!said.is_empty()).then(|| Said::all(said.join(", ") + &tail))
    }
}

impl Cause for Database {
    fn page(&self) -> &'static Page {
        &Page {
            id: "package-database",
            title: "The list of installed packages is written down otherwise",
            severity: Severity::Reproducibility,
            what: "The same packages in the same versions, but in another order, with times of installation, or in pages of a data base that are never the same twice.",
            how: "Packages were unpacked in another order; rpm and apk note when; sqlite and Berkeley DB leave what was in memory.",
            fix: "Install in one transaction; `rpm --rebuilddb` with SOURCE_DATE_EPOCH; apk with SOURCE_DATE_EPOCH.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        is_database(&row.path()).then(Said::nothing)
    }
}

impl Cause for Files {
    fn page(&self) -> &'static Page {
        &Page {
            id: "package-files",
            title: "Files of a package differ, because the package does",
            severity: Severity::Behaviour,
            what: "A file that differs, or that one image has, is on the list of a package that itself is another version, another build, or in one image only. dpkg's lists and apk's data base say so.",
            how: "As `package-drift`: the mirror, the base image or a list of packages changed between the builds.",
            fix: "Pin the package (`apt-get install hello=2.10-3`, `apk add hello=2.10-r3`), or build from a snapshot of the archive; the files follow.",
        }
    }

    fn row(&self, scene: &Scene<'_>, row: Row<'_>) -> Option<String> {
        if !matches!(row.rule(), "content" | "paths" | "link" | "kind") || is_database(&row.path()) {
            return None;
        }
        scene.package_of(row.at()?)
    }
}

fn is_database(path: &str) -> bool {
    const FILES: &[&str] = &[
        "/var/lib/dpkg/status",
        "/lib/apk/db/installed",
        "/lib/apk/db/scripts.tar",
        "/usr/lib/apk/db/installed",
        "/lib/apk/db/triggers",
    ];
    const DIRS: &[&str] = &[
        "/var/lib/dpkg/status.d/",
        "/var/lib/rpm/",
        "/usr/lib/sysimage/rpm/",
        "/usr/share/rpm/",
        "/var/lib/dpkg/triggers/",
    ];
    FILES.contains(&path) || DIRS.iter().any(|dir| path.starts_with(dir))
}

/// Names and versions, of dpkg's or apk's list.
fn packages(text: &str) -> Option<BTreeMap<&str, &str>> {
    let mut found = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("Package: ").or_else(|| line.strip_prefix("P:")) {
            name = Some(value.trim());
        } else if let Some(value) = line.strip_prefix("Version: ").or_else(|| line.strip_prefix("V:")) {
            found.insert(name.take()?, value.trim());
        }
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_dpkg_and_apk_are_read() {
        let dpkg = packages("Package: a\nStatus: x\nVersion: 1\n\nPackage: b\nVersion: 2\n").unwrap();
        assert_eq!(dpkg, BTreeMap::from([("a", "1"), ("b", "2")]));
        assert_eq!(packages("P:a\nV:1-r0\n"), Some(BTreeMap::from([("a", "1-r0")])));
        assert_eq!(packages("nothing of the kind\nVersion: 1\n"), None);
    }
}
