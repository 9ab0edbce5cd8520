//! A family is a trait and a literal table: every file of it has a row, and every difference rule a pair that shows it.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Ground;

/// Where a family lives: its directory, and the file and name of its table.
struct Family {
    dir: &'static str,
    table_in: &'static str,
    table: &'static str,
    /// Files that are part of the family's machinery and no member of it.
    not_members: &'static [&'static str],
}

const FAMILIES: &[Family] = &[
    Family {
        dir: "harness/compare/src/rules",
        table_in: "harness/compare/src/rules.rs",
        table: "RULES",
        not_members: &["fields.rs"],
    },
    Family {
        dir: "harness/compare/src/causes",
        table_in: "harness/compare/src/causes.rs",
        table: "CAUSES",
        not_members: &[],
    },
    Family {
        dir: "harness/samebuild/src/builders",
        table_in: "harness/samebuild/src/builders/mod.rs",
        table: "BUILDERS",
        not_members: &["mod.rs", "classes.rs", "kept.rs", "laid.rs", "locate.rs"],
    },
    Family {
        dir: "harness/samebuild/src/tell",
        table_in: "harness/samebuild/src/tell/mod.rs",
        table: "FORMATS",
        not_members: &["mod.rs", "escape.rs", "html_layers.rs", "html_sizes.rs", "html_tree.rs"],
    },
    Family {
        dir: "harness/samebuild/src/bench/peers",
        table_in: "harness/samebuild/src/bench/peers.rs",
        table: "PEERS",
        not_members: &[],
    },
    Family {
        dir: "harness/samebuild/src/images/sources",
        table_in: "harness/samebuild/src/images/sources/mod.rs",
        table: "SOURCES",
        not_members: &["mod.rs"],
    },
    Family {
        dir: "harness/samebuild/src/images/outputs",
        table_in: "harness/samebuild/src/images/outputs/mod.rs",
        table: "OUTPUTS",
        not_members: &["mod.rs", "spelling.rs"],
    },
    Family {
        dir: "harness/store/src/races",
        table_in: "harness/store/src/races/mod.rs",
        table: "RACES",
        not_members: &["mod.rs"],
    },
    Family {
        dir: "harness/store/src/strategies",
        table_in: "harness/store/src/strategies/mod.rs",
        table: "STRATEGIES",
        not_members: &["mod.rs", "steps.rs"],
    },
    Family {
        dir: "xtask/src/tidy",
        table_in: "xtask/src/tidy/mod.rs",
        table: "CHECKS",
        not_members: &["mod.rs"],
    },
];

/// Members without a row.
pub(super) fn look(ground: &Ground<'_>) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for family in FAMILIES {
        let Some(text) = ground.text(family.table_in) else { continue };
        let rows = table_body(&text, family.table);
        for file in members(ground, family) {
            if !rows.is_some_and(|rows| names_module(rows, file)) {
                let dir = family.dir.rsplit('/').next().unwrap_or(family.dir);
                findings
                    .push(format!("{dir}/{file}.rs has no row in {} ({})", family.table, family.table_in));
            }
        }
    }
    Ok(findings)
}

/// Rules without a pair, pairs without a rule, and pairs that lack a side. `same/` holds pairs that no rule fires on.
pub(super) fn look_at_pairs(ground: &Ground<'_>) -> Result<Vec<String>> {
    let rules: BTreeSet<&str> = members(ground, &FAMILIES[0]).collect();
    let pairs: Vec<&str> =
        ground.names_in(PAIRS).into_iter().filter(|name| !name.contains('.') && *name != "same").collect();
    let mut findings = Vec::new();
    for rule in rules.iter().filter(|rule| !pairs.contains(rule)) {
        findings.push(format!("rules/{rule}.rs has no {PAIRS}/{rule}/ that it alone fires on"));
    }
    for pair in pairs.iter().filter(|pair| !rules.is_empty() && !rules.contains(*pair)) {
        findings.push(format!("{PAIRS}/{pair} is of no rule"));
    }
    let same = ground.names_in(&format!("{PAIRS}/same"));
    let dirs = pairs.iter().map(|pair| format!("{PAIRS}/{pair}"));
    for dir in dirs.chain(same.iter().map(|claim| format!("{PAIRS}/same/{claim}"))) {
        let names = ground.names_in(&dir);
        // A pair that records cannot show is made by a test, and named here.
        if names.contains(&"made.txt") {
            continue;
        }
        for side in ["left", "right"] {
            if !names.iter().any(|name| name.split('.').next() == Some(side)) {
                findings.push(format!("{dir} has no {side}"));
            }
        }
    }
    Ok(findings)
}

const PAIRS: &str = "fixtures/pairs";

fn members<'a>(ground: &'a Ground<'_>, family: &'a Family) -> impl Iterator<Item = &'a str> {
    ground
        .names_in(family.dir)
        .into_iter()
        .filter(|name| !family.not_members.contains(name))
        .filter_map(|name| name.strip_suffix(".rs"))
}

/// What stands between the brackets of `const TABLE: … = &[ … ];`.
fn table_body<'a>(text: &'a str, table: &str) -> Option<&'a str> {
    let from = text.find(&format!("const {table}:")).or_else(|| text.find(&format!("static {table}:")))?;
    let body = text[from..].split_once('=')?.1;
    body.split_once("];").map(|(body, _)| body)
}

/// Whether `module::` (or a name of the module's own, in either case) stands in the rows.
fn names_module(rows: &str, module: &str) -> bool {
    let camel: String = module.split('_').map(capitalised).collect();
    rows.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == module || word == camel)
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    const TABLE: (&str, &str) = (
        "harness/compare/src/rules.rs",
        "pub const RULES: &[&dyn Rule] = &[&owner::Owner, &Mode];\nconst OTHER: u8 = 1; // mtime\n",
    );

    #[test]
    fn a_rule_without_a_row_is_found() {
        let files = [
            TABLE,
            ("harness/compare/src/rules/owner.rs", ""),
            ("harness/compare/src/rules/mode.rs", ""),
            ("harness/compare/src/rules/mtime.rs", ""),
        ];
        assert_eq!(
            findings(&files, look),
            ["rules/mtime.rs has no row in RULES (harness/compare/src/rules.rs)"]
        );
    }

    #[test]
    fn a_pair_needs_both_sides_and_a_rule_needs_a_pair() {
        let files = [
            ("harness/compare/src/rules/owner.rs", ""),
            ("harness/compare/src/rules/layer_count.rs", ""),
            ("fixtures/pairs/layer_count/left.txt", ""),
            ("fixtures/pairs/mode/left.txt", ""),
            ("fixtures/pairs/mode/right.txt", ""),
            ("fixtures/pairs/same/a/left.txt", ""),
            ("fixtures/pairs/README.md", ""),
        ];
        assert_eq!(
            findings(&files, look_at_pairs),
            [
                "rules/owner.rs has no fixtures/pairs/owner/ that it alone fires on",
                "fixtures/pairs/mode is of no rule",
                "fixtures/pairs/layer_count has no right",
                "fixtures/pairs/same/a has no right",
            ]
        );
    }
}
