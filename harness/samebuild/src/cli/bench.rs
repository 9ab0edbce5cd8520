//! `samebuild bench build`, `bench cache` and `bench diff`: what builds and comparisons cost, ours beside others', as a table with a verdict for each goal. A benchmark is
//! a command, never a test: the machine decides it too.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use samebuild_compare::planted::SIZES;

use super::race_records::today;
use super::terminal::{Usage, out, say};
use super::verbs::Format;
use crate::bench::diff;
use crate::bench::table::{COLUMNS, Row, Run, Verdict, json, record};
use crate::bench::workloads::{REBUILDS, WORKLOADS, Workload, find};
use crate::bench::{self, Asked};
use crate::checkout::Checkout;
use crate::conform::{Exit, open_engine, place_words};
use crate::files;
use crate::races::Record;

/// Measures.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum What {
    /// Builds: the reference beside the builders of an engine, buildah (Debian's, fetched) and the kaniko executor that
    /// SAMEBUILD_KANIKO names. Exit 1: a goal is not met.
    Build(Builds),
    /// Comparisons of planted images, beside sha256sum of both files and what is on PATH; and what is found of what was
    /// planted. Exit 1: a goal is not met.
    Diff(Diffs),
    /// Builds of what was built before: nothing changed, one file, one of many. Exit 1: a goal is not met.
    Cache(Rebuilds),
    /// Finding out that nothing of many artifacts has to be built, beside sha256sum of all their files. Exit 1: the goal is
    /// not met.
    Artifacts(super::bench_artifacts::Lookups),
}

/// Which builds.
#[derive(Debug, Args)]
struct Builds {
    /// Only this workload. May be repeated.
    #[arg(long = "workload", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(WORKLOADS.iter().map(|workload| workload.id)))]
    workloads: Vec<String>,
    #[command(flatten)]
    rounds: Rounds,
}

/// Which rebuilds.
#[derive(Debug, Args)]
struct Rebuilds {
    /// Only this workload. May be repeated.
    #[arg(long = "workload", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(REBUILDS.iter().map(|workload| workload.id)))]
    workloads: Vec<String>,
    #[command(flatten)]
    rounds: Rounds,
}

/// Beside whom, how often, and where it is told.
#[derive(Debug, Args)]
struct Rounds {
    /// Whose builders are measured beside ours: a row of ci/engines.toml. Needs root.
    #[arg(long)]
    engine: Option<String>,
    /// How many rounds; medians are of so many.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    times: u16,
    /// Divide every size by N: to try the command, not to measure.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    smaller: u64,
    /// Write what was measured to records/ (in a checkout).
    #[arg(long, conflicts_with_all = ["smaller", "workloads"])]
    record: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What builds and rebuilds share.
struct Wish<'a> {
    verb: &'static str,
    what: &'static str,
    all: &'static [Workload],
    workloads: &'a [String],
    rounds: &'a Rounds,
}

/// How much is planted, how often it is compared.
#[derive(Debug, Args)]
struct Diffs {
    /// S: 1 layer, 100 files; M: 5 layers, 20,000 files, 330 MB a side; L: 10 layers, 100,000 files, 2.2 GB a side.
    #[arg(long, default_value = "M", value_parser = clap::builder::PossibleValuesParser::new(SIZES.iter().map(|size| size.name)))]
    size: String,
    /// How many rounds; medians are of so many.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    times: u16,
    /// Write what was measured to records/ (in a checkout).
    #[arg(long)]
    record: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Bench) -> Result<Exit> {
    match &args.what {
        What::Build(args) => builds(&Wish {
            verb: "build",
            what: "cold builds",
            all: WORKLOADS,
            workloads: &args.workloads,
            rounds: &args.rounds,
        }),
        What::Diff(args) => diffs(args),
        What::Artifacts(args) => super::bench_artifacts::run(args),
        What::Cache(args) => builds(&Wish {
            verb: "cache",
            what: "builds of what was built before",
            all: REBUILDS,
            workloads: &args.workloads,
            rounds: &args.rounds,
        }),
    }
}

/// Numbers of a debug build are never recorded.
pub(super) fn warn_of_debug(record: bool) -> Result<()> {
    if cfg!(debug_assertions) {
        if record {
            let why = "record what a debug build costs: it says nothing; use `cargo xtask bench … --record`";
            return Err(Usage(why.to_owned()).into());
        }
        say("this is a debug build, whose numbers say nothing; `cargo xtask bench …` makes a release build");
    }
    Ok(())
}

