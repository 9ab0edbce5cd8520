//! How layers are found in one root that everything is unpacked into, as options of `build`: each is a decision that
//! `--set` could make too.

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use samebuild_builder::Dialect;
use samebuild_builder::delta::LayerForm;
use samebuild_builder::unpacked::rules::SnapshotMode;

use super::terminal::Usage;

#[derive(Debug, Default, Args)]
pub(crate) struct Snapshots {
    /// When a walk takes a file for changed. Only for kaniko's dialects, as the next two.
    #[arg(long, value_name = "MODE", value_parser = modes())]
    snapshot_mode: Option<String>,
    /// One snapshot, after the last step.
    #[arg(long)]
    single_snapshot: bool,
    /// What RUN changed is found by looking at every file before it and after it.
    #[arg(long)]
    use_new_run: bool,
}

/// Those that a dialect can have; another is what `--rehash` looks with.
fn modes() -> PossibleValuesParser {
    let names = SnapshotMode::VARIANTS.iter().map(|variant| variant.name);
    PossibleValuesParser::new(names)
}

impl Snapshots {
    /// As `--set` would say it.
    pub(crate) fn sets(&self) -> Vec<String> {
        let mode = self.snapshot_mode.as_ref().map(|mode| format!("unpacked.mode={mode}"));
        let single = self.single_snapshot.then(|| "unpacked.moments=last-step".to_owned());
        let new_run = self.use_new_run.then(|| "unpacked.run_changes=before-and-after".to_owned());
        mode.into_iter().chain(single).chain(new_run).collect()
    }

    /// # Errors
    /// The dialect takes no snapshots, and something is said of them.
    pub(crate) fn check(&self, dialect: &Dialect) -> Result<()> {
        if self.sets().is_empty() || dialect.image.layer_form == LayerForm::UnpackedRoot {
            return Ok(());
        }
        let why = format!(
            "take snapshots in {}: it finds layers otherwise; --snapshot-mode, --single-snapshot and --use-new-run are for \
             kaniko@1.24 and kaniko@pre-289",
            dialect.id
        );
        Err(Usage(why).into())
    }
}
