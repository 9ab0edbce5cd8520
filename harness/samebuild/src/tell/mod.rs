//! A comparison, told: as text, data, or a page. A family: a trait and the table [`FORMATS`]. Everything that comes out of an
//! image is hostile here: each format escapes for whoever reads it. Where it is printed is the command line's affair.

pub mod escape;
mod html;
mod html_layers;
mod html_sizes;
mod html_tree;
mod json;
mod junit;
mod markdown;
mod text;

use anyhow::Result;
use samebuild_compare::ignore::Hidden;
use samebuild_compare::{Comparison, Difference, Explained, Finding, Severity};

/// Every format of a report, but those that are other tools'.
pub const FORMATS: &[&dyn Format] =
    &[&text::Text, &json::Json, &markdown::Markdown, &junit::JUnit, &html::Html];

/// One way to tell a report.
pub trait Format: Sync {
    /// As `--format` names it.
    fn name(&self) -> &'static str;
    fn about(&self) -> &'static str;
    /// All of it, without a newline at the end.
    ///
    /// # Errors
    /// What is told cannot be written in this form.
    fn tell(&self, report: &Report<'_>) -> Result<String>;
}

/// What there is to tell.
pub struct Report<'a> {
    /// As the images were named.
    pub left: &'a str,
    pub right: &'a str,
    pub comparison: &'a Comparison,
    /// Without what is hidden.
    pub explained: &'a Explained,
    pub hidden: &'a Hidden,
    /// Name and text of the Dockerfile.
    pub dockerfile: Option<(&'a str, &'a str)>,
    /// Rows shown of a finding, where a person reads it.
    pub rows: usize,
}

impl<'a> Report<'a> {
    /// The rows that are not hidden, with their numbers.
    pub fn shown(&self) -> impl Iterator<Item = (usize, &'a Difference)> {
        let all = self.comparison.differences.iter().enumerate();
        all.filter(|(number, _)| self.hidden.rows.binary_search(number).is_err())
    }

    /// How many rows are not hidden.
    pub fn count(&self) -> usize {
        self.comparison.differences.len() - self.hidden.rows.len()
    }

    /// Rows by severity of their findings, the gravest first, those that are.
    pub fn by_severity(&self) -> Vec<(Severity, usize)> {
        let all = [Severity::Security, Severity::Behaviour, Severity::Reproducibility, Severity::Cosmetic];
        let rows = |severity: Severity| {
            let of = self.explained.findings.iter().filter(|finding| finding.severity == severity);
            of.map(|finding| finding.rows.len() + finding.consequences.len()).sum()
        };
        all.into_iter().map(|severity| (severity, rows(severity))).filter(|(_, rows)| *rows > 0).collect()
    }

    /// What happened in a sentence: `same`, or how many differences of how many causes.
    pub fn verdict(&self) -> String {
        if self.count() == 0 {
            return match self.hidden.rows.len() {
                0 => "same".to_owned(),
                n => format!("same, but for {}, ignored", many(n, "difference")),
            };
        }
        let mut said = format!(
            "{} of {}",
            many(self.count(), "difference"),
            many(self.explained.findings.len(), "cause")
        );
        if !self.hidden.rows.is_empty() {
            said.push_str(&format!(", and {} ignored", self.hidden.rows.len()));
        }
        said
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn many(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// Where a finding is, in a few words: its layer, its line, the directory that holds it all.
pub(crate) fn whereabouts(finding: &Finding, report: &Report<'_>) -> String {
    let mut said = Vec::new();
    if let Some(layer) = finding.layer {
        said.push(format!("layer {layer}"));
    }
    if let Some(line) = &finding.line {
        said.push(format!("{}:{}", report.dockerfile.map_or("Dockerfile", |(name, _)| name), line.line));
    }
    if let Some(dir) = &finding.under {
        said.push(format!("under {}", escape::path(dir)));
    }
    if said.is_empty()
        && let Some(row) = finding.rows.first()
    {
        said.push(escape::visible(&report.comparison.differences[*row].at.to_string()).into_owned());
    }
    said.join(", ")
}
