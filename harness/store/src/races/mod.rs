//! Answers: which situations are raced? One file each; a row in `RACES` is its registration: who takes part,
//! what the engine holds at the start, and which strategies are known to survive.
//! Leaves the running to `stage`.

mod created_ties;
mod ctrl_c;
mod daemon_restart;
mod dev_loop;
mod found_then_pruned;
mod overlapping_builds;
mod prune_all;
mod prune_children;
mod shared_id;
mod skaffold_9251;
mod two_processes;

use crate::floor::Signal;
use crate::model::World;
use crate::names::{Content, ImageId, Name, Repository};
use crate::session::{Pass, Request, Victims};

/// A scenario.
pub struct Race {
    pub id: &'static str,
    pub about: &'static str,
    /// Where it was learnt.
    pub origin: &'static str,
    /// The actors; their index is their number in a schedule.
    pub cast: &'static [Part],
    /// Puts `old` older images and what else is needed into the engine.
    pub setup: fn(world: &mut World, old: u8),
    /// Strategies that keep every promise here, on both kinds of engine.
    pub survivors: &'static [&'static str],
}

/// An actor of a scenario.
pub struct Part {
    pub name: &'static str,
    pub role: Role,
    /// Actors of one process share a desk.
    pub process: u8,
    /// What it waits for before it begins.
    pub after: Option<Signal>,
}

/// What an actor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Prune(Pass),
    Build(Request),
    /// Asks the artifact cache, which has this image, before it builds.
    Find(Request, ImageId),
    /// Runs a container from what this build promised.
    Deploy {
        build: u8,
    },
    /// Ctrl-C: these actors go away.
    Cancel(&'static [u8]),
    /// The daemon restarts.
    Restart,
}

/// Every race.
pub const RACES: &[Race] = &[
    skaffold_9251::RACE,
    dev_loop::RACE,
    found_then_pruned::RACE,
    created_ties::RACE,
    overlapping_builds::RACE,
    shared_id::RACE,
    prune_children::RACE,
    prune_all::RACE,
    two_processes::RACE,
    ctrl_c::RACE,
    daemon_restart::RACE,
];

/// The race named `id`.
pub fn race(id: &str) -> Result<&'static Race, UnknownRace> {
    RACES.iter().find(|race| race.id == id).ok_or_else(|| UnknownRace(id.to_owned()))
}

/// No race has this name.
#[derive(Debug, thiserror::Error)]
#[error("find the race `{0}`; there are {list}", list = names())]
pub struct UnknownRace(String);

fn names() -> String {
    RACES.iter().map(|race| race.id).collect::<Vec<_>>().join(", ")
}

// What the scenarios are written with.

const APP: Repository = Repository(0);
const WEB: Repository = Repository(1);
const A: ImageId = ImageId(0);

const fn part(name: &'static str, role: Role) -> Part {
    Part { name, role, process: 0, after: None }
}

const fn pass(number: u8, build: Option<u8>) -> Pass {
    Pass { number, repository: APP, keep: 1, build, tag: 0, victims: Victims::Older }
}

const fn request(number: u8, content: u16, pass: Option<u8>) -> Request {
    Request { number, content: Content(content), repository: APP, tag: 0, pass }
}

/// Images A, B, …, one second apart, `old` of them older than the last, which has the policy tag. Image n has
/// content n.
fn one_a_second(world: &mut World, old: u8) {
    for n in 0..=u16::from(old) {
        let id = world.add(Content(n));
        world.name(id, Name::unique(APP, id));
        world.name(id, Name::policy(APP, 0));
    }
}
