//! Part (c) of `samebuild lag`: what real builders lose on files that lag, and within a second on files that do not.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::race_records::today;
use super::terminal::{out, say};
use crate::bases::Base;
use crate::lag::live::{Bench, TRIALS, Trial};
use crate::programs::buildah::Buildah;
use crate::races::Record;

/// All that was tried.
pub(super) struct Live {
    tried: Vec<(Trial, Result<bool, String>)>,
    /// Who built, in words.
    by: String,
}

/// Tries everything in the table.
pub(super) fn look(base: &Base, work: &Path) -> Result<Live> {
    let found = Buildah::find(&say);
    let by =
        found.as_ref().map_or_else(|_| "no buildah".to_owned(), |found| format!("buildah {}", found.version));
    let bench = Bench { work, base, buildah: found.as_ref().map_err(String::as_str) };
    let look = |trial: &Trial| {
        let kept = bench.kept(*trial);
        Ok((*trial, kept.with_context(|| format!("try {}", name(trial)))?))
    };
    Ok(Live { tried: TRIALS.iter().map(look).collect::<Result<_>>()?, by })
}

fn name(trial: &Trial) -> String {
    format!("{} on {}, {}", trial.who.name(), trial.files.name(), trial.rewrite.name())
}

fn word(kept: bool) -> &'static str {
    if kept { "kept" } else { "lost" }
}

impl Live {
    /// What could be tried came out as predicted.
    pub(super) fn is_fine(&self) -> bool {
        self.tried
            .iter()
            .all(|(trial, kept)| kept.as_ref().is_ok_and(|kept| *kept == trial.is_kept()) || kept.is_err())
    }

    pub(super) fn json(&self) -> Vec<Value> {
        let row = |(trial, kept): &(Trial, Result<bool, String>)| {
            let mut row = json!({ "built_by": trial.who.name(), "files_on": trial.files.name(),
                "rewritten": trial.rewrite.name(), "predicted": trial.is_kept() });
            match kept {
                Ok(kept) => row["kept"] = (*kept).into(),
                Err(why) => row["not_exercised"] = why.clone().into(),
            }
            row
        };
        self.tried.iter().map(row).collect()
    }

    pub(super) fn tell(&self) {
        for (trial, kept) in &self.tried {
            match kept {
                Ok(kept) if *kept == trial.is_kept() => out!("a rewrite by {}: {}", name(trial), word(*kept)),
                Ok(kept) => out!("a rewrite by {}: {}, which is NOT predicted", name(trial), word(*kept)),
                Err(why) => out!("a rewrite by {}: not exercised: {why}", name(trial)),
            }
        }
    }

    /// The table of those that were tried; none if none was.
    pub(super) fn record(&self) -> Option<Record> {
        let columns = ["built by", "its files are on", "rewritten", "the new content is", "predicted"];
        let row = |(trial, kept): &(Trial, Result<bool, String>)| {
            let kept = *kept.as_ref().ok()?;
            let cells = [trial.who.name(), trial.files.name(), trial.rewrite.name().to_owned()];
            Some(cells.into_iter().chain([word(kept), word(trial.is_kept())].map(str::to_owned)).collect())
        };
        let rows: Vec<Vec<String>> = self.tried.iter().filter_map(row).collect();
        (!rows.is_empty()).then(|| Record {
            about: "a RUN that writes a file anew with other bytes, as many, by real builders".to_owned(),
            when: today(),
            place: format!("{}, RUN in runc", self.by),
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        })
    }
}
