//! The rule `listing`: what the index around an image has beside it, and what index and manifest say of what they list beside
//! media type, digest and annotations: platform, URLs, kind of artifact, the image that is meant. A docker-archive has neither.

use std::collections::BTreeSet;

use samebuild_image::envelope::{Around, Described, Listing};
use samebuild_image::golden::compact_json;

use super::{About, Findings, Rule, Severity};
use crate::difference::{LayerNumber, Where};
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Listed;

impl Rule for Listed {
    fn about(&self) -> About {
        About {
            name: "listing",
            question: "What else does the index list, and how are the image and its parts described?",
            severity: Severity::Behaviour,
            prints: "index of linux/amd64, linux/arm64 and 2 attestations",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        let (Some(left), Some(right)) = (sides.left.manifest, sides.right.manifest) else { return };
        let both = (around(&left.listing), around(&right.listing));
        if both.0 != both.1 {
            found.say(Where::Image, both.0, both.1);
        }
        let own = |listing: &Listing| listing.index.clone().unwrap_or_default().own;
        let mut say = |what: &str, at: Where, left: &Described, right: &Described| {
            let keys: BTreeSet<&String> = left.fields.keys().chain(right.fields.keys()).collect();
            for key in keys.into_iter().filter(|key| left.fields.get(*key) != right.fields.get(*key)) {
                let show = |of: &Described| match of.fields.get(key) {
                    None => format!("{what}no {key}"),
                    Some(value) => format!("{what}{key} {}", compact_json(value)),
                };
                found.say(at.clone(), show(left), show(right));
            }
        };
        say("manifest: ", Where::Image, &left.manifest, &right.manifest);
        say("config: ", Where::Image, &left.config, &right.config);
        if left.listing.index.is_some() && right.listing.index.is_some() {
            say("index: ", Where::Image, &own(&left.listing), &own(&right.listing));
            say("in the index: ", Where::Image, &left.listing.entry, &right.listing.entry);
        }
        for pair in sides.layers.iter().filter(|_| options.layers && options.tar) {
            if let (Some(left), Some(right)) = (left.layers.get(pair.0), right.layers.get(pair.1)) {
                say("", Where::Layer(LayerNumber::of(*pair)), left, right);
            }
        }
    }
}

/// What an index has images of.
fn around(listing: &Listing) -> String {
    let Some(Around { platforms, attestations, .. }) = &listing.index else { return "no index".to_owned() };
    let more = match attestations {
        0 => String::new(),
        1 => " and 1 attestation".to_owned(),
        count => format!(" and {count} attestations"),
    };
    format!("index of {}{more}", platforms.join(", "))
}
