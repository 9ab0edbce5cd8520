//! `samebuild diff A B`: what two stored images differ in, a row a difference; a line where nobody looks.

use std::io::IsTerminal as _;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use samebuild_compare::{Difference, Options, render};
use serde_json::json;

use super::terminal::out;
use super::verbs::{Diff, Format};
use crate::conform::Exit;
use crate::operands;

pub(crate) fn run(args: &Diff) -> Result<Exit> {
    let (left, right) = (operands::open(&args.left)?, operands::open(&args.right)?);
    let found = operands::compare(&left, &right, &Options::strict())?;
    for (operand, warnings) in [(&left, &found.warnings.0), (&right, &found.warnings.1)] {
        for warning in warnings {
            eprintln!("warning: {}: {warning}", operand.name);
        }
    }
    let differences = found.differences;
    match args.format {
        Format::Json => out!("{}", serde_json::to_string_pretty(&data(&differences))?),
        Format::Text if differences.is_empty() => out!("same"),
        Format::Text if std::io::stdout().is_terminal() => out!("{}", table(&differences)),
        Format::Text => out!("{}", render(&differences).trim_end()),
    }
    Ok(if differences.is_empty() { Exit::Same } else { Exit::Different })
}

fn table(differences: &[Difference]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["where", "rule", "left", "right"]);
    for difference in differences {
        table.add_row([&difference.at.to_string(), difference.rule, &difference.left, &difference.right]);
    }
    table
}

fn data(differences: &[Difference]) -> serde_json::Value {
    let rows: Vec<_> = differences
        .iter()
        .map(|difference| {
            json!({
                "rule": difference.rule,
                "at": difference.at.to_string(),
                "left": difference.left,
                "right": difference.right,
            })
        })
        .collect();
    json!({ "schema": 1, "differences": rows })
}
