//! The rule `content`: contents of regular files. That two names are one file is the rule `link`'s.

use std::io;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;
use crate::side::Thing;

pub(super) struct Content;

impl Rule for Content {
    fn about(&self) -> About {
        About {
            name: "content",
            question: "What is in the file?",
            severity: Severity::Behaviour,
            prints: r#"6 "hello\n""#,
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let (Thing::File(left), Thing::File(right)) = (&both.left.thing, &both.right.thing) else {
            return Ok(None);
        };
        if both.left.same_content(both.right)? {
            return Ok(None);
        }
        let (left, mut right) = (left.show(), right.show());
        if left == right {
            right.push_str(", other bytes");
        }
        Ok(Some((left, right)))
    }
}
