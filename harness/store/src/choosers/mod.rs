//! Answers: who gets the next turn? Leaves what a turn is to `floor`.

mod pct;
mod random;

use crate::floor::Actor;

pub use pct::Pct;
pub use random::Random;

/// Picks one of the actors that can move.
pub trait Chooser {
    /// `enabled` has a bit for each actor that can move and is not zero.
    fn choose(&mut self, enabled: u64) -> Actor;
}

/// How schedules are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Every actor that can move is equally likely, at every turn.
    Random,
    /// Random priorities with at most `depth` - 1 places where the running actor falls to the lowest: finds what needs
    /// up to `depth` ordering constraints, however many turns lie in between.
    Pct { depth: u8 },
}

impl Kind {
    /// Every chooser that has a name on the command line.
    pub const ALL: [Kind; 4] =
        [Kind::Random, Kind::Pct { depth: 1 }, Kind::Pct { depth: 2 }, Kind::Pct { depth: 3 }];

    /// Its name on the command line.
    pub fn id(self) -> String {
        match self {
            Kind::Random => "random".into(),
            Kind::Pct { depth } => format!("pct{depth}"),
        }
    }

    /// The chooser for one schedule. `turns` is about how many turns a schedule has.
    pub fn chooser(self, seed: u64, actors: usize, turns: usize) -> Box<dyn Chooser> {
        match self {
            Kind::Random => Box::new(Random::new(seed)),
            Kind::Pct { depth } => Box::new(Pct::new(seed, depth, actors, turns)),
        }
    }
}
