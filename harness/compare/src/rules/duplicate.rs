//! The rule `duplicate`: a path that one layer names more often than the other. The last one counts, so the earlier ones are
//! bytes that nobody sees.

use super::{About, Findings, Rule, Severity};
use crate::options::Options;
use crate::pairing::Places;

pub(super) struct Duplicate;

impl Rule for Duplicate {
    fn about(&self) -> About {
        About {
            name: "duplicate",
            question: "Which paths does one layer name again?",
            severity: Severity::Reproducibility,
            prints: r#"again: file 0644 0:0 context 2 "y\n""#,
        }
    }

    fn places(&self, places: &Places<'_>, _: &Options, found: &mut Findings) {
        for lone in places.lone.iter().filter(|lone| lone.again) {
            let say = |text: &str| match text {
                "absent" => "not again".to_owned(),
                what => format!("again: {what}"),
            };
            found.say_of(places.place(&lone.at), say(&lone.left), say(&lone.right), lone.entries.clone());
        }
    }
}
