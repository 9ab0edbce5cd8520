//! Answers: does a strategy survive a race? Tries schedules, each from a seed of its own, and keeps the first
//! that breaks a promise; plays a written schedule again. Leaves the words to `report`.

use crate::choosers::Kind;
use crate::invariants::{Cost, Violation};
use crate::races::{UnknownRace, race};
use crate::schedule::Schedule;
use crate::stage::{self, Look, Run, Setting};
use crate::strategies::{self, UnknownStrategy};
use crate::timeline::Row;

/// What a search found. Schedule number n of a search has the seed `seed` + n.
#[derive(Debug)]
pub struct Outcome {
    pub race: String,
    pub strategy: String,
    pub chooser: Kind,
    pub seed: u64,
    pub schedules: u64,
    pub turns: u64,
    pub failures: u64,
    pub first_failing: Option<Failure>,
    /// Summed over the schedules that broke nothing.
    pub cost: Cost,
}

/// A schedule that breaks a promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// How it was found; none for a schedule that was given.
    pub found: Option<Found>,
    pub schedule: Schedule,
    pub violated: Violation,
    pub timeline: Vec<Row>,
}

/// How a failing schedule was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub chooser: Kind,
    pub seed: u64,
    /// Which schedule of the search it was, from 1.
    pub tries: u64,
}

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// At most so many schedules.
    pub schedules: u64,
    /// At the first failure.
    pub first_only: bool,
}

/// Tries `budget` schedules of `setting` under the strategy of `row`.
pub fn run(setting: &Setting, row: &strategies::Row, kind: Kind, seed: u64, budget: Budget) -> Outcome {
    let world = setting.world();
    let actors = setting.race.cast.len();
    let mut outcome = Outcome {
        race: setting.race.id.to_owned(),
        strategy: row.id.to_owned(),
        chooser: kind,
        seed,
        schedules: 0,
        turns: 0,
        failures: 0,
        first_failing: None,
        cost: Cost::default(),
    };
    let turns = typical_turns(setting, row);
    for n in 0..budget.schedules {
        let seed = seed.wrapping_add(n);
        let mut chooser = kind.chooser(seed, actors, turns);
        let mut choose = |enabled: u64, _: &stage::Stage| Some(chooser.choose(enabled));
        let run = stage::run(setting, row.strategy, world.clone(), Look::default(), &mut choose);
        outcome.schedules += 1;
        outcome.turns += run.turns.len() as u64;
        if run.violated.is_none() {
            outcome.cost.add(run.cost);
            continue;
        }
        outcome.failures += 1;
        if outcome.first_failing.is_none() {
            let schedule = written(setting, row, run.turns);
            let failure = replay(&schedule).ok().flatten();
            let found = Some(Found { chooser: kind, seed, tries: outcome.schedules });
            outcome.first_failing = failure.map(|failure| Failure { found, ..failure });
        }
        if budget.first_only {
            break;
        }
    }
    outcome
}

/// Why a schedule cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Race(#[from] UnknownRace),
    #[error(transparent)]
    Strategy(#[from] UnknownStrategy),
    #[error(
        "the schedule does not fit: actor {actor} cannot move at turn {turn}; it was made by another version, run the race again with its seed"
    )]
    DoesNotFit { turn: usize, actor: u8 },
}

/// Plays a schedule. `None` when it breaks nothing.
pub fn replay(schedule: &Schedule) -> Result<Option<Failure>, ReplayError> {
    let setting = Setting { race: race(&schedule.race)?, mode: schedule.mode, old: schedule.old };
    let row = strategies::strategy(&schedule.strategy)?;
    let run = play(&setting, row, &schedule.turns)?;
    Ok(run.violated.map(|(violated, _)| Failure {
        found: None,
        schedule: schedule.clone(),
        violated,
        timeline: run.timeline,
    }))
}

/// Plays exactly `turns`, with a timeline.
fn play(setting: &Setting, row: &strategies::Row, turns: &[u8]) -> Result<Run, ReplayError> {
    let mut next = turns.iter().copied().enumerate();
    let mut misfit = None;
    let mut choose = |enabled: u64, _: &stage::Stage| {
        let (turn, actor) = next.next()?;
        if enabled & (1 << actor) == 0 {
            misfit = Some(ReplayError::DoesNotFit { turn: turn + 1, actor });
            return None;
        }
        Some(actor)
    };
    let look = Look { tracing: true, hashing: false };
    let run = stage::run(setting, row.strategy, setting.world(), look, &mut choose);
    match misfit {
        Some(misfit) => Err(misfit),
        None => Ok(run),
    }
}

fn written(setting: &Setting, row: &strategies::Row, turns: Vec<u8>) -> Schedule {
    Schedule {
        race: setting.race.id.to_owned(),
        strategy: row.id.to_owned(),
        mode: setting.mode,
        old: setting.old,
        turns,
    }
}

/// How many turns a schedule has when everybody goes on as long as they can.
fn typical_turns(setting: &Setting, row: &strategies::Row) -> usize {
    let mut lowest = |enabled: u64, _: &stage::Stage| u8::try_from(enabled.trailing_zeros()).ok();
    stage::run(setting, row.strategy, setting.world(), Look::default(), &mut lowest).turns.len()
}
