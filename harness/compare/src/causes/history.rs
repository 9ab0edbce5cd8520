//! What images say of how they were made.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Wording;
pub(super) struct Count;

impl Cause for Wording {
    fn page(&self) -> &'static Page {
        &Page {
            id: "history-wording",
            title: "The history words an instruction otherwise",
            severity: Severity::Cosmetic,
            what: "An entry of the history is worded otherwise, or has another comment or author. No program reads it.",
            how: "Each builder has its own words: `/bin/sh -c #(nop) COPY …` and `COPY … # buildkit`. Or the instructions differ, and other findings say in what.",
            fix: "None is needed; ignore it with `--ignore cause=history-wording`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let (left, right) = row.sides();
        (row.rule() == "history" && left != "absent" && right != "absent").then(String::new)
    }
}

impl Cause for Count {
    fn page(&self) -> &'static Page {
        &Page {
            id: "history-count",
            title: "The histories have different entries",
            severity: Severity::Cosmetic,
            what: "One image remembers an instruction that the other does not.",
            how: "Builders merge ENV and LABEL, leave out what made no layer, or the Dockerfiles differ.",
            fix: "None is needed where the layers are the same.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "history").then(String::new)
    }
}
