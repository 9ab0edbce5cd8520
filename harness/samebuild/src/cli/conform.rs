//! `samebuild conform`: a line a case, a table, an exit code; in a checkout against its goldens, elsewhere dialect against
//! dialect. The findings of the run stay in `target/samebuild/`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::terminal::{Bar, Usage, out, paint, say};
use super::verbs::{Conform, Format};
use crate::cases::Case;
use crate::checkout::{Checkout, load};
use crate::conform::goldens::Goldens;
use crate::conform::{CaseResult, Exit, Verdict, Workshop, dialects, orphans, show};
use crate::files;

pub(crate) fn run(args: &Conform) -> Result<Exit> {
    let checkout = if args.dirs.is_empty() { Some(Checkout::find()?) } else { None };
    let mut cases = Vec::new();
    for dir in &args.dirs {
        cases.extend(load(dir)?);
    }
    let goldens = checkout.as_ref().map(Checkout::goldens);
    if let Some(checkout) = &checkout {
        cases = checkout.cases()?;
    }
    let chosen = choose(&cases, &args.which.filters)?;
    let dialects = spoken(&args.which.dialects, goldens.as_ref(), &cases)?;
    let results = go(&chosen, &dialects, goldens.as_ref(), args.engine.as_deref(), args.format)?;
    let mut exit = Exit::of(results.iter().flat_map(|result| &result.checks).map(|check| check.verdict));
    // A filtered run leaves the goldens of other cases alone.
    if let Some(goldens) = &goldens
        && args.which.filters.is_empty()
    {
        for orphan in orphans(goldens, &cases, crate::cases::DIALECTS)? {
            eprintln!("orphaned: {orphan}");
            exit = exit.max(Exit::Different);
        }
    }
    if let Some(checkout) = &checkout {
        let json = serde_json::to_string_pretty(&show::json(&results))?;
        files::write(&checkout.findings().join("conform.json"), json.as_bytes())?;
        files::write(&checkout.findings().join("conform.txt"), text(&results, &chosen).as_bytes())?;
    }
    if exit == Exit::Nothing {
        eprintln!("nothing was compared: every check was skipped");
    }
    Ok(exit)
}

/// The dialects to check: those asked for, or all of which a real builder was seen; elsewhere, all there are.
pub(crate) fn spoken(
    wanted: &[String],
    goldens: Option<&Goldens>,
    cases: &[Case],
) -> Result<Vec<&'static str>> {
    let Some(goldens) = goldens else { return dialects(wanted, |_| true) };
    let observed = goldens.observed_dialects(cases.iter().map(|case| &case.id))?;
    let dialects = dialects(wanted, |id| observed.contains(id))?;
    if dialects.is_empty() {
        bail!(
            "find an observed dialect: golden/ holds none; `cargo xtask observe --engine docker-20.10` records two"
        );
    }
    Ok(dialects)
}

/// Runs and prints.
pub(crate) fn go(
    cases: &[&Case],
    dialects: &[&'static str],
    goldens: Option<&Goldens>,
    engine: Option<&str>,
    format: Format,
) -> Result<Vec<CaseResult>> {
    let workshop = Workshop::open(cases, engine, &say)?;
    let text = format == Format::Text;
    let width = cases.iter().map(|case| case.id.as_str().len()).max().unwrap_or(0);
    let dockerfiles = dockerfiles(cases);
    let bar = Bar::new(cases.len(), "cases");
    let told = |result: &CaseResult| {
        if text {
            bar.line(&show::line(result, width, &paint));
            for check in result.checks.iter().filter(|check| check.verdict != Verdict::Skipped) {
                let detail =
                    show::detail(check, dockerfiles.get(result.case.as_str()).map_or("", String::as_str));
                if !detail.is_empty() {
                    bar.line(detail.trim_end());
                }
            }
        }
    };
    let results = workshop.run(cases, dialects, goldens, told, |done| bar.at(done))?;
    drop(bar);
    if text {
        out!("{}", show::table(&results));
        skipped(&results);
        if engine.is_none() && goldens.is_some() {
            say("no engine was asked for: nothing was built live (--engine docker-20.10 does)");
        }
    } else {
        out!("{}", serde_json::to_string_pretty(&show::json(&results))?);
    }
    Ok(results)
}

/// The cases that the filters choose.
///
/// # Errors
/// A filter chooses none.
pub(crate) fn choose<'a>(cases: &'a [Case], filters: &[String]) -> Result<Vec<&'a Case>> {
    if filters.is_empty() {
        return Ok(cases.iter().collect());
    }
    let mut chosen: BTreeMap<&str, &Case> = BTreeMap::new();
    for filter in filters.iter().map(String::as_str) {
        let exactly: Vec<&Case> = cases.iter().filter(|case| case.id.as_str() == filter).collect();
        // `copy/` is a group, not a part of a word.
        let fits =
            |id: &str| if filter.ends_with('/') { id.starts_with(filter) } else { id.contains(filter) };
        let fitting = || cases.iter().filter(|case| fits(case.id.as_str())).collect();
        let matching: Vec<&Case> = if exactly.is_empty() { fitting() } else { exactly };
        if matching.is_empty() {
            let sentence = format!("find a case with `{filter}` in its name; `samebuild list` lists them");
            return Err(Usage(sentence).into());
        }
        chosen.extend(matching.into_iter().map(|case| (case.id.as_str(), case)));
    }
    Ok(chosen.into_values().collect())
}

/// Why checks were skipped, each reason once.
fn skipped(results: &[CaseResult]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for check in results.iter().flat_map(|result| &result.checks) {
        if check.verdict == Verdict::Skipped {
            *reasons.entry(&check.why).or_default() += 1;
        }
    }
    for (why, count) in reasons {
        out!("not exercised, {count} checks: {why}");
    }
}

fn text(results: &[CaseResult], cases: &[&Case]) -> String {
    let dockerfiles = dockerfiles(cases);
    let mut text = String::new();
    for result in results {
        text.push_str(&show::line(result, 0, &|_, word| word.to_owned()));
        text.push('\n');
        for check in &result.checks {
            text.push_str(&show::detail(
                check,
                dockerfiles.get(result.case.as_str()).map_or("", String::as_str),
            ));
        }
    }
    text.push_str(&show::table(results));
    text.push('\n');
    text
}

fn dockerfiles<'a>(cases: &[&'a Case]) -> BTreeMap<&'a str, String> {
    cases
        .iter()
        .map(|case| (case.id.as_str(), String::from_utf8_lossy(&case.dockerfile).into_owned()))
        .collect()
}
