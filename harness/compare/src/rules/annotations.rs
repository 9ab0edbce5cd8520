//! The rule `annotations`: what manifest, index and descriptors are annotated with, a difference a key. Names are none of it:
//! two images have two.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_image::envelope::Listing;
use samebuild_image::golden::compact_json;
use serde_json::Value;

use super::{About, Findings, Rule, Severity};
use crate::difference::{LayerNumber, Where};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Annotations;

impl Rule for Annotations {
    fn about(&self) -> About {
        About {
            name: "annotations",
            question: "What are the manifest, its index and its layers annotated with?",
            severity: Severity::Reproducibility,
            prints: r#""org.opencontainers.image.created"="2020-01-01T00:00:00Z""#,
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        let (Some(left), Some(right)) = (sides.left.manifest, sides.right.manifest) else { return };
        let index = |listing: &'_ Listing| listing.index.clone().unwrap_or_default().own.annotations;
        let mut say = |what: &str, at: Where, left: &Annotated, right: &Annotated| {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys.into_iter().filter(|key| left.get(*key) != right.get(*key)) {
                let name = compact_json(&Value::from(key.as_str()));
                let show = |value: Option<&String>| match value {
                    None => format!("{what}no {name}"),
                    Some(value) => format!("{what}{name}={}", compact_json(&Value::from(value.as_str()))),
                };
                found.say(at.clone(), show(left.get(key)), show(right.get(key)));
            }
        };
        say("", Where::Image, &left.manifest.annotations, &right.manifest.annotations);
        say("config: ", Where::Image, &left.config.annotations, &right.config.annotations);
        say("index: ", Where::Image, &index(&left.listing), &index(&right.listing));
        let entries = (&left.listing.entry.annotations, &right.listing.entry.annotations);
        say("in the index: ", Where::Image, entries.0, entries.1);
        for pair in sides.layers.iter().filter(|_| options.layers && options.tar) {
            if let (Some(left), Some(right)) = (left.layers.get(pair.0), right.layers.get(pair.1)) {
                say("", Where::Layer(LayerNumber::of(*pair)), &left.annotations, &right.annotations);
            }
        }
    }
}

type Annotated = BTreeMap<String, String>;
