//! `samebuild race`: looks for an order of turns in which cleaning up deletes the image just built, and plays one again.
//! What is raced and what must hold is `samebuild-store`'s affair.

use anyhow::{Context as _, Result, bail};
use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget, Outcome};
use samebuild_store::model::Mode;
use samebuild_store::races::{self, RACES, Race as Row};
use samebuild_store::stage::Setting;
use samebuild_store::strategies::{self, Expected, STRATEGIES};
use samebuild_store::{report, schedule::Schedule};

use super::race_live;
use super::terminal::out;
use super::verbs::Race;
use crate::conform::Exit;

/// Runs the search or the replay. Exit 1: a promise was broken (or, for all races together, not as is known of them).
pub(crate) fn run(args: &Race) -> Result<Exit> {
    if let Some(path) = &args.replay {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let schedule: Schedule = text.parse().with_context(|| format!("read {}", path.display()))?;
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
    if let Some(exit) = race_live::run(args)? {
        return Ok(exit);
    }
    match &args.name {
        Some(name) => search(args, races::race(name)?),
        None => all(args),
    }
}

fn search(args: &Race, race: &'static Row) -> Result<Exit> {
    let outcome = explored(args, race, strategies::strategy(&args.strategy)?)?;
    out!("{}", report::text(&outcome).trim_end());
    Ok(if outcome.failures > 0 { Exit::Different } else { Exit::Same })
}

/// Every race with every strategy: what is known to lose images must be caught losing them, and nothing else.
fn all(args: &Race) -> Result<Exit> {
    let mut exit = Exit::Same;
    for race in RACES {
        out!("{}: {} ({})", race.id, race.about, race.origin);
        for strategy in STRATEGIES {
            let outcome = explored(args, race, strategy)?;
            let caught = outcome.failures > 0;
            let expected = strategy.expected == Expected::CaughtIn(race.id);
            let verdict = match (caught, expected) {
                (true, true) => "loses an image, as is known",
                (false, false) => "loses nothing",
                (true, false) => "LOSES AN IMAGE, which was not known",
                (false, true) => "WAS NOT CAUGHT, although it is known to lose images",
            };
            out!("\n{}: {}\n{verdict}", strategy.id, strategy.about);
            out!("{}", report::text(&outcome).trim_end());
            if caught != expected {
                exit = Exit::Different;
            }
        }
    }
    Ok(exit)
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
            bail!("find the engine `{name}`; there are {}", known.join(", "))
        }
    }
}

fn chooser(name: &str) -> Result<Kind> {
    const KINDS: [Kind; 4] =
        [Kind::Random, Kind::Pct { depth: 1 }, Kind::Pct { depth: 2 }, Kind::Pct { depth: 3 }];
    match KINDS.iter().find(|kind| kind.id() == name) {
        Some(kind) => Ok(*kind),
        None => bail!("find the chooser `{name}`; there are {}", KINDS.map(Kind::id).join(", ")),
    }
}
