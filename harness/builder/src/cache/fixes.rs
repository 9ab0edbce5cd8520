//! What a layer's tar does not say of the files it leads to: fractions of seconds where the dialect writes none, times of
//! directories that its differ passes over. A step after this one may look at them, so a cached layer has to lead to the
//! same files as the step did.

use std::collections::BTreeMap;

use samebuild_image::{At, Entry, Kind, Layer, Meta, Tree};

use super::meta;
use crate::framing::{put, take};

/// Metadata by place, in the order of a walk.
pub type Fixes = Vec<(At, Meta)>;

/// The same by the layer's entries.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// What the entry of that number is to have, for `below` with the layer to be what was left; by number.
    pub entries: Vec<(usize, Meta)>,
    /// What that does not lead to: other places, mostly.
    pub outside: Fixes,
}

/// What makes `below` with `layer` the same as `after`; `None` where more than metadata differs: then the layer is not what
/// the step did.
pub fn between(below: &Tree, layer: &Layer, after: &Tree) -> Option<Fixes> {
    let mut led = below.clone();
    led.apply(layer).ok()?;
    if led.len() != after.len() {
        return None;
    }
    let mut fixes = Fixes::new();
    // Names of one file are names of one file in both. Most inodes are the same in both, being of `below`.
    let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
    for ((at, ino, inode), (after_at, after_ino, wanted)) in led.iter().zip(after.iter()) {
        let same_names = ino == after_ino
            || *there.entry(ino).or_insert(after_ino) == after_ino
                && *back.entry(after_ino).or_insert(ino) == ino;
        if at != after_at || !same_names || !is_same(&inode.kind, &wanted.kind) {
            return None;
        }
        if inode.meta != wanted.meta {
            wanted.meta.mtime.timestamp()?;
            fixes.push((at.clone(), wanted.meta.clone()));
        }
    }
    let parts = |ino| there.contains_key(&ino) || back.contains_key(&ino);
    let parted = !there.is_empty()
        && led.iter().zip(after.iter()).any(|((_, ino, _), (_, other, _))| ino == other && parts(ino));
    (!parted).then_some(fixes)
}

/// What [`between`] found, told of the layer's entries; `None` where it cannot be told so.
pub fn left(below: &Tree, layer: &Layer, after: &Tree, fixes: &Fixes) -> Option<Left> {
    let mut left = Left::default();
    if fixes.is_empty() {
        return Some(left);
    }
    let mut layer = layer.clone();
    for (number, entry) in layer.entries.iter_mut().enumerate() {
        let has_meta = !matches!(entry.kind, Kind::Hardlink(_)) && entry.whiteout().is_none();
        let found = fixes.binary_search_by(|(at, _)| at.cmp(&entry.at));
        if let Some((_, meta)) = found.ok().filter(|_| has_meta).and_then(|found| fixes.get(found)) {
            entry.meta.clone_from(meta);
            left.entries.push((number, meta.clone()));
        }
    }
    left.outside = between(below, &layer, after)?;
    Some(left)
}

/// The same file, as far as can be told without reading one: what was applied came from what the step made.
fn is_same(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::File(a), Kind::File(b)) => {
            a.size() == b.size()
                && match (a.known_digest(), b.known_digest()) {
                    (Some(a), Some(b)) => a == b,
                    _ => true,
                }
        }
        (Kind::Symlink(a), Kind::Symlink(b)) => a == b,
        (Kind::Char { major: a, minor: b }, Kind::Char { major: c, minor: d })
        | (Kind::Block { major: a, minor: b }, Kind::Block { major: c, minor: d }) => (a, b) == (c, d),
        (a, b) => a.word() == b.word(),
    }
}

/// Applies them to a tree that has the layer already. Places outside the layer are added to `lower`, for whoever puts it on
/// disk above what is there.
pub fn apply(fixes: &Fixes, tree: &mut Tree, lower: &mut Layer) {
    if fixes.is_empty() {
        return;
    }
    tree.set_metas(fixes);
    let mut named: Vec<&At> = lower.entries.iter().map(|entry| &entry.at).collect();
    // Mostly it is in order already, and so are they.
    named.sort();
    let mut named = named.into_iter().peekable();
    let mut outside = Vec::new();
    for (at, meta) in fixes {
        while named.next_if(|name| *name < at).is_some() {}
        if named.peek() != Some(&at)
            && let Some(inode) = tree.get(at)
        {
            outside.push(Entry::new(at.clone(), inode.kind.clone(), meta.clone()));
        }
    }
    lower.entries.extend(outside);
}

/// As bytes: each place and its metadata, everything of no fixed size after its length.
pub fn write(fixes: &Fixes) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, written) in fixes {
        put(&mut out, at.as_bytes());
        meta::write(written, &mut out);
    }
    out
}

