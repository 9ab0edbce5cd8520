//! `samebuild prune`: what of a repository would go, why the rest stays, and, if asked for, out with it.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::terminal::{Usage, out, say};
use crate::checkout;
use crate::conform::Exit;
use crate::engines::{self, Engine, Policy};
use crate::prune::{Filter, Line, Plan, Pruner, Wish};

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Whose images: a name without its tag, as `docker images` prints it.
    #[arg(long)]
    repository: String,
    /// How many of the newest stay.
    #[arg(long)]
    keep: usize,
    /// An image goes only if it is meant: until=24h, label=NAME[=VALUE], label!=NAME[=VALUE]. May be repeated.
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// `host`, the engine at DOCKER_HOST or the default socket; or a row of ci/engines.toml, which is empty when it
    /// starts.
    #[arg(long, default_value = "host")]
    engine: String,
    /// Delete. On the host's engine nothing is deleted without it.
    #[arg(long)]
    yes: bool,
}

/// Prints the plan; executes it if it may.
pub(crate) fn run(args: &Prune) -> Result<Exit> {
    let filters = args.filters.iter().map(|text| text.parse()).collect::<Result<Vec<Filter>, _>>();
    let filters = filters.map_err(|error| Usage(error.to_string()))?;
    if args.repository.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) {
        let why = format!("prune `{}`: --repository takes a name without a tag or digest", args.repository);
        return Err(Usage(why).into());
    }
    let (_engine, socket) = open(&args.engine)?;
    let wish = Wish { repository: args.repository.clone(), keep: args.keep, filters };
    let pruner = Pruner::open(&socket, wish)?;
    show(&pruner.plan()?);
    if args.engine == "host" && !args.yes {
        say("nothing was deleted: on the host's engine that takes --yes");
        return Ok(Exit::Same);
    }
    let pruned = pruner.execute()?;
    for line in &pruned.stayed {
        out!("stayed after all: {} (in use by now, or the engine would not let it go)", title(line));
    }
    out!("{} images deleted, at most {}", pruned.gone.len(), bytes(&pruned.gone));
    Ok(Exit::Same)
}

/// The engine, which lives as long as it is held, and its socket.
fn open(name: &str) -> Result<(Option<Engine>, PathBuf)> {
    if name == "host" {
        // Asked for its answer only: an error here says what to do.
        let engine = Engine::host()?;
        let host = std::env::var("DOCKER_HOST").ok().filter(|value| !value.is_empty());
        let socket = host.as_deref().and_then(|value| value.strip_prefix("unix://"));
        return Ok((Some(engine), socket.unwrap_or("/var/run/docker.sock").into()));
    }
    let policy: Policy = checkout::engines_at_hand()?;
    let engine = engines::open(name, &policy, &say)?;
    let socket = engine.socket().unwrap_or_default();
    Ok((Some(engine), socket))
}

fn show(plan: &Plan) {
    for (line, why) in &plan.kept {
        out!("keep    {}: {why}", title(line));
    }
    for line in &plan.victims {
        out!("delete  {}, {} MB", title(line), megabytes(line.bytes));
    }
    out!(
        "{} stay, {} go: at most {}, what other images share stays",
        plan.kept.len(),
        plan.victims.len(),
        bytes(&plan.victims)
    );
}

fn title(line: &Line) -> String {
    let digits = line.id.trim_start_matches("sha256:");
    format!("{} {}", digits.get(..12).unwrap_or(digits), line.names.join(" "))
}

fn bytes(lines: &[Line]) -> String {
    format!("{} bytes", lines.iter().map(|line| line.bytes).sum::<u64>())
}

/// As Docker counts them, with one digit after the point.
fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}
