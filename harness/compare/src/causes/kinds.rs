//! What an entry is, where a link leads, and which names are one file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Claim, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Kind;
pub(super) struct Device;
pub(super) struct LinkText;
pub(super) struct Carrier;
pub(super) struct Copied;

impl Cause for Kind {
    fn page(&self) -> &'static Page {
        &Page {
            id: "other-kind",
            title: "A path is another kind of file",
            severity: Severity::Behaviour,
            what: "One image has a file where the other has a link, a directory, a device.",
            how: "COPY went through a symbolic link in one builder and replaced it in another; a distribution merged /bin into /usr/bin.",
            fix: "COPY to where the link leads; ask `samebuild dialects --explain` which builder follows links.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let (left, right) = (word(row.sides().0), word(row.sides().1));
        (row.rule() == "kind" && left != right).then(|| format!("{left} on the left, {right} on the right"))
    }
}

impl Cause for Device {
    fn page(&self) -> &'static Page {
        &Page {
            id: "device-number",
            title: "Devices have other numbers",
            severity: Severity::Security,
            what: "A device file is another device: who may open it reaches something else.",
            how: "mknod in a RUN, or a tar from another machine.",
            fix: "Leave devices out of images: the runtime makes /dev.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "kind").then(String::new)
    }
}

/// The name that carries the content of the file at a row.
fn carrier(row: &Row<'_>, side: &str) -> String {
    side.strip_prefix("hard link to ").map_or_else(|| row.path(), str::to_owned)
}

fn is_about_names(row: Row<'_>) -> bool {
    let (left, right) = row.sides();
    let of = |text: &str| text == "a file of its own" || text.starts_with("hard link to ");
    of(left) && of(right)
}

impl Cause for LinkText {
    fn page(&self) -> &'static Page {
        &Page {
            id: "link-target",
            title: "Symbolic links lead elsewhere",
            severity: Severity::Behaviour,
            what: "The text of a link differs: absolute and relative, or with a path of the machine that built it.",
            how: "`ln -s` was given another path; an installer chose between alternatives.",
            fix: "Give the link a fixed, relative target.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "link" && !is_about_names(row)).then(String::new)
    }
}

impl Cause for Carrier {
    fn page(&self) -> &'static Page {
        &Page {
            id: "hard-link-carrier",
            title: "The same names are one file, written down by another of them",
            severity: Severity::Reproducibility,
            what: "In a tar one name of a file carries its content, and the others point to it. Which one does differs; the file systems are the same.",
            how: "Entries were written in another order.",
            fix: "Sort by name what writes the tar.",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let rows: Vec<&Row<'_>> =
            open.iter().filter(|row| row.rule() == "link" && is_about_names(**row)).collect();
        let groups = |of: &dyn Fn(&Row<'_>) -> String| {
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for row in &rows {
                let names = groups.entry(of(row)).or_default();
                names.extend([of(row), row.path()]);
            }
            groups
        };
        let left = |row: &Row<'_>| carrier(row, row.sides().0);
        let right = |row: &Row<'_>| carrier(row, row.sides().1);
        let (lefts, rights) = (groups(&left), groups(&right));
        let is_swapped =
            |row: &&&Row<'_>| row.is_covered() || lefts.get(&left(row)) == rights.get(&right(row));
        let rows: Vec<usize> = rows.iter().filter(is_swapped).map(|row| row.number).collect();
        if rows.is_empty() { Vec::new() } else { vec![Claim { rows, ..Claim::default() }] }
    }
}

impl Cause for Copied {
    fn page(&self) -> &'static Page {
        &Page {
            id: "hard-link-copied",
            title: "Names of one file became files of their own, or the reverse",
            severity: Severity::Behaviour,
            what: "Names that are one file in one image are several in the other: the image is bigger, and who writes to one no longer writes to all.",
            how: "COPY or ADD copies names one by one; a hard link to a file of a lower layer cannot be kept by some builders.",
            fix: "Make the links in the RUN that makes the file, or use symbolic links.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "link").then(String::new)
    }
}
