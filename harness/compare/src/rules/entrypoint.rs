//! The rule `entrypoint`: `config.Entrypoint`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Entrypoint;

impl Rule for Entrypoint {
    fn about(&self) -> About {
        About {
            name: "entrypoint",
            question: "What does the image run, whatever it is given?",
            severity: Severity::Behaviour,
            prints: r#"["/entry"]"#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Entrypoint"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "Entrypoint", found);
    }
}
