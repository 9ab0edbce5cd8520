//! What container-diff says of two images, in its JSON, for whoever reads that today (GoogleContainerTools/container-diff was
//! archived in March 2024). Shapes, names, `null` where it has `null` and `[]` where it has `[]`, the order of keys and the
//! escapes of Go's encoder are its own; what it gets wrong is not: no cache, opaque whiteouts count, a layer that cannot be
//! read is an error, files called `.tar` are compared by content, a directory's size does not include what is in it, and what
//! differs is in one order. A family: a function a row in [`DIFFERS`].

mod apt;
mod files;
mod texts;

use std::io;

use samebuild_image::tree::ApplyError;
use samebuild_image::{Image, Tree};
use serde::Serialize;
use serde_json::{Value, json};

/// One kind of comparison.
pub struct Differ {
    /// As `--type` names it.
    pub name: &'static str,
    /// As `DiffType` does; rows come in the order of these.
    pub type_name: &'static str,
    diff: fn(&Images<'_>) -> io::Result<Value>,
}

/// Every kind, in the order in which container-diff prints them.
pub const DIFFERS: &[Differ] = &[
    Differ { name: "apt", type_name: "Apt", diff: apt::diff },
    Differ { name: "file", type_name: "File", diff: files::rootfs },
    Differ { name: "layer", type_name: "FileLayer", diff: files::layers },
    Differ { name: "history", type_name: "History", diff: texts::history },
    Differ { name: "metadata", type_name: "Metadata", diff: texts::metadata },
    Differ { name: "size", type_name: "Size", diff: files::size },
    Differ { name: "sizelayer", type_name: "SizeLayer", diff: files::size_of_layers },
];

/// The kind that is compared where none is named.
pub const DEFAULT: &str = "size";

/// Two images with their file systems.
struct Images<'a> {
    left: &'a Image,
    right: &'a Image,
    left_tree: Tree,
    right_tree: Tree,
}

/// Why there is nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum ContainerDiffError {
    #[error("find the differ `{wanted}`; there are {known}", known = known())]
    Unknown { wanted: String },
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("compare {what}: {source}")]
    Read { what: &'static str, source: io::Error },
}

fn known() -> String {
    DIFFERS.iter().map(|differ| differ.name).collect::<Vec<_>>().join(", ")
}

/// What container-diff would print of these kinds, in its order: JSON without a newline at the end; and whether anything
/// differs, which container-diff does not tell by its exit code.
///
/// # Errors
/// A kind is unknown, a layer does not apply, a content cannot be read.
pub fn container_diff(
    (left_name, left): (&str, &Image),
    (right_name, right): (&str, &Image),
    kinds: &[String],
) -> Result<(String, bool), ContainerDiffError> {
    for wanted in kinds {
        if !DIFFERS.iter().any(|differ| differ.name == wanted) {
            return Err(ContainerDiffError::Unknown { wanted: wanted.clone() });
        }
    }
    let images = Images { left, right, left_tree: left.tree()?, right_tree: right.tree()? };
    let is_wanted = |differ: &&Differ| match kinds {
        [] => differ.name == DEFAULT,
        kinds => kinds.iter().any(|kind| kind == differ.name),
    };
    let mut rows = Vec::new();
    let mut differs = false;
    for differ in DIFFERS.iter().filter(is_wanted) {
        let diff = (differ.diff)(&images)
            .map_err(|source| ContainerDiffError::Read { what: differ.type_name, source })?;
        differs |= says_something(&diff);
        rows.push(json!({ "Image1": plain(left_name), "Image2": plain(right_name), "DiffType": differ.type_name, "Diff": diff }));
    }
    Ok((as_go_writes(&Value::Array(rows)), differs))
}

/// The name without what says where the image is.
fn plain(name: &str) -> &str {
    ["daemon://", "remote://"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// Whether any list in it, but those of packages, which are whole, has anything in it.
fn says_something(diff: &Value) -> bool {
    match diff {
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(fields) if fields.contains_key("Name") => true,
        Value::Object(fields) if fields.contains_key("Package") => true,
        Value::Object(fields) => fields.values().any(says_something),
        Value::String(_) => true,
        _ => false,
    }
}

/// A list that Go has not allocated where it is empty.
fn or_null(items: Vec<Value>) -> Value {
    if items.is_empty() { Value::Null } else { Value::Array(items) }
}

/// Indented by two, with `<`, `>`, `&` and two separators escaped, as `json.Encoder` of Go does.
fn as_go_writes(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"  ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Strings are all there is to fail, and these are.
    let _ = value.serialize(&mut serializer);
    let text = String::from_utf8_lossy(&out);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            '\u{fffd}' => escaped.push_str("\\ufffd"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Pairs of lines that are held against each other, at most.
const MOST: usize = 4_000_000;

/// What of `of` is not in a longest common subsequence of both, in order.
fn apart(of: &[String], other: &[String]) -> Vec<String> {
    let head = of.iter().zip(other).take_while(|(one, two)| one == two).count();
    let (of, other) = (&of[head..], &other[head..]);
    if of.len().saturating_mul(other.len()) > MOST {
        // Nobody wrote histories this long by hand: what the other has anywhere counts as common.
        let has: std::collections::BTreeSet<&String> = other.iter().collect();
        return of.iter().filter(|line| !has.contains(line)).cloned().collect();
    }
    let (rows, columns) = (of.len(), other.len());
    let mut best = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            best[i][j] =
                if of[i] == other[j] { best[i + 1][j + 1] + 1 } else { best[i + 1][j].max(best[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut apart) = (0, 0, Vec::new());
    while i < rows {
        if j < columns && of[i] == other[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < columns && best[i][j + 1] > best[i + 1][j] {
            j += 1;
        } else {
            apart.push(of[i].clone());
            i += 1;
        }
    }
    apart
}
