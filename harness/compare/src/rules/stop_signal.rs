//! The rule `stop_signal`: `config.StopSignal`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct StopSignal;

impl Rule for StopSignal {
    fn about(&self) -> About {
        About {
            name: "stop_signal",
            question: "Which signal stops a container?",
            severity: Severity::Behaviour,
            prints: r#""SIGTERM""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["StopSignal"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "StopSignal", found);
    }
}
