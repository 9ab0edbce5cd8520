//! Caches: what tools keep so that they are faster next time, which in an image there is not.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct LinkerCache;
pub(super) struct PackageLists;
pub(super) struct DerivedCache;

impl Cause for LinkerCache {
    fn page(&self) -> &'static Page {
        &Page {
            id: "ld-cache",
            title: "ldconfig's caches hold inode numbers, times, or the order of a directory",
            severity: Severity::Reproducibility,
            what: "`/var/cache/ldconfig/aux-cache` holds the inode number and change time of every library; `/etc/ld.so.cache` names them in an order.",
            how: "ldconfig runs when a library is installed, and both files depend on the file system it ran on.",
            fix: "`rm -f /var/cache/ldconfig/aux-cache` at the end of the same RUN; for `/etc/ld.so.cache`, run `ldconfig -X` once more when all libraries are in place.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        match &*row.path() {
            "/var/cache/ldconfig/aux-cache" => {
                Some(Said::this("the auxiliary cache, with inode numbers and times"))
            }
            "/etc/ld.so.cache" => Some(Said::this("the cache of libraries")),
            _ => None,
        }
    }
}

impl Cause for PackageLists {
    fn page(&self) -> &'static Page {
        &Page {
            id: "package-lists",
            title: "Lists and caches of a package manager are in the image",
            severity: Severity::Reproducibility,
            what: "What a mirror offered on the day of the build, and what was made of it; no program in the image needs it.",
            how: "`apt-get update` leaves lists in /var/lib/apt/lists and caches in /var/cache/apt; debconf and dpkg keep an `-old` of each file.",
            fix: "`rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old` in the same RUN, or a cache mount; for the same packages every time, a snapshot mirror.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        const DIRS: &[&str] = &[
            "/var/lib/apt/lists/",
            "/var/cache/apt/",
            "/var/cache/debconf/",
            "/var/cache/apk/",
            "/etc/apk/cache/",
            "/var/cache/yum/",
            "/var/cache/dnf/",
            "/var/cache/zypp/",
            "/var/cache/pacman/",
            "/var/lib/apt/extended_states",
        ];
        let path = row.path();
        let old = path.starts_with("/var/lib/dpkg/") && path.ends_with("-old");
        (old || DIRS.iter().any(|dir| path.starts_with(dir))).then(Said::nothing)
    }
}

impl Cause for DerivedCache {
    fn page(&self) -> &'static Page {
        &Page {
            id: "derived-cache",
            title: "A cache that a tool made of other files",
            severity: Severity::Reproducibility,
            what: "Fonts, icons, manual pages, MIME types, class data or downloads, indexed: it can be made again, and holds times or an order.",
            how: "A script of a package, or the tool itself, made it while building.",
            fix: "Delete it in the same RUN, keep it in a cache mount (`RUN --mount=type=cache`), or make it with SOURCE_DATE_EPOCH set where the tool knows it.",
        }
    }

    fn content(&self, _: &Scene<'_>, row: Row<'_>, _: Option<&Peek>) -> Option<Said> {
        const PARTS: &[&str] = &[
            "/fontconfig/",
            "/_cacache/",
            "/.cache/",
            "/var/cache/man/",
            "/var/lib/mlocate/",
            "/var/lib/systemd/catalog/",
            "/usr/share/mime/",
            "/.npm/",
            "/.cargo/registry/",
            "/.gradle/caches/",
            "/.m2/repository/",
            "/.composer/cache/",
        ];
        const ENDS: &[&str] = &[
            "/icon-theme.cache",
            "/mime.cache",
            "/mimeinfo.cache",
            "/gconv-modules.cache",
            "/giomodule.cache",
            "/loaders.cache",
            "/gschemas.compiled",
            ".jsa",
            "/hwdb.bin",
            "/immodules.cache",
        ];
        let path = row.path();
        let is_cache =
            PARTS.iter().any(|part| path.contains(part)) || ENDS.iter().any(|end| path.ends_with(end));
        is_cache.then(Said::nothing)
    }
}
