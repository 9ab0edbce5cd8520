//! Builds of what was built before: nothing changed, or little. Everybody builds twice first, so that caches and indexes are
//! as they are on a working day, and every file is older than the tick in which it might have been written.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cost::{Cost, measured};
use super::peers::Peer;
use super::table::{Measured, Run};
use super::workloads::{Edit, NO_OP, What, Workload};
use super::{Asked, USUAL, own_program};
use crate::bases::Base;

/// Longer than any stat is disbelieved on a file system with fractions of seconds.
const TO_SETTLE: Duration = Duration::from_secs(4);

/// Who takes longer for a build, in seconds, is asked no more often than a median needs, so that all of it is minutes.
const SLOW_S: f64 = 3.0;
const FEWEST: usize = 3;

/// Where it is built.
pub(super) struct Place<'a> {
    pub context: &'a Path,
    pub base: &'a Base,
    pub room: &'a Path,
    /// Whether nobody has built it yet.
    pub is_new: bool,
}

/// Rounds of one workload: an edit, then everybody's build of it.
pub(super) fn run(
    asked: &Asked<'_>,
    workload: &'static Workload,
    edit: Edit,
    place: &Place<'_>,
    peers: &[Box<dyn Peer + '_>],
) -> Result<Run> {
    let mut ours = Measured::new("reference", Some(USUAL));
    let mut idle = Measured::new(NO_OP, Some(USUAL));
    let mut theirs: Vec<(&dyn Peer, Measured)> = Vec::new();
    std::thread::sleep(TO_SETTLE);
    reference(place)?;
    reference(place)?;
    for peer in peers.iter().filter(|peer| workload.is_beside(peer.id())) {
        // Who was asked for another workload has built it, but for a file or two.
        let first = if place.is_new { peer.rebuild(place.context) } else { None };
        if let Some(first) = first {
            first.with_context(|| format!("build {} with {}", workload.id, peer.id()))?;
        }
        theirs.push((peer.as_ref(), Measured::new(peer.id(), Some(USUAL))));
    }
    for round in 1..=asked.times {
        let tell = |who: &Measured, cost: &Cost| {
            (asked.progress)(&format!("{}, round {round} of {}: {who} {cost}", workload.id, asked.times));
        };
        // What was edited in the last round is old enough by now, and known.
        std::thread::sleep(TO_SETTLE);
        reference(place)?;
        let cost = reference(place)?;
        tell(&idle, &cost);
        idle.costs.push(cost);
        edit(place.context, round).context("edit the context")?;
        let cost = reference(place)?;
        tell(&ours, &cost);
        ours.costs.push(cost);
        for (peer, measured) in &mut theirs {
            let is_slow = measured.median(What::Wall).is_some_and(|wall| wall > SLOW_S);
            if is_slow && measured.costs.len() >= FEWEST {
                continue;
            }
            let Some(cost) = peer.rebuild(place.context) else { continue };
            let cost = cost.with_context(|| format!("build {} with {}", workload.id, peer.id()))?;
            tell(measured, &cost);
            measured.costs.push(cost);
        }
    }
    let asked = theirs.into_iter().map(|(_, measured)| measured).filter(|theirs| !theirs.costs.is_empty());
    let theirs = std::iter::once(idle).chain(asked).collect();
    Ok(Run { workload, ours: vec![ours], theirs, absent: Vec::new() })
}

/// One build by the reference with its cache, in a process of its own, into its store: as an engine keeps what it built.
fn reference(place: &Place<'_>) -> Result<Cost> {
    let Place { context, base, room, .. } = place;
    let mut command = own_program();
    command.arg("build").arg(context).args(["--dialect", USUAL, "--cache"]);
    command.args(["--tag", "samebuild.test/bench:1"]);
    command.env("SAMEBUILD_CACHE", room.join("cache"));
    // The base is where a build finds it that was pulled once.
    keep(base, &room.join("cache"))?;
    let (cost, ending) = measured(&command)?;
    if !ending.is_good() {
        bail!("build {} with a cache: {ending}", context.display());
    }
    Ok(cost)
}

fn keep(base: &Base, cache: &Path) -> Result<()> {
    let store = crate::images::store::Store::in_cache(cache);
    if store.named(&base.reference)?.is_empty() {
        let style = samebuild_image::TarStyle::PLAIN;
        store.put(&base.image, std::slice::from_ref(&base.reference), style)?;
    }
    Ok(())
}
