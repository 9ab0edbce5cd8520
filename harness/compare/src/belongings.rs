//! Which package a file is of, as far as the rows tell: from the lists that dpkg keeps and the data base of apk, where these differ
//! themselves, as they do when a package is another version or in one image only. Why that is so is the causes' question.

use std::collections::BTreeMap;

use samebuild_image::{At, Content, Kind};

use crate::difference::Difference;

/// Lists are read up to this size, in bytes.
const LIST: u64 = 2 << 20;
/// And no more of them than this.
const LISTS: usize = 2000;

/// Files of packages, and the versions of these.
#[derive(Debug, Default)]
pub(crate) struct Belongings {
    owners: BTreeMap<At, String>,
    versions: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl Belongings {
    pub(crate) fn of(rows: &[Difference]) -> Self {
        let mut all = Self::default();
        let lists = rows.iter().filter(|row| matches!(row.rule, "content" | "paths"));
        for (row, name) in lists.filter_map(|row| Some((row, list(row.at.path()?)?))).take(LISTS) {
            for (is_left, entry) in [(true, &row.entries.left), (false, &row.entries.right)] {
                let Some(Kind::File(content)) = entry.as_ref().map(|entry| &entry.kind) else { continue };
                let Some(text) = text(content) else { continue };
                match &name {
                    List::Files(package) => all.files(package, &text),
                    List::Packages => all.packages(&text, is_left),
                }
            }
        }
        all
    }

    /// The package that a file is of, with its versions: `hello 1.0 → 1.1`.
    pub(crate) fn package_of(&self, at: &At) -> Option<String> {
        let package = match list(at) {
            Some(List::Files(package)) => package,
            _ => self.owners.get(at)?,
        };
        Some(match self.versions.get(package) {
            Some((Some(left), Some(right))) if left != right => format!("{package} {left} → {right}"),
            Some((Some(one), None)) => format!("{package} {one}, only on the left"),
            Some((None, Some(one))) => format!("{package} {one}, only on the right"),
            _ => package.to_owned(),
        })
    }

    /// A list of dpkg's: paths, or digests and paths.
    fn files(&mut self, package: &str, text: &str) {
        for line in text.lines() {
            let path = line.split_once("  ").map_or(line, |(_, path)| path);
            self.owners.insert(At::clean(path.as_bytes()), package.to_owned());
        }
    }

    /// dpkg's or apk's data base.
    fn packages(&mut self, text: &str, is_left: bool) {
        let (mut package, mut dir) = (String::new(), String::new());
        for line in text.lines() {
            let field =
                |names: [&str; 2]| names.iter().find_map(|name| line.strip_prefix(name)).map(str::trim);
            if let Some(name) = field(["Package: ", "P:"]) {
                name.clone_into(&mut package);
            } else if let Some(version) = field(["Version: ", "V:"]) {
                let versions = self.versions.entry(package.clone()).or_default();
                let side = if is_left { &mut versions.0 } else { &mut versions.1 };
                *side = Some(version.to_owned());
            } else if let Some(name) = line.strip_prefix("F:") {
                name.clone_into(&mut dir);
            } else if let Some(name) = line.strip_prefix("R:") {
                self.owners.insert(At::clean(format!("{dir}/{name}").as_bytes()), package.clone());
            }
        }
    }
}

/// What a file lists.
enum List<'p> {
    /// The files of this package.
    Files(&'p str),
    Packages,
}

fn list(at: &At) -> Option<List<'_>> {
    let path = std::str::from_utf8(at.as_bytes()).ok()?;
    if ["var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/apk/db/installed"].contains(&path) {
        return Some(List::Packages);
    }
    let name = path.strip_prefix("var/lib/dpkg/info/")?;
    let name = name.strip_suffix(".list").or_else(|| name.strip_suffix(".md5sums"))?;
    // `libc6:amd64` is the package libc6.
    Some(List::Files(name.split_once(':').map_or(name, |(name, _)| name)))
}

fn text(content: &Content) -> Option<String> {
    let bytes = content.has_bytes().then(|| content.read_up_to(LIST).ok())???;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_package_whose_list_names_them() {
        let mut all = Belongings::default();
        all.packages("Package: hello\nVersion: 1.0\n\nPackage: b\nVersion: 2\n", true);
        all.packages("Package: hello\nVersion: 1.1\n", false);
        all.packages("P:apk-tools\nV:3-r0\nF:sbin\nR:apk\n", false);
        all.files("hello", "/.\n/usr\n/usr/bin/hello\n");
        all.files("hello", "d41d8cd98f00b204e9800998ecf8427e  usr/share/doc/hello/NEWS\n");
        let of = |path: &str| all.package_of(&At::from(path));
        assert_eq!(of("usr/bin/hello").as_deref(), Some("hello 1.0 → 1.1"));
        assert_eq!(of("usr/share/doc/hello/NEWS").as_deref(), Some("hello 1.0 → 1.1"));
        assert_eq!(of("sbin/apk").as_deref(), Some("apk-tools 3-r0, only on the right"));
        assert_eq!(of("var/lib/dpkg/info/b:amd64.list").as_deref(), Some("b 2, only on the left"));
        assert_eq!(of("usr/bin/other"), None);
    }
}
