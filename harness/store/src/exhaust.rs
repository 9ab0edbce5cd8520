//! Answers: does a strategy survive *every* order of turns of a small race? Depth-first over schedules; two
//! schedules that lead to the same state are one, so the search ends where the schedules would not.
//! Leaves the hash of a state to `stage`: every actor is taken to be a function of what it has seen.
//!
//! What it does not prove: anything about more actors or images than the race has.

use std::collections::HashSet;

use crate::explore::{Failure, played};
use crate::invariants::Cost;
use crate::stage::{self, Look, Setting, Stage};
use crate::strategies::Row;

/// What an exhaustive search found.
#[derive(Debug)]
pub struct Exhausted {
    pub states: u64,
    /// Runs from the start: the search keeps no state but the schedule.
    pub schedules: u64,
    /// Runs that went to their end; the others met a known state.
    pub ends: u64,
    pub longest: usize,
    pub failure: Option<Failure>,
    /// Whether every state was seen; `false` after a failure or when the bound on states was met.
    pub complete: bool,
    /// Summed over the runs that went to their end.
    pub cost: Cost,
}

/// Searches all schedules of `setting` under the strategy of `row`, up to `most_states` states, until one fails.
pub fn run(setting: &Setting, row: &Row, most_states: u64) -> Exhausted {
    let world = setting.world();
    let mut seen: HashSet<u64> = HashSet::new();
    // For each turn of the current schedule, whom it was given to and who is still to be tried.
    let mut path: Vec<(u8, u64)> = Vec::new();
    let mut found = Exhausted {
        states: 0,
        schedules: 0,
        ends: 0,
        longest: 0,
        failure: None,
        complete: false,
        cost: Cost::default(),
    };
    loop {
        let mut turn = 0;
        let mut known = false;
        let mut choose = |enabled: u64, stage: &Stage| {
            turn += 1;
            if let Some((actor, _)) = path.get(turn - 1) {
                return Some(*actor);
            }
            if !seen.insert(stage.state()) {
                known = true;
                return None;
            }
            let actor = u8::try_from(enabled.trailing_zeros()).ok()?;
            path.push((actor, enabled & (enabled - 1)));
            Some(actor)
        };
        let look = Look { tracing: false, hashing: true };
        let run = stage::run(setting, row.strategy, world.clone(), look, &mut choose);
        found.schedules += 1;
        found.states = seen.len() as u64;
        found.longest = found.longest.max(run.turns.len());
        if !known {
            found.ends += 1;
            found.cost.add(run.cost);
        }
        if let Some((_, at)) = run.violated {
            found.failure = played(setting, row, &run.turns[..at]);
            return found;
        }
        if found.states > most_states {
            return found;
        }
        if !next(&mut path) {
            found.complete = true;
            return found;
        }
    }
}

/// The next schedule that shares as much as possible with this one.
fn next(path: &mut Vec<(u8, u64)>) -> bool {
    while let Some((actor, rest)) = path.last_mut() {
        if *rest != 0 {
            *actor = u8::try_from(rest.trailing_zeros()).unwrap_or(0);
            *rest &= *rest - 1;
            return true;
        }
        path.pop();
    }
    false
}
