//! Answers: which situations are raced? A row in `RACES`: who takes part, what the engine holds at the start,
//! and what is known to survive. Leaves the running to `stage`.

mod skaffold_9251;

use crate::model::World;
use crate::session::{Pass, Request};

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
}

/// An actor of a scenario.
pub struct Part {
    pub name: &'static str,
    pub role: Role,
    /// Actors of one process share a desk.
    pub process: u8,
}

/// What an actor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Prune(Pass),
    Build(Request),
    /// Runs a container from what this build promised.
    Deploy {
        build: u8,
    },
}

/// Every race.
pub const RACES: &[Race] = &[skaffold_9251::RACE];

/// The race named `id`.
pub fn race(id: &str) -> Result<&'static Race, UnknownRace> {
    RACES.iter().find(|race| race.id == id).ok_or_else(|| UnknownRace(id.to_owned()))
}

/// No race has this name.
#[derive(Debug, thiserror::Error)]
#[error("no race `{0}`; there are {list}", list = names())]
pub struct UnknownRace(String);

fn names() -> String {
    RACES.iter().map(|race| race.id).collect::<Vec<_>>().join(", ")
}
