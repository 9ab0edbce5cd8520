//! The rule `annotations`: what a manifest is annotated with, a difference a key. Names are none of it: two images have two.

use std::collections::BTreeSet;

use samebuild_image::golden::compact_json;
use serde_json::Value;

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Annotations;

impl Rule for Annotations {
    fn about(&self) -> About {
        About {
            name: "annotations",
            question: "What is the manifest annotated with?",
            severity: Severity::Reproducibility,
            prints: r#""org.opencontainers.image.created"="2020-01-01T00:00:00Z""#,
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        let (Some(left), Some(right)) = (sides.left.manifest, sides.right.manifest) else { return };
        let (left, right) = (&left.annotations, &right.annotations);
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for key in keys.into_iter().filter(|key| left.get(*key) != right.get(*key)) {
            let name = compact_json(&Value::from(key.as_str()));
            let show = |value: Option<&String>| match value {
                None => format!("no {name}"),
                Some(value) => format!("{name}={}", compact_json(&Value::from(value.as_str()))),
            };
            found.say(Where::Image, show(left.get(key)), show(right.get(key)));
        }
    }
}
