//! The rule `owner_name`: the names of owner and group that stand in the tar beside the numbers. No engine looks at them,
//! tools that unpack may; so they make another digest, and nothing else.

use std::io;

use samebuild_image::golden::word;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;
use crate::side::{Item, Origin};

pub(super) struct OwnerName;

impl Rule for OwnerName {
    fn about(&self) -> About {
        About {
            name: "owner_name",
            question: "Which names of owner and group does the tar have?",
            severity: Severity::Cosmetic,
            prints: "root:wheel",
        }
    }

    fn entry(&self, both: &Both<'_>, options: &Options) -> io::Result<Option<(String, String)>> {
        if !options.tar || !both.in_tar {
            return Ok(None);
        }
        // A record has no names: there is nothing to hold against each other.
        let (Some(left), Some(right)) = (names(both.left), names(both.right)) else { return Ok(None) };
        Ok((left != right).then(|| (show(left), show(right))))
    }
}

fn names<'i>(item: &'i Item<'_>) -> Option<(&'i [u8], &'i [u8])> {
    match item.origin {
        Origin::Elsewhere | Origin::Implied => None,
        Origin::Entry(entry) => Some((&entry.uname, &entry.gname)),
        Origin::Shared(entry) => Some((&entry.uname, &entry.gname)),
    }
}

fn show((user, group): (&[u8], &[u8])) -> String {
    format!("{}:{}", word(user), word(group))
}
