//! How `samebuild diff` tells what it found: in which form, with which Dockerfile, without what.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use samebuild_compare::ignore::{Ignore, hide};
use samebuild_compare::{Comparison, explain};
use samebuild_dockerfile::{Dockerfile, Syntax};

use super::terminal::out;
use crate::cases::read_ignores;
use crate::tell::{FORMATS, Report};

#[derive(Debug, Args)]
pub(crate) struct Telling {
    /// What both were built from: findings name the line.
    #[arg(long, value_name = "FILE")]
    dockerfile: Option<PathBuf>,
    /// The stage that was built, if not the last one.
    #[arg(long, requires = "dockerfile")]
    target: Option<String>,
    /// Leave out, and count, what differs so: path=GLOB, rule=NAME, cause=ID, side=left|right, or several with commas
    /// between. May be repeated. `samebuild explain --list` has the names.
    #[arg(long = "ignore", value_name = "WHAT")]
    ignores: Vec<Ignore>,
    /// Also leave out what [[ignore]] of this file says; samebuild.toml here if left out.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Differences shown of a finding.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rows: usize,
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name())))]
    format: String,
}

impl Telling {
    /// Prints it; whether anything is left that differs.
    pub(crate) fn tell(&self, left: &str, right: &str, comparison: &Comparison) -> Result<bool> {
        let text = self.dockerfile.as_deref().map(read).transpose()?;
        let parsed = match (&text, &self.dockerfile) {
            (Some(text), Some(path)) => {
                let parsed = Dockerfile::parse(text.as_bytes(), &Syntax::BUILDKIT_HEAD);
                Some(parsed.with_context(|| format!("read the instructions of {}", path.display()))?)
            }
            _ => None,
        };
        let explained = explain(comparison, parsed.as_ref().map(|file| (file, self.target.as_deref())));
        let mut ignores = self.ignores.clone();
        ignores.extend(read_ignores(self.config.as_deref())?);
        let (explained, hidden) = hide(explained, &comparison.differences, &ignores);
        let name = self.dockerfile.as_ref().map(|path| path.display().to_string());
        let report = Report {
            left,
            right,
            comparison,
            explained: &explained,
            hidden: &hidden,
            dockerfile: name.as_deref().zip(text.as_deref()),
            rows: self.rows,
        };
        if let Some(format) = FORMATS.iter().find(|format| format.name() == self.format) {
            out!("{}", format.tell(&report)?);
        }
        Ok(report.count() > 0)
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read the Dockerfile {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
