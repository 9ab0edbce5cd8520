//! What races: each strategy in the model, under the same seeds everywhere. Cheap enough to be searched anew for the page.

use anyhow::Result;
use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget};
use samebuild_store::model::Mode;
use samebuild_store::races::race;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::STRATEGIES;

use super::table::table;

/// The race everything began with; `cargo xtask repro-race` runs them all.
const RACE: &str = "skaffold-9251";
const SCHEDULES: u64 = 200;

pub(super) fn section() -> Result<String> {
    let race = race(RACE)?;
    let mut rows = vec![["strategy", "what it does", "the image just built"].map(str::to_owned).to_vec()];
    for strategy in STRATEGIES {
        let setting = Setting { race, mode: Mode::Graphdriver, old: 2 };
        let outcome = explore::run(&setting, strategy, Kind::Random, 1, Budget::first_of(SCHEDULES));
        let found = match outcome.first_failing.as_ref().and_then(|failure| failure.found) {
            Some(found) => format!("is deleted: seed {}, schedule {}", found.seed, found.tries),
            None => format!("is not deleted in {SCHEDULES} schedules"),
        };
        rows.push(vec![strategy.id.to_owned(), strategy.about.to_owned(), found]);
    }
    Ok(format!(
        "## What races\n\n{RACE}: {} ({}). In the model, random turns, seeds from 1.\n\n{}",
        race.about,
        race.origin,
        table(&rows)
    ))
}
