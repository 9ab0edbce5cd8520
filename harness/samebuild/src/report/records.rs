//! What was measured: each `records/**/*.json`, as its own table. Written only by `--record`; here they are only read.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::table::{folded, table};
use crate::files;

/// Longer tables are folded.
const SHOWN: usize = 12;

/// A committed measurement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// What was measured, in a sentence.
    about: String,
    /// Day, engine and machine, in words.
    when: String,
    #[serde(rename = "where")]
    place: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// What the rows were counted from; too long for a page.
    #[serde(default, rename = "details")]
    _details: serde_json::Value,
}

pub(super) fn section(dir: &Path) -> Result<String> {
    let mut text = String::new();
    for path in files::below(dir)? {
        if path.extension().is_some_and(|extension| extension == "svg") {
            let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
            text.push_str(&format!("![{name}](records/{name})\n\n"));
        }
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let json = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let record: Record =
            serde_json::from_str(&json).with_context(|| format!("read the record {}", path.display()))?;
        let rows: Vec<Vec<String>> = std::iter::once(record.columns).chain(record.rows).collect();
        let (about, when, place) = (&record.about, &record.when, &record.place);
        if rows.len() > SHOWN {
            let summary = format!("<b>{about}</b> ({when}, {place}): {} rows", rows.len() - 1);
            text.push_str(&folded(&summary, &table(&rows)));
            text.push('\n');
        } else {
            text.push_str(&format!("### {about}\n\n{when}, {place}\n\n{}\n", table(&rows)));
        }
    }
    if text.is_empty() {
        text.push_str("Nothing yet.\n");
    }
    Ok(format!("## What was measured\n\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_table_and_one_that_lacks_a_field_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        assert!(section(dir.path()).unwrap().contains("Nothing yet."));
        let record =
            r#"{"about":"speed","when":"2026-01-01","where":"a machine","columns":["a"],"rows":[["1"]]}"#;
        std::fs::write(dir.path().join("speed.json"), record).unwrap();
        assert!(
            section(dir.path())
                .unwrap()
                .contains("### speed\n\n2026-01-01, a machine\n\n| a |\n| --- |\n| 1 |")
        );
        std::fs::write(dir.path().join("bad.json"), "{}").unwrap();
        let error = format!("{:#}", section(dir.path()).unwrap_err());
        assert!(error.contains("bad.json") && error.contains("about"), "{error}");
    }
}
