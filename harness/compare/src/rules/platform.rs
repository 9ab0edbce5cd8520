//! The rule `platform`: which machines the image is for.

use super::{About, Findings, Rule, Severity, fields};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;

pub(super) struct Platform;

const FIELDS: &[&str] = &["architecture", "os", "os.features", "os.version", "variant"];

impl Rule for Platform {
    fn about(&self) -> About {
        About {
            name: "platform",
            question: "For which architecture and operating system is the image?",
            severity: Severity::Behaviour,
            prints: r#""amd64""#,
        }
    }

    fn top_fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn images(&self, sides: &Sides<'_, '_>, _: &Options, found: &mut Findings) {
        for name in FIELDS {
            let (left, right) =
                (fields::meaning(&sides.left.top, name), fields::meaning(&sides.right.top, name));
            if left != right {
                found.say(Where::Top((*name).to_owned()), fields::show(left), fields::show(right));
            }
        }
    }
}
