//! How dialects diverge and why. How many cases differ is golden against golden, without the base at hand so that it is the
//! same on every machine; which decision is to blame is read from golden/divergence.txt. All of it is knowledge, never red.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_builder::dialect::find;
use samebuild_compare::{CompareError, Options, RULES, compare_outcome};

use super::Known;
use super::table::{few, folded, table};
use crate::conform::show_why::is_noticed;
use crate::dialects::attribute::delta;
use crate::dialects::attributions::{Cause, PAIRS};

/// How many case names a row lists.
const NAMES: usize = 3;

pub(super) fn section(known: &Known) -> Result<String, CompareError> {
    let mut text = String::from(
        "## How dialects diverge\n\nHow many cases come out differently, of those recorded in both:\n\n",
    );
    text.push_str(&table(&matrix(known)?));
    text.push_str("\n### Why\n\n");
    text.push_str(WHY);
    if let Some(stale) = &known.stale {
        text.push_str(&format!("\n**Not current:** {stale}.\n"));
    }
    for pair in PAIRS {
        text.push_str(&why(known, *pair));
    }
    Ok(text)
}

const WHY: &str = "\
Two dialects differ in some decisions ([docs/dialects.md](docs/dialects.md) says what each means), and a case notices a few
of them. Found by building mixtures: flip a case's decisions in the first dialect, and its image is the second's, as the
base stands below it; leave one out, and what the last column names differs.
";

fn matrix(known: &Known) -> Result<Vec<Vec<String>>, CompareError> {
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(known.dialects.iter().skip(1).map(|id| (*id).to_owned()));
    for (index, left) in known.dialects.iter().enumerate() {
        if index + 1 == known.dialects.len() {
            break;
        }
        let mut row = vec![(*left).to_owned()];
        for (other, right) in known.dialects.iter().enumerate().skip(1) {
            row.push(if other > index { differing(known, left, right)? } else { String::new() });
        }
        rows.push(row);
    }
    Ok(rows)
}

fn differing(known: &Known, left: &str, right: &str) -> Result<String, CompareError> {
    let (mut both, mut differing) = (0, 0);
    for row in &known.cases {
        let (Some((_, one)), Some((_, other))) = (row.of(left), row.of(right)) else { continue };
        both += 1;
        let found = compare_outcome(one, other, &Options { base: None, ..Options::strict() })?;
        differing += usize::from(!found.is_empty());
    }
    Ok(format!("{differing} of {both}"))
}

/// A decision that cases notice.
#[derive(Default)]
struct Noticed<'a> {
    cases: Vec<&'a str>,
    rules: BTreeSet<&'a str>,
}

fn why(known: &Known, [left, right]: [&'static str; 2]) -> String {
    let key = [left, right].map(str::to_owned);
    let mut noticed: BTreeMap<&str, Noticed<'_>> = BTreeMap::new();
    let (mut differ, mut unexplained) = (0, Vec::new());
    for (case, entry) in &known.attributions.cases {
        match entry.pairs.get(&key) {
            None | Some(Cause::Unmet) => continue,
            Some(Cause::Unexplained) => unexplained.push(case.as_str()),
            Some(Cause::Decisions(decisions)) => {
                for (decision, rules) in decisions {
                    let row = noticed.entry(decision).or_default();
                    row.cases.push(case);
                    row.rules.extend(rules.iter().map(String::as_str));
                }
            }
        }
        differ += 1;
    }
    let total = known.attributions.cases.len();
    if total == 0 {
        return String::new();
    }
    let mut rows: Vec<(&str, Noticed<'_>)> = noticed.into_iter().collect();
    // What programs notice comes first, then what most cases notice.
    rows.sort_by_key(|(name, row)| {
        (!row.rules.iter().any(|rule| is_noticed(rule)), usize::MAX - row.cases.len(), *name)
    });
    let flips: BTreeMap<String, (String, String)> = match (find(left), find(right)) {
        (Ok(left), Ok(right)) => {
            delta(left, right).into_iter().map(|flip| (flip.decision, (flip.left, flip.right))).collect()
        }
        _ => BTreeMap::new(),
    };
    let silent: Vec<&str> = flips
        .keys()
        .map(String::as_str)
        .filter(|decision| !rows.iter().any(|(name, _)| name == decision))
        .collect();
    let mut cells =
        vec![["decision", left, right, "cases", "such as", "seen in"].map(str::to_owned).to_vec()];
    for (decision, row) in &rows {
        let (one, other) = flips.get(*decision).cloned().unwrap_or_default();
        let in_order = RULES.iter().map(|rule| rule.about().name).filter(|name| row.rules.contains(name));
        cells.push(vec![
            format!("`{decision}`"),
            one,
            other,
            row.cases.len().to_string(),
            few(&row.cases, NAMES),
            in_order.collect::<Vec<_>>().join(", "),
        ]);
    }
    let mut text = table(&cells);
    if !silent.is_empty() {
        let names: Vec<String> = silent.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\nThey differ in {} too, and no case needs it.\n", names.join(", ")));
    }
    if !unexplained.is_empty() {
        text.push_str(&format!("\n**No decisions explain** {}.\n", few(&unexplained, 12)));
    }
    let summary = format!("<b>{left} → {right}</b>: {differ} of {total} cases, {} decisions", rows.len());
    folded(&summary, &text)
}
