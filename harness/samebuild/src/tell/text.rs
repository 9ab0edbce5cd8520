//! For a terminal, or a file: the table of findings first, then each with its instruction, rows and fix. Coloured; whoever
//! prints it takes colours away where no terminal is.

use std::fmt::Write as _;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use owo_colors::OwoColorize as _;
use samebuild_compare::peek::diff::Side;
use samebuild_compare::{Finding, Severity};

use super::escape::visible;
use super::{Format, Report, many, whereabouts};
use crate::conform::show::underlined;

pub(super) struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "for people: findings in a table, then each with its rows"
    }

    fn tell(&self, report: &Report<'_>) -> Result<String> {
        let mut text = String::new();
        let findings = &report.explained.findings;
        if !findings.is_empty() {
            let _ = writeln!(text, "{}\n", table(findings, report));
        }
        for (number, finding) in findings.iter().enumerate() {
            text.push_str(&block(number + 1, finding, report));
            text.push('\n');
        }
        for (ignore, count) in &report.hidden.by {
            let why = ignore.why.as_ref().map_or_else(String::new, |why| format!(" ({})", visible(why)));
            let _ = writeln!(
                text,
                "ignored: {} by {}{why}",
                many(*count, "difference"),
                visible(&ignore.to_string())
            );
        }
        if report.explained.unread > 0 {
            let _ = writeln!(
                text,
                "not looked into: {}, because there are so many",
                many(report.explained.unread, "content")
            );
        }
        text.push_str(&report.verdict());
        Ok(text)
    }
}

fn table(findings: &[Finding], report: &Report<'_>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["", "severity", "cause", "rows", "where"]);
    for (number, finding) in findings.iter().enumerate() {
        let rows = match finding.consequences.len() {
            0 => finding.rows.len().to_string(),
            n => format!("{} + {n}", finding.rows.len()),
        };
        let number = (number + 1).to_string();
        let severity = finding.severity.to_string();
        table.add_row([number, severity, finding.cause.id.to_owned(), rows, whereabouts(finding, report)]);
    }
    for column in [0, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn block(number: usize, finding: &Finding, report: &Report<'_>) -> String {
    let mut text = String::new();
    let severity = paint(finding.severity);
    let _ = writeln!(text, "{number}. {severity} · {}: {}", finding.cause.id.bold(), finding.cause.title);
    if !finding.said.is_empty() {
        let _ = writeln!(text, "   {}", visible(&finding.said));
    }
    text.push_str(&instruction(finding, report));
    for row in finding.rows.iter().take(report.rows) {
        let _ = writeln!(text, "   {}", visible(&report.comparison.differences[*row].to_string()));
        let details = finding.details.iter().filter(|(of, _)| of == row).flat_map(|(_, lines)| lines);
        for line in details {
            let shown = format!("{}{}", line.sign(), visible(&line.text));
            let shown = match line.side {
                Side::Left => shown.red().to_string(),
                Side::Right => shown.green().to_string(),
                Side::Both | Side::Note => shown.dimmed().to_string(),
            };
            let _ = writeln!(text, "     {shown}");
        }
    }
    if finding.rows.len() > report.rows {
        let more = finding.rows.len() - report.rows;
        let under = finding
            .under
            .as_ref()
            .map_or_else(String::new, |dir| format!(", all under {}", super::escape::path(dir)));
        let _ = writeln!(text, "   … and {more} more{under} (--rows {} shows them)", finding.rows.len());
    }
    if let Some(first) = finding.consequences.first() {
        let first = report.comparison.differences[*first].to_string();
        let _ = writeln!(
            text,
            "   and {} for that: {}",
            many(finding.consequences.len(), "difference"),
            visible(&first)
        );
    }
    let _ = writeln!(text, "   {} {}", "fix:".green(), finding.cause.fix);
    text
}

/// What made the layer: the lines of the Dockerfile, underlined, else the words of the history.
fn instruction(finding: &Finding, report: &Report<'_>) -> String {
    match (&finding.line, report.dockerfile, &finding.instruction) {
        (Some(line), Some((name, dockerfile)), _) => {
            let lines: Vec<String> = dockerfile.lines().map(|line| visible(line).into_owned()).collect();
            underlined(name, &lines.join("\n"), line.line)
                .lines()
                .map(|line| format!("   {line}\n"))
                .collect()
        }
        (_, _, Some(instruction)) if !instruction.is_empty() => format!("   by {}\n", visible(instruction)),
        _ => String::new(),
    }
}

fn paint(severity: Severity) -> String {
    let word = severity.to_string();
    match severity {
        Severity::Security => word.red().bold().to_string(),
        Severity::Behaviour => word.red().to_string(),
        Severity::Reproducibility => word.yellow().to_string(),
        Severity::Cosmetic => word.dimmed().to_string(),
    }
}
