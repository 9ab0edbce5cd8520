//! Markdown for a comment on a change: a table of findings, and each folded below it. Short enough for GitHub, which takes
//! 65,536 characters.

use std::fmt::Write as _;

use anyhow::Result;

use super::escape::markdown;
use super::{Format, Report, many, whereabouts};

pub(super) struct Markdown;

/// A comment is cut before this many bytes.
const LONGEST: usize = 60_000;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn about(&self) -> &'static str {
        "Markdown, for a comment on a change"
    }

    fn tell(&self, report: &Report<'_>) -> Result<String> {
        let findings = &report.explained.findings;
        let mut text = format!("### samebuild: {}\n\n", report.verdict());
        let _ = writeln!(text, "{} ↔ {}\n", markdown(report.left), markdown(report.right));
        if !findings.is_empty() {
            text.push_str("| severity | cause | rows | where |\n| --- | --- | ---: | --- |\n");
        }
        for finding in findings {
            let rows = finding.rows.len() + finding.consequences.len();
            let place = markdown(&whereabouts(finding, report));
            let _ = writeln!(
                text,
                "| {} | {}: {} | {rows} | {place} |",
                finding.severity, finding.cause.id, finding.cause.title
            );
        }
        for (told, finding) in findings.iter().enumerate() {
            let block = block(finding, report);
            if text.len() + block.len() > LONGEST {
                let _ = writeln!(
                    text,
                    "\n{} not shown: the comment would be too long.",
                    many(findings.len() - told, "finding")
                );
                break;
            }
            text.push_str(&block);
        }
        for (ignore, count) in &report.hidden.by {
            let _ = writeln!(
                text,
                "\n{} ignored by {}",
                many(*count, "difference"),
                markdown(&ignore.to_string())
            );
        }
        Ok(text.trim_end().to_owned())
    }
}

fn block(finding: &samebuild_compare::Finding, report: &Report<'_>) -> String {
    let mut text = format!("\n<details><summary>{}: {}</summary>\n\n", finding.cause.id, finding.cause.title);
    if !finding.said.is_empty() {
        let _ = writeln!(text, "{}\n", markdown(&finding.said));
    }
    if let Some(line) = &finding.line {
        let name = report.dockerfile.map_or("Dockerfile", |(name, _)| name);
        let _ = writeln!(text, "{}\n", markdown(&format!("{name}:{} {}", line.line, line.original)));
    } else if let Some(instruction) = finding.instruction.as_ref().filter(|text| !text.is_empty()) {
        let _ = writeln!(text, "{}\n", markdown(instruction));
    }
    for row in finding.rows.iter().take(report.rows) {
        let _ = writeln!(text, "- {}", markdown(&report.comparison.differences[*row].to_string()));
    }
    if finding.rows.len() > report.rows {
        let _ = writeln!(text, "- and {} more", finding.rows.len() - report.rows);
    }
    for (row, lines) in
        finding.details.iter().filter(|(row, _)| finding.rows.iter().take(report.rows).any(|r| r == row))
    {
        let place = report.comparison.differences[*row].at.to_string();
        let shown: Vec<String> =
            lines.iter().map(|line| markdown(&format!("{}{}", line.sign(), line.text))).collect();
        let _ = writeln!(text, "\n{}<br>{}", markdown(&place), shown.join("<br>"));
    }
    if !finding.consequences.is_empty() {
        let _ = writeln!(text, "\nand {} for that", many(finding.consequences.len(), "difference"));
    }
    let _ = writeln!(text, "\n**fix** {}\n\n</details>", finding.cause.fix);
    text
}
