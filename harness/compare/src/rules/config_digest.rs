//! The rule `config_digest`: what Docker calls the image's id. It speaks only where no other rule sees anything at all: then
//! the configurations spell the same differently, in the order of keys or in white space.

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct ConfigDigest;

impl Rule for ConfigDigest {
    fn about(&self) -> About {
        About {
            name: "config_digest",
            question: "Do the configurations differ in bytes although nothing in the images does?",
            severity: Severity::Cosmetic,
            prints: "sha256:e3b0…",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        let digests = sides.left.config_digest.zip(sides.right.config_digest);
        if let Some((left, right)) = digests.filter(|(left, right)| options.tar && left != right) {
            found.say(Where::Image, left.to_string(), right.to_string());
        }
    }
}
