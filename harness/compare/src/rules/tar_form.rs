//! The rule `tar_form`: which formats the headers of a layer's tar have, and which extended records that say nothing about
//! the file: times of access, comments; and whether files are stored without the zeros in them. Said once a layer, with how many entries have it.

use std::collections::BTreeMap;

use samebuild_image::golden::word;
use samebuild_image::layer_walk::Forms;

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Places;

pub(super) struct TarForm;

impl Rule for TarForm {
    fn about(&self) -> About {
        About {
            name: "tar_form",
            question: "Which formats do the headers have, and which records that no engine reads?",
            severity: Severity::Cosmetic,
            prints: "4 ustar, 4 with comment",
        }
    }

    fn places(&self, places: &Places<'_>, options: &Options, found: &mut Findings) {
        let (Some(layer), (Some(left), Some(right)), true) = (places.layer, places.forms, options.tar) else {
            return;
        };
        // What one side has more entries of, it has more headers of: only what one side lacks is a form of its own.
        let lacks = |one: &Forms, other: &Forms| {
            one.formats.keys().any(|key| !other.formats.contains_key(key))
                || one.records.keys().any(|key| !other.records.contains_key(key))
                || (one.sparse > 0 && other.sparse == 0)
        };
        if lacks(left, right) || lacks(right, left) {
            found.say(Where::Layer(layer), show(left), show(right));
        }
    }
}

fn show(forms: &Forms) -> String {
    let formats = forms.formats.iter().map(|(name, count)| format!("{count} {name}"));
    let records: &BTreeMap<Vec<u8>, u64> = &forms.records;
    let records = records.iter().map(|(key, count)| format!("{count} with {}", word(key)));
    let sparse = (forms.sparse > 0).then(|| format!("{} stored sparse", forms.sparse));
    let all: Vec<String> = formats.chain(sparse).chain(records).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}
