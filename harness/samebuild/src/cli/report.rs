//! `report [--check]`: writes REPORT.md, or says that it is out of date.

use anyhow::Result;

use super::terminal::out;
use super::verbs::Report;
use crate::checkout::Checkout;
use crate::conform::Exit;
use crate::files;

pub(crate) fn run(args: &Report) -> Result<Exit> {
    let checkout = Checkout::find()?;
    let text = crate::report::render(&checkout)?;
    let path = checkout.report();
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old == text {
        out!("REPORT.md is up to date");
        return Ok(Exit::Same);
    }
    if args.check {
        eprintln!("REPORT.md is out of date: `cargo xtask report` writes it anew");
        return Ok(Exit::Different);
    }
    files::write(&path, text.as_bytes())?;
    out!("REPORT.md written");
    Ok(Exit::Same)
}
