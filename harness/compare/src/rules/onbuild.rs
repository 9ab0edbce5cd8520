//! The rule `onbuild`: `config.OnBuild`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Onbuild;

impl Rule for Onbuild {
    fn about(&self) -> About {
        About {
            name: "onbuild",
            question: "What do builds on top of this image do first, and in which order?",
            severity: Severity::Behaviour,
            prints: r#"["RUN true"]"#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["OnBuild"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "OnBuild", found);
    }
}