/// None takes fewer bytes.
const SMALLEST: usize = 4 + meta::SMALLEST;

/// Reads what [`write`] wrote; `None` for anything else.
pub fn read(mut bytes: &[u8]) -> Option<Fixes> {
    let mut fixes = Fixes::with_capacity(bytes.len() / SMALLEST);
    let from = &mut bytes;
    while !from.is_empty() {
        let at = At::clean(take(from)?);
        fixes.push((at, meta::read(from)?));
    }
    Some(fixes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{Content, Mtime};

    fn tree(nanos: u32, mode: u32) -> Tree {
        let mut tree = Tree::new();
        let mut meta = Meta::new(mode, Mtime::At { secs: 5, nanos });
        meta.xattrs.insert(b"user.a".to_vec(), vec![0, 1]);
        tree.insert(&At::from("d"), Kind::Dir, Meta::new(0o755, Mtime::At { secs: 6, nanos }));
        tree.insert(&At::from("d/f"), Kind::File(Content::inline(*b"x")), meta);
        tree.link(&At::from("d/g"), &At::from("d/f"));
        tree
    }

    #[test]
    fn fractions_that_a_tar_lost_come_back() {
        let (before, after) = (tree(0, 0o644), tree(7, 0o600));
        let nothing = Layer::default();
        let fixes = between(&before, &nothing, &after).unwrap();
        assert_eq!(fixes.len(), 3);
        let fixes = read(&write(&fixes)).unwrap();
        let (mut led, mut lower) = (before, nothing);
        apply(&fixes, &mut led, &mut lower);
        assert_eq!(between(&led, &Layer::default(), &after), Some(Vec::new()));
        assert_eq!(lower.entries.len(), 3, "what is on disk below is covered");
    }

    #[test]
    fn a_layer_that_does_not_hold_all_that_was_done_is_none() {
        let (before, mut after) = (tree(0, 0o644), tree(0, 0o644));
        after.insert(&At::from("new"), Kind::Fifo, Meta::new(0o644, Mtime::secs(1)));
        assert_eq!(between(&before, &Layer::default(), &after), None);
        let mut after = tree(0, 0o644);
        after.insert(&At::from("d/f"), Kind::File(Content::inline(*b"xy")), Meta::new(0o644, Mtime::secs(1)));
        assert_eq!(between(&before, &Layer::default(), &after), None);
    }

    #[test]
    fn what_was_left_is_told_of_entries_as_far_as_these_lead_to_it() {
        let meta = |mode, nanos| Meta::new(mode, Mtime::At { secs: 5, nanos });
        let entry = |at: &str, kind: Kind| Entry::new(At::from(at), kind, meta(0o644, 0));
        let file = |text: &[u8]| Kind::File(Content::inline(text));
        let mut below = tree(0, 0o644);
        below.insert(&At::from("l"), Kind::Symlink(b"d".to_vec()), meta(0o777, 0));
        // `l/x` is `d/x`, and the last word on it, though `d/x` is an entry of its own.
        let entries = vec![
            entry("d/x", file(b"1")),
            entry("l/x", file(b"2")),
            entry("n", file(b"3")),
            entry("o", Kind::Hardlink(At::from("n"))),
        ];
        let layer = Layer { entries, ..Layer::default() };
        let mut after = below.clone();
        after.apply(&layer).unwrap();
        let places = ["d", "d/x", "n"].map(At::from);
        after.set_metas(&places.clone().map(|at| (at, meta(0o700, 9))));
        let fixes = between(&below, &layer, &after).unwrap();
        let told: Vec<&At> = fixes.iter().map(|(at, _)| at).collect();
        assert_eq!(told, [&places[0], &places[1], &places[2], &At::from("o")]);
        let left = left(&below, &layer, &after, &fixes).unwrap();
        assert_eq!(left.entries, [(0, meta(0o700, 9)), (2, meta(0o700, 9))]);
        let outside: Vec<&At> = left.outside.iter().map(|(at, _)| at).collect();
        assert_eq!(outside, [&places[0], &places[1]]);
    }

    #[test]
    fn names_that_part_are_more_than_metadata() {
        let (before, mut after) = (tree(0, 0o644), tree(0, 0o644));
        let inode = after.get(&At::from("d/g")).unwrap().clone();
        after.insert(&At::from("d/g"), inode.kind, inode.meta);
        assert_eq!(between(&before, &Layer::default(), &after), None);
    }

    #[test]
    fn bytes_that_end_early_are_nothing_and_never_a_panic() {
        let bytes = write(&between(&tree(0, 0o644), &Layer::default(), &tree(7, 0o600)).unwrap());
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
        assert!(read(&bytes[..bytes.len() - 1]).is_none());
        assert!(read(&[0xff; 9]).is_none());
    }
}
