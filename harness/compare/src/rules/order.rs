//! The rule `order`: the order of the entries that both layers have. Said once a layer, where it first differs, because
//! one entry that moved shifts all others.

use samebuild_image::At;

use super::{About, Findings, Rule, Severity};
use crate::difference::Where;
use crate::options::Options;
use crate::pairing::Places;

pub(super) struct Order;

impl Rule for Order {
    fn about(&self) -> About {
        About {
            name: "order",
            question: "In which order does the tar have the entries?",
            severity: Severity::Reproducibility,
            prints: "/a then /b",
        }
    }

    fn places(&self, places: &Places<'_>, options: &Options, found: &mut Findings) {
        let (Some(layer), true) = (places.layer, options.tar) else { return };
        let (left, right) = &places.order;
        let Some(first) = left.iter().zip(right).position(|(left, right)| left != right) else { return };
        found.say(Where::Layer(layer), show(left, first), show(right, first));
    }
}

/// What stands at `first`, and before it.
fn show(order: &[&At], first: usize) -> String {
    match first.checked_sub(1) {
        Some(before) => format!("{} then {}", order[before], order[first]),
        None => format!("{} first", order[first]),
    }
}
