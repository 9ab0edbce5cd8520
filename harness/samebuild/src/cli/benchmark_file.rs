//! `--benchmark-file`: where what each step cost is written to, by option or environment.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::terminal::{out, say};
use super::verbs::Format;
use crate::step_costs::{StepCosts, VARIABLE};

/// The option.
#[derive(Debug, Default, Args)]
pub(crate) struct BenchmarkFile {
    /// Write what each step of each case took to FILE, as JSON: every builder beside the others. A table of the dearest steps
    /// is printed at the end. SAMEBUILD_BENCHMARK_FILE names FILE where this does not.
    #[arg(long, value_name = "FILE")]
    benchmark_file: Option<PathBuf>,
}

impl BenchmarkFile {
    /// What to listen with, if anybody asked.
    pub(crate) fn costs(&self) -> Option<StepCosts> {
        self.path().map(|_| StepCosts::default())
    }

    /// Writes the file, and prints the table to people.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn tell(&self, costs: Option<&StepCosts>, format: Format) -> Result<()> {
        let (Some(costs), Some(path)) = (costs, self.path()) else { return Ok(()) };
        costs.write(&path)?;
        if format == Format::Text {
            out!("{}", costs.table());
        }
        say(&format!("{} written", path.display()));
        Ok(())
    }

    fn path(&self) -> Option<PathBuf> {
        let of_environment = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.benchmark_file.clone().or_else(of_environment)
    }
}
