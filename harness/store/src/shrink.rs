//! Answers: what is the shortest schedule that still breaks the promise? Fewer old images first, then ddmin over
//! the turns (Zeller and Hildebrandt, 2002), then fewer changes from one actor to another.
//! What comes out is 1-minimal: leaving out any one turn loses the failure.

use crate::choosers::Kind;
use crate::explore::{Budget, Failure, ReplayError, played, run};
use crate::floor::Actor;
use crate::invariants::Invariant;
use crate::races::race;
use crate::stage::{self, Look, Setting, Stage};
use crate::strategies::{Row, strategy};

/// Schedules tried for each smaller number of old images.
const TRIES: u64 = 500;

/// The shortest failure found from `failure` that breaks the same invariant. It has no seed: nothing draws it.
pub fn shortest(failure: &Failure) -> Result<Failure, ReplayError> {
    let schedule = &failure.schedule;
    let row = strategy(&schedule.strategy)?;
    let invariant = failure.violated.invariant;
    let mut setting = Setting { race: race(&schedule.race)?, mode: schedule.mode, old: schedule.old };
    let mut turns = schedule.turns.clone();
    for old in 1..schedule.old {
        let smaller = Setting { old, ..setting };
        if let Some(found) = fails_somehow(&smaller, row, invariant) {
            (setting, turns) = (smaller, found);
            break;
        }
    }
    let breaks = |turns: &[Actor]| plays_to_breach(&setting, row, turns, invariant);
    if let Some(played) = breaks(&turns) {
        turns = fewer_changes(ddmin(played, &breaks), &breaks);
    }
    Ok(played(&setting, row, &turns).unwrap_or_else(|| failure.clone()))
}

/// A failing schedule of `setting`, if one turns up.
fn fails_somehow(setting: &Setting, row: &Row, invariant: Invariant) -> Option<Vec<Actor>> {
    (0..TRIES).find_map(|seed| {
        let budget = Budget::first_of(1);
        let found = run(setting, row, Kind::Pct { depth: 2 }, seed, budget).first_failing?;
        (found.violated.invariant == invariant).then_some(found.schedule.turns)
    })
}

/// Plays `turns`, leaving out those that cannot be taken, then lets the actors go on one after the other where
/// the invariant is one about ends. The turns up to the breach, when it is that of `invariant`.
fn plays_to_breach(
    setting: &Setting,
    row: &Row,
    turns: &[Actor],
    invariant: Invariant,
) -> Option<Vec<Actor>> {
    let to_the_end =
        matches!(invariant, Invariant::Inv2 | Invariant::Inv6 | Invariant::Inv9 | Invariant::Inv10);
    let mut next = turns.iter().copied();
    let mut choose = |enabled: u64, _: &Stage| {
        let wanted = next.by_ref().find(|actor| enabled & (1 << actor) != 0);
        wanted.or_else(|| to_the_end.then(|| u8::try_from(enabled.trailing_zeros()).unwrap_or(0)))
    };
    let run = stage::run(setting, row.strategy, setting.world(), Look::default(), &mut choose);
    let (violation, at) = run.violated?;
    (violation.invariant == invariant).then(|| run.turns[..at].to_vec())
}

type Breaks<'a> = &'a dyn Fn(&[Actor]) -> Option<Vec<Actor>>;

/// Leaves out ever smaller pieces as long as the rest still breaks.
fn ddmin(mut turns: Vec<Actor>, breaks: Breaks<'_>) -> Vec<Actor> {
    let mut piece = turns.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < turns.len() {
            let end = (at + piece).min(turns.len());
            let rest = [&turns[..at], &turns[end..]].concat();
            match breaks(&rest).filter(|played| played.len() < turns.len()) {
                Some(played) => {
                    turns = played;
                    shorter = true;
                }
                None => at = end,
            }
        }
        if piece > 1 {
            piece = piece.div_ceil(2);
        } else if !shorter {
            return turns;
        }
    }
}

/// Swaps neighbouring runs of turns as long as that joins runs of one actor.
fn fewer_changes(mut turns: Vec<Actor>, breaks: Breaks<'_>) -> Vec<Actor> {
    let changes = |turns: &[Actor]| turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
    'again: loop {
        let runs: Vec<&[Actor]> = turns.chunk_by(|left, right| left == right).collect();
        for at in 1..runs.len() {
            let mut swapped = runs.clone();
            swapped.swap(at - 1, at);
            let better = breaks(&swapped.concat())
                .filter(|played| played.len() <= turns.len() && changes(played) < changes(&turns));
            if let Some(better) = better {
                turns = better;
                continue 'again;
            }
        }
        return turns;
    }
}
