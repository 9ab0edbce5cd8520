//! How dialects diverge: golden against golden, by rule. It is knowledge, and never red. Without the base at hand, so that
//! it is the same on every machine: a place that only one side touches counts as different.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_compare::{CompareError, Options, RULES, compare_outcome};

use super::Known;
use super::table::{few, table};

pub(super) fn section(known: &Known) -> Result<String, CompareError> {
    let mut text = String::from("## How dialects diverge\n\n");
    for (index, left) in known.dialects.iter().enumerate() {
        for right in &known.dialects[index + 1..] {
            text.push_str(&pair(known, left, right)?);
        }
    }
    Ok(text)
}

/// How many case names a row lists.
const NAMES: usize = 8;

fn pair(known: &Known, left: &str, right: &str) -> Result<String, CompareError> {
    let mut by_rule: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let (mut both, mut differing) = (0, 0);
    for row in &known.cases {
        let (Some((_, one)), Some((_, other))) = (row.of(left), row.of(right)) else { continue };
        both += 1;
        let found = compare_outcome(one, other, &Options { base: None, ..Options::strict() })?;
        differing += usize::from(!found.is_empty());
        for difference in found {
            by_rule.entry(difference.rule).or_default().insert(row.case.id.as_str());
        }
    }
    if both == 0 {
        return Ok(String::new());
    }
    let mut text = format!("### {left} and {right}\n\n{differing} of {both} cases come out differently.\n\n");
    let mut rows = vec![["rule", "cases", "which"].map(str::to_owned).to_vec()];
    for rule in RULES {
        let name = rule.about().name;
        if let Some(cases) = by_rule.get(name) {
            let names: Vec<&str> = cases.iter().copied().collect();
            let which = if names.len() == both { "all".to_owned() } else { few(&names, NAMES) };
            rows.push(vec![name.to_owned(), names.len().to_string(), which]);
        }
    }
    text.push_str(&table(&rows));
    text.push('\n');
    Ok(text)
}
