//! The metamorphic claim: however a context, its arguments and its Dockerfile were edited, a build with the cache makes the
//! image that a build without makes: with honest times, with truncated ones, and with ones that stand still and nothing but
//! contents believed. With RUN, and on file systems that lag, it is `samebuild`'s tests' affair (`edited`).

use crate::play::{Belief, Kind, Shown, play, sequence};
use crate::project::LINES;
use crate::yard::Yard;

fn held(what: &str, shown: Shown, belief: Belief, share: u64) {
    let kind = Kind { share, shown, belief, ..Kind::new(what, &LINES, &Yard::new) };
    play(&kind).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn cached_is_cold_however_it_was_edited_with_honest_times() {
    held("sequences of edits, honest times", Shown::Honest, Belief::Stat, 1200);
}

#[test]
fn cached_is_cold_however_it_was_edited_with_truncated_times() {
    held("sequences of edits, times cut to 1 s", Shown::Truncated(1), Belief::Stat, 200);
    held("sequences of edits, times cut to 2 s", Shown::Truncated(2), Belief::Stat, 200);
}

#[test]
fn cached_is_cold_however_it_was_edited_with_frozen_times_and_nothing_believed() {
    let what = "sequences of edits, times that stand still, --rehash";
    held(what, Shown::Frozen, Belief::Nothing, 400);
}

/// The oracle can be wrong-footed: believed, a clock that stands still makes wrong hits. If this test fails, the others
/// prove nothing.
#[test]
fn a_frozen_clock_that_is_believed_makes_wrong_hits() {
    let kind = Kind { shown: Shown::Frozen, ..Kind::new("wrong hits", &LINES, &Yard::new) };
    let found = (0..200).any(|seed| sequence(seed, &kind).is_err());
    assert!(found, "200 sequences and no wrong hit");
}
