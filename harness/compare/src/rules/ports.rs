//! The rule `ports`: `config.ExposedPorts`, key by key. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Ports;

impl Rule for Ports {
    fn about(&self) -> About {
        About {
            name: "ports",
            question: "Which ports does the image say it listens on?",
            severity: Severity::Behaviour,
            prints: r#""80/tcp""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["ExposedPorts"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::by_key(sides, "ExposedPorts", found);
    }
}
