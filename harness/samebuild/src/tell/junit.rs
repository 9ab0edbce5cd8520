//! JUnit's XML, for a CI that shows tests: a test case a finding, which failed; what was ignored, as skipped.

use std::fmt::Write as _;

use anyhow::Result;

use super::escape::xml;
use super::{Format, Report, many, whereabouts};

pub(super) struct JUnit;

impl Format for JUnit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn about(&self) -> &'static str {
        "JUnit's XML: a failed test a finding"
    }

    fn tell(&self, report: &Report<'_>) -> Result<String> {
        let findings = &report.explained.findings;
        let skipped: Vec<_> = report.hidden.by.iter().filter(|(_, count)| *count > 0).collect();
        let same = usize::from(findings.is_empty());
        let tests = findings.len() + skipped.len() + same;
        let counts = format!("tests=\"{tests}\" failures=\"{}\" errors=\"0\"", findings.len());
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(text, "<testsuites name=\"samebuild diff\" {counts}>");
        let name = xml(&format!("{} ↔ {}", report.left, report.right));
        let _ = writeln!(text, "  <testsuite name=\"{name}\" {counts} skipped=\"{}\">", skipped.len());
        if same == 1 {
            let _ = writeln!(
                text,
                "    <testcase classname=\"samebuild.diff\" name=\"the images are the same\"/>"
            );
        }
        for finding in findings {
            let name = xml(&format!("{} · {}", finding.cause.id, whereabouts(finding, report)));
            let _ = writeln!(
                text,
                "    <testcase classname=\"samebuild.diff.{}\" name=\"{name}\">",
                finding.severity
            );
            let count = many(finding.rows.len() + finding.consequences.len(), "difference");
            let message = xml(&format!("{} ({count})", finding.cause.title));
            let _ = writeln!(text, "      <failure type=\"{}\" message=\"{message}\">", finding.cause.id);
            if !finding.said.is_empty() {
                let _ = writeln!(text, "{}", xml(&finding.said));
            }
            for row in finding.rows.iter().take(report.rows) {
                let _ = writeln!(text, "{}", xml(&report.comparison.differences[*row].to_string()));
            }
            if finding.rows.len() > report.rows {
                let _ = writeln!(text, "and {} more", finding.rows.len() - report.rows);
            }
            let _ = writeln!(text, "fix: {}</failure>\n    </testcase>", xml(finding.cause.fix));
        }
        for (ignore, count) in skipped {
            let name = xml(&format!("ignored by {ignore}"));
            let message = xml(&format!("{} ignored", many(*count, "difference")));
            let _ = writeln!(text, "    <testcase classname=\"samebuild.diff.ignored\" name=\"{name}\">");
            let _ = writeln!(text, "      <skipped message=\"{message}\"/>\n    </testcase>");
        }
        text.push_str("  </testsuite>\n</testsuites>");
        Ok(text)
    }
}
