//! The outcome of one check, as a word; what each word does to a gate and to the exit code. How it is reached is
//! `judge.rs`'s affair.

use std::fmt;

/// The outcome of one check. From harmless to grave: the gravest of a run decides its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The builder did what its dialect predicts.
    Same,
    /// It differs exactly as `case.toml` says.
    Known,
    /// A need is unmet; the sentence says which.
    Skipped,
    /// A documented difference no longer happens.
    Stale,
    /// An undocumented difference, or a golden changed.
    Different,
    /// One builder, two builds, two images, and no clock explains it.
    Unstable,
    /// Built or failed against expectation.
    Failed,
    /// The harness, or a builder's daemon, failed: nobody knows.
    Broken,
}

/// What a program of ours exits with; the table of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Same = 0,
    Different = 1,
    Usage = 2,
    Broken = 3,
    Nothing = 4,
}

impl Verdict {
    /// Every verdict and the word for it, in the order tables have.
    pub const ALL: [(Verdict, &'static str); 8] = [
        (Verdict::Same, "same"),
        (Verdict::Known, "known"),
        (Verdict::Skipped, "skipped"),
        (Verdict::Stale, "stale"),
        (Verdict::Different, "different"),
        (Verdict::Unstable, "unstable"),
        (Verdict::Failed, "failed"),
        (Verdict::Broken, "broken"),
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(verdict, _)| *verdict == self).map_or("?", |(_, word)| word)
    }

    /// Whether a gate lets it pass.
    pub fn is_green(self) -> bool {
        self <= Self::Skipped
    }

    /// Whether something was compared and found as it should be: what a gate's minimums count.
    pub fn is_exercised_and_green(self) -> bool {
        matches!(self, Self::Same | Self::Known)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Exit {
    /// What a run with these verdicts exits with: 4 where nothing was compared, 3 where something broke, 1 where
    /// anything else is red.
    pub fn of(verdicts: impl IntoIterator<Item = Verdict>) -> Self {
        verdicts.into_iter().fold(Self::Nothing, |exit, verdict| exit.and(verdict))
    }

    fn and(self, verdict: Verdict) -> Self {
        let next = match verdict {
            Verdict::Skipped => return self,
            Verdict::Same | Verdict::Known => Self::Same,
            Verdict::Stale | Verdict::Different | Verdict::Unstable | Verdict::Failed => Self::Different,
            Verdict::Broken => Self::Broken,
        };
        if self == Self::Nothing { next } else { self.max(next) }
    }

    /// What a process of ours that ended with `number` had to say.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Same, Self::Different, Self::Usage, Self::Broken, Self::Nothing]
            .into_iter()
            .find(|exit| *exit as i32 == number)
    }

    /// For `main`.
    pub fn code(self) -> std::process::ExitCode {
        std::process::ExitCode::from(self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_exits_by_its_gravest_verdict() {
        use Verdict::*;
        for (verdicts, exit) in [
            (&[][..], Exit::Nothing),
            (&[Skipped, Skipped], Exit::Nothing),
            (&[Skipped, Same], Exit::Same),
            (&[Same, Known], Exit::Same),
            (&[Same, Stale, Same], Exit::Different),
            (&[Failed], Exit::Different),
            (&[Same, Unstable], Exit::Different),
            (&[Different, Skipped], Exit::Different),
            (&[Broken, Different, Same], Exit::Broken),
            (&[Same, Broken], Exit::Broken),
        ] {
            assert_eq!(Exit::of(verdicts.iter().copied()), exit, "{verdicts:?}");
        }
    }

    #[test]
    fn skipped_is_green_but_exercises_nothing() {
        for (verdict, word) in Verdict::ALL {
            assert_eq!(verdict.is_green(), ["same", "known", "skipped"].contains(&word), "{word}");
            assert_eq!(verdict.is_exercised_and_green(), ["same", "known"].contains(&word), "{word}");
        }
    }
}
