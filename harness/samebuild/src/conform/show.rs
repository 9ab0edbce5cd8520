//! A run as text and as JSON: a line a case, the differences of what is red with the Dockerfile's line underlined, the
//! command that does it again, a table at the end. Where it is printed, and in which colours, is the command line's affair.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use samebuild_compare::{Difference, Severity, Where};
use serde_json::{Value, json};

use super::check::{Check, Found};
use super::show_why;
use super::suite::CaseResult;
use super::verdict::Verdict;

/// More differences of one check than this are counted, not shown.
const SHOWN: usize = 40;

/// One line: the case, and for each dialect what it came to, told apart only where its checks came to different things.
/// `paint` colours a word by its verdict.
pub fn line(result: &CaseResult, width: usize, paint: &dyn Fn(Verdict, &str) -> String) -> String {
    let mut line = format!("{:<width$}", result.case);
    if !result.stand_ins.is_empty() {
        let names: Vec<&str> = result.stand_ins.iter().map(String::as_str).collect();
        let _ = write!(line, "  [a stand-in base for {}]", names.join(", "));
    }
    if let Some(why) = alike(result) {
        let _ = write!(line, "  {} ({why})", paint(Verdict::Same, Verdict::Same.word()));
        return line;
    }
    for checks in result.checks.chunk_by(|left, right| left.dialect == right.dialect) {
        let _ = write!(line, "  {}", checks[0].dialect);
        if checks.iter().all(|check| check.verdict == checks[0].verdict) {
            let _ = write!(line, " {}", paint(checks[0].verdict, checks[0].verdict.word()));
            continue;
        }
        for check in checks {
            let _ = write!(line, " {} ({})", paint(check.verdict, check.verdict.word()), check.against);
        }
    }
    line
}

/// How all dialects failed, if they did and alike: `all fail: unknown-instruction, line 1`.
fn alike(result: &CaseResult) -> Option<&str> {
    let first =
        result.checks.first().filter(|check| check.verdict == Verdict::Same && !check.why.is_empty())?;
    let is_alike = |check: &Check| check.verdict == Verdict::Same && check.why == first.why;
    result.checks.iter().all(is_alike).then_some(&*first.why)
}

/// [`detail`] of every check of a case that is red; dialects that differ from another in the same way share one.
pub fn details(result: &CaseResult, dockerfile: &str, again: &str) -> Vec<String> {
    struct Shared<'a> {
        check: &'a Check,
        body: String,
        dialects: Vec<&'a str>,
        /// Fewest and most differences in which fields there are.
        fields: (usize, usize),
    }
    let mut shared: Vec<Shared<'_>> = Vec::new();
    for check in result.checks.iter().filter(|check| !check.verdict.is_green()) {
        let (body, fields) = body(check, dockerfile);
        let is_like = |other: &&mut Shared<'_>| {
            (check.is_divergence, other.check.is_divergence) == (true, true)
                && (other.check.verdict, &other.check.against) == (check.verdict, &check.against)
                && other.body == body
        };
        match shared.iter_mut().find(is_like) {
            Some(other) => {
                other.dialects.push(&check.dialect);
                other.fields = (other.fields.0.min(fields), other.fields.1.max(fields));
            }
            None => {
                let (dialects, fields) = (vec![&*check.dialect], (fields, fields));
                shared.push(Shared { check, body, dialects, fields });
            }
        }
    }
    let text = |shared: &Shared<'_>| {
        let why = match shared.dialects[..] {
            [_] => shared.check.why.clone(),
            _ => format!("they differ from {} in the same way", shared.check.against),
        };
        let mut body = shared.body.clone() + &fields_line(shared.fields);
        if let Some(why) = result.because.get(shared.dialects[0]).filter(|_| shared.check.is_divergence) {
            body.push_str(&show_why::lines(why));
        }
        whole(shared.check, &shared.dialects.join(", "), &why, &body, again)
    };
    shared.iter().map(text).collect()
}

/// What is red, or was skipped, in full: why, the differences, the instruction, and how to see it again, with the command
/// `again`. Empty where all is green and nothing was left out.
pub fn detail(check: &Check, dockerfile: &str, again: &str) -> String {
    if matches!(check.verdict, Verdict::Same | Verdict::Known) {
        return String::new();
    }
    let (body, fields) = body(check, dockerfile);
    whole(check, &check.dialect, &check.why, &(body + &fields_line((fields, fields))), again)
}

