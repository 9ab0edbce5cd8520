//! The tree of differences: directories that fold, what differs where it is. Rows that are about no place stand above it.

use std::collections::BTreeMap;

use maud::{Markup, html};
use samebuild_compare::{Difference, Seen};

use super::escape::visible;
use super::{Report, many};

/// Rows in the tree; a page of more is nothing that a browser shows.
const ROWS: usize = 5000;
/// Directories inside one another; what lies deeper is one name.
const DEEP: usize = 40;

#[derive(Default)]
struct Node<'a> {
    children: BTreeMap<Vec<u8>, Node<'a>>,
    rows: Vec<(&'a Difference, &'static str)>,
    /// Of it and all below.
    count: usize,
}

pub(super) fn section(report: &Report<'_>) -> Markup {
    let causes = causes(report);
    let mut root = Node::default();
    let mut apart = Vec::new();
    for (number, difference) in report.shown().take(ROWS) {
        let cause = causes.get(&number).copied().unwrap_or_default();
        match difference.at.path() {
            Some(at) => root.put(at.components(), (difference, cause)),
            None => apart.push((difference, cause)),
        }
    }
    let more = report.count().saturating_sub(ROWS);
    html! {
        section #tree {
            h2 { "Differences" }
            @if !apart.is_empty() {
                details open { summary { "the image as a whole " span.badge { (apart.len()) } } (rows(&apart, true)) }
            }
            @if root.count > 0 { (root.show("/", true)) }
            @if more > 0 { p.ignored { "and " (many(more, "difference")) ", which only --format json has" } }
        }
    }
}

fn causes(report: &Report<'_>) -> BTreeMap<usize, &'static str> {
    let of = |finding: &samebuild_compare::Finding| {
        let rows: Vec<usize> = finding.rows.iter().chain(&finding.consequences).copied().collect();
        let id = finding.cause.id;
        rows.into_iter().map(move |row| (row, id))
    };
    report.explained.findings.iter().flat_map(of).collect()
}

impl<'a> Node<'a> {
    fn put<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>, row: (&'a Difference, &'static str)) {
        let names: Vec<&[u8]> = names.collect();
        let (dirs, deep) = names.split_at(names.len().min(DEEP));
        let mut node = self;
        node.count += 1;
        for (number, name) in dirs.iter().enumerate() {
            let last = number + 1 == dirs.len() && !deep.is_empty();
            let name = if last { [&[*name][..], deep].concat().join(&b'/') } else { name.to_vec() };
            node = node.children.entry(name).or_default();
            node.count += 1;
        }
        node.rows.push(row);
    }

    fn show(&self, name: &str, open: bool) -> Markup {
        // A directory with one directory in it and nothing else is one line.
        if let (true, Some((child, node))) =
            (self.rows.is_empty() && self.children.len() == 1, self.children.first_key_value())
        {
            let child = format!("{}/{}", name.trim_end_matches('/'), String::from_utf8_lossy(child));
            return node.show(&child, open);
        }
        html! {
            details.node open[open] {
                summary { code { (visible(name)) } " " span.badge { (self.count) } }
                @if !self.rows.is_empty() { (rows(&self.rows, false)) }
                @for (child, node) in &self.children {
                    (node.show(&String::from_utf8_lossy(child), node.count < 20 && self.children.len() < 10))
                }
            }
        }
    }
}

fn rows(rows: &[(&Difference, &'static str)], placed: bool) -> Markup {
    html! {
        table.rows {
            @for (difference, cause) in rows {
                tr {
                    @if placed { td { (visible(&difference.at.to_string())) } }
                    td { (difference.rule) }
                    td.left { code { (visible(&difference.left)) } }
                    td { "→" }
                    td.right { code { (visible(&difference.right)) } }
                    td.cause { (cause) @if let Some(seen) = seen(difference) { " · " (seen) } }
                }
            }
        }
    }
}

fn seen(difference: &Difference) -> Option<&'static str> {
    match difference.seen? {
        Seen::Both => None,
        Seen::LayersOnly => Some("only in the layer"),
        Seen::RootfsOnly => Some("only in the rootfs"),
    }
}
