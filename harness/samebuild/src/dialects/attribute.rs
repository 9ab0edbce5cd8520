//! Why do two dialects make two images of a case? The decisions that must be flipped in the left one for its image to be
//! the right one's, no fewer; and for each, what differs as long as it alone is not flipped.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use samebuild_builder::Dialect;
use samebuild_image::golden::Observation;

use super::differing;
use super::minimal::minimal;
use crate::builders::{Answer, Builder, Ground, Order};
use crate::cases::Case;
use crate::conform::check::differences;
use crate::conform::guarded;

/// What stands for the builder's version, which some configurations name; it is no decision.
pub const VERSION: &str = "engine-version";

/// A decision in which two dialects differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flip {
    /// `copy.setuid`, or [`VERSION`].
    pub decision: String,
    /// The left dialect's variant, and the right one's.
    pub left: String,
    pub right: String,
}

/// A flip that is needed, and what it is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    pub flip: Flip,
    /// How many differences each rule sees when all other flips are made and this one is not.
    pub rules: BTreeMap<String, usize>,
}

/// Why a case comes out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It does not.
    Same,
    Because(Vec<Because>),
    /// All flips together do not make the one image the other.
    Unexplained,
    /// One of the two cannot be built here, or takes too long for dozens of builds; the sentence says which.
    Unmet(String),
}

/// The flips that make `left` speak as `right` does.
pub fn delta(left: &Dialect, right: &Dialect) -> Vec<Flip> {
    let flip = |decision: String, left: &str, right: &str| Flip {
        decision,
        left: left.to_owned(),
        right: right.to_owned(),
    };
    let mut flips: Vec<Flip> =
        differing(left, right).iter().map(|(a, b)| flip(a.name(), a.variant, b.variant)).collect();
    if left.engine_version != right.engine_version {
        flips.push(flip(VERSION.to_owned(), left.engine_version, right.engine_version));
    }
    flips
}

/// `left` with these flips made.
fn flipped<'f>(
    left: &Dialect,
    right: &Dialect,
    flips: impl IntoIterator<Item = &'f Flip>,
) -> Result<Dialect> {
    let mut dialect = left.clone();
    for flip in flips {
        if flip.decision == VERSION {
            dialect.engine_version = right.engine_version;
        } else {
            dialect.set(&flip.decision, &flip.right)?;
        }
    }
    Ok(dialect)
}

/// Builds `case` as both dialects do, and attributes what differs.
///
/// # Errors
/// One of the two builds breaks, or images cannot be compared.
pub fn build_and_attribute(
    case: &Case,
    ground: &Ground,
    dialects: [&Dialect; 2],
    reference: &dyn Builder,
    hint: &BTreeSet<String>,
) -> Result<Why> {
    let own = |dialect: &Dialect| match build(case, ground, dialect, reference) {
        Answer::Ended(ended) => Ok(Ok(ended.observation)),
        Answer::Unmet(need) => Ok(Err(need)),
        Answer::Broken(why) => {
            Err(anyhow::Error::msg(why)).with_context(|| format!("build as {} does", dialect.id))
        }
    };
    let [left, right] = dialects;
    match (own(left)?, own(right)?) {
        (Ok(left), Ok(right)) => attribute(case, ground, dialects, [&left, &right], reference, hint),
        (Err(need), _) | (_, Err(need)) => Ok(Why::Unmet(need)),
    }
}

