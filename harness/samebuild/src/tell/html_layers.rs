//! The stacks of layers side by side, pairs in one row; and sizes: of the layers, and of what differs in each, by directory.

use std::collections::BTreeMap;

use maud::{Markup, html};
use samebuild_compare::{Difference, LayerShape, Shape, Where};
use samebuild_image::Kind;

use super::escape::visible;
use super::{Report, html_sizes};

/// Boxes of a size map; what is smaller is one box.
const BOXES: usize = 12;

pub(super) fn section(report: &Report<'_>) -> Markup {
    let comparison = report.comparison;
    let (left, right) = (&comparison.left, &comparison.right);
    let widest =
        [left, right].into_iter().flat_map(|shape| &shape.layers).map(bytes).max().unwrap_or(0).max(1);
    let biggest =
        [left, right].map(|shape| shape.layers.iter().map(bytes).sum::<u64>()).into_iter().max().unwrap_or(0);
    html! {
        section #layers {
            h2 { "Layers" }
            (stacked("left", left, biggest))
            (stacked("right", right, biggest))
            table.stacks {
                thead { tr { th { "" } th { "left" } th { "" } th { "right" } th { "differences" } } }
                tbody {
                    @for (l, r) in rows(comparison.left.layers.len(), comparison.right.layers.len(), &comparison.layers) {
                        @let count = count(report, l, r);
                        tr class=(state(report, l, r)) {
                            td.number { (name(l, r)) }
                            td { (cell(left, l, widest, r.map(|r| &right.layers[r]))) }
                            td.link { @if l.is_some() && r.is_some() { "↔" } }
                            td { (cell(right, r, widest, l.map(|l| &left.layers[l]))) }
                            td.count { @if count > 0 { (count) (map(report, l, r)) } }
                        }
                    }
                }
            }
        }
    }
}

type Number = Option<usize>;

/// Pairs and whoever is alone, bottom first.
fn rows(left: usize, right: usize, pairs: &[(usize, usize)]) -> Vec<(Number, Number)> {
    let (mut l, mut r, mut rows) = (0, 0, Vec::new());
    for (next_l, next_r) in pairs.iter().copied().chain([(left, right)]) {
        rows.extend((l..next_l).map(|n| (Some(n), None)));
        rows.extend((r..next_r).map(|n| (None, Some(n))));
        if next_l < left && next_r < right {
            rows.push((Some(next_l), Some(next_r)));
        }
        (l, r) = (next_l + 1, next_r + 1);
    }
    rows
}

fn name(left: Number, right: Number) -> String {
    let one = |number: Number| number.map_or_else(|| "–".to_owned(), |number| (number + 1).to_string());
    if left == right { one(left) } else { format!("{}/{}", one(left), one(right)) }
}

fn state(report: &Report<'_>, left: Number, right: Number) -> &'static str {
    match (left, right) {
        (Some(l), Some(r)) => {
            let (l, r) = (&report.comparison.left.layers[l], &report.comparison.right.layers[r]);
            if l.diff_id.is_some() && l.diff_id == r.diff_id { "same" } else { "differs" }
        }
        _ => "alone",
    }
}

fn bytes(layer: &LayerShape) -> u64 {
    layer.size.filter(|size| *size > 0).or(layer.stored).unwrap_or(0)
}

fn cell(shape: &Shape, number: Number, widest: u64, other: Option<&LayerShape>) -> Markup {
    let Some(number) = number else { return html! { span.none { "no layer" } } };
    let layer = &shape.layers[number];
    let percent = share(bytes(layer), widest);
    html! {
        div.bar style={ "width:" (percent) "%" } {}
        div.what {
            code { (visible(shape.instruction(number).unwrap_or("layer"))) }
        }
        div.size {
            (human(bytes(layer)))
            @if let Some(entries) = layer.entries { ", " (entries) " entries" }
            @if let Some(diff_id) = &layer.diff_id { " · " code.digest { (short(&diff_id.to_string())) } }
            @if layer.entries.is_none() { " · equal on both sides, not opened" }
        }
        (html_sizes::map(layer, other))
    }
}

/// All layers of an image in one bar, each as wide as it is big.
fn stacked(side: &str, shape: &Shape, biggest: u64) -> Markup {
    let all: u64 = shape.layers.iter().map(bytes).sum();
    html! {
        div.stacked {
            span.side { (side) " " (human(all)) }
            div.row style={ "max-width:" (share(all, biggest)) "%" } {
                @for (number, layer) in shape.layers.iter().enumerate() {
                    div.piece style={ "flex-grow:" (bytes(layer).max(1)) } title=(human(bytes(layer))) { (number + 1) }
                }
            }
        }
    }
}

fn is_of(difference: &Difference, left: Number, right: Number) -> bool {
    match &difference.at {
        Where::Layer(layer) | Where::Entry(layer, _) => {
            Some(layer.left) == left.map(|n| n + 1) && Some(layer.right) == right.map(|n| n + 1)
        }
        _ => false,
    }
}

fn count(report: &Report<'_>, left: Number, right: Number) -> usize {
    report.shown().filter(|(_, difference)| is_of(difference, left, right)).count()
}

/// Bytes of the files that differ in a layer, by directory.
fn map(report: &Report<'_>, left: Number, right: Number) -> Markup {
    let mut by_dir: BTreeMap<String, u64> = BTreeMap::new();
    for (_, difference) in report.shown().filter(|(_, difference)| is_of(difference, left, right)) {
        let Some(at) = difference.at.path() else { continue };
        let size = |entry: &Option<std::sync::Arc<samebuild_image::Entry>>| match entry
            .as_deref()
            .map(|entry| &entry.kind)
        {
            Some(Kind::File(content)) => content.size(),
            _ => 0,
        };
        let bytes = size(&difference.entries.left).max(size(&difference.entries.right)).max(1);
        let dir: Vec<&[u8]> = at.components().take(2).collect();
        let dir = format!("/{}", String::from_utf8_lossy(&dir.join(&b'/')));
        *by_dir.entry(dir).or_default() += bytes;
    }
    let mut boxes: Vec<(String, u64)> = by_dir.into_iter().collect();
    boxes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest: u64 = boxes.iter().skip(BOXES).map(|(_, bytes)| bytes).sum();
    boxes.truncate(BOXES);
    if rest > 0 {
        boxes.push(("elsewhere".to_owned(), rest));
    }
    html! {
        div.row.map {
            @for (dir, bytes) in &boxes {
                div.piece style={ "flex-grow:" (bytes) } title={ (visible(dir)) " " (human(*bytes)) } { (visible(dir)) }
            }
        }
    }
}

fn share(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent).unwrap_or(100).clamp(1, 100)
}

fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

/// A size for a person.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: &[&str] = &["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes * 10, 0);
    while value >= 10_000 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000, unit + 1);
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{}.{} {}", value / 10, value % 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stand_in_one_row_and_who_is_alone_in_one_of_its_own() {
        let told = rows(3, 3, &[(0, 0), (2, 1)]);
        let expected = [(Some(0), Some(0)), (Some(1), None), (Some(2), Some(1)), (None, Some(2))];
        assert_eq!(told, expected);
        assert_eq!(rows(0, 1, &[]), [(None, Some(0))]);
    }

    #[test]
    fn sizes_are_told_in_thousands() {
        let told = [0, 999, 1000, 1550, 999_999, 2_000_000_000].map(human);
        assert_eq!(told, ["0 B", "999 B", "1.0 kB", "1.5 kB", "999.9 kB", "2.0 GB"]);
    }
}
