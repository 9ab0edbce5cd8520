//! How the clock goes on that files get their times from, step by step, where a build is to be told the same twice: a start
//! phase, a granularity and a seed. RUN works on a real file system and sees the real clock.

/// What files that steps write are from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// All the same moment, the request's `now`.
    #[default]
    Still,
    /// Each step a while after the one before, as a file system shows it whose clock ticks.
    Ticking(Ticks),
}

/// A clock that ticks; nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    /// How far it is into a tick when the build begins.
    pub phase: u64,
    /// How long a tick is; 0 shows every moment as it is.
    pub granularity: u64,
    /// How long a step takes, drawn evenly from this range, both ends included.
    pub step: (u64, u64),
    /// What it is drawn by.
    pub seed: u64,
}

impl Pace {
    /// What step `number`, from 1, is from; `now` is when the build begins.
    pub fn at(self, now: (i64, u32), number: usize) -> (i64, u32) {
        let Self::Ticking(ticks) = self else { return now };
        let shown = ticks.shown(number);
        let seconds = i64::try_from(shown / SECOND).unwrap_or(i64::MAX);
        // The tick begins with the second that the build begins in.
        (now.0.saturating_add(seconds), u32::try_from(shown % SECOND).unwrap_or(0))
    }
}

const SECOND: u64 = 1_000_000_000;

impl Ticks {
    /// When step `number` writes, from the beginning of the tick that the build begins in.
    pub fn truth(self, number: usize) -> u64 {
        let (least, most) = self.step;
        let width = most.saturating_sub(least).saturating_add(1);
        let spans = (0..number as u64).map(|step| least + random(self.seed, step) % width);
        spans.fold(self.phase, u64::saturating_add)
    }

    /// The same as the file system shows it.
    pub fn shown(self, number: usize) -> u64 {
        let truth = self.truth(number);
        truth - truth.checked_rem(self.granularity).unwrap_or(0)
    }
}

/// splitmix64 of a seed and a place.
fn random(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS: Ticks = Ticks { phase: 3, granularity: 10, step: (4, 6), seed: 1 };

    #[test]
    fn a_clock_that_ticks_shows_the_beginning_of_the_tick_and_never_goes_back() {
        for number in 1..50 {
            let (truth, shown) = (TICKS.truth(number), TICKS.shown(number));
            assert!(shown <= truth && truth - shown < 10 && shown % 10 == 0);
            assert!(shown >= TICKS.shown(number - 1));
            let span = truth - TICKS.truth(number - 1);
            assert!((4..=6).contains(&span));
        }
    }

    #[test]
    fn the_same_seed_tells_the_same_and_another_another() {
        let told = |ticks: Ticks| (0..20).map(|n| ticks.truth(n)).collect::<Vec<_>>();
        assert_eq!(told(TICKS), told(TICKS));
        assert_ne!(told(TICKS), told(Ticks { seed: 2, ..TICKS }));
    }

    #[test]
    fn without_a_tick_every_moment_is_shown_and_a_still_clock_shows_one() {
        assert_eq!(Ticks { granularity: 0, ..TICKS }.shown(7), TICKS.truth(7));
        assert_eq!(Pace::Still.at((5, 7), 9), (5, 7));
        assert_eq!(Pace::Ticking(Ticks { phase: SECOND, ..TICKS }).at((5, 7), 0), (6, 0));
    }
}
