//! The rule `shell`: `config.Shell`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Shell;

impl Rule for Shell {
    fn about(&self) -> About {
        About {
            name: "shell",
            question: "Which shell do later builds use for RUN, CMD and ENTRYPOINT?",
            severity: Severity::Behaviour,
            prints: r#"["/bin/sh","-ec"]"#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["Shell"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "Shell", found);
    }
}
