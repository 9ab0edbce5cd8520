//! The rule `diff_id`: the digest of a layer's tar, where both sides know it. It speaks only where no other rule sees
//! anything in the layer: then the tars spell the same entries differently (owner names, header format, padding).

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Places;

pub(super) struct DiffId;

impl Rule for DiffId {
    fn about(&self) -> About {
        About {
            name: "diff_id",
            question: "Do the tars differ in bytes although no entry differs?",
            severity: Severity::Reproducibility,
            prints: "sha256:e3b0…",
        }
    }

    fn places(&self, places: &Places<'_>, options: &Options, found: &mut Findings) {
        if let (Some(layer), (Some(left), Some(right)), true) = (places.layer, places.diff_ids, options.tar)
            && left != right
        {
            found.say(Where::Layer(layer), left.to_string(), right.to_string());
        }
    }
}
