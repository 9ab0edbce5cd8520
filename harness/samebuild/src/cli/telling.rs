//! How `samebuild diff` tells what it found: in which form, with which Dockerfile, without what.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use samebuild_compare::container_diff::{ContainerDiffError, DIFFERS, container_diff};
use samebuild_compare::ignore::{Ignore, hide};
use samebuild_compare::{Comparison, explain};
use samebuild_dockerfile::{Dockerfile, Syntax};

use super::terminal::{Usage, out, put_raw};
use crate::cases::read_ignores;
use crate::operands::Operand;
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
    /// container-diff is that tool's JSON, whose --type it takes; it exits 0 whatever differs, unless told otherwise.
    #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(names()))]
    format: String,
    /// With --format container-diff: apt, file, layer, history, metadata, size or sizelayer; size if left out. May be
    /// repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// With --format container-diff: exit 1 where something differs, as every other format does.
    #[arg(long)]
    exit_code: bool,
}

/// The one format that is not told from a comparison, but made of the images themselves.
const CONTAINER_DIFF: &str = "container-diff";

fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name()).chain([CONTAINER_DIFF]).collect()
}

impl Telling {
    /// Prints what container-diff would, if that is asked for; whether that is to be an exit code of 1.
    pub(crate) fn container_diff(&self, left: &Operand, right: &Operand) -> Result<Option<bool>> {
        if self.format != CONTAINER_DIFF {
            return match self.types.is_empty() && !self.exit_code {
                true => Ok(None),
                false => Err(Usage(
                    "use --type or --exit-code: they are container-diff's; say --format container-diff"
                        .to_owned(),
                )
                .into()),
            };
        }
        if self.dockerfile.is_some() || !self.ignores.is_empty() || self.config.is_some() {
            let why = "use --dockerfile, --ignore or --config with --format container-diff, which has no place for it";
            return Err(Usage(why.to_owned()).into());
        }
        if let Some(wanted) =
            self.types.iter().find(|kind| !DIFFERS.iter().any(|differ| differ.name == **kind))
        {
            return Err(Usage(ContainerDiffError::Unknown { wanted: wanted.clone() }.to_string()).into());
        }
        let (l, r) = (left.whole()?, right.whole()?);
        let (told, differs) = container_diff((&left.name, &l), (&right.name, &r), &self.types)?;
        put_raw(&told);
        Ok(Some(differs && self.exit_code))
    }

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
