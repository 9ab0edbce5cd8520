//! Answers: does a strategy survive a race? Tries schedules, each from a seed of its own, and keeps the first
//! that breaks a promise; plays a written schedule again. Leaves the words to `report`.

use std::ops::Range;

use crate::choosers::Kind;
use crate::invariants::{Cost, Violation};
use crate::model::World;
use crate::races::{UnknownRace, race};
use crate::schedule::Schedule;
use crate::stage::{self, Look, Run, Setting};
use crate::strategies::{self, UnknownStrategy};
use crate::timeline::Row;

/// What a search found. Schedule number n of a search has the seed `seed` + n.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Unless it ends at the first failure, the search is shared by so many threads. What it finds is the same.
    pub threads: usize,
}

impl Budget {
    /// Up to `schedules`, until one fails.
    pub fn first_of(schedules: u64) -> Budget {
        Budget { schedules, first_only: true, threads: 1 }
    }

    /// All of `schedules`, on two threads.
    pub fn all_of(schedules: u64) -> Budget {
        Budget { schedules, first_only: false, threads: 2 }
    }
}

/// Tries `budget` schedules of `setting` under the strategy of `row`.
pub fn run(setting: &Setting, row: &strategies::Row, kind: Kind, seed: u64, budget: Budget) -> Outcome {
    let turns = typical_turns(setting, row);
    let search = Search { setting, row, kind, seed, turns };
    let threads = if budget.first_only { 1 } else { (budget.threads as u64).max(1) };
    let share = budget.schedules.div_ceil(threads);
    let shares = (0..threads).map(|n| n * share..budget.schedules.min((n + 1) * share));
    let parts: Vec<Outcome> = std::thread::scope(|scope| {
        let search = &search;
        let running: Vec<_> =
            shares.map(|share| scope.spawn(move || search.part(share, budget.first_only))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    parts.into_iter().fold(search.nothing(), Outcome::and)
}

/// How many schedules it takes to catch a strategy: the median of `searches` searches whose seeds lie `most` apart, each
/// of at most `most` schedules. `None` when more than half find nothing.
pub fn median_tries(
    setting: &Setting,
    row: &strategies::Row,
    kind: Kind,
    searches: u64,
    most: u64,
) -> Option<u64> {
    let found = |search: u64| {
        let outcome = run(setting, row, kind, 1 + search * most, Budget::first_of(most));
        outcome.first_failing.map_or(u64::MAX, |_| outcome.schedules)
    };
    let mut tries: Vec<u64> = (0..searches).map(found).collect();
    tries.sort_unstable();
    tries.get(tries.len() / 2).copied().filter(|tries| *tries != u64::MAX)
}

/// Of the failures among `schedules` schedules the one that breaks the first invariant in their order, which says
/// most: a ready image that is gone, before a build that fails.
pub fn most_telling(
    setting: &Setting,
    row: &strategies::Row,
    kind: Kind,
    seed: u64,
    schedules: u64,
) -> Option<Failure> {
    let search = Search { setting, row, kind, seed, turns: typical_turns(setting, row) };
    let failures = (0..schedules).filter_map(|n| search.part(n..n + 1, true).first_failing);
    failures.min_by_key(|failure| failure.violated.invariant)
}

struct Search<'a> {
    setting: &'a Setting,
    row: &'a strategies::Row,
    kind: Kind,
    seed: u64,
    turns: usize,
}

impl Search<'_> {
    fn nothing(&self) -> Outcome {
        Outcome {
            race: self.setting.race.id.to_owned(),
            strategy: self.row.id.to_owned(),
            chooser: self.kind,
            seed: self.seed,
            schedules: 0,
            turns: 0,
            failures: 0,
            first_failing: None,
            cost: Cost::default(),
        }
    }

    /// Tries the schedules of these numbers.
    fn part(&self, numbers: Range<u64>, first_only: bool) -> Outcome {
        let world = self.setting.world();
        let mut outcome = self.nothing();
        for n in numbers {
            let run = self.one(n, &world);
            outcome.schedules += 1;
            outcome.turns += run.turns.len() as u64;
            let Some((_, at)) = run.violated else {
                outcome.cost.add(run.cost);
                continue;
            };
            outcome.failures += 1;
            if outcome.first_failing.is_none() {
                outcome.first_failing = self.failure(n, &run.turns[..at]);
            }
            if first_only {
                break;
            }
        }
        outcome
    }

    fn one(&self, n: u64, world: &World) -> Run {
        let actors = self.setting.race.cast.len();
        let mut chooser = self.kind.chooser(self.seed.wrapping_add(n), actors, self.turns);
        let mut choose = |enabled: u64, _: &stage::Stage| Some(chooser.choose(enabled));
        stage::run(self.setting, self.row.strategy, world.clone(), Look::default(), &mut choose)
    }

    /// The failure with its timeline.
    fn failure(&self, n: u64, turns: &[u8]) -> Option<Failure> {
        let found = Found { chooser: self.kind, seed: self.seed.wrapping_add(n), tries: n + 1 };
        played(self.setting, self.row, turns).map(|failure| Failure { found: Some(found), ..failure })
    }
}

impl Outcome {
    fn and(self, later: Outcome) -> Outcome {
        let mut cost = self.cost;
        cost.add(later.cost);
        Outcome {
            schedules: self.schedules + later.schedules,
            turns: self.turns + later.turns,
            failures: self.failures + later.failures,
            first_failing: self.first_failing.or(later.first_failing),
            cost,
            ..later
        }
    }
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
    play(&setting, row, &schedule.turns).map(|run| written(&setting, row, &schedule.turns, run))
}

/// The failure that `turns` lead to, with its timeline.
pub(crate) fn played(setting: &Setting, row: &strategies::Row, turns: &[u8]) -> Option<Failure> {
    play(setting, row, turns).ok().and_then(|run| written(setting, row, turns, run))
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

fn written(setting: &Setting, row: &strategies::Row, turns: &[u8], run: Run) -> Option<Failure> {
    let schedule = Schedule {
        race: setting.race.id.to_owned(),
        strategy: row.id.to_owned(),
        mode: setting.mode,
        old: setting.old,
        turns: turns.to_vec(),
    };
    let timeline = run.timeline;
    run.violated.map(|(violated, _)| Failure { found: None, schedule, violated, timeline })
}

/// How many turns a schedule has when everybody goes on as long as they can.
fn typical_turns(setting: &Setting, row: &strategies::Row) -> usize {
    let mut lowest = |enabled: u64, _: &stage::Stage| u8::try_from(enabled.trailing_zeros()).ok();
    stage::run(setting, row.strategy, setting.world(), Look::default(), &mut lowest).turns.len()
}
