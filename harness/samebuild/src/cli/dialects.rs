//! `samebuild dialects`: whom the reference builder can stand in for.

use anyhow::Result;
use samebuild_builder::dialect::DIALECTS;

use super::terminal::out;
use crate::conform::Exit;

pub(crate) fn run() -> Result<Exit> {
    let width = DIALECTS.iter().map(|dialect| dialect.id.len()).max().unwrap_or(0);
    for dialect in DIALECTS {
        out!("{:<width$}  {}", dialect.id, dialect.about);
    }
    Ok(Exit::Same)
}
