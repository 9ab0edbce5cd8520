//! The rule `xattr`: extended attributes, name and value; `security.capability` is one.

use std::collections::BTreeMap;
use std::io;

use samebuild_image::golden::word;

use super::{About, Rule, Severity};
use crate::capability;
use crate::options::Options;
use crate::pairing::Both;

pub(super) struct Xattr;

impl Rule for Xattr {
    fn about(&self) -> About {
        About {
            name: "xattr",
            question: "Which extended attributes does it have, capabilities included?",
            severity: Severity::Security,
            prints: "user.origin=6869",
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let (left, right) = (&both.left.meta.xattrs, &both.right.meta.xattrs);
        Ok((left != right).then(|| (only(left, right), only(right, left))))
    }
}

const CAPABILITY: &[u8] = b"security.capability";

/// The attributes that are not the same in `other`.
fn only(attributes: &BTreeMap<Vec<u8>, Vec<u8>>, other: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let own: Vec<String> = attributes
        .iter()
        .filter(|(name, value)| other.get(*name) != Some(value))
        .map(|(name, value)| {
            let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            let read = if *name == CAPABILITY { capability::decode(value) } else { None };
            format!("{}={digits}{}", word(name), read.map_or_else(String::new, |read| format!("({read})")))
        })
        .collect();
    if own.is_empty() { "none".to_owned() } else { own.join(" ") }
}
