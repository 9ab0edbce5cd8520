//! Why dialects part, as text: under a case, and for a whole run as a table. What is found is `dialects::attribute`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use samebuild_compare::{RULES, Severity};
use serde_json::{Value, json};

use super::suite::CaseResult;
use crate::dialects::attribute::{Because, Why};

/// Under the differences of a case: the decisions that are needed, those that programs notice with what they change.
pub(super) fn lines(why: &Why) -> String {
    let because = match why {
        Why::Because(because) => because,
        Why::Same => return String::new(),
        Why::Unexplained => return "    because of no decision there is: please tell us\n".to_owned(),
        Why::Unmet(why) => return format!("    nobody knows why: {why}\n"),
    };
    let (noticed, others): (Vec<&Because>, Vec<&Because>) =
        because.iter().partition(|because| because.rules.keys().any(|rule| is_noticed(rule)));
    let mut text = String::new();
    for because in noticed {
        let flip = &because.flip;
        let _ = writeln!(
            text,
            "    because {} is {}, not {} ({})",
            flip.decision,
            flip.right,
            flip.left,
            rules(because)
        );
    }
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|because| &*because.flip.decision).collect();
        let _ = writeln!(text, "    and, unnoticed by programs, because of {}", names.join(", "));
    }
    text
}

/// Which decisions made how many cases differ, most first; nothing where no case differs.
pub fn table(results: &[CaseResult]) -> Option<String> {
    #[derive(Default)]
    struct Row<'a> {
        cases: BTreeSet<&'a str>,
        dialects: BTreeSet<&'a str>,
        rules: BTreeSet<&'a str>,
    }
    let mut rows: BTreeMap<(&str, &str, &str), Row<'_>> = BTreeMap::new();
    for result in results {
        for (dialect, why) in &result.because {
            let Why::Because(because) = why else { continue };
            for because in because {
                let flip = &because.flip;
                let row = rows.entry((&flip.decision, &flip.left, &flip.right)).or_default();
                row.cases.insert(&result.case);
                row.dialects.insert(dialect);
                row.rules.extend(because.rules.keys().map(String::as_str));
            }
        }
    }
    if rows.is_empty() {
        return None;
    }
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(key, row)| {
        (!row.rules.iter().any(|rule| is_noticed(rule)), usize::MAX - row.cases.len(), *key)
    });
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["decision", "the first does", "others do", "cases", "in", "seen as"]);
    for ((decision, left, right), row) in rows {
        let in_order = RULES.iter().map(|rule| rule.about().name).filter(|name| row.rules.contains(name));
        table.add_row([
            decision.to_owned(),
            left.to_owned(),
            right.to_owned(),
            row.cases.len().to_string(),
            row.dialects.into_iter().collect::<Vec<_>>().join(", "),
            in_order.collect::<Vec<_>>().join(", "),
        ]);
    }
    Some(table.to_string())
}

/// The same of one case, as data.
pub(super) fn json(result: &CaseResult) -> Value {
    let flip = |because: &Because| {
        json!({
            "decision": because.flip.decision,
            "left": because.flip.left,
            "right": because.flip.right,
            "rules": because.rules,
        })
    };
    let cause = |why: &Why| match why {
        Why::Because(because) => because.iter().map(flip).collect::<Value>(),
        Why::Same => json!([]),
        Why::Unexplained => json!("unexplained"),
        Why::Unmet(why) => json!(why),
    };
    let causes: BTreeMap<&str, Value> =
        result.because.iter().map(|(dialect, why)| (dialect.as_str(), cause(why))).collect();
    json!({ "case": result.case, "stand-ins": result.stand_ins, "because": causes })
}

/// Whether a rule sees what programs in an image can notice.
pub fn is_noticed(name: &str) -> bool {
    let rule = samebuild_compare::rules::rule(name);
    rule.is_some_and(|rule| matches!(rule.about().severity, Severity::Behaviour | Severity::Security))
        && !["config_null", "config_other"].contains(&name)
}

fn rules(because: &Because) -> String {
    let words = because.rules.iter().map(|(rule, count)| format!("{rule} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::attribute::Flip;

    fn because(decision: &str, rule: &str) -> Because {
        let flip = Flip { decision: decision.to_owned(), left: "a".to_owned(), right: "b".to_owned() };
        Because { flip, rules: BTreeMap::from([(rule.to_owned(), 2)]) }
    }

    #[test]
    fn what_programs_notice_is_told_in_full_and_the_rest_by_name() {
        let why = Why::Because(vec![because("copy.owner", "owner"), because("history.text", "history")]);
        let text = lines(&why);
        assert_eq!(
            text,
            "    because copy.owner is b, not a (owner 2)\n    and, unnoticed by programs, because of history.text\n"
        );
        let result = CaseResult {
            case: "x".to_owned(),
            because: BTreeMap::from([("d@1".to_owned(), why)]),
            ..CaseResult::default()
        };
        let table = table(&[result]).unwrap();
        let at = |word: &str| table.find(word).unwrap_or_else(|| panic!("{word}: {table}"));
        assert!(at("copy.owner") < at("history.text"), "{table}");
        assert_eq!(super::table(&[]), None);
    }
}