fn whole(check: &Check, dialects: &str, why: &str, body: &str, again: &str) -> String {
    let mut text = format!("{} {} {dialects}", check.verdict, check.case);
    if check.against != "golden" {
        let _ = write!(text, " ({})", check.against);
    }
    let _ = writeln!(text, ": {why}");
    if check.verdict == Verdict::Skipped {
        return text;
    }
    let _ = writeln!(text, "{body}  again: {}", replay(check, again));
    text
}

/// How many differences are about fields that only some builders write down.
fn fields_line((fewest, most): (usize, usize)) -> String {
    let count = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    if most == 0 {
        return String::new();
    }
    format!("    and in which fields the configuration writes down: {count}\n")
}

/// The differences under their instructions; those that [`fields_line`] tells are only counted.
pub(crate) fn body(check: &Check, dockerfile: &str) -> (String, usize) {
    let mut text = String::new();
    let mut line = None;
    let (shown, counted): (Vec<&Found>, Vec<&Found>) = match check.verdict {
        // Between dialects nearly everything of the metadata differs: what a program notices comes first.
        Verdict::Different if check.is_divergence => {
            check.differences.iter().partition(|found| is_noticed(&found.difference))
        }
        _ => (check.differences.iter().collect(), Vec::new()),
    };
    for found in shown.iter().take(SHOWN) {
        if found.line.is_some() && found.line != line {
            line = found.line;
            text.push_str(&underlined("Dockerfile", dockerfile, line.unwrap_or_default()));
        }
        let _ = write!(text, "    {}", found.difference);
        let _ = match &found.known {
            Some(why) => writeln!(text, "   (known: {why})"),
            None => writeln!(text),
        };
    }
    if shown.len() > SHOWN {
        let _ = writeln!(text, "    … and {} more", shown.len() - SHOWN);
    }
    let (written, counted): (Vec<_>, Vec<_>) =
        counted.into_iter().partition(|found| is_spelling(&found.difference));
    let (times, counted): (Vec<_>, Vec<_>) =
        counted.into_iter().partition(|found| found.difference.rule == "mtime");
    if !times.is_empty() {
        let _ = writeln!(text, "    and in the times of files: mtime {}", times.len());
    }
    if !counted.is_empty() {
        let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
        for found in &counted {
            *rules.entry(found.difference.rule).or_default() += 1;
        }
        let rules: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
        let _ = writeln!(text, "    and in what no program in the image notices: {}", rules.join(", "));
    }
    (text, written.len())
}

/// Whether a difference can change what programs in the image do, or who may do what.
fn is_noticed(difference: &Difference) -> bool {
    let rule = samebuild_compare::rules::rule(difference.rule);
    !is_spelling(difference)
        && rule.is_none_or(|rule| matches!(rule.about().severity, Severity::Behaviour | Severity::Security))
}

/// Whether it is about fields that some builders write down and others leave out, and that no engine acts on.
fn is_spelling(difference: &Difference) -> bool {
    const FIELDS: [&str; 5] = ["container_config", "container", "docker_version", "Image", "ArgsEscaped"];
    let field = match &difference.at {
        Where::Config(field) | Where::Top(field) => field.split('.').next().unwrap_or(field),
        _ => "",
    };
    difference.rule == "config_null" || (difference.rule == "config_other" && FIELDS.contains(&field))
}

/// The command that makes this check again; `again` is how cases of this kind are run at all.
pub fn replay(check: &Check, again: &str) -> String {
    let engine = check.against.strip_prefix("live ").and_then(|rest| rest.split(',').next());
    let engine = engine.map_or(String::new(), |engine| format!(" --engine {engine}"));
    let other = if check.is_divergence { format!(" --dialect {}", check.against) } else { String::new() };
    format!("{again} --filter {} --dialect {}{other}{engine}", check.case, check.dialect)
}

