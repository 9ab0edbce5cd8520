//! The rule `outcome`: one side built, the other did not.

use samebuild_image::golden::{Outcome, text};

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;

pub(super) struct Outcomes;

impl Rule for Outcomes {
    fn about(&self) -> About {
        About {
            name: "outcome",
            question: "Did both build?",
            severity: Severity::Behaviour,
            prints: "failed: unknown-flag: Unknown flag: nope",
        }
    }

    fn outcomes(&self, left: &Outcome, right: &Outcome, found: &mut Findings) {
        let built = |outcome: &Outcome| matches!(outcome, Outcome::Built(_));
        if built(left) != built(right) {
            found.say(Where::Build, show(left), show(right));
        }
    }
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Built(_) => "built".to_owned(),
        Outcome::Failed(failure) => format!("failed: {}: {}", text(&failure.class), text(&failure.message)),
    }
}
