//! The rule `link`: the text of symbolic links, and which names are hard links of one file. In a layer that is what the
//! tar says; in the flattened file system, whom a name shares its inode with.

use std::io;

use samebuild_image::At;
use samebuild_image::golden::word;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;
use crate::side::Thing;

pub(super) struct Link;

impl Rule for Link {
    fn about(&self) -> About {
        About {
            name: "link",
            question: "Where does the symbolic link point, and which names are one file?",
            severity: Severity::Behaviour,
            prints: "hard link to /a",
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let (left, right) = (&both.left.thing, &both.right.thing);
        if let (Thing::Symlink(left), Thing::Symlink(right)) = (left, right) {
            return Ok((left != right).then(|| (word(left), word(right))));
        }
        // Which hostile tars have, and which is no file at all.
        let own = |thing: &Thing<'_>| matches!(thing, Thing::Hardlink(target) if *target == both.at);
        let itself = (own(left), own(right));
        let left = first_name(both.at, left, both.left_names);
        let right = first_name(both.at, right, both.right_names);
        let show = |name: &At, itself: bool| if itself { ITSELF.to_owned() } else { show(name, both.at) };
        let differ = left != right || itself.0 != itself.1;
        Ok(differ.then(|| (show(left, itself.0), show(right, itself.1))))
    }
}

const ITSELF: &str = "hard link to itself";

/// The other name of the file that a side of a row of this rule tells of, as the row shows it.
pub(crate) fn other_name(side: &str) -> Option<&str> {
    side.strip_prefix("hard link to ")
}

/// The name that stands for the file: another one where the tar says so, the first of several in a file system.
fn first_name<'t>(at: &'t At, thing: &'t Thing<'_>, names: &'t [At]) -> &'t At {
    match thing {
        Thing::Hardlink(target) => target,
        _ => names.first().unwrap_or(at),
    }
}

fn show(name: &At, at: &At) -> String {
    if name == at { "a file of its own".to_owned() } else { format!("hard link to {name}") }
}
