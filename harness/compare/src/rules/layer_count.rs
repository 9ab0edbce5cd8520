//! The rule `layer_count`: how many layers, the base's included, and which have no counterpart. What those bring is not
//! said entry by entry: the flattened file system shows what is left of it.

use std::collections::BTreeSet;

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Sides;
use crate::side::Side;

pub(super) struct LayerCount;

impl Rule for LayerCount {
    fn about(&self) -> About {
        About {
            name: "layer_count",
            question: "How many layers are there, and which have no counterpart?",
            severity: Severity::Reproducibility,
            prints: "3 layers; alone: layer 2 (0 entries)",
        }
    }

    fn images(&self, sides: &Sides<'_, '_>, options: &Options, found: &mut Findings) {
        let count = |side: &Side<'_>| (side.below, side.layers.len());
        if options.layers && count(sides.left) != count(sides.right) {
            let left = show(sides.left, sides.layers.iter().map(|pair| pair.0).collect());
            let right = show(sides.right, sides.layers.iter().map(|pair| pair.1).collect());
            found.say(Where::Image, left, right);
        }
    }
}

fn show(side: &Side<'_>, paired: BTreeSet<usize>) -> String {
    let plural = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let mut text = plural(side.layers.len(), "layer", "layers");
    if side.below > 0 {
        text.push_str(&format!(" on {} of the base", side.below));
    }
    let alone: Vec<String> = (0..side.layers.len())
        .filter(|n| !paired.contains(n))
        .map(|n| format!("layer {} ({})", n + 1, plural(side.layers[n].count, "entry", "entries")))
        .collect();
    if !alone.is_empty() {
        text.push_str(&format!("; alone: {}", alone.join(", ")));
    }
    text
}
