//! Python's compiled files.

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Compiled;

impl Cause for Compiled {
    fn page(&self) -> &'static Page {
        &Page {
            id: "pyc-header",
            title: "A compiled Python file holds the time of its source",
            severity: Severity::Reproducibility,
            what: "Bytes 8 to 11 of a .pyc are the modification time of the .py, and bytes 12 to 15 its size (PEP 552). Where more differs, sets and interned strings were written in another order.",
            how: "A RUN imported or compiled modules, whose times are those of the checkout or of the build.",
            fix: "`PYTHONDONTWRITEBYTECODE=1` while building, or `python -m compileall --invalidation-mode=unchecked-hash`, with SOURCE_DATE_EPOCH set; `PYTHONHASHSEED=0` for the order of sets.",
        }
    }

    fn content(&self, scene: &Scene<'_>, row: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let path = row.path();
        if !path.ends_with(".pyc") && !path.ends_with(".pyo") {
            return None;
        }
        let Some(peek) = peek else { return Some(Said::all("not looked into")) };
        let time = |bytes: &[u8]| Some(i64::from(u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?)));
        let (left, right) = (time(&peek.left)?, time(&peek.right)?);
        let more = if peek.differs_only_within(8..12) { "" } else { ", and more than the header differs" };
        let source =
            scene.file_of_time(left, right).map(|path| format!(": the time of {path}")).unwrap_or_default();
        if left == right {
            return Some(Said::all("the header's time is the same, and the code differs"));
        }
        Some(Said::this(format!("the header's time is {left} and {right}{source}{more}")))
    }
}
