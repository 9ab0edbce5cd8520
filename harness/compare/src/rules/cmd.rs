//! The rule `cmd`: `config.Cmd`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Cmd;

impl Rule for Cmd {
    fn about(&self) -> About {
        About {
            name: "cmd",
            question: "What does the image run, or pass to its entry point, by default?",
            severity: Severity::Behaviour,
            prints: r#"["sh"]"#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Cmd"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "Cmd", found);
    }
}
