//! `bench build`, `bench cache`: what the reference builder costs beside real builders, in one run, on workloads that hurt. Each round
//! runs everybody once, cold, one after the other, so that a noisy minute is everybody's; medians are compared, and each is
//! held against its goal. How a run is measured is in [`cost`], who is beside us in [`peers`], on what in [`workloads`].

pub mod artifacts;
pub mod cost;
pub mod diff;
pub mod peers;
mod rebuilds;
pub mod table;
pub mod workloads;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bases::{self, Base};
use crate::checkout::Checkout;
use crate::engines::{Engine, Progress, cache_dir};
use crate::scratch::Scratch;
use cost::{Cost, measured};
use peers::Peer;
use table::{Measured, Run};
use workloads::{Work, Workload};

/// What the reference speaks where no builder at hand says otherwise.
const USUAL: &str = "buildkit@26.1";

/// What is asked.
pub struct Asked<'a> {
    /// Which; rows of [`workloads::WORKLOADS`] or of [`workloads::REBUILDS`].
    pub workloads: Vec<&'static Workload>,
    pub engine: Option<&'a Engine>,
    /// The dialects of the engine's builders: `classic`, `buildkit`.
    pub dialects: Vec<(String, String)>,
    /// Rounds; medians are of so many.
    pub times: usize,
    /// Every size is divided by this: to try the command, not to measure.
    pub smaller: u64,
    pub progress: Progress<'a>,
}

/// Runs everything.
///
/// # Errors
/// A build that fails, or that cannot be measured: no number is better than a wrong one.
pub fn run(asked: &Asked<'_>) -> Result<Vec<Run>> {
    let cache = cache_dir()?;
    let base = bases::provide("busybox", &cache, asked.progress)?;
    let room = Scratch::on_disk(&cache)?;
    let means =
        peers::Means { engine: asked.engine, dialects: &asked.dialects, base: &base, room: room.path() };
    let found = peers::found(&means);
    for (peer, why) in &found.absent {
        (asked.progress)(&format!("without {peer}: {why}"));
    }
    let mut runs = Vec::new();
    for workload in &asked.workloads {
        let place = room.path().join(workload.id);
        let mut run = match workload.work {
            Work::Build(fill) => {
                lay_out(&place, fill, asked.smaller)?;
                builds(asked, workload, &place, &base, &found.peers, room.path())?
            }
            Work::AllCases => all_cases(asked, workload)?,
            Work::Rebuild(context, fill, edit) => {
                // Who has built it for another workload has it in his caches.
                let place = room.path().join(context);
                let is_new = !place.exists();
                if is_new {
                    lay_out(&place, fill, asked.smaller)?;
                }
                let there = rebuilds::Place { context: &place, base: &base, room: room.path(), is_new };
                rebuilds::run(asked, workload, edit, &there, &found.peers)?
            }
        };
        run.absent = found.absent.clone();
        let _ = std::fs::remove_dir_all(&place);
        runs.push(run);
    }
    Ok(runs)
}

/// Lays out a workload as a context, with its Dockerfile.
fn lay_out(context: &Path, fill: workloads::Fill, smaller: u64) -> Result<()> {
    let failed = || format!("lay out a workload in {}", context.display());
    std::fs::create_dir_all(context).with_context(failed)?;
    fill(context, smaller).with_context(failed)
}

/// Rounds of one workload: the reference in each dialect that is wanted, then every peer.
fn builds(
    asked: &Asked<'_>,
    workload: &'static Workload,
    context: &Path,
    base: &Base,
    peers: &[Box<dyn Peer + '_>],
    room: &Path,
) -> Result<Run> {
    // Who has no goal here and costs minutes is not asked.
    let peers: Vec<_> = peers.iter().filter(|_| workload.has_peers()).collect();
    let mut dialects: Vec<&str> = asked.dialects.iter().map(|(_, dialect)| dialect.as_str()).collect();
    if dialects.is_empty() || peers.iter().any(|peer| peer.dialect().is_none()) {
        dialects.push(USUAL);
    }
    dialects.sort_unstable();
    dialects.dedup();
    let mut ours: Vec<Measured> =
        dialects.iter().map(|dialect| Measured::new("reference", Some(dialect))).collect();
    let mut theirs: Vec<Measured> =
        peers.iter().map(|peer| Measured::new(peer.id(), Some(peer.dialect().unwrap_or(USUAL)))).collect();
    for round in 1..=asked.times {
        let tell = |who: &Measured, cost: &Cost| {
            (asked.progress)(&format!("{}, round {round} of {}: {who} {cost}", workload.id, asked.times));
        };
        for (dialect, measured) in dialects.iter().zip(&mut ours) {
            let cost = reference(dialect, context, base, room)?;
            tell(measured, &cost);
            measured.costs.push(cost);
        }
        for (peer, measured) in peers.iter().zip(&mut theirs) {
            let cost =
                peer.build(context).with_context(|| format!("build {} with {}", workload.id, peer.id()))?;
            tell(measured, &cost);
            measured.costs.push(cost);
        }
    }
    Ok(Run { workload, ours, theirs, absent: Vec::new() })
}

/// One build by the reference, in a process of its own, into an uncompressed archive. Of earlier builds it has what an engine
/// has: the base, unpacked.
fn reference(dialect: &str, context: &Path, base: &Base, room: &Path) -> Result<Cost> {
    let out = room.join("image.tar");
    let mut command = own_program();
    command.arg("build").arg(context).args(["--dialect", dialect]);
    command.arg("--build-context").arg(format!(
        "{}=docker-archive://{}",
        base.reference,
        base.archive.display()
    ));
    command.arg("--output").arg(format!("docker-archive:{}", out.display()));
    command.env("SAMEBUILD_CACHE", room.join("cache"));
    let (cost, exit) = measured(&command)?;
    if !exit.is_good() {
        bail!("build {} as {dialect}: {exit}", context.display());
    }
    Ok(cost)
}

/// The checkout's cases in every dialect, without an engine.
fn all_cases(asked: &Asked<'_>, workload: &'static Workload) -> Result<Run> {
    let mut run = Run::of(workload);
    let checkout = match Checkout::find() {
        Ok(checkout) => checkout,
        Err(error) => {
            run.absent.push(("reference".to_owned(), error.to_string()));
            return Ok(run);
        }
    };
    let mut measured_here = Measured::new("reference", None);
    for round in 1..=asked.times {
        let mut command = own_program();
        command.arg("conform").current_dir(checkout.root());
        if asked.smaller > 1 {
            command.args(["--filter", "copy/chown"]);
        }
        let (cost, exit) = measured(&command)?;
        if !exit.is_good() {
            bail!("build all cases: {exit}");
        }
        (asked.progress)(&format!("{}, round {round} of {}: {cost}", workload.id, asked.times));
        measured_here.costs.push(cost);
    }
    run.ours.push(measured_here);
    Ok(run)
}

fn own_program() -> Command {
    Command::new("/proc/self/exe")
}
