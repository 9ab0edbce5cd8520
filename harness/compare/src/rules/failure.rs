//! The rule `failure`: both builds failed, but at another instruction, on another line, or for another reason. A step or
//! line that one builder does not print is not compared. The class stands for the message; without one the messages do.

use samebuild_image::golden::{self, Outcome, UNCLASSIFIED, text};

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;

pub(super) struct Failure;

impl Rule for Failure {
    fn about(&self) -> About {
        About {
            name: "failure",
            question: "Did both fail at the same instruction, for the same reason?",
            severity: Severity::Behaviour,
            prints: "step 3",
        }
    }

    fn outcomes(&self, left: &Outcome, right: &Outcome, found: &mut Findings) {
        let (Outcome::Failed(left), Outcome::Failed(right)) = (left, right) else { return };
        for (name, left, right) in [("step", left.step, right.step), ("line", left.line, right.line)] {
            if let (Some(left), Some(right)) = (left, right)
                && left != right
            {
                found.say(Where::Build, format!("{name} {left}"), format!("{name} {right}"));
            }
        }
        let unclassified = left.class == UNCLASSIFIED || right.class == UNCLASSIFIED;
        if left.class != right.class || (unclassified && left.message != right.message) {
            found.say(Where::Build, show(left), show(right));
        }
    }
}

fn show(failure: &golden::Failure) -> String {
    format!("{}: {}", text(&failure.class), text(&failure.message))
}
