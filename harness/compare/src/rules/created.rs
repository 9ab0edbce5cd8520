//! The rule `created`: when the image and the entries of its history say they were made. The clock, unless somebody set
//! it; records have no such times, so it speaks of images only.

use serde_json::{Map, Value};

use super::{About, Findings, Rule, Severity, fields};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Created;

impl Rule for Created {
    fn about(&self) -> About {
        About {
            name: "created",
            question: "When does the image say it and its layers were made?",
            severity: Severity::Reproducibility,
            prints: r#""2020-01-01T00:00:00Z""#,
        }
    }

    fn top_fields(&self) -> &'static [&'static str] {
        &["created"]
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        if !options.clocks {
            return;
        }
        let mut compare = |at: Where, left: &Map<String, Value>, right: &Map<String, Value>| {
            let (left, right) = (fields::meaning(left, "created"), fields::meaning(right, "created"));
            if left != right {
                found.say(at, fields::show(left), fields::show(right));
            }
        };
        compare(Where::Top("created".to_owned()), &sides.left.top, &sides.right.top);
        for pair in &sides.history {
            if let (Some(left), Some(right)) = *pair {
                compare(Where::History(left + 1), &sides.left.history[left], &sides.right.history[right]);
            }
        }
    }
}
