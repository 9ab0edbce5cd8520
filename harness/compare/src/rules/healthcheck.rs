//! The rule `healthcheck`: `config.Healthcheck`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Healthcheck;

impl Rule for Healthcheck {
    fn about(&self) -> About {
        About {
            name: "healthcheck",
            question: "How is a running container asked whether it is well?",
            severity: Severity::Behaviour,
            prints: r#"{"Test":["CMD","true"]}"#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Healthcheck"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "Healthcheck", found);
    }
}
