//! `cargo run -p samebuild-store --example race -- NAME [--strategy S] [--chooser random|pct1..3|exhaustive] [--seed N]
//! [--schedules N] [--old N] [--engine graph|containerd] [--shrink yes]
//! [--replay FILE]`: a race without the rest of samebuild.
//! Exit codes: 0 nothing broke, 1 something did, 2 usage.

use std::process::ExitCode;

use samebuild_store::choosers::Kind;
use samebuild_store::explore::{self, Budget};
use samebuild_store::model::Mode;
use samebuild_store::stage::Setting;
use samebuild_store::{exhaust, races, report, shrink, strategies};

type Failed = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match race(std::env::args().skip(1).collect()) {
        Ok((text, code)) => {
            print!("{text}");
            ExitCode::from(code)
        }
        Err(error) => {
            eprintln!("failed to race: {error}");
            ExitCode::from(2)
        }
    }
}

fn race(arguments: Vec<String>) -> Result<(String, u8), Failed> {
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(path) = option("--replay") {
        let schedule = std::fs::read_to_string(path)?.parse()?;
        return Ok(match explore::replay(&schedule)? {
            Some(failure) => (report::failure(&failure), 1),
            None => ("the schedule breaks nothing\n".into(), 0),
        });
    }
    let name = arguments.first().filter(|name| !name.starts_with("--"));
    let race = races::race(name.map_or("skaffold-9251", String::as_str))?;
    let mode = match option("--engine").as_deref() {
        None | Some("graph") => Mode::Graphdriver,
        Some("containerd") => Mode::Containerd,
        Some(other) => return Err(format!("no engine `{other}`; there are graph, containerd").into()),
    };
    let chooser = match option("--chooser").as_deref() {
        None | Some("random" | "exhaustive") => Kind::Random,
        Some("pct1") => Kind::Pct { depth: 1 },
        Some("pct2") => Kind::Pct { depth: 2 },
        Some("pct3") => Kind::Pct { depth: 3 },
        Some(other) => {
            return Err(
                format!("no chooser `{other}`; there are random, pct1, pct2, pct3, exhaustive").into()
            );
        }
    };
    let number = |name: &str, default: u64| option(name).map_or(Ok(default), |text| text.parse());
    let setting = Setting { race, mode, old: u8::try_from(number("--old", 2)?)? };
    let budget = match option("--all") {
        Some(_) => Budget::all_of(number("--schedules", 1000)?),
        None => Budget::first_of(number("--schedules", 1000)?),
    };
    let row = strategies::strategy(option("--strategy").as_deref().unwrap_or("async-by-id"))?;
    if option("--chooser").as_deref() == Some("exhaustive") {
        let found = exhaust::run(&setting, row, number("--states", 1_000_000)?);
        return Ok((report::exhausted(&setting, row, &found), u8::from(found.failure.is_some())));
    }
    let outcome = explore::run(&setting, row, chooser, number("--seed", 1)?, budget);
    let mut text = report::text(&outcome);
    if let (Some(failure), Some(_)) = (&outcome.first_failing, option("--shrink")) {
        text.push_str(&format!("\nshrunk:\n{}", report::failure(&shrink::shortest(failure)?)));
    }
    Ok((text, u8::from(outcome.failures > 0)))
}
