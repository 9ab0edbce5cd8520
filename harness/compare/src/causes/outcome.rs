//! One side did not build, or both failed in different ways: nothing else can be said of them.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Outcome;

impl Cause for Outcome {
    fn page(&self) -> &'static Page {
        &Page {
            id: "build-failed",
            title: "A build failed, or failed otherwise",
            severity: Severity::Behaviour,
            what: "One side is an image and the other a failed build, or both failed at different places or for different reasons.",
            how: "One builder does not know a flag or an instruction, finds no file that COPY names, or a command in a RUN fails.",
            fix: "Build the side that failed alone and read its log; `samebuild dialects --explain` tells which decision of a builder it is.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        matches!(row.rule(), "outcome" | "failure").then(String::new)
    }
}
