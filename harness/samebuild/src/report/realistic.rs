//! What `check` finds in realistic Dockerfiles: cause, line and fix, as they are written down and held by a test.

use std::path::Path;

use anyhow::Result;

use super::table::table;
use crate::factors::written;

pub(super) fn section(fixtures: &Path) -> Result<String> {
    let mut rows =
        vec![["case", "shown by", "line", "file", "cause", "fix, in a word"].map(str::to_owned).to_vec()];
    for (name, written) in written::read(fixtures)? {
        for found in written.found {
            rows.push(vec![
                format!("realistic/{name}"),
                found.factor,
                found.line.to_string(),
                found.at,
                found.cause,
                fix(&found.fix),
            ]);
        }
    }
    Ok(format!(
        "## Why realistic Dockerfiles are not the same twice\n\n\
         What `samebuild check` tells of them by buildkit@26.1, change by change (`nothing`: two builds are enough). A test holds \
         it against that, and applies the fixes: then nothing differs but what the checkout dates, and with `--timestamp` \
         nothing at all. `samebuild explain CAUSE` has the whole page.\n\n{}",
        table(&rows)
    ))
}

/// A part of a sentence: what is a command in it stays one.
fn fix(part: &str) -> String {
    let words = part.trim_matches(['`', '(', ')']);
    if words == part { words.to_owned() } else { format!("`{words}`") }
}
