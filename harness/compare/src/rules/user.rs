//! The rule `user`: `config.User`, as a whole. Absent, `null` and empty mean the same; `config_null` tells them apart.

use super::{About, Findings, Rule, Severity, fields};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct User;

impl Rule for User {
    fn about(&self) -> About {
        About {
            name: "user",
            question: "Who runs what the image runs?",
            severity: Severity::Security,
            prints: r#""app:appg""#,
        }
    }

    fn config_fields(&self) -> &'static [&'static str] {
        &["User"]
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        fields::whole(sides, "User", found);
    }
}
