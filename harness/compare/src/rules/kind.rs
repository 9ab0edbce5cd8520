//! The rule `kind`: file, directory, symbolic link, device (with its numbers), fifo. Where kinds differ nothing else is
//! compared, so both entries are shown whole. A hard link is a name of a file: the rule `link`'s.

use std::io;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;

pub(super) struct Kind;

impl Rule for Kind {
    fn about(&self) -> About {
        About {
            name: "kind",
            question: "Is it a file, a directory, a link, a fifo, or which device?",
            severity: Severity::Behaviour,
            prints: "symlink 0777 0:0 context -> a",
        }
    }

    fn across_kinds(&self) -> bool {
        true
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let same = both.left.thing.same_kind(&both.right.thing);
        Ok((!same).then(|| (both.left.describe(), both.right.describe())))
    }
}