/// Verdicts by dialect and counterpart, as a table.
pub fn table(results: &[CaseResult]) -> String {
    let mut rows: BTreeMap<(&str, &str), BTreeMap<Verdict, usize>> = BTreeMap::new();
    for check in results.iter().flat_map(|result| &result.checks) {
        *rows.entry((&check.dialect, &check.against)).or_default().entry(check.verdict).or_default() += 1;
    }
    let columns: Vec<(Verdict, &str)> = Verdict::ALL
        .into_iter()
        .filter(|(verdict, _)| {
            *verdict == Verdict::Same || rows.values().any(|row| row.contains_key(verdict))
        })
        .collect();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    let words = columns.iter().map(|(_, word)| (*word).to_owned());
    table.set_header(["dialect".to_owned(), "held against".to_owned()].into_iter().chain(words));
    for ((dialect, against), counts) in &rows {
        let counts = columns.iter().map(|(verdict, _)| counts.get(verdict).copied().unwrap_or(0).to_string());
        table.add_row([(*dialect).to_owned(), (*against).to_owned()].into_iter().chain(counts));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// The run as data; the schema is this function.
pub fn json(results: &[CaseResult], again: &str) -> Value {
    let difference = |found: &Found| {
        json!({
            "rule": found.difference.rule,
            "at": found.difference.at.to_string(),
            "left": found.difference.left,
            "right": found.difference.right,
            "known": found.known,
            "line": found.line,
        })
    };
    let check = |check: &Check| {
        json!({
            "case": check.case,
            "dialect": check.dialect,
            "against": check.against,
            "verdict": check.verdict.word(),
            "why": check.why,
            "differences": check.differences.iter().map(difference).collect::<Vec<_>>(),
            "again": replay(check, again),
        })
    };
    let checks: Vec<Value> = results.iter().flat_map(|result| &result.checks).map(check).collect();
    let is_more = |result: &&CaseResult| !result.because.is_empty() || !result.stand_ins.is_empty();
    let cases: Vec<Value> = results.iter().filter(is_more).map(show_why::json).collect();
    if cases.is_empty() {
        return json!({ "schema": 1, "checks": checks });
    }
    json!({ "schema": 1, "checks": checks, "cases": cases })
}

/// The instruction that begins in this line, all its lines, underlined.
/// A line of a Dockerfile, called `name`, with those that continue it, underlined.
pub(crate) fn underlined(name: &str, dockerfile: &str, line: usize) -> String {
    let lines: Vec<&str> = dockerfile.lines().collect();
    let Some(first) = line.checked_sub(1).filter(|first| *first < lines.len()) else { return String::new() };
    let mut last = first;
    while last + 1 < lines.len() && lines[last].trim_end().ends_with('\\') {
        last += 1;
    }
    let mut text = String::new();
    for (number, content) in lines.iter().enumerate().take(last + 1).skip(first) {
        let width = content.trim_end().chars().count().max(1);
        let _ = writeln!(text, "  {name}:{} │ {content}", number + 1);
        let pad = format!("  {name}:{} ", number + 1).chars().count();
        let _ = writeln!(text, "{:pad$}│ {}", "", "─".repeat(width));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_compare::LayerNumber;
    use samebuild_image::At;

    fn different() -> Check {
        let difference = Difference {
            rule: "owner",
            at: Where::Entry(LayerNumber { left: 1, right: 1 }, At::from("srv/a")),
            left: "0:0".to_owned(),
            right: "1000:1000".to_owned(),
            seen: None,
            entries: Default::default(),
        };
        Check {
            case: "copy/x".to_owned(),
            dialect: "classic@20.10".to_owned(),
            against: "live docker-20.10, its golden".to_owned(),
            verdict: Verdict::Different,
            why: "1 difference between a and b".to_owned(),
            differences: vec![Found { line: Some(2), ..Found::from(difference) }],
            is_divergence: false,
        }
    }

    #[test]
    fn a_difference_is_shown_under_its_instruction_with_the_command_that_shows_it_again() {
        let text = detail(&different(), "FROM base\nCOPY a \\\n  /srv/\nRUN x\n", "cargo xtask conformance");
        let expected = "\
different copy/x classic@20.10 (live docker-20.10, its golden): 1 difference between a and b
  Dockerfile:2 │ COPY a \\
               │ ────────
  Dockerfile:3 │   /srv/
               │ ───────
    layer 1 · /srv/a · owner: 0:0 → 1000:1000
  again: cargo xtask conformance --filter copy/x --dialect classic@20.10 --engine docker-20.10
";
        assert_eq!(text, expected);
    }

    #[test]
    fn between_dialects_what_no_program_notices_is_counted_and_the_command_names_both() {
        let of = |rule, at| Difference {
            rule,
            at,
            left: "a".to_owned(),
            right: "b".to_owned(),
            seen: None,
            entries: Default::default(),
        };
        let owner = of("owner", Where::Rootfs(At::from("x")));
        let history = of("history", Where::History(1));
        let mut check = different();
        check.against = "buildkit@20.10".to_owned();
        check.is_divergence = true;
        let mtime = of("mtime", Where::Rootfs(At::from("x")));
        let version = of("config_other", Where::Top("docker_version".to_owned()));
        let null = of("config_null", Where::Config("Image".to_owned()));
        check.differences = [owner, history, mtime, version, null].map(Found::from).to_vec();
        let text = detail(&check, "", "samebuild conform DIR");
        assert!(text.contains("    rootfs · /x · owner: a → b\n"), "{text}");
        assert!(text.contains("    and in what no program in the image notices: history 1\n"), "{text}");
        assert!(text.contains("    and in the times of files: mtime 1\n"), "{text}");
        assert!(text.contains("    and in which fields the configuration writes down: 2\n"), "{text}");
        assert!(!text.contains("docker_version"), "{text}");
        let again =
            "samebuild conform DIR --filter copy/x --dialect classic@20.10 --dialect buildkit@20.10\n";
        assert!(text.ends_with(again), "{text}");
    }

    #[test]
    fn dialects_that_differ_in_the_same_way_share_a_block() {
        let of = |dialect: &str| Check {
            dialect: dialect.to_owned(),
            against: "classic@20.10".to_owned(),
            is_divergence: true,
            ..different()
        };
        let mut other = of("c");
        other.differences.clear();
        let checks = vec![of("a"), of("b"), other];
        let result = CaseResult { case: "copy/x".to_owned(), checks, ..CaseResult::default() };
        let blocks = details(&result, "", "again");
        assert_eq!(blocks.len(), 2, "{blocks:?}");
        let first = "different copy/x a, b (classic@20.10): they differ from classic@20.10 in the same way\n";
        assert!(blocks[0].starts_with(first), "{blocks:?}");
    }

    #[test]
    fn that_all_fail_alike_is_said() {
        let check = Check {
            verdict: Verdict::Same,
            why: "all fail: unknown-instruction, line 1".to_owned(),
            ..different()
        };
        let checks = vec![check.clone(), check];
        let result = CaseResult { case: "app".to_owned(), checks, ..CaseResult::default() };
        let line = line(&result, 0, &|_, word| word.to_owned());
        assert_eq!(line, "app  same (all fail: unknown-instruction, line 1)");
    }

    #[test]
    fn a_line_tells_checks_apart_only_where_they_differ() {
        let with = |verdict, against: &str| {
            let (against, why) = (against.to_owned(), String::new());
            Check { verdict, against, why, ..different() }
        };
        let line = |checks| {
            let result = CaseResult { case: "copy/x".to_owned(), checks, ..CaseResult::default() };
            super::line(&result, 8, &|_, word| word.to_owned())
        };
        use Verdict::{Different, Same};
        assert_eq!(line(vec![with(Same, "golden"), with(Same, "live e")]), "copy/x    classic@20.10 same");
        assert_eq!(
            line(vec![with(Same, "golden"), with(Different, "live e")]),
            "copy/x    classic@20.10 same (golden) different (live e)"
        );
    }

    #[test]
    fn the_table_counts_every_check_once() {
        let result = CaseResult {
            case: "copy/x".to_owned(),
            checks: vec![different(), Check { verdict: Verdict::Same, ..different() }],
            ..CaseResult::default()
        };
        let table = table(&[result]);
        let row: Vec<&str> =
            table.lines().find(|line| line.contains("classic")).unwrap().split_whitespace().collect();
        let words: Vec<&str> = row.into_iter().filter(|word| !["│", "┆"].contains(word)).collect();
        assert_eq!(words, ["classic@20.10", "live", "docker-20.10,", "its", "golden", "1", "1"], "{table}");
    }
}
