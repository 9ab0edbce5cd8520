//! The rule `labels`: `config.Labels`, key by key. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Labels;

impl Rule for Labels {
    fn about(&self) -> About {
        About {
            name: "labels",
            question: "Which labels does the image carry?",
            severity: Severity::Cosmetic,
            prints: r#""version"="1""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Labels"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::by_key(sides, "Labels", found);
    }
}
