//! A page that opens from disk: findings on top, the stacks of layers side by side, sizes, a tree of differences that folds.
//! No script, no network: its policy forbids both, and everything out of an image is escaped by the template.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use samebuild_compare::Finding;
use samebuild_compare::peek::diff::Side;

use super::escape::visible;
use super::{Format, Report, html_layers, html_tree, many, whereabouts};

pub(super) struct Html;

const STYLE: &str = include_str!("page.css");

impl Format for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn about(&self) -> &'static str {
        "a page that opens from disk"
    }

    fn tell(&self, report: &Report<'_>) -> Result<String> {
        Ok(page(report).into_string())
    }
}

fn page(report: &Report<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "samebuild: " (visible(report.left)) " ↔ " (visible(report.right)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (report.verdict()) }
                    p.names { code { (visible(report.left)) } " ↔ " code { (visible(report.right)) } }
                    p.severities {
                        @for (severity, rows) in report.by_severity() {
                            span class={ "tag " (severity) } { (severity) " " b { (rows) } } " "
                        }
                    }
                }
                section #findings {
                    h2 { "Findings" }
                    @if report.explained.findings.is_empty() { p { "None." } }
                    @for finding in &report.explained.findings { (one(finding, report)) }
                    (ignored(report))
                }
                (html_layers::section(report))
                (html_tree::section(report))
                footer { "samebuild " (env!("CARGO_PKG_VERSION")) " · samebuild explain CAUSE tells more" }
            }
        }
    }
}

fn one(finding: &Finding, report: &Report<'_>) -> Markup {
    let place = whereabouts(finding, report);
    html! {
        details.finding open[finding.severity <= samebuild_compare::Severity::Security] {
            summary {
                span class={ "tag " (finding.severity) } { (finding.severity) } " "
                b { (finding.cause.title) }
                span.where { (many(finding.rows.len() + finding.consequences.len(), "difference")) " · " (place) }
            }
            div.body {
                @if !finding.said.is_empty() { p { (visible(&finding.said)) } }
                (instruction(finding, report))
                p { (prose(finding.cause.what)) }
                ul.rows {
                    @for row in finding.rows.iter().take(report.rows) {
                        li {
                            code { (visible(&report.comparison.differences[*row].to_string())) }
                            @for (_, lines) in finding.details.iter().filter(|(of, _)| of == row) {
                                pre.diff {
                                    @for line in lines {
                                        span class=(class_of(line.side)) { (line.sign()) (visible(&line.text)) "\n" }
                                    }
                                }
                            }
                        }
                    }
                    @if finding.rows.len() > report.rows { li { "and " (finding.rows.len() - report.rows) " more" } }
                }
                @if !finding.consequences.is_empty() {
                    details {
                        summary { (many(finding.consequences.len(), "difference")) " for that" }
                        ul.rows {
                            @for row in finding.consequences.iter().take(report.rows) {
                                li { code { (visible(&report.comparison.differences[*row].to_string())) } }
                            }
                        }
                    }
                }
                p { b { "how " } (prose(finding.cause.how)) }
                p { b { "fix " } (prose(finding.cause.fix)) }
                p.id { code { (finding.cause.id) } }
            }
        }
    }
}

fn instruction(finding: &Finding, report: &Report<'_>) -> Markup {
    match (&finding.line, &finding.instruction) {
        (Some(line), _) => html! {
            p.instruction { (report.dockerfile.map_or("Dockerfile", |(name, _)| name)) ":" (line.line) " " code { u { (visible(&line.original)) } } }
        },
        (None, Some(text)) if !text.is_empty() => html! { p.instruction { code { (visible(text)) } } },
        _ => html! {},
    }
}

/// Our own words, what stands between backticks as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (number, part) in text.split('`').enumerate() {
            @if number % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn class_of(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => "both",
        Side::Note => "note",
    }
}

fn ignored(report: &Report<'_>) -> Markup {
    html! {
        @for (ignore, count) in &report.hidden.by {
            p.ignored {
                (many(*count, "difference")) " ignored by " code { (visible(&ignore.to_string())) }
                @if let Some(why) = &ignore.why { " (" (visible(why)) ")" }
            }
        }
        @if report.explained.unread > 0 {
            p.ignored { (many(report.explained.unread, "content")) " not looked into, because there are so many" }
        }
    }
}
