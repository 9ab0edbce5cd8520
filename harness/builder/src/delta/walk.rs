//! The layer between two trees as a walk over both finds it, and with what eyes. That a step keeps book instead is
//! `delta`'s affair.

use std::collections::BTreeSet;

use samebuild_image::{At, Content, Entry, Kind, Meta, Mtime, Tree};

use super::entries::{Entries, whiteout};
use crate::request::Trust;
use crate::snapshot::probe::{Honest, Probe};

/// The layer between two trees, as a walk over both finds it that sees all there is to see.
pub fn double_walk(below: &Tree, tree: &Tree) -> Vec<Entry> {
    let (before, after) = (Box::new(Honest(below)), Box::new(Honest(tree)));
    double_walk_through(below, tree, &mut Eyes { before, after, trust: Trust::Dialect })
}

/// Through what a walk sees times, and what it makes of them.
pub struct Eyes<'t> {
    pub before: Box<dyn Probe + 't>,
    pub after: Box<dyn Probe + 't>,
    pub trust: Trust,
}

/// The layer between two trees, as a walk over both finds it with these eyes.
pub fn double_walk_through(below: &Tree, tree: &Tree, eyes: &mut Eyes<'_>) -> Vec<Entry> {
    let changed: BTreeSet<&At> = tree
        .iter()
        .filter(|(at, _, _)| !at.is_root() && is_changed(below, tree, at, eyes))
        .map(|(at, _, _)| at)
        .collect();
    let gone: BTreeSet<&At> = below
        .iter()
        .map(|(at, _, _)| at)
        .filter(|at| {
            tree.get(at).is_none()
                && at.parent().is_some_and(|dir| tree.get(&dir).is_some_and(|i| i.kind.is_dir()))
        })
        .collect();
    let mut places: BTreeSet<At> = changed.iter().chain(gone.iter()).flat_map(|at| at.parents()).collect();
    places.extend(changed.into_iter().cloned());
    places.extend(gone.iter().map(|at| (*at).clone()));
    let mut writer = Entries::default();
    for at in &places {
        if gone.contains(at) {
            writer.entries.push(whiteout(at, 0, Mtime::secs(0)));
        } else {
            writer.push(tree, at);
        }
    }
    writer.entries
}

/// Whether a walk takes the entry for changed. Of a directory the time alone does not count.
fn is_changed(below: &Tree, tree: &Tree, at: &At, eyes: &mut Eyes<'_>) -> bool {
    let (Some(new), Some(old)) = (tree.get(at), below.get(at)) else { return true };
    let owner_and_mode = |meta: &Meta| (meta.mode, meta.uid, meta.gid, meta.xattrs.clone());
    if owner_and_mode(&new.meta) != owner_and_mode(&old.meta) {
        return true;
    }
    // What cannot be looked at has changed, or it would be as it was.
    let mut times = || Some((eyes.before.lstat(at).ok()?.mtime, eyes.after.lstat(at).ok()?.mtime));
    match (&new.kind, &old.kind) {
        (Kind::Dir, Kind::Dir) => false,
        (Kind::File(a), Kind::File(b)) if a.size() == b.size() => {
            let Some((before, after)) = times() else { return true };
            let reads = eyes.trust == Trust::Content || is_whole(after);
            before != after || reads && below.ino(at) != tree.ino(at) && !is_same(a, b)
        }
        (Kind::Symlink(a), Kind::Symlink(b)) if a == b => {
            times().is_none_or(|(before, after)| before != after)
        }
        (Kind::Char { major: a, minor: b }, Kind::Char { major: c, minor: d })
        | (Kind::Block { major: a, minor: b }, Kind::Block { major: c, minor: d }) => (a, b) != (c, d),
        (Kind::Fifo, Kind::Fifo) => times().is_none_or(|(before, after)| before != after),
        _ => true,
    }
}

/// Whether a time may have lost its fraction: then the content is looked at.
fn is_whole(time: Mtime) -> bool {
    matches!(time, Mtime::At { nanos: 0, .. })
}

fn is_same(a: &Content, b: &Content) -> bool {
    matches!((a.digest(), b.digest()), (Ok(a), Ok(b)) if a == b)
}
