//! The rule `mtime`: modification times. Named moments equal themselves: `now` is `now`, whatever the clocks said; `now` and a literal differ.

use std::io;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;

pub(super) struct Mtime;

impl Rule for Mtime {
    fn about(&self) -> About {
        About {
            name: "mtime",
            question: "When was it last modified, by the name of the moment or literally?",
            severity: Severity::Reproducibility,
            prints: r#"context"#,
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let (left, right) = (both.left.mtime, both.right.mtime);
        Ok((left != right).then(|| (left.to_string(), right.to_string())))
    }
}
