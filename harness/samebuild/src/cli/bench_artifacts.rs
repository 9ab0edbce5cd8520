//! `samebuild bench artifacts`: what looking for many artifacts costs, as a table.

use anyhow::{Context as _, Result};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::bench::{load, warn_of_debug};
use super::race_records::today;
use super::terminal::{out, say};
use crate::bench::artifacts;
use crate::bench::table::Verdict;
use crate::checkout::Checkout;
use crate::conform::{Exit, place_words};
use crate::files;
use crate::races::Record;

/// How many artifacts are looked for, how often.
#[derive(Debug, Args)]
pub(crate) struct Lookups {
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    artifacts: u16,
    /// Files of 4 kB in each context.
    #[arg(long, default_value_t = 100)]
    files: u16,
    /// How many rounds; medians are of so many.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    times: u16,
    /// Write what was measured to records/ (in a checkout).
    #[arg(long, conflicts_with_all = ["artifacts", "files"])]
    record: bool,
}

pub(crate) fn run(args: &Lookups) -> Result<Exit> {
    warn_of_debug(args.record)?;
    let place = format!("{}, load {}", place_words(None)?, load());
    let work = tempfile::tempdir().context("make room for artifacts")?;
    let size = artifacts::Size { artifacts: args.artifacts.into(), files: args.files.into() };
    let found = artifacts::run(size, args.times.into(), work.path(), &say)?;
    let record = Record {
        about: format!(
            "finding out what of many artifacts has to be built, beside sha256sum of all files, medians of {}",
            args.times
        ),
        when: today(),
        place,
        columns: artifacts::COLUMNS.map(str::to_owned).to_vec(),
        rows: found.iter().map(|(cells, _)| cells.to_vec()).collect(),
    };
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(&record.columns);
    table.add_rows(&record.rows);
    out!("{}", table.trim_fmt());
    if args.record {
        let path = Checkout::find()?.records().join("bench-artifacts.json");
        files::write(&path, format!("{}\n", serde_json::to_string_pretty(&record)?).as_bytes())?;
        say(&format!("{} written", path.display()));
    }
    let lost = found.iter().any(|(_, verdict)| *verdict == Verdict::NotMet);
    Ok(if lost { Exit::Different } else { Exit::Same })
}
