//! The command line: from words to calls, from results to text and an exit code. What a verb does is in a file of its own;
//! what it calls knows nothing of terminals.

// `out!` survives a reader that has gone away; `println!` panics.
#![warn(clippy::print_stdout)]

mod artifacts;
mod bench;
mod bench_artifacts;
mod benchmark_file;
mod bless;
mod build;
mod cache;
mod caching;
mod check;
mod cleaning;
mod conform;
mod dialects;
mod diff;
mod explain;
mod fault;
mod gate;
mod lag;
mod lag_live;
mod lag_places;
mod lag_scripts;
mod list;
mod observe;
mod probe_fs;
mod proxy;
mod prune;
mod race;
mod race_found;
mod race_live;
mod race_price;
mod race_records;
mod repeat;
mod report;
mod snapshots;
mod telling;
mod terminal;
mod times;
mod trusting;
mod verbs;
mod warm;
mod why;

use std::process::ExitCode;

use clap::Parser as _;

use verbs::{Cli, Verb};

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.verb.may_act_as_root() {
        samebuild_builder::sandbox::become_root_if_possible();
    }
    match run(&cli.verb) {
        Ok(code) => code,
        Err(error) => terminal::complain(&error).code(),
    }
}

fn run(verb: &Verb) -> anyhow::Result<ExitCode> {
    let exit = match verb {
        // Its exit code is that of the command it runs.
        Verb::Fault(args) => return fault::run(args),
        Verb::List(args) => list::run(args),
        Verb::Build(args) => build::run(args),
        Verb::Warm(args) => warm::run(args),
        Verb::Artifacts(args) => artifacts::run(args),
        Verb::Cache(args) => cache::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Diff(args) => diff::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Conform(args) => conform::run(args),
        Verb::Dialects(args) => dialects::run(args),
        Verb::Lag(args) => lag::run(args),
        Verb::ProbeFs(args) => probe_fs::run(args),
        Verb::Proxy(args) => proxy::run(args),
        Verb::Prune(args) => prune::run(args),
        Verb::Race(args) => race::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Observe(args) => observe::run(args),
        Verb::Bless(args) => bless::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Gate(args) => gate::run(args),
    };
    Ok(exit?.code())
}
