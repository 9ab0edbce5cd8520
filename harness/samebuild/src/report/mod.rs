//! REPORT.md: what the checkout knows, on a page. A pure function of what is committed (cases, goldens, records) and of the
//! code itself: no clock, no machine, no path, so that it is the same everywhere. What one run found is `conform`'s to tell.

mod conforms;
mod diverge;
mod faults;
mod races;
mod realistic;
mod records;
mod table;

use std::path::Path;

use anyhow::{Context as _, Result};
use samebuild_image::golden::Observation;

use crate::cases::{Case, DIALECTS};
use crate::checkout::Checkout;
use crate::conform::goldens::Origin;
use crate::dialects::attributions::Attributions;

/// Everything a section may look at.
struct Known {
    cases: Vec<Row>,
    /// Dialects of which anything was recorded, in the order of the table of dialects.
    dialects: Vec<&'static str>,
    /// Why they differ, and what is out of date about that.
    attributions: Attributions,
    stale: Option<String>,
    /// Engines there are, by the names of their rows.
    engines: Vec<String>,
}

/// A case and its goldens.
struct Row {
    case: Case,
    goldens: Vec<(Origin, Observation)>,
}

impl Row {
    /// What was recorded of a dialect.
    fn of(&self, dialect: &str) -> Option<&(Origin, Observation)> {
        self.goldens.iter().find(|(_, seen)| seen.seen_by.iter().any(|id| id == dialect))
    }
}

/// The whole page.
///
/// # Errors
/// A case, golden or record cannot be understood.
pub fn render(checkout: &Checkout) -> Result<String> {
    let known = Known::read(checkout)?;
    let sections = [
        HEAD.to_owned(),
        conforms::section(&known),
        diverge::section(&known).context("compare the goldens")?,
        races::section()?,
        faults::section(&known)?,
        realistic::section(&checkout.root().join("fixtures/realistic"))?,
        records::section(&checkout.records())?,
        not_exercised(&known, &checkout.records()),
    ];
    Ok(sections.join("\n"))
}

const HEAD: &str = "\
<!-- Written by `cargo xtask report` from cases, goldens and records. Do not edit: `cargo xtask report --check` would find out. -->

# Report

What samebuild knows, from what is committed. Run `cargo xtask conformance` to see whether it holds on your machine.
";

impl Known {
    fn read(checkout: &Checkout) -> Result<Self> {
        let goldens = checkout.goldens();
        let mut cases = Vec::new();
        for case in checkout.cases()? {
            let found = goldens.of(&case.id)?.into_iter().map(|golden| (golden.origin, golden.observation));
            cases.push(Row { goldens: found.collect(), case });
        }
        let recorded = |id: &&&str| cases.iter().any(|row: &Row| row.of(id).is_some());
        let dialects = DIALECTS.iter().filter(recorded).copied().collect();
        let attributions = Attributions::read(&checkout.attributions())?;
        let asked: Vec<&Case> = cases.iter().map(|row| &row.case).collect();
        let stale = attributions.stale(&asked, &goldens)?.sentence();
        let engines = checkout.engines()?.engines().map(|engine| engine.name.clone()).collect();
        Ok(Self { cases, dialects, attributions, stale, engines })
    }
}

/// What nobody looked at. It is never counted as passed.
fn not_exercised(known: &Known, records: &Path) -> String {
    let mut text = String::from("## Not exercised\n\n");
    let silent: Vec<&str> = DIALECTS.iter().filter(|id| !known.dialects.contains(*id)).copied().collect();
    if !silent.is_empty() {
        text.push_str(&format!("- Dialects of which nothing is recorded: {}.\n", silent.join(", ")));
    }
    for dialect in &known.dialects {
        let without: Vec<&str> = known
            .cases
            .iter()
            .filter(|row| row.of(dialect).is_none())
            .map(|row| row.case.id.as_str())
            .collect();
        if !without.is_empty() {
            let names = table::few(&without, 12);
            text.push_str(&format!("- Cases without a golden of {dialect}: {} ({names}).\n", without.len()));
        }
    }
    for engine in &known.engines {
        if !records.join(format!("repeat-{engine}.json")).is_file() {
            text.push_str(&format!(
                "- Building twice on {engine}: `cargo xtask conformance --repeat 5 --engine {engine} --record` would.\n"
            ));
        }
    }
    text.push_str("- Any platform but those the goldens name; RUN without root.\n");
    text
}
