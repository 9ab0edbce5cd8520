//! Part (e) of `samebuild lag`: random edits, and what each way of finding them loses, by which oracle it is noticed.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::race_records::today;
use super::terminal::out;
use crate::lag::script::Edit;
use crate::lag::ways::{Ended, TOLD, Told, WAYS, Way, run};
use crate::races::Record;

/// A way under what is told of times, over all scripts.
pub(super) struct Row {
    way: Way,
    told: Told,
    /// Scripts that lose something, noticed by content.
    lost: usize,
    /// Scripts noticed because the way recorded otherwise without lies.
    unlike: usize,
    /// The first seed that loses something.
    first: Option<u64>,
}

/// Every way over the scripts of seeds from 1.
pub(super) fn count(work: &Path, scripts: u64) -> Result<Vec<Row>> {
    let new = |way, told| Row { way, told, lost: 0, unlike: 0, first: None };
    let mut rows: Vec<Row> = WAYS.into_iter().flat_map(|way| TOLD.map(|told| new(way, told))).collect();
    for seed in 1..=scripts {
        let ended = run(work, &Edit::script(seed)).with_context(|| format!("edit by script {seed}"))?;
        for Ended { way, told, lost, unlike, .. } in ended {
            let Some(row) = rows.iter_mut().find(|row| (row.way, row.told) == (way, told)) else { continue };
            row.lost += usize::from(!lost.is_empty());
            row.unlike += usize::from(!unlike.is_empty());
            if !lost.is_empty() {
                row.first.get_or_insert(seed);
            }
        }
    }
    Ok(rows)
}

impl Row {
    /// Nothing is lost where nothing may be.
    pub(super) fn is_fine(&self) -> bool {
        self.lost == 0 || !self.way.must_be_right(self.told)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "way": self.way.name, "told": self.told.name(), "lost": self.lost, "unlike": self.unlike,
            "first_seed": self.first, "must_be_right": self.way.must_be_right(self.told) })
    }

    pub(super) fn tell(&self) {
        let wrong = if self.is_fine() { "" } else { ", which is NOT predicted" };
        let first = self.first.map(|seed| format!(", seed {seed} first")).unwrap_or_default();
        out!(
            "random edits, {} with {}: {} scripts lose a change{first}{wrong}; {} differ from those without lag",
            self.way.name,
            self.told.name(),
            self.lost,
            self.unlike
        );
    }
}

/// The table.
pub(super) fn record(rows: &[Row], scripts: u64) -> Record {
    let columns = ["found by", "times told", "lost, by content", "unlike without lag", "predicted"];
    let row = |row: &Row| {
        let predicted = if row.way.must_be_right(row.told) { "none lost" } else { "some may be" };
        let (lost, unlike) = (row.lost.to_string(), row.unlike.to_string());
        vec![row.way.name.to_owned(), row.told.name().to_owned(), lost, unlike, predicted.to_owned()]
    };
    Record {
        about: format!("of {scripts} scripts of random edits, how many leave an image that is not the root"),
        when: today(),
        place: "files on disk, edited, mapped and put back for real; seeds from 1".to_owned(),
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.iter().map(row).collect(),
    }
}
