//! `cargo run --release -p samebuild-store --example repro [-- SCHEDULES]`: every strategy in its races, in memory.
//! Exit codes: 0 when every faulty one was caught and the others survived, 1 otherwise.

use std::process::ExitCode;

use samebuild_store::report;
use samebuild_store::repro::{self, Effort, Trial};
use samebuild_store::strategies::STRATEGIES;

fn main() -> ExitCode {
    let schedules = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let effort = Effort { seed: 1, old: 3, schedules, states: 1_000_000, threads: 2 };
    let mut as_expected = true;
    for row in STRATEGIES {
        let trials = repro::strategy(row, effort);
        println!("{}: {}\n{}", row.id, row.about, report::trials(&trials));
        as_expected &= trials.iter().all(Trial::as_expected);
    }
    ExitCode::from(u8::from(!as_expected))
}
