//! How a layer's tar is put together: parents and order.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Parents;
pub(super) struct Order;

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
