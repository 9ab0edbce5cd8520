//! The rule `volumes`: `config.Volumes`, key by key. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Volumes;

impl Rule for Volumes {
    fn about(&self) -> About {
        About {
            name: "volumes",
            question: "Which directories of a container are volumes?",
            severity: Severity::Behaviour,
            prints: r#""/data""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Volumes"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::by_key(sides, "Volumes", found);
    }
}