fn diffs(args: &Diffs) -> Result<Exit> {
    warn_of_debug(args.record)?;
    let size = SIZES.iter().find(|size| size.name == args.size).context("find that size")?;
    let place = format!("{}, load {}", place_words(None)?, load());
    let work = tempfile::tempdir().context("make room for planted images")?;
    let found = diff::run(size, args.times.into(), work.path(), &say)?;
    let rows: Vec<Vec<String>> = found.rows.iter().map(|(cells, _)| cells.to_vec()).collect();
    let record = Record {
        about: format!(
            "what comparing two planted images costs (size {}), beside sha256sum of both, medians of {}",
            size.name, args.times
        ),
        when: today(),
        place,
        columns: diff::COLUMNS.map(str::to_owned).to_vec(),
        rows,
    };
    match args.format {
        Format::Json => out!("{}", serde_json::to_string_pretty(&record)?),
        Format::Text => {
            let mut table = Table::new();
            table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(&record.columns);
            table.add_rows(&record.rows);
            out!("{}", table.trim_fmt());
            for lost in found.lost.iter().take(20) {
                out!("not as planted: {lost}");
            }
        }
    }
    if args.record {
        let path = Checkout::find()?.records().join(format!("bench-diff-{}.json", size.name));
        files::write(&path, format!("{}\n", serde_json::to_string_pretty(&record)?).as_bytes())?;
        say(&format!("{} written", path.display()));
    }
    let lost = found.rows.iter().any(|(_, verdict)| *verdict == Verdict::NotMet);
    Ok(if lost { Exit::Different } else { Exit::Same })
}

fn builds(args: &Wish<'_>) -> Result<Exit> {
    let rounds = args.rounds;
    warn_of_debug(rounds.record)?;
    let engine = rounds.engine.as_deref().map(|name| open_engine(name, &say)).transpose()?;
    let place = place_words(engine.as_ref().map(|(engine, _)| engine))?;
    let named = args.workloads.iter().filter_map(|id| find(id));
    let asked = Asked {
        workloads: if args.workloads.is_empty() { args.all.iter().collect() } else { named.collect() },
        engine: engine.as_ref().map(|(engine, _)| engine),
        dialects: engine.iter().flat_map(|(_, dialects)| dialects.clone()).collect(),
        times: rounds.times.into(),
        smaller: rounds.smaller,
        progress: &say,
    };
    let place = format!("{place}, load {}", load());
    let runs = bench::run(&asked)?;
    let rows: Vec<Row> = runs.iter().flat_map(Run::rows).collect();
    match rounds.format {
        Format::Json => out!("{}", serde_json::to_string_pretty(&json(&runs))?),
        Format::Text => show(&rows),
    }
    if rounds.record {
        write(&runs, args, place)?;
    }
    Ok(exit(&rows))
}

/// Different: a goal is not met. Nothing: there was none that could be.
fn exit(rows: &[Row]) -> Exit {
    let is = |verdict| rows.iter().any(|row| row.verdict == verdict);
    match (is(Verdict::NotMet), is(Verdict::Met)) {
        (true, _) => Exit::Different,
        (false, true) => Exit::Same,
        (false, false) => Exit::Nothing,
    }
}

fn show(rows: &[Row]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    table.add_rows(rows.iter().map(|row| row.cells.clone()));
    out!("{}", table.trim_fmt());
    for why in rows.iter().filter_map(|row| row.why.as_ref()) {
        out!("not exercised: {why}");
    }
}

fn write(runs: &[Run], args: &Wish<'_>, place: String) -> Result<()> {
    let (record, details) = record(runs, args.what, args.rounds.times.into(), today(), place);
    let mut json = serde_json::to_value(&record).context("write the record")?;
    json["details"] = details;
    let name = format!("bench-{}-{}.json", args.verb, args.rounds.engine.as_deref().unwrap_or("alone"));
    let path = Checkout::find()?.records().join(name);
    files::write(&path, format!("{}\n", serde_json::to_string_pretty(&json)?).as_bytes())?;
    say(&format!("{} written", path.display()));
    Ok(())
}

/// How busy the machine was before anything was measured: seconds on the clock mean little without it.
pub(super) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
