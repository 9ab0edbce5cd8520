//! Modification times, and the named moments that make them comparable between runs.

use std::fmt;

/// A modification time: as it stands in an image, or named by the moment it was taken from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mtime {
    /// Seconds since 1970 and nanoseconds.
    At { secs: i64, nanos: u32 },
    /// A moment that every build has, whatever the clock said.
    Named(Epoch),
}

/// The moments a build knows by name. Goldens and the rule `mtime` speak of these, so that they hold for every run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Epoch {
    /// The time everything in the base image carries.
    Base,
    /// The time everything in the context carries.
    Context,
    /// `SOURCE_DATE_EPOCH`.
    SourceDate,
    /// 1970-01-01T00:00:00Z.
    Zero,
    /// While the build ran.
    Now,
}

/// What the named moments were in one build; seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epochs {
    /// The base image's time.
    pub base: Option<i64>,
    /// The context's time.
    pub context: Option<i64>,
    /// `SOURCE_DATE_EPOCH`, if given.
    pub source_date: Option<i64>,
    /// From a second before the build started to a second after it ended.
    pub now: Option<(i64, i64)>,
}

impl Epochs {
    /// `mtime` by its name, if it has one here. Whole seconds only get a name: a fraction is a fact of its own, except
    /// within `now`, where it is noise.
    pub fn name(&self, mtime: Mtime) -> Mtime {
        let Mtime::At { secs, nanos } = mtime else { return mtime };
        let whole = |epoch: Option<i64>| nanos == 0 && epoch == Some(secs);
        let named = if whole(self.base) {
            Epoch::Base
        } else if whole(self.context) {
            Epoch::Context
        } else if whole(self.source_date) {
            Epoch::SourceDate
        } else if whole(Some(0)) {
            Epoch::Zero
        } else if self.now.is_some_and(|(from, to)| (from..=to).contains(&secs)) {
            Epoch::Now
        } else {
            return mtime;
        };
        Mtime::Named(named)
    }
}

impl Mtime {
    /// Whole seconds.
    pub const fn secs(secs: i64) -> Self {
        Self::At { secs, nanos: 0 }
    }

    /// Seconds since 1970 and nanoseconds; `None` for a named moment, which has none outside its build.
    pub fn timestamp(&self) -> Option<(i64, u32)> {
        match self {
            Self::At { secs, nanos } => Some((*secs, *nanos)),
            Self::Named(Epoch::Zero) => Some((0, 0)),
            Self::Named(_) => None,
        }
    }
}

impl Epoch {
    /// Every named moment and its name in goldens.
    pub const NAMES: [(Epoch, &'static str); 5] = [
        (Epoch::Base, "base"),
        (Epoch::Context, "context"),
        (Epoch::SourceDate, "sde"),
        (Epoch::Zero, "0"),
        (Epoch::Now, "now"),
    ];
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(epoch, _)| epoch == self).map_or("?", |(_, name)| name))
    }
}

impl fmt::Display for Mtime {
    /// `now`, or RFC 3339 in UTC with as many digits of the fraction as are needed; seconds where no date exists.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = match self {
            Self::Named(epoch) => return epoch.fmt(f),
            Self::At { secs, nanos } => (*secs, *nanos),
        };
        let stamp = time::OffsetDateTime::from_unix_timestamp_nanos(
            i128::from(secs) * 1_000_000_000 + i128::from(nanos),
        );
        match stamp.map(|stamp| stamp.format(&time::format_description::well_known::Rfc3339)) {
            Ok(Ok(text)) => f.write_str(&text),
            _ => write!(f, "@{secs}.{nanos:09}"),
        }
    }
}

impl std::str::FromStr for Mtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((epoch, _)) = Epoch::NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(Self::Named(*epoch));
        }
        let bad = || {
            format!("`{text}` is not a time; accepted: base, context, sde, 0, now, or 2020-01-01T00:00:00Z")
        };
        if let Some((secs, nanos)) = text.strip_prefix('@').and_then(|rest| rest.split_once('.')) {
            return Ok(Self::At {
                secs: secs.parse().map_err(|_| bad())?,
                nanos: nanos.parse().map_err(|_| bad())?,
            });
        }
        let stamp = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .map_err(|_| bad())?;
        Ok(Self::At { secs: stamp.unix_timestamp(), nanos: stamp.nanosecond() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_being_printed_and_read() {
        for mtime in [
            Mtime::secs(1_577_836_800),
            Mtime::At { secs: 1, nanos: 5 },
            Mtime::Named(Epoch::Now),
            Mtime::secs(i64::MIN),
        ] {
            assert_eq!(mtime.to_string().parse::<Mtime>(), Ok(mtime), "{mtime}");
        }
    }

    #[test]
    fn the_base_time_is_named_before_the_run() {
        let epochs = Epochs { base: Some(5), now: Some((4, 6)), ..Epochs::default() };
        assert_eq!(epochs.name(Mtime::secs(5)), Mtime::Named(Epoch::Base));
        assert_eq!(epochs.name(Mtime::At { secs: 5, nanos: 1 }), Mtime::Named(Epoch::Now));
        assert_eq!(epochs.name(Mtime::secs(7)), Mtime::secs(7));
    }
}
