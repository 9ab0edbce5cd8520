//! Findings as text and as data. Where they are printed is the command line's affair.

use std::fmt::Write as _;

use samebuild_compare::Page;
use serde::Serialize;
use serde_json::Value;

use super::{Finding, Findings, NOTHING};
use crate::conform::Verdict;
use crate::conform::check::{Check, Found};
use crate::conform::show::body;
use crate::conform::tally::{Ending, Tally, kinds_of};

/// Of what is particular to a cause, so much is shown.
const SAID: usize = 3;

/// A factor in a line, and below it what it changed in the image, by instruction. `paint` colours a word by its verdict.
pub fn finding(finding: &Finding, dockerfile: &str, paint: &dyn Fn(Verdict, &str) -> String) -> String {
    let check = &finding.check;
    let word = match check.verdict {
        Verdict::Skipped => "not exercised",
        verdict => verdict.word(),
    };
    let said: Vec<&str> =
        [&*finding.what, &*check.why].into_iter().filter(|words| !words.is_empty()).collect();
    let word = paint(check.verdict, &format!("{word:<13}"));
    let mut text = format!("  {:<16}  {word}  {}\n", finding.factor, said.join("; "));
    if !matches!(check.verdict, Verdict::Same | Verdict::Skipped) {
        let (body, _) = body(check, dockerfile);
        body.lines().for_each(|line| {
            let _ = writeln!(text, "    {line}");
        });
        for (page, said) in because(check) {
            let said: String = said.iter().map(|words| format!("; {words}")).collect();
            let _ = writeln!(text, "          because {}: {}{said}", page.id, page.title);
            let _ = writeln!(text, "          fix: {}", page.fix);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// The causes of what differs, in the order in which they come up, each with the first things it says of these images.
fn because(check: &Check) -> Vec<(&'static Page, Vec<&str>)> {
    let mut all: Vec<(&'static Page, Vec<&str>)> = Vec::new();
    for (page, said) in check.differences.iter().filter_map(|found| Some((found.cause?, &*found.said))) {
        let at = all.iter().position(|(told, _)| *told == page).unwrap_or_else(|| {
            all.push((page, Vec::new()));
            all.len() - 1
        });
        let words = &mut all[at].1;
        if !said.is_empty() && words.len() < SAID && !words.contains(&said) {
            words.push(said);
        }
    }
    all
}

/// How many kinds of layer counts, trees, images and digests the builds with nothing changed came to.
pub fn distribution(tally: &Tally) -> String {
    let endings: Vec<String> = tally
        .endings
        .iter()
        .map(|(ending, count)| match ending {
            Ending::Built { layers: 1 } => format!("1 layer ({count})"),
            Ending::Built { layers } => format!("{layers} layers ({count})"),
            Ending::Failed { class } => format!("{class} ({count})"),
        })
        .collect();
    let kinds = [
        kinds_of(&tally.trees, "tree"),
        kinds_of(&tally.images, "image"),
        kinds_of(&tally.digests, "digest"),
    ];
    endings.into_iter().chain(kinds.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

/// Which factors make another image, in a sentence.
pub fn summary(findings: &Findings) -> String {
    let of = |verdicts: &[Verdict]| -> Vec<&str> {
        let rows = findings.rows.iter().filter(|row| verdicts.contains(&row.check.verdict));
        rows.map(|row| row.factor).collect()
    };
    let (alone, by): (Vec<&str>, Vec<&str>) =
        of(&[Verdict::Unstable, Verdict::Known]).into_iter().partition(|name| *name == NOTHING);
    let mut said = match (alone.is_empty(), by.is_empty()) {
        (false, _) => vec!["another image with nothing changed".to_owned()],
        (true, true) => vec!["no factor makes another image".to_owned()],
        (true, false) => Vec::new(),
    };
    if !by.is_empty() {
        said.push(format!("another image by {}", by.join(", ")));
    }
    let skipped = of(&[Verdict::Skipped]);
    if !skipped.is_empty() {
        said.push(format!("not exercised: {}", skipped.join(", ")));
    }
    said.join("; ")
}

/// The whole run as data, the seed first and the command that does it again last.
#[derive(Serialize)]
pub struct Report {
    pub schema: u8,
    pub seed: u64,
    pub runs: usize,
    pub cases: Vec<CaseReport>,
    pub again: String,
}

/// One case of it.
#[derive(Serialize)]
pub struct CaseReport {
    pub case: String,
    pub dialect: &'static str,
    pub by: String,
    /// Of the builds with nothing changed.
    pub distribution: Option<Value>,
    pub factors: Vec<FactorReport>,
}

/// One factor of it.
#[derive(Serialize)]
pub struct FactorReport {
    pub factor: &'static str,
    pub verdict: &'static str,
    pub what: String,
    pub why: String,
    pub differences: Vec<DifferenceReport>,
}

/// One difference of it.
#[derive(Serialize)]
pub struct DifferenceReport {
    pub line: Option<usize>,
    pub at: String,
    pub rule: &'static str,
    pub left: String,
    pub right: String,
    pub known: Option<String>,
    /// As `samebuild explain` knows it.
    pub cause: Option<&'static str>,
    /// What is particular here; may be empty.
    pub said: String,
    pub fix: Option<&'static str>,
}

/// Findings as data.
pub fn report(findings: &Findings) -> CaseReport {
    let difference = |found: &Found| DifferenceReport {
        line: found.line,
        at: found.difference.at.to_string(),
        rule: found.difference.rule,
        left: found.difference.left.clone(),
        right: found.difference.right.clone(),
        known: found.known.clone(),
        cause: found.cause.map(|page| page.id),
        said: found.said.clone(),
        fix: found.cause.map(|page| page.fix),
    };
    let factor = |row: &Finding| FactorReport {
        factor: row.factor,
        verdict: row.check.verdict.word(),
        what: row.what.clone(),
        why: row.check.why.clone(),
        differences: row.check.differences.iter().map(difference).collect(),
    };
    CaseReport {
        case: findings.case.clone(),
        dialect: findings.dialect,
        by: findings.by.clone(),
        distribution: findings.tally.as_ref().map(Tally::json),
        factors: findings.rows.iter().map(factor).collect(),
    }
}
