//! Which times an image carries: those of the clock, or one it was told. Whoever wants the same image every time says a
//! time; who says it (the environment, a build argument, an option) is the caller's affair.

use samebuild_dockerfile::variants;
use samebuild_image::{Layer, Mtime};

/// The variable that names the time of the sources, in seconds since 1970: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Where the times of an image come from. What the base brings keeps its own in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// From the clock and from the files themselves; or from the build argument [`VARIABLE`], where the dialect follows it.
    #[default]
    Clock,
    /// The image and its history are of this second; files keep their times, but for what the dialect dates by it.
    Epoch(i64),
    /// As [`Stamp::Epoch`], and no file in a new layer is later: BuildKit's `rewrite-timestamp=true`.
    Clamped(i64),
    /// The image, its history and every file in a new layer are of this second: buildah's `--timestamp`.
    Set(i64),
}

variants! {
    /// What the build argument SOURCE_DATE_EPOCH does of itself.
    SourceDateEpoch {
        /// It is an argument like any other.
        Ignored = "ignored",
        /// It dates the image and its history.
        DatesImage = "dates-image",
        /// It dates the image, its history and the directories that WORKDIR makes.
        DatesImageAndWorkdir = "dates-image-and-workdir",
    }
}

/// A text that names no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("understand {VARIABLE} `{0}`; accepted: a whole number of seconds since 1970, such as 1577836800")]
pub struct BadEpoch(pub String);

/// Reads a value of [`VARIABLE`].
///
/// # Errors
/// It is no number of seconds, or too large for a date.
pub fn parse(text: &str) -> Result<i64, BadEpoch> {
    // The last second of the year 9999: RFC 3339, in which images write their dates, has no later one.
    const LAST: i64 = 253_402_300_799;
    match text.parse() {
        Ok(seconds) if (0..=LAST).contains(&seconds) => Ok(seconds),
        _ => Err(BadEpoch(text.to_owned())),
    }
}

impl Stamp {
    /// The second that the image and its history are of; `None` for the clock's.
    pub fn epoch(self) -> Option<i64> {
        match self {
            Self::Clock => None,
            Self::Epoch(epoch) | Self::Clamped(epoch) | Self::Set(epoch) => Some(epoch),
        }
    }

    /// Gives the entries of new layers their times.
    pub fn date(self, layers: &mut [Layer]) {
        let change = |mtime: &mut Mtime| match self {
            Self::Clock | Self::Epoch(_) => {}
            Self::Clamped(epoch) => *mtime = (*mtime).min(Mtime::secs(epoch)),
            Self::Set(epoch) => *mtime = Mtime::secs(epoch),
        };
        if matches!(self, Self::Clock | Self::Epoch(_)) {
            return;
        }
        for layer in layers {
            // What was stored or known of it had the old times.
            (layer.blob, layer.diff_id) = (None, None);
            layer.entries.iter_mut().for_each(|entry| change(&mut entry.meta.mtime));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{At, Entry, Kind, Meta};

    fn dated(stamp: Stamp, mtime: Mtime) -> Mtime {
        let entry = Entry::new(At::from("d"), Kind::Dir, Meta::new(0o755, mtime));
        let mut layers = [Layer { entries: vec![entry], ..Layer::default() }];
        stamp.date(&mut layers);
        layers[0].entries[0].meta.mtime
    }

    #[test]
    fn clamping_keeps_older_times_and_setting_keeps_none() {
        let at = |secs, nanos| Mtime::At { secs, nanos };
        for (stamp, before, after) in [
            (Stamp::Epoch(5), at(9, 1), at(9, 1)),
            (Stamp::Clamped(5), at(9, 1), at(5, 0)),
            (Stamp::Clamped(5), at(5, 1), at(5, 0)),
            (Stamp::Clamped(5), at(4, 1), at(4, 1)),
            (Stamp::Set(5), at(4, 1), at(5, 0)),
            (Stamp::Set(5), at(9, 1), at(5, 0)),
        ] {
            assert_eq!(dated(stamp, before), after, "{stamp:?}");
        }
    }

    #[test]
    fn an_epoch_is_a_number_of_seconds_that_a_date_can_show() {
        assert_eq!(parse("0"), Ok(0));
        for bad in ["", "soon", "-1", "1.5", "253402300800", "99999999999999999999"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")) && error.contains("accepted"), "{error}");
        }
    }
}
