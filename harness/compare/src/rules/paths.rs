//! The rule `paths`: entries that only one side has. Nothing else is said about them: the other side is shown as absent.

use super::{About, Findings, Rule, Severity};
use crate::options::Options;
use crate::pairing::Places;

pub(super) struct Paths;

impl Rule for Paths {
    fn about(&self) -> About {
        About {
            name: "paths",
            question: "Which paths, whiteouts included, does only one side have?",
            severity: Severity::Behaviour,
            prints: r#"file 0644 0:0 context 2 "y\n""#,
        }
    }

    fn places(&self, places: &Places<'_>, _: &Options, found: &mut Findings) {
        for lone in places.lone.iter().filter(|lone| !lone.again) {
            found.say_of(places.place(&lone.at), lone.left.clone(), lone.right.clone(), lone.entries.clone());
        }
    }
}
