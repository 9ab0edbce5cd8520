//! `[[ignore]]` in `samebuild.toml`: what `samebuild diff` is to leave out, and why.

use std::path::Path;

use samebuild_compare::ignore::Ignore;
use serde::Deserialize;
use toml::Spanned;

use super::config::Config;
use super::dialects::Vocabulary;
use super::problem::{CaseError, Problem};

/// One of them, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IgnoreToml {
    path: Option<String>,
    rule: Option<String>,
    cause: Option<String>,
    side: Option<Spanned<String>>,
    why: Option<String>,
}

impl IgnoreToml {
    pub(super) fn checked(written: Spanned<Self>) -> Result<Ignore, Problem> {
        const ACCEPTED: &str = "accepted: path = \"GLOB\", rule = \"NAME\", cause = \"ID\", side = \"left\" or \"right\", and why";
        let span = written.span();
        let Self { path, rule, cause, side, why } = written.into_inner();
        let side = side.map(|side| {
            let read = side.get_ref().parse();
            read.map_err(|error: String| Problem::at(side.span(), error, ACCEPTED))
        });
        let ignore = Ignore { path, rule, cause, side: side.transpose()?, why };
        ignore.check().map_err(|error| Problem::at(span, error, ACCEPTED))?;
        Ok(ignore)
    }
}

/// What `config`, else the `samebuild.toml` in the current directory, says is to be left out.
///
/// # Errors
/// It cannot be read, or makes no sense; with the line.
pub fn read_ignores(config: Option<&Path>) -> Result<Vec<Ignore>, CaseError> {
    let vocabulary = Vocabulary::default();
    let config = match config {
        Some(path) => Config::read(path, &vocabulary)?,
        None => Config::beside(Path::new("."), &vocabulary)?,
    };
    Ok(config.ignores)
}
