//! The rule `history`: what the image says about how it was made, entry by entry; `created` is the rule `created`'s.
//! Entries are paired from both ends, so that one that was put in does not shift the others.

use serde_json::{Map, Value};

use samebuild_image::golden::compact_json;

use super::{About, Findings, Rule, Severity, fields};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct History;

impl Rule for History {
    fn about(&self) -> About {
        About {
            name: "history",
            question: "What does the image say about how it was made?",
            severity: Severity::Cosmetic,
            prints: r#"created_by "RUN true""#,
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        for pair in &sides.history {
            let left = pair.0.map(|n| &*sides.left.history[n]);
            let right = pair.1.map(|n| &*sides.right.history[n]);
            let at = || Where::History(pair.0.or(pair.1).unwrap_or_default() + 1);
            match (left, right) {
                (Some(left), Some(right)) => compare(left, right, &at, found),
                (left, right) => found.say(at(), whole(left), whole(right)),
            }
        }
    }
}

fn compare(
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    at: &dyn Fn() -> Where,
    found: &mut Findings,
) {
    for (name, _, _) in fields::zip(left, right).filter(|(name, ..)| *name != "created") {
        let (left, right) = (fields::meaning(left, name), fields::meaning(right, name));
        if left != right {
            found.say(
                at(),
                format!("{name} {}", fields::show(left)),
                format!("{name} {}", fields::show(right)),
            );
        }
    }
}

fn whole(entry: Option<&Map<String, Value>>) -> String {
    entry.map_or_else(
        || fields::ABSENT.to_owned(),
        |entry| {
            let mut entry = entry.clone();
            entry.shift_remove("created");
            compact_json(&Value::Object(entry))
        },
    )
}
