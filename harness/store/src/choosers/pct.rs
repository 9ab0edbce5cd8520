//! Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): the actor of highest priority moves;
//! priorities are random, and at fewer than `depth` random turns the one that moves falls below all others.
//! How many falls is drawn too: with the full number only, a race that needs no fall at all is rarely left alone
//! (skaffold-9251 among 20 old images: median 16 schedules instead of 6).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::choosers::Chooser;
use crate::floor::Actor;

/// The PCT chooser for one schedule.
pub struct Pct {
    /// Actors, highest priority first.
    order: Vec<Actor>,
    /// Turns at which the running actor falls, ascending.
    falls: Vec<usize>,
    turn: usize,
}

impl Pct {
    pub fn new(seed: u64, depth: u8, actors: usize, turns: usize) -> Pct {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<Actor> = (0..u8::try_from(actors).unwrap_or(u8::MAX)).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, rng.random_range(0..=at));
        }
        let count = rng.random_range(0..depth.max(1));
        let mut falls: Vec<usize> = (0..count).map(|_| rng.random_range(0..turns.max(1))).collect();
        falls.sort_unstable();
        Pct { order, falls, turn: 0 }
    }
}

impl Chooser for Pct {
    fn choose(&mut self, enabled: u64) -> Actor {
        let can_move = |actor: &Actor| enabled & (1 << actor) != 0;
        let mut at = self.order.iter().position(can_move).unwrap_or(0);
        while self.falls.first().is_some_and(|fall| *fall <= self.turn) {
            self.falls.remove(0);
            let fallen = self.order.remove(at);
            self.order.push(fallen);
            at = self.order.iter().position(can_move).unwrap_or(0);
        }
        self.turn += 1;
        self.order[at]
    }
}
