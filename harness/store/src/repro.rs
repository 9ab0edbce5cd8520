//! Answers: is every faulty strategy caught, and do the others survive? The run behind `cargo xtask repro-race`:
//! each strategy in the races that its row and `RACES` name, on both engines in memory.
//! Leaves real engines, records and the table's looks to the rim.

use crate::choosers::Kind;
use crate::exhaust;
use crate::explore::{self, Budget, Failure};
use crate::model::Mode;
use crate::price::{Price, price};
use crate::races::{RACES, Race, race};
use crate::shrink;
use crate::stage::Setting;
use crate::strategies::{Expected, Row};

/// The choosers, in this order.
const KINDS: [Kind; 2] = [Kind::Pct { depth: 2 }, Kind::Random];

/// Schedules among which the failure to show is chosen.
const TELLING: u64 = 300;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub seed: u64,
    /// Older images in the races that take a number of them.
    pub old: u8,
    /// Schedules of each chooser for a strategy that is to survive; most schedules until one that is faulty fails.
    pub schedules: u64,
    /// Most states of an exhaustive search; 0 for none. It takes at most 2 old images.
    pub states: u64,
    pub threads: usize,
}

/// What came out for one strategy in one race on one engine.
#[derive(Clone, Debug)]
pub struct Trial {
    pub strategy: &'static str,
    pub race: &'static str,
    pub mode: Mode,
    /// Whether the strategy is expected to survive here.
    pub survives: bool,
    pub schedules: u64,
    pub failures: u64,
    /// States of the exhaustive search, if one was made and reached its end.
    pub states: Option<u64>,
    pub first_failing: Option<Failure>,
    /// The most telling failure, shrunk: it may break another invariant than the first.
    pub shortest: Option<Failure>,
    pub price: Price,
}

impl Trial {
    /// Whether it came out as expected.
    pub fn as_expected(&self) -> bool {
        self.survives == (self.failures == 0)
    }
}

/// Tries `row` in the races where it is known what becomes of it.
pub fn strategy(row: &'static Row, effort: Effort) -> Vec<Trial> {
    let races = match row.expected {
        Expected::CaughtIn(id) => race(id).into_iter().collect(),
        Expected::Survives => {
            RACES.iter().filter(|race| race.survivors.contains(&row.id)).collect::<Vec<_>>()
        }
    };
    let settings = races
        .into_iter()
        .flat_map(|race: &'static Race| Mode::ALL.map(|(_, mode)| Setting { race, mode, old: effort.old }));
    settings.map(|setting| trial(&setting, row, effort)).collect()
}

/// Tries `row` in one setting: random, then PCT, then exhaustively.
pub fn trial(setting: &Setting, row: &'static Row, effort: Effort) -> Trial {
    let survives = setting.race.survivors.contains(&row.id);
    let mut trial = Trial {
        strategy: row.id,
        race: setting.race.id,
        mode: setting.mode,
        survives,
        schedules: 0,
        failures: 0,
        states: None,
        first_failing: None,
        shortest: None,
        price: price(setting, row),
    };
    let budget = Budget { schedules: effort.schedules, first_only: !survives, threads: effort.threads };
    for kind in KINDS {
        if trial.failures > 0 && !survives {
            break;
        }
        let outcome = explore::run(setting, row, kind, effort.seed, budget);
        trial.schedules += outcome.schedules;
        trial.failures += outcome.failures;
        trial.first_failing = trial.first_failing.or(outcome.first_failing);
    }
    if survives && effort.states > 0 {
        let small = Setting { old: setting.old.min(2), ..*setting };
        let found = exhaust::run(&small, row, effort.states);
        trial.states = found.complete.then_some(found.states);
        trial.failures += u64::from(found.failure.is_some());
        trial.first_failing = trial.first_failing.or(found.failure);
    }
    if trial.first_failing.is_some() {
        let telling = explore::most_telling(setting, row, KINDS[0], effort.seed, TELLING);
        let chosen = telling.as_ref().or(trial.first_failing.as_ref());
        trial.shortest = chosen.and_then(|failure| shrink::shortest(failure).ok());
    }
    trial
}