/// Attributes the divergence of `case` between two dialects, of which it was `seen` what each makes of it. `hint` names
/// decisions that were needed for the like of it. It takes dozens of builds.
///
/// # Errors
/// Images cannot be compared.
pub fn attribute(
    case: &Case,
    ground: &Ground,
    [left, right]: [&Dialect; 2],
    seen: [&Observation; 2],
    reference: &dyn Builder,
    hint: &BTreeSet<String>,
) -> Result<Why> {
    let [first, target] = seen;
    if differences(first, target, ground)?.is_empty() {
        return Ok(Why::Same);
    }
    let flips = delta(left, right);
    let hint: BTreeSet<usize> =
        (0..flips.len()).filter(|number| hint.contains(&flips[*number].decision)).collect();
    // What differs from the target with these flips made; `None` where a mixture nobody speaks cannot be built.
    let mut tried: BTreeMap<BTreeSet<usize>, Option<BTreeMap<String, usize>>> = BTreeMap::new();
    let mut missing = |set: &BTreeSet<usize>| -> Result<Option<BTreeMap<String, usize>>> {
        if let Some(known) = tried.get(set) {
            return Ok(known.clone());
        }
        let mixture = flipped(left, right, set.iter().map(|number| &flips[*number]))?;
        let rules = match build(case, ground, &mixture, reference) {
            Answer::Ended(ended) => {
                let mut rules = BTreeMap::new();
                for difference in differences(&ended.observation, target, ground)? {
                    *rules.entry(difference.rule.to_owned()).or_default() += 1;
                }
                Some(rules)
            }
            Answer::Unmet(_) | Answer::Broken(_) => None,
        };
        tried.insert(set.clone(), rules.clone());
        Ok(rules)
    };
    let needed = minimal(flips.len(), &hint, |set| {
        anyhow::Ok(missing(set)?.is_some_and(|differences| differences.is_empty()))
    })?;
    let Some(needed) = needed else { return Ok(Why::Unexplained) };
    let mut because = Vec::new();
    for number in &needed {
        let others = needed.iter().filter(|other| *other != number).copied().collect();
        let rules = missing(&others)?.unwrap_or_else(|| BTreeMap::from([("outcome".to_owned(), 1)]));
        because.push(Because { flip: flips[*number].clone(), rules });
    }
    Ok(Why::Because(because))
}

/// What a dialect makes of the case, be it one that nobody speaks.
fn build(case: &Case, ground: &Ground, dialect: &Dialect, reference: &dyn Builder) -> Answer {
    let order = Order { spoken: Some(dialect), ..Order::new(case, dialect.id, ground) };
    guarded(reference, &order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::dialect::{BUILDKIT_20_10, BUILDKIT_26_1, CLASSIC_20_10, CLASSIC_26_1, DIALECTS};

    #[test]
    fn all_flips_together_make_one_dialect_the_other() {
        for left in DIALECTS {
            for right in DIALECTS {
                let all = delta(left, right);
                let turned = flipped(left, right, &all).unwrap();
                assert_eq!(Dialect { id: right.id, about: right.about, ..turned }, *right, "{}", left.id);
            }
        }
    }

    #[test]
    fn the_owner_of_made_parents_is_found_to_be_why_and_a_hint_changes_nothing() {
        let checkout = crate::checkout::Checkout::at(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let cases = checkout.cases().unwrap();
        let case = cases.iter().find(|case| case.id.as_str() == "copy/chown").unwrap();
        let workshop =
            match crate::conform::Workshop::open(&[case], crate::scratch::Place::Memory, None, &|_| {}) {
                Ok(workshop) => workshop,
                Err(error) => return println!("not exercised: {error:#}"),
            };
        let means = workshop.means(None);
        let reference = crate::builders::open("reference", &means).unwrap();
        let ground = &workshop.grounds[&case.base];
        let why = |left, right, hint: &[&str]| {
            let hint = hint.iter().map(|name| (*name).to_owned()).collect();
            build_and_attribute(case, ground, [left, right], reference.as_ref(), &hint).unwrap()
        };
        let Why::Because(because) = why(&CLASSIC_20_10, &BUILDKIT_20_10, &[]) else { panic!("it differs") };
        let owner = because.iter().find(|because| because.flip.decision == "copy.directory_parents");
        let owner = owner.unwrap_or_else(|| panic!("{because:?}"));
        assert!(owner.rules.contains_key("owner"), "{owner:?}");
        assert!(because.iter().any(|because| because.rules.contains_key("history")), "{because:?}");
        assert_eq!(why(&CLASSIC_20_10, &BUILDKIT_20_10, &["history.text"]), Why::Because(because));
        assert_eq!(why(&CLASSIC_20_10, &CLASSIC_20_10, &[]), Why::Same);
        assert!(!matches!(why(&CLASSIC_26_1, &BUILDKIT_26_1, &[]), Why::Same | Why::Unexplained));
    }
}
