//! Options of `build` about what it takes to believe that a RUN left a file as it was: `--rehash`, which asks no stat, and
//! `--lag`, which lies about times to whoever does ask, and holds the image against its root afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use samebuild_builder::delta::LayerForm;
use samebuild_builder::disk::index::Belief;
use samebuild_builder::unpacked::rules::{RunChanges, SnapshotMode};
use samebuild_builder::{Dialect, Trust, Unrecorded};
use serde_json::json;

use super::terminal::{Usage, say};
use crate::faults::lag::Lag;
use crate::faults::mtime_lag::{MtimeLag, Shape};
use crate::files;
use crate::lag::file_system;

/// When contents are compared although the dialect's builder would be content with times and sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Rehash {
    /// Where times lag on the file system that RUN's root is on.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Trusting {
    /// Compare contents to find what a RUN changed: no time and no size settles it. `auto` does so where a dialect asks
    /// for times and the file system below lags (`samebuild probe-fs`); `--rehash` alone is `always`, and with --cache it
    /// reads every file of the context too.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_value_t, default_missing_value = "always")]
    rehash: Rehash,
    /// Lie about modification times to whoever finds what a RUN changed: `freeze=2s` or `truncate=1s`. Afterwards the image
    /// is held against the root it was taken from; 1 if a change was lost.
    #[arg(long, value_name = "SHAPE")]
    lag: Option<String>,
    /// Only about files in the image whose path matches, as 'srv/**'; without a slash, whose name does.
    #[arg(long, value_name = "GLOB", requires = "lag")]
    lag_scope: Option<String>,
    /// Only about the so-manieth change that is seen.
    #[arg(long, value_name = "N", requires = "lag")]
    lag_nth: Option<usize>,
    /// Toss a coin for each path: the same seed, the same lies.
    #[arg(long, value_name = "SEED", requires = "lag")]
    lag_seed: Option<u64>,
    /// Every lie as a JSON line: instruction, path, the true time, the one told.
    #[arg(long, value_name = "FILE", requires = "lag")]
    lag_log: Option<PathBuf>,
}

impl Trusting {
    /// What a stat of the context is worth.
    pub(crate) fn belief(&self) -> Belief {
        match self.rehash {
            Rehash::Always => Belief::Nothing,
            Rehash::Auto | Rehash::Never => Belief::Stat,
        }
    }

    /// What it takes; `work` is where RUN's root will be.
    pub(crate) fn trust(&self, dialect: &Dialect, work: &Path) -> Result<Trust> {
        let lags = || {
            let lags = file_system::lags(work);
            lags.with_context(|| {
                format!("see whether times lag in {}; --rehash spares the look", work.display())
            })
        };
        Ok(match self.rehash {
            Rehash::Always => Trust::Content,
            // A lag that was asked for is to show.
            Rehash::Auto if self.lag.is_none() && asks_stats(dialect) && lags()? => {
                say(&format!(
                    "times lag in {}: contents are compared to find what RUN changed (--rehash=never does not)",
                    work.display()
                ));
                Trust::Content
            }
            Rehash::Auto | Rehash::Never => Trust::Dialect,
        })
    }

    /// Whether there is to be a fault.
    pub(crate) fn is_lagging(&self) -> bool {
        self.lag.is_some()
    }

    /// The fault, if there is to be one.
    pub(crate) fn lag(&self) -> Result<Option<MtimeLag>> {
        let Some(text) = &self.lag else { return Ok(None) };
        let shape: Shape = text.parse().map_err(|error| Usage(format!("take --lag: {error}")))?;
        let lag = Lag::new(shape, self.lag_scope.clone(), self.lag_seed);
        let lag = lag.map_err(|error| Usage(format!("take --lag-scope: {error}")))?;
        Ok(Some(MtimeLag::of(Lag { nth: self.lag_nth, ..lag })))
    }

    /// Tells of the lies, and of what they cost. Whether nothing was lost.
    pub(crate) fn tell(
        &self,
        lag: &MtimeLag,
        steps: &BTreeMap<usize, String>,
        unrecorded: &[Unrecorded],
    ) -> Result<bool> {
        let lies = lag.lies();
        if let Some(path) = &self.lag_log {
            let line = |lie: &crate::faults::mtime_lag::Lie| {
                let text = steps.get(&lie.step).map_or("", String::as_str);
                let line = json!({ "instruction": lie.step, "text": text, "path": lie.at.to_string(),
                    "true": lie.truth.to_string(), "told": lie.shown.to_string() });
                format!("{line}\n")
            };
            files::write(path, lies.iter().map(line).collect::<String>().as_bytes())?;
        }
        let plural = if lies.len() == 1 { "lie" } else { "lies" };
        let seed = self.lag_seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
        say(&format!("mtime-lag {}{seed}: {} {plural}", self.lag.as_deref().unwrap_or_default(), lies.len()));
        for lost in unrecorded {
            say(&format!("lost: {} of {}: the root has it, and no layer", lost.what, lost.at));
        }
        Ok(unrecorded.is_empty())
    }
}

/// Whether a time or a size alone can settle that a file is as it was.
fn asks_stats(dialect: &Dialect) -> bool {
    match dialect.image.layer_form {
        LayerForm::UpperDirectory => false,
        LayerForm::DoubleWalk => true,
        LayerForm::UnpackedRoot => {
            let rules = &dialect.unpacked;
            matches!(rules.mode, SnapshotMode::Redo | SnapshotMode::Time)
                || rules.run_changes == RunChanges::BeforeAndAfter
        }
    }
}

#[cfg(test)]
mod tests {
    use samebuild_builder::dialect;

    use super::*;

    #[test]
    fn a_walk_asks_stats_and_an_upper_directory_or_a_hash_of_everything_does_not() {
        let asks = |id: &str| asks_stats(dialect::find(id).unwrap());
        assert!(asks("buildkit@26.1-containerd") && asks("buildkit@head"));
        assert!(!asks("buildkit@26.1") && !asks("classic@20.10") && !asks("kaniko@1.24"));
        let mut redo = dialect::find("kaniko@1.24").unwrap().clone();
        redo.set("unpacked.mode", "redo").unwrap();
        assert!(asks_stats(&redo));
    }

    #[test]
    fn contents_are_compared_when_asked_or_where_times_lag_and_not_when_forbidden() {
        let dir = tempfile::tempdir().unwrap();
        let trust = |rehash, id: &str| {
            let trusting = Trusting { rehash, ..Trusting::default() };
            trusting.trust(dialect::find(id).unwrap(), dir.path()).unwrap()
        };
        assert_eq!(trust(Rehash::Always, "buildkit@26.1"), Trust::Content);
        assert_eq!(trust(Rehash::Never, "buildkit@head"), Trust::Dialect);
        let lags = file_system::lags(dir.path()).unwrap();
        let wanted = if lags { Trust::Content } else { Trust::Dialect };
        assert_eq!(trust(Rehash::Auto, "buildkit@head"), wanted);
        assert!(
            Trusting::default()
                .trust(dialect::find("buildkit@head").unwrap(), Path::new("/nowhere"))
                .is_err(),
            "what cannot be seen is no reason to trust"
        );
    }
}
