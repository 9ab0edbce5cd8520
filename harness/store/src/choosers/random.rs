//! Every actor that can move is equally likely. Misses what needs one actor to run long before another:
//! the chance falls exponentially with the number of old images.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::choosers::Chooser;
use crate::floor::Actor;

/// The random chooser. Its stream is ChaCha8's, so a seed means the same on every machine and release.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Chooser for Random {
    fn choose(&mut self, enabled: u64) -> Actor {
        let skip = match enabled.count_ones() {
            0 | 1 => 0,
            n => self.0.random_range(0..n),
        };
        let rest = (0..skip).fold(enabled, |rest, _| rest & (rest - 1));
        Actor::try_from(rest.trailing_zeros()).unwrap_or(0)
    }
}
