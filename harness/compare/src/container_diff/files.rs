//! `File`, `FileLayer`, `Size` and `SizeLayer`: which paths are there, how big they are, whether their contents are the same.

use std::collections::BTreeMap;
use std::io;

use samebuild_image::{At, Content, Image, Kind, Layer, Tree};
use serde_json::{Value, json};

use super::{Images, or_null};
use crate::stuff::lock_step;

/// A path as container-diff sees it: unpacked.
enum Node<'a> {
    Dir,
    File(&'a Content),
    Link(&'a [u8]),
    Other(&'static str),
}

type Nodes<'a> = BTreeMap<Vec<u8>, Node<'a>>;

pub(super) fn rootfs(images: &Images<'_>) -> io::Result<Value> {
    compare(&of_tree(&images.left_tree), &of_tree(&images.right_tree))
}

pub(super) fn layers(images: &Images<'_>) -> io::Result<Value> {
    let pairs = images.left.layers.iter().zip(&images.right.layers);
    let diffs: Vec<Value> = pairs
        .map(|(left, right)| {
            if left.diff_id.is_some() && left.diff_id == right.diff_id {
                return Ok(json!({ "Adds": null, "Dels": null, "Mods": null }));
            }
            compare(&of_layer(left), &of_layer(right))
        })
        .collect::<io::Result<_>>()?;
    Ok(json!({ "DirDiffs": or_null(diffs) }))
}

pub(super) fn size(images: &Images<'_>) -> io::Result<Value> {
    let (left, right) = (total(&of_tree(&images.left_tree)), total(&of_tree(&images.right_tree)));
    Ok(if left == right { json!([]) } else { json!([{ "Name": "", "Size1": left, "Size2": right }]) })
}

pub(super) fn size_of_layers(images: &Images<'_>) -> io::Result<Value> {
    let of = |image: &Image, number: usize| -> i64 {
        let size = image.layers.get(number).map(|layer| total(&of_layer(layer)));
        // A layer that is not there has a size of its own.
        size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX))
    };
    let count = images.left.layers.len().max(images.right.layers.len());
    let rows = (0..count).filter_map(|number| {
        let (left, right) = (of(images.left, number), of(images.right, number));
        (left != right).then(|| json!({ "Name": number.to_string(), "Size1": left, "Size2": right }))
    });
    Ok(or_null(rows.collect()))
}

fn compare(left: &Nodes<'_>, right: &Nodes<'_>) -> io::Result<Value> {
    let alone = |of: &Nodes<'_>, other: &Nodes<'_>| -> Vec<Value> {
        let alone = of.iter().filter(|(path, _)| !other.contains_key(*path));
        alone.map(|(path, node)| json!({ "Name": name(path), "Size": node.size() })).collect()
    };
    let mut mods = Vec::new();
    for (path, l) in left {
        if let Some(r) = right.get(path)
            && !l.is_like(r)?
        {
            mods.push((path, l.size(), r.size()));
        }
    }
    mods.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mods: Vec<Value> = mods
        .into_iter()
        .map(|(path, left, right)| json!({ "Name": name(path), "Size1": left, "Size2": right }))
        .collect();
    Ok(
        json!({ "Adds": or_null(alone(right, left)), "Dels": or_null(alone(left, right)), "Mods": or_null(mods) }),
    )
}

fn name(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn total(nodes: &Nodes<'_>) -> u64 {
    nodes.values().map(Node::size).sum()
}

impl<'a> Node<'a> {
    fn of(kind: &'a Kind) -> Self {
        match kind {
            Kind::File(content) => Self::File(content),
            Kind::Dir => Self::Dir,
            Kind::Symlink(target) => Self::Link(target),
            other => Self::Other(other.word()),
        }
    }

    /// As lstat has it; a directory's own is nothing.
    fn size(&self) -> u64 {
        match self {
            Self::File(content) => content.size(),
            Self::Link(target) => target.len() as u64,
            Self::Dir | Self::Other(_) => 0,
        }
    }

    fn is_like(&self, other: &Node<'_>) -> io::Result<bool> {
        match (self, other) {
            (Self::Dir, Node::Dir) => Ok(true),
            (Self::Link(left), Node::Link(right)) => Ok(left == right),
            (Self::Other(left), Node::Other(right)) => Ok(left == right),
            (Self::File(left), Node::File(right)) => same(left, right),
            _ => Ok(false),
        }
    }
}

/// Whether two contents are the same, read no further than to where they part.
fn same(left: &Content, right: &Content) -> io::Result<bool> {
    if left.size() != right.size() {
        return Ok(false);
    }
    if let (Some(left), Some(right)) = (left.known_digest(), right.known_digest()) {
        return Ok(left == right);
    }
    lock_step(left, right)
}

fn path_of(at: &At) -> Vec<u8> {
    [b"/", at.as_bytes()].concat()
}

fn of_tree(tree: &Tree) -> Nodes<'_> {
    let inodes = tree.iter().filter(|(at, _, _)| !at.is_root());
    inodes.map(|(at, _, inode)| (path_of(at), Node::of(&inode.kind))).collect()
}

/// The entries of a layer, unpacked on their own: whiteouts are files, parents are made.
fn of_layer(layer: &Layer) -> Nodes<'_> {
    let mut nodes = Nodes::new();
    for entry in layer.entries.iter().filter(|entry| !entry.at.is_root()) {
        for parent in entry.at.parents() {
            nodes.entry(path_of(&parent)).or_insert(Node::Dir);
        }
        let node = match &entry.kind {
            // A hard link is what it names, where that is in the layer too.
            Kind::Hardlink(target) => {
                let named = layer.entries.iter().rev().find(|other| other.at == *target);
                named.map_or(Node::Other("hardlink"), |named| Node::of(&named.kind))
            }
            kind => Node::of(kind),
        };
        nodes.insert(path_of(&entry.at), node);
    }
    nodes
}
