//! `samebuild list`: the cases of a directory and what each asks.

use anyhow::Result;
use serde_json::json;

use super::terminal::out;
use super::verbs::{Format, List};
use crate::checkout::{Checkout, load};
use crate::conform::Exit;

pub(crate) fn run(args: &List) -> Result<Exit> {
    let cases = match &args.dir {
        Some(dir) => load(dir)?,
        None => Checkout::find()?.cases()?,
    };
    if args.format == Format::Json {
        let rows: Vec<_> = cases
            .iter()
            .map(|case| json!({ "case": case.id.as_str(), "about": case.about, "origin": case.origin }))
            .collect();
        out!("{}", serde_json::to_string_pretty(&json!({ "schema": 1, "cases": rows }))?);
        return Ok(Exit::Same);
    }
    let width = cases.iter().map(|case| case.id.as_str().len()).max().unwrap_or(0);
    for case in &cases {
        let about = case.about.as_deref().unwrap_or("(no case.toml)");
        out!("{:<width$}  {about}", case.id.as_str());
    }
    Ok(Exit::Same)
}
