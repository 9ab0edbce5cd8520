//! What conforms: every case in every dialect, what was recorded of it, and what is documented as wrong.

use samebuild_image::golden::Outcome;

use super::table::table;
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
    text.push_str("\n### Case by case\n\n");
    text.push_str(
        "`fails` names the class of the failure; (b) a blessed golden; (n known) documented differences.\n\n",
    );
    text.push_str(&table(&cases(known)));
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
    let mut head = vec!["case".to_owned(), "what it asks".to_owned()];
    head.extend(known.dialects.iter().map(|dialect| (*dialect).to_owned()));
    let mut rows = vec![head];
    for row in &known.cases {
        let mut cells = vec![row.case.id.to_string(), row.case.about.clone().unwrap_or_default()];
        cells.extend(known.dialects.iter().map(|dialect| cell(row, dialect)));
        rows.push(cells);
    }
    rows
}

fn cell(row: &Row, dialect: &str) -> String {
    let mut cell = match row.of(dialect) {
        None if row.case.outcome(dialect) == cases::Outcome::Hangs => "hangs".to_owned(),
        None => "—".to_owned(),
        Some((_, seen)) => match &seen.outcome {
            Outcome::Built(_) => "builds".to_owned(),
            Outcome::Failed(failure) => format!("fails: {}", failure.class),
        },
    };
    if let Some((Origin::Reference, _)) = row.of(dialect) {
        cell.push_str(" (b)");
    }
    match knowns(row, dialect) {
        0 => {}
        count => cell.push_str(&format!(" ({count} known)")),
    }
    cell
}

fn knowns(row: &Row, dialect: &str) -> usize {
    row.case.known.iter().filter(|known| known.dialect == dialect).count()
}
