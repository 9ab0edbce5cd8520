//! The same text, written otherwise: line ends, a byte order mark, another order of lines or keys.

use serde_json::Value;

use super::{Cause, Page, Said};
use crate::peek::Peek;
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct LineEnds;
pub(super) struct Reordered;

impl Cause for LineEnds {
    fn page(&self) -> &'static Page {
        &Page {
            id: "line-ends",
            title: "Only line ends or a byte order mark differ",
            severity: Severity::Behaviour,
            what: "One content ends its lines with CR LF, or begins with the bytes EF BB BF, the other does not. A script with `#!/bin/sh\\r` does not start.",
            how: "git checked the context out with `core.autocrlf`, or an editor saved it so.",
            fix: "A `.gitattributes` with `* text=auto eol=lf`; or `sed -i 's/\\r$//'` in the build.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let (left, right) = peek?.texts()?;
        let plain = |text: &str| text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        if plain(left) != plain(right) {
            return None;
        }
        let of = |text: &str| match (text.contains("\r\n"), text.starts_with('\u{feff}')) {
            (true, true) => "CR LF and a byte order mark",
            (true, false) => "CR LF",
            (false, true) => "a byte order mark",
            (false, false) => "LF",
        };
        Some(Said::all(format!("{} on the left, {} on the right", of(left), of(right))))
    }
}

impl Cause for Reordered {
    fn page(&self) -> &'static Page {
        &Page {
            id: "reordered",
            title: "The same lines or keys, in another order",
            severity: Severity::Reproducibility,
            what: "Both files hold the same lines, or the same JSON, in another order.",
            how: "A program wrote them as a directory, a hash table or threads had them; or sorted by another locale.",
            fix: "Sort: `find … | LC_ALL=C sort`, `ls` with LC_ALL=C, `jq -S`; look for an option like `--sort`.",
        }
    }

    fn content(&self, _: &Scene<'_>, _: Row<'_>, peek: Option<&Peek>) -> Option<Said> {
        let (left, right) = peek?.texts()?;
        let json = |text: &str| {
            serde_json::from_str::<Value>(text).ok().filter(|value| value.is_object() || value.is_array())
        };
        if let (Some(left), Some(right)) = (json(left), json(right))
            && left == right
        {
            return Some(Said::this("the same JSON"));
        }
        let sorted = |text: &str| -> Vec<String> {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (l, r) = (sorted(left), sorted(right));
        (l.len() > 1 && l == r && left.lines().ne(right.lines()))
            .then(|| Said::this(format!("{} lines", l.len())))
    }
}
