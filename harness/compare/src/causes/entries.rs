//! How a layer's tar is put together: parents, order, names that come twice.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Parents;
pub(super) struct Order;
pub(super) struct Duplicate;

impl Cause for Parents {
    fn page(&self) -> &'static Page {
        &Page {
            id: "parent-entries",
            title: "One layer lists directories that it does not change",
            severity: Severity::Reproducibility,
            what: "A directory that was there already stands in one layer and not in the other; the flattened file systems are the same.",
            how: "An overlay's upper directory has the parents of whatever changed, so builders that read it write them down; others write only what changed, or all parents up to the root.",
            fix: "Nothing has to be done for whoever runs the image. For equal digests, build both with one kind of builder.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let lone = row.lone()?;
        (row.layer().is_some() && row.is_covered() && lone.word == "dir")
            .then(|| format!("only the {} layer lists them", lone.side()))
    }
}

impl Cause for Order {
    fn page(&self) -> &'static Page {
        &Page {
            id: "entry-order",
            title: "The tars have their entries in another order",
            severity: Severity::Reproducibility,
            what: "Both layers have the same entries, but not in the same order, so that their digests differ. No file system shows it, unless a hard link comes before what it names.",
            how: "Entries were written as a directory lists them, or by several threads, or from a hash table.",
            fix: "Let whatever writes the tar sort by name: `tar --sort=name`, or a builder that walks in order.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "order").then(String::new)
    }
}

impl Cause for Duplicate {
    fn page(&self) -> &'static Page {
        &Page {
            id: "repeated-entry",
            title: "A tar has the same path twice",
            severity: Severity::Reproducibility,
            what: "One layer names a path more often than the other. The last entry counts, but not every tool agrees.",
            how: "`tar -r` appends what changed and leaves the old entry; two sources of one COPY bring the same name.",
            fix: "Make the tar anew instead of appending to it.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "duplicate").then(String::new)
    }
}
