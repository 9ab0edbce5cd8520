//! `samebuild dialects`: whom the reference builder can stand in for, in what they differ, and whether every decision is
//! held by a case.

use anyhow::{Context as _, Result};
use samebuild_builder::DIALECTS;
use samebuild_builder::dialect::find;

use super::terminal::{Bar, Usage, out, say};
use super::verbs::{Dialects, PageFormat};
use crate::builders;
use crate::cases::Case;
use crate::checkout::Checkout;
use crate::conform::{Exit, Workshop};
use crate::dialects::mutate::{self, Noticed};
use crate::dialects::{differing, page};
use crate::scratch::Place;

pub(crate) fn run(args: &Dialects) -> Result<Exit> {
    if args.why {
        return super::why::why();
    }
    if let [left, right, case] = &args.explain[..] {
        return super::why::explain(left, right, case);
    }
    match (&args.diff[..], args.mutate, args.format) {
        ([left, right], _, _) => diff(left, right),
        (_, true, _) => mutate(args),
        (_, _, PageFormat::Markdown) => {
            out!("{}", page().trim_end());
            Ok(Exit::Same)
        }
        _ => list(),
    }
}

fn list() -> Result<Exit> {
    let width = DIALECTS.iter().map(|dialect| dialect.id.len()).max().unwrap_or(0);
    for dialect in DIALECTS {
        out!("{:<width$}  {}", dialect.id, dialect.about);
    }
    say("--diff A B shows in what two differ; --format markdown prints all decisions");
    Ok(Exit::Same)
}

fn diff(left: &str, right: &str) -> Result<Exit> {
    let (left, right) = (find(left)?, find(right)?);
    let rows = differing(left, right);
    let width = rows.iter().map(|(choice, _)| choice.name().len()).max().unwrap_or(0);
    let variant = rows.iter().map(|(choice, _)| choice.variant.len()).max().unwrap_or(0).max(left.id.len());
    out!("{:<width$}  {:<variant$}  {}", "", left.id, right.id);
    for (a, b) in &rows {
        out!("{:<width$}  {:<variant$}  {:<variant$}  {}", a.name(), a.variant, b.variant, a.decision.doc());
    }
    Ok(if rows.is_empty() { Exit::Same } else { Exit::Different })
}

fn mutate(args: &Dialects) -> Result<Exit> {
    let checkout = Checkout::find()?;
    let all = checkout.cases()?;
    let cases: Vec<&Case> = all.iter().collect();
    let dialects: Vec<&'static str> =
        args.dialects.iter().map(|id| find(id).map(|d| d.id)).collect::<Result<_, _>>()?;
    let shop = Workshop::open(&cases, Place::Memory, None, &|line| say(line))?;
    let means = shop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let mut turns = mutate::turns(&dialects);
    if !args.decisions.is_empty() {
        let known = |name: &String| turns.iter().any(|turn| turn.decision == *name);
        if let Some(unknown) = args.decisions.iter().find(|name| !known(name)) {
            let why = format!("turn `{unknown}`: there is no such decision; `samebuild dialects` lists them");
            return Err(Usage(why).into());
        }
        turns.retain(|turn| args.decisions.contains(&turn.decision));
    }
    let bar = Bar::new(turns.len(), "decisions turned");
    let results = mutate::run(&turns, &cases, &shop.grounds, reference.as_ref(), &|done| bar.at(done));
    drop(bar);
    let results = results.context("turn every decision")?;
    let mut missed = 0;
    for (turn, noticed) in turns.iter().zip(&results) {
        let what = format!("{} {}: {} -> {}", turn.dialect, turn.decision, turn.from, turn.to);
        match noticed {
            Noticed::By { case, rule } => out!("{what}  noticed by {case} ({rule})"),
            Noticed::Excused(why) => out!("{what}  changes nothing: {why}"),
            Noticed::Nobody => {
                missed += 1;
                out!("{what}  NOTICED BY NOBODY");
            }
        }
    }
    out!("{} turns, {missed} noticed by nobody and without a reason", turns.len());
    Ok(if missed == 0 { Exit::Same } else { Exit::Different })
}
