//! Which times `samebuild build` gives an image, by its options and the environment, as buildx and buildah read them.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use samebuild_builder::stamp::{self, Stamp};

use super::terminal::Usage;

/// The options.
#[derive(Debug, Default, Args)]
pub(crate) struct Times {
    /// No file in a new layer is later than SOURCE_DATE_EPOCH, as with BuildKit's rewrite-timestamp=true. The epoch is
    /// taken from --build-arg or from the environment; it dates the image and its history with or without this.
    #[arg(long)]
    rewrite_timestamp: bool,
    /// The image, its history and every file in a new layer are of this second since 1970, as with buildah's --timestamp.
    #[arg(long, value_name = "SECONDS", conflicts_with = "rewrite_timestamp")]
    timestamp: Option<String>,
}

impl Times {
    /// What is asked for. An epoch of the environment becomes a build argument, which ARG can declare.
    ///
    /// # Errors
    /// A time that is none, or a clamp without an epoch.
    pub(crate) fn stamp(
        &self,
        build_args: &mut BTreeMap<String, String>,
        environment: Option<String>,
    ) -> Result<Stamp> {
        if let Some(text) = environment.filter(|text| !text.is_empty()) {
            build_args.entry(stamp::VARIABLE.to_owned()).or_insert(text);
        }
        if let Some(text) = &self.timestamp {
            let seconds = stamp::parse(text).map_err(|_| {
                Usage(format!(
                    "understand --timestamp `{text}`; accepted: a whole number of seconds since 1970, such as 0"
                ))
            })?;
            return Ok(Stamp::Set(seconds));
        }
        let epoch = build_args.get(stamp::VARIABLE).filter(|text| !text.is_empty());
        let epoch = epoch.map(|text| stamp::parse(text)).transpose().map_err(|e| Usage(e.to_string()))?;
        match (epoch, self.rewrite_timestamp) {
            (None, false) => Ok(Stamp::Clock),
            (Some(epoch), false) => Ok(Stamp::Epoch(epoch)),
            (Some(epoch), true) => Ok(Stamp::Clamped(epoch)),
            (None, true) => Err(Usage(
                "clamp times with --rewrite-timestamp: there is no epoch; set SOURCE_DATE_EPOCH, give --build-arg \
                 SOURCE_DATE_EPOCH=SECONDS, or set all times with --timestamp SECONDS"
                    .to_owned(),
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(rewrite: bool, timestamp: Option<&str>, arg: Option<&str>, env: Option<&str>) -> Result<Stamp> {
        let times = Times { rewrite_timestamp: rewrite, timestamp: timestamp.map(str::to_owned) };
        let mut args: BTreeMap<String, String> =
            arg.into_iter().map(|value| (stamp::VARIABLE.to_owned(), value.to_owned())).collect();
        times.stamp(&mut args, env.map(str::to_owned))
    }

    #[test]
    fn an_argument_beats_the_environment_and_a_timestamp_beats_both() {
        assert_eq!(stamp(false, None, None, None).unwrap(), Stamp::Clock);
        assert_eq!(stamp(false, None, None, Some("7")).unwrap(), Stamp::Epoch(7));
        assert_eq!(stamp(true, None, Some("5"), Some("7")).unwrap(), Stamp::Clamped(5));
        assert_eq!(stamp(false, Some("3"), Some("5"), Some("7")).unwrap(), Stamp::Set(3));
        assert_eq!(stamp(false, None, None, Some("")).unwrap(), Stamp::Clock);
    }

    #[test]
    fn a_clamp_without_an_epoch_names_the_ways_to_give_one() {
        let error = stamp(true, None, None, None).unwrap_err().to_string();
        assert!(error.contains("--build-arg SOURCE_DATE_EPOCH=SECONDS"), "{error}");
        assert!(stamp(false, None, None, Some("soon")).unwrap_err().to_string().contains("`soon`"));
        assert!(stamp(false, Some("soon"), None, None).unwrap_err().to_string().contains("--timestamp"));
    }

    #[test]
    fn an_epoch_of_the_environment_can_be_declared_by_arg() {
        let mut args = BTreeMap::new();
        Times::default().stamp(&mut args, Some("7".to_owned())).unwrap();
        assert_eq!(args.get(stamp::VARIABLE).map(String::as_str), Some("7"));
    }
}
