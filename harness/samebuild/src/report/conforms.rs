//! What conforms: every case in every dialect, what was recorded of it, and what is documented as wrong.

use samebuild_image::golden::Outcome;

use super::table::{folded, table};
use super::{Known, Row};
use crate::cases;
use crate::conform::goldens::Origin;

pub(super) fn section(known: &Known) -> String {
    let mut text = String::from(
        "## What conforms\n\n\
         Each case is built by the reference builder in each dialect, and must come out as the golden says: what a real \
         builder was seen doing, or (blessed) what the reference does where nobody was seen.\n\n",
    );
    text.push_str(&table(&summary(known)));
    let summary =
        format!("<b>Case by case</b>: what each of {} cases asks, and who builds it", known.cases.len());
    text.push_str(&folded(&summary, &table(&cases(known))));
    text
}

fn summary(known: &Known) -> Vec<Vec<String>> {
    let head = ["dialect", "cases", "observed", "blessed", "builds", "fails", "known differences"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for dialect in &known.dialects {
        let found: Vec<_> = known.cases.iter().filter_map(|row| row.of(dialect)).collect();
        let count = |is_it: &dyn Fn(Origin, &Outcome) -> bool| {
            found.iter().filter(|(origin, seen)| is_it(*origin, &seen.outcome)).count().to_string()
        };
        rows.push(vec![
            (*dialect).to_owned(),
            known.cases.len().to_string(),
            count(&|origin, _| origin == Origin::Observed),
            count(&|origin, _| origin == Origin::Reference),
            count(&|_, outcome| matches!(outcome, Outcome::Built(_))),
            count(&|_, outcome| matches!(outcome, Outcome::Failed(_))),
            known.cases.iter().map(|row| knowns(row, dialect)).sum::<usize>().to_string(),
        ]);
    }
    rows
}

fn cases(known: &Known) -> Vec<Vec<String>> {
    let mut rows = vec![["case", "what it asks", "what comes of it"].map(str::to_owned).to_vec()];
    for row in &known.cases {
        let about = row.case.about.clone().unwrap_or_default();
        rows.push(vec![row.case.id.to_string(), about, outcome(row, &known.dialects)]);
    }
    rows
}

/// `builds`, or who does what: `classic@20.10, classic@26.1: fails (unknown-flag); else builds`.
fn outcome(row: &Row, dialects: &[&'static str]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for dialect in dialects {
        let word = word(row, dialect);
        match groups.iter_mut().find(|(other, _)| *other == word) {
            Some((_, dialects)) => dialects.push(dialect),
            None => groups.push((word, vec![dialect])),
        }
    }
    // What most do is told last, and without their names.
    groups.sort_by_key(|(_, dialects)| dialects.len());
    let Some((usual, _)) = groups.pop() else { return "—".to_owned() };
    let mut parts: Vec<String> =
        groups.iter().map(|(word, dialects)| format!("{}: {word}", dialects.join(", "))).collect();
    parts.push(if parts.is_empty() { usual } else { format!("else {usual}") });
    parts.join("; ")
}

fn word(row: &Row, dialect: &str) -> String {
    let word = match row.of(dialect) {
        None if row.case.outcome(dialect) == cases::Outcome::Hangs => "hangs".to_owned(),
        None => "—".to_owned(),
        Some((_, seen)) => match &seen.outcome {
            Outcome::Built(_) => "builds".to_owned(),
            Outcome::Failed(failure) => format!("fails ({})", failure.class),
        },
    };
    match knowns(row, dialect) {
        0 => word,
        count => format!("{word}, {count} known differences"),
    }
}

fn knowns(row: &Row, dialect: &str) -> usize {
    row.case.known.iter().filter(|known| known.dialect == dialect).count()
}
