//! The dialects as knowledge: the table of decisions as text and as `docs/dialects.md`, what tells two dialects apart,
//! why a case comes out differently, and whether each decision is held by a case. What a decision does is `samebuild-builder`'s.

pub mod attribute;
pub mod attributions;
mod minimal;
pub mod mutate;
mod page;
mod reasons;

use samebuild_builder::Dialect;
use samebuild_builder::dialect::Choice;

pub use page::page;

/// The decisions in which two dialects differ: both choices, in the order of the table.
pub fn differing(left: &Dialect, right: &Dialect) -> Vec<(Choice, Choice)> {
    left.choices()
        .into_iter()
        .zip(right.choices())
        .filter(|(left, right)| left.variant != right.variant)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::dialect::{BUILDKIT_26_1, BUILDKIT_26_1_CONTAINERD, CLASSIC_20_10};

    #[test]
    fn the_two_stores_of_26_1_differ_in_how_layers_are_found_in_foreign_bases_and_in_link() {
        let names: Vec<String> = differing(&BUILDKIT_26_1, &BUILDKIT_26_1_CONTAINERD)
            .iter()
            .map(|(left, _)| left.name())
            .collect();
        assert_eq!(names, ["image.layer_form", "image.foreign_base", "image.link"]);
        assert!(differing(&CLASSIC_20_10, &CLASSIC_20_10).is_empty());
    }
}
