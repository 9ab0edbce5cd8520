//! `samebuild race`: looks for an order of turns in which cleaning up deletes the image just built, and plays one again.
//! What is raced and what must hold is `samebuild-store`'s affair.

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget, Outcome};
use samebuild_store::model::Mode;
use samebuild_store::races::{self, Race as Row};
use samebuild_store::repro::{self, Effort, Trial};
use samebuild_store::stage::Setting;
use samebuild_store::strategies::{self, STRATEGIES};
use samebuild_store::{report, schedule::Schedule};

use super::race_records::{today, write};
use super::terminal::{Usage, out, say};
use super::verbs::Race;
use super::{race_found, race_live};
use crate::conform::Exit;
use crate::races::Record;

/// Runs the search or the replay. Exit 1: a promise was broken (or, for all strategies together, not as is known of
/// them).
pub(crate) fn run(args: &Race) -> Result<Exit> {
    if let Some(path) = &args.replay {
        let unreadable = |error: &dyn std::fmt::Display| Usage(format!("read {}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
        let schedule: Schedule = text.parse().map_err(|error| unreadable(&error))?;
        return match explore::replay(&schedule)? {
            Some(failure) => {
                out!("{}", report::failure(&failure).trim_end());
                Ok(Exit::Different)
            }
            None => {
                out!("the schedule breaks nothing");
                Ok(Exit::Same)
            }
        };
    }
    if args.how_soon {
        return race_found::run(args);
    }
    if let Some(exit) = race_live::run(args)? {
        return Ok(exit);
    }
    match &args.name {
        Some(name) => search(args, races::race(name)?),
        None => known(args),
    }
}

fn search(args: &Race, race: &'static Row) -> Result<Exit> {
    let outcome = explored(args, race, strategies::strategy(args.strategy())?)?;
    out!("{}", report::text(&outcome).trim_end());
    Ok(if outcome.failures > 0 { Exit::Different } else { Exit::Same })
}

/// As many are tried when nobody keeps the numbers: more teach little that the small model's every state does not.
const MOST: u64 = 2_000;

/// The failure to show when all is as expected: the bug that began it, at its shortest.
const SHOWN: (&str, &str) = ("skaffold-9251", "async-by-id");

/// Every strategy in the races that decide about it: what is known to lose images must be caught losing them, and what is
/// known to survive must. A strategy that is named must lose nothing.
fn known(args: &Race) -> Result<Exit> {
    let rows: Vec<_> = match args.named_strategy() {
        Some(name) => vec![strategies::strategy(name)?],
        None => STRATEGIES.iter().collect(),
    };
    let effort = Effort {
        seed: args.seed,
        old: args.old,
        schedules: if args.live.records() { args.schedules } else { args.schedules.min(MOST) },
        states: 1_000_000,
        threads: 2,
    };
    let mut trials = Vec::new();
    for row in rows {
        say(&format!("{}: {}", row.id, row.about));
        trials.extend(repro::strategy(row, effort));
    }
    let rows: Vec<[String; COLUMNS.len()]> = trials.iter().map(cells).collect();
    out!("{}", table(&rows));
    if args.live.records() {
        record(&trials, &rows)?;
    }
    let odd = trials.iter().find(|trial| !trial.as_expected());
    let is_shown = |trial: &&Trial| (trial.race, trial.strategy) == SHOWN;
    let failing = || trials.iter().find(|trial| trial.failures > 0);
    let shown = odd.filter(|trial| trial.failures > 0);
    let shown = shown.or_else(|| trials.iter().find(is_shown)).or_else(failing);
    if let Some(trial) = shown {
        out!("\n{}", report::trial(trial).trim_end());
    }
    let unexpected = trials.iter().filter(|trial| !trial.as_expected()).count();
    if unexpected > 0 {
        out!("{unexpected} of {} did not come out as is known of them", trials.len());
        return Ok(Exit::Different);
    }
    out!("all {} came out as is known of them", trials.len());
    let has_failed = args.named_strategy().is_some() && trials.iter().any(|trial| trial.failures > 0);
    Ok(if has_failed { Exit::Different } else { Exit::Same })
}

const COLUMNS: [&str; 10] = [
    "strategy",
    "race",
    "engine",
    "came out",
    "schedules",
    "states",
    "first failing seed",
    "shortest",
    "ready after",
    "rebuilt",
];

fn cells(trial: &Trial) -> [String; COLUMNS.len()] {
    let or_none = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let came_out = match (trial.failures > 0, trial.as_expected()) {
        (true, true) => "caught",
        (false, true) => "survived",
        (true, false) => "LOST",
        (false, false) => "NOT CAUGHT",
    };
    let seed = trial.first_failing.as_ref().and_then(|failure| failure.found);
    let shortest = trial.shortest.as_ref().map(|failure| failure.schedule.turns.len() as u64);
    [
        trial.strategy.to_owned(),
        trial.race.to_owned(),
        trial.mode.id().to_owned(),
        came_out.to_owned(),
        trial.schedules.to_string(),
        or_none(trial.states),
        seed.map_or("-".to_owned(), |found| format!("{} ({})", found.seed, found.chooser.id())),
        shortest.map_or("-".to_owned(), |turns| format!("{turns} turns")),
        trial.price.ready.map_or("no build".to_owned(), |turns| format!("{turns} turns")),
        trial.price.rebuilt.to_string(),
    ]
}

fn table(rows: &[[String; COLUMNS.len()]]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    table.add_rows(rows);
    table
}

/// The table and, of each that was caught, the shortest schedule: `--replay` takes it.
fn record(trials: &[Trial], rows: &[[String; COLUMNS.len()]]) -> Result<()> {
    let extra = ["what it breaks", "schedule"];
    let columns = COLUMNS.iter().chain(&extra).map(|&name| name.to_owned()).collect();
    let with_schedule = |(trial, cells): (&Trial, &[String; COLUMNS.len()])| {
        let shortest = trial.shortest.as_ref();
        let breaks = shortest.map_or("-".to_owned(), |failure| failure.violated.to_string());
        let schedule = shortest.map_or("-".to_owned(), |failure| failure.schedule.to_string());
        cells.iter().cloned().chain([breaks, schedule]).collect()
    };
    let record = Record {
        about: "every way of pruning in the races that decide about it, in the model; the shortest schedule of each that is caught"
            .to_owned(),
        when: today(),
        place: "the model".to_owned(),
        columns,
        rows: trials.iter().zip(rows).map(with_schedule).collect(),
    };
    write(&record, "race-model")
}

fn explored(args: &Race, race: &'static Row, strategy: &strategies::Row) -> Result<Outcome> {
    let setting = Setting { race, mode: mode(&args.engine)?, old: args.old };
    let budget = Budget::first_of(args.schedules);
    Ok(explore::run(&setting, strategy, chooser(&args.chooser)?, args.seed, budget))
}

fn mode(name: &str) -> Result<Mode> {
    match Mode::ALL.iter().find(|(id, _)| *id == name) {
        Some((_, mode)) => Ok(*mode),
        None => {
            let known: Vec<&str> = Mode::ALL.iter().map(|(id, _)| *id).collect();
            Err(Usage(format!("find the engine `{name}`; there are {}", known.join(", "))).into())
        }
    }
}

fn chooser(name: &str) -> Result<Kind> {
    match Kind::ALL.iter().find(|kind| kind.id() == name) {
        Some(kind) => Ok(*kind),
        None => {
            let known = Kind::ALL.map(Kind::id).join(", ");
            Err(Usage(format!("find the chooser `{name}`; there are {known}")).into())
        }
    }
}
