//! `conform --repeat N`: each case N times with each builder, a line a case, and the counts as a table, or in records/.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::conform::Job;
use super::terminal::{Bar, out, say};
use super::verbs::Format;
use crate::builders;
use crate::checkout::Checkout;
use crate::conform::repeat::{By, Repeat};
use crate::conform::tally::{self, Tally, kinds_of};
use crate::conform::{CaseResult, Workshop};
use crate::files;

/// Runs and prints; writes a record if that is wanted.
pub(super) fn run(job: &Job<'_>, times: usize, is_recorded: bool, format: Format) -> Result<Vec<CaseResult>> {
    let workshop = Workshop::open(&job.cases, job.place(), job.engine, &say)?;
    let means = workshop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let live = workshop.live(&means)?;
    let mut by = Vec::new();
    for dialect in job.with_engines(&workshop)? {
        let real = live.get(dialect);
        // With an engine, it is the engine that is asked about.
        if job.engine.is_none() || real.is_some() {
            by.push(By { dialect, builder: reference.as_ref(), engine: None });
        }
        if let Some(builder) = real {
            by.push(By { dialect, builder: builder.as_ref(), engine: Some(workshop.engine_name()) });
        }
    }
    let bar = RefCell::new(Bar::new(job.cases.len() * times, "builds of cases"));
    let cold = || {
        let Some((engine, _)) = &workshop.engine else { return Ok(()) };
        if engine.is_private() {
            return engine.prune_build_cache().context("make the engine cold");
        }
        Ok(())
    };
    let repeat = Repeat { cases: &job.cases, grounds: &workshop.grounds, by, times };
    let (results, tallies) = repeat.run(cold, |done| bar.borrow().at(done))?;
    drop(bar);
    job.show(&results, format)?;
    if format == Format::Text {
        distribution(&tallies);
        if workshop.engine.as_ref().is_some_and(|(engine, _)| !engine.is_private()) {
            say("the host's engine is not pruned: what RUN --mount=type=cache holds was kept between builds");
        }
    }
    if is_recorded {
        record(&workshop, &tallies, times)?;
    }
    Ok(results)
}

/// The table of the record, for people.
fn distribution(tallies: &[Tally]) {
    let mut kinds: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for tally in tallies {
        let endings: Vec<usize> = tally.endings.values().copied().collect();
        let parts = [
            kinds_of(&endings, "layer count"),
            kinds_of(&tally.trees, "tree"),
            kinds_of(&tally.images, "image"),
            kinds_of(&tally.digests, "ID"),
        ];
        let kind = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        *kinds.entry((tally.dialect, &tally.by, kind)).or_default() += 1;
    }
    for ((dialect, by, kind), count) in kinds {
        let plural = if count == 1 { "" } else { "s" };
        out!("{dialect} by {by}: {count} case{plural} with {kind}");
    }
}

fn record(workshop: &Workshop, tallies: &[Tally], times: usize) -> Result<()> {
    let place = workshop.engine_words()?;
    let today = time::OffsetDateTime::now_utc().date().to_string();
    let record = tally::record(tallies, times, today, place);
    let path = Checkout::find()?.records().join(format!("repeat-{}.json", workshop.engine_name()));
    let json = serde_json::to_string_pretty(&record).context("write the record")?;
    files::write(&path, format!("{json}\n").as_bytes())?;
    say(&format!("{} written", path.display()));
    Ok(())
}
