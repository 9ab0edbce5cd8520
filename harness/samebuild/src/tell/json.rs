//! As data. The schema is docs/diff.schema.json; tests hold this against it.

use anyhow::Result;
use samebuild_compare::peek::diff::{DiffLine, Side};
use samebuild_compare::{Difference, Finding, LayerNumber, LayerShape, Seen, Shape, Where};
use samebuild_image::Compression;
use serde_json::{Value, json};

use super::{Format, Report};

pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "data, as docs/diff.schema.json says"
    }

    fn tell(&self, report: &Report<'_>) -> Result<String> {
        Ok(serde_json::to_string_pretty(&data(report))?)
    }
}

fn data(report: &Report<'_>) -> Value {
    let shown: Vec<(usize, &Difference)> = report.shown().collect();
    // Numbers of rows become those of the list that is printed.
    let renumber = |rows: &[usize]| -> Vec<usize> {
        rows.iter().filter_map(|row| shown.binary_search_by_key(row, |(number, _)| *number).ok()).collect()
    };
    let mut causes = vec![""; shown.len()];
    for finding in &report.explained.findings {
        for row in renumber(&finding.rows).into_iter().chain(renumber(&finding.consequences)) {
            causes[row] = finding.cause.id;
        }
    }
    let severities: serde_json::Map<String, Value> = report
        .by_severity()
        .into_iter()
        .map(|(severity, rows)| (severity.to_string(), rows.into()))
        .collect();
    let hidden: Vec<Value> = report
        .hidden
        .by
        .iter()
        .map(|(ignore, count)| json!({ "ignore": ignore.to_string(), "why": ignore.why, "differences": count }))
        .collect();
    json!({
        "schema": 1,
        "verdict": if shown.is_empty() { "same" } else { "different" },
        "left": side(report.left, &report.comparison.left),
        "right": side(report.right, &report.comparison.right),
        "pairs": report.comparison.layers.iter().map(|(l, r)| [l + 1, r + 1]).collect::<Vec<_>>(),
        "dockerfile": report.dockerfile.map(|(name, _)| name),
        "severities": severities,
        "findings": report.explained.findings.iter().map(|one| finding(one, &renumber)).collect::<Vec<_>>(),
        "differences": shown.iter().zip(&causes).map(|((_, one), cause)| difference(one, cause)).collect::<Vec<_>>(),
        "ignored": hidden,
        "not_looked_into": report.explained.unread,
    })
}

fn side(name: &str, shape: &Shape) -> Value {
    let layers: Vec<Value> =
        (0..shape.layers.len()).map(|number| layer(shape, number, &shape.layers[number])).collect();
    json!({ "name": name, "layers": layers })
}

fn layer(shape: &Shape, number: usize, layer: &LayerShape) -> Value {
    let compression = layer.compression.map(|compression| match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    });
    json!({
        "diff_id": layer.diff_id.map(|digest| digest.to_string()),
        "blob": layer.blob.map(|digest| digest.to_string()),
        "compression": compression,
        "stored_bytes": layer.stored,
        "bytes": layer.size,
        "entries": layer.entries,
        "instruction": shape.instruction(number),
    })
}

fn finding(finding: &Finding, renumber: &dyn Fn(&[usize]) -> Vec<usize>) -> Value {
    let details: Vec<Value> = finding
        .details
        .iter()
        .map(|(row, lines)| json!({ "difference": renumber(&[*row]).first(), "lines": lines.iter().map(line).collect::<Vec<_>>() }))
        .collect();
    json!({
        "cause": finding.cause.id,
        "title": finding.cause.title,
        "severity": finding.severity.to_string(),
        "said": finding.said,
        "fix": finding.cause.fix,
        "layer": finding.layer.map(layers),
        "instruction": finding.instruction,
        "line": finding.line.as_ref().map(|line| line.line),
        "under": finding.under.as_ref().map(super::escape::path),
        "differences": renumber(&finding.rows),
        "consequences": renumber(&finding.consequences),
        "details": details,
    })
}

fn line(line: &DiffLine) -> Value {
    let side = match line.side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => "both",
        Side::Note => "note",
    };
    json!({ "side": side, "text": line.text })
}

fn difference(difference: &Difference, cause: &str) -> Value {
    let layer = match &difference.at {
        Where::Layer(layer) | Where::Entry(layer, _) => Some(layers(*layer)),
        _ => None,
    };
    let seen = difference.seen.map(|seen| match seen {
        Seen::Both => "both",
        Seen::LayersOnly => "layers",
        Seen::RootfsOnly => "rootfs",
    });
    json!({
        "rule": difference.rule,
        "cause": cause,
        "at": difference.at.to_string(),
        "layer": layer,
        "path": difference.at.path().map(super::escape::path),
        "left": difference.left,
        "right": difference.right,
        "seen": seen,
    })
}

fn layers(layer: LayerNumber) -> Value {
    json!({ "left": layer.left, "right": layer.right })
}
