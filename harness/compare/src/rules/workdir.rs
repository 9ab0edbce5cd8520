//! The rule `workdir`: `config.WorkingDir`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Workdir;

impl Rule for Workdir {
    fn about(&self) -> About {
        About {
            name: "workdir",
            question: "Where does what the image runs start?",
            severity: Severity::Behaviour,
            prints: r#""/srv""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["WorkingDir"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "WorkingDir", found);
    }
}
