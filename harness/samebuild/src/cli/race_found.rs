//! `samebuild race --how-soon`: how many schedules each chooser takes to catch a strategy, by the number of old images, and
//! how many it tries a second. What a chooser does is `samebuild-store`'s affair.

use std::time::Instant;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget};
use samebuild_store::model::Mode;
use samebuild_store::races;
use samebuild_store::stage::Setting;
use samebuild_store::strategies;

use super::race_records::{today, write};
use super::terminal::out;
use super::verbs::Race;
use crate::conform::Exit;
use crate::races::Record;

const OLD: [u8; 7] = [1, 2, 3, 4, 5, 6, 20];
const SEARCHES: u64 = 100;
/// For the numbers a second.
const SPEED: u64 = 200_000;

pub(super) fn run(args: &Race) -> Result<Exit> {
    let race = races::race(args.name.as_deref().unwrap_or("skaffold-9251"))?;
    let row = strategies::strategy(args.strategy())?;
    let mut columns = vec!["engine".to_owned(), "chooser".to_owned()];
    columns.extend(OLD.map(|old| format!("{old} old")));
    columns.push(format!("schedules a second, {} old", args.old));
    let mut rows = Vec::new();
    for (id, mode) in Mode::ALL {
        for kind in Kind::ALL {
            let mut cells = vec![id.to_owned(), kind.id()];
            for old in OLD {
                let setting = Setting { race, mode, old };
                let median = explore::median_tries(&setting, row, kind, SEARCHES, args.schedules);
                cells.push(median.map_or(format!("over {}", args.schedules), |tries| tries.to_string()));
            }
            let began = Instant::now();
            let setting = Setting { race, mode, old: args.old };
            let outcome = explore::run(&setting, row, kind, args.seed, Budget::all_of(SPEED));
            cells.push(format!("{:.0}", outcome.schedules as f64 / began.elapsed().as_secs_f64()));
            rows.push(cells);
        }
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.clone());
    table.add_rows(rows.clone());
    out!("{table}");
    if args.live.records() {
        let about = format!(
            "how many schedules each chooser takes to catch {} in {}: the median of {SEARCHES} searches",
            row.id, race.id
        );
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let place = format!("the model, on two threads of {cores} cores");
        write(&Record { about, when: today(), place, columns, rows }, "race-choosers")?;
    }
    Ok(Exit::Same)
}
