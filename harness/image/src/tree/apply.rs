//! A layer applied to a tree, as Docker and containerd do: whiteouts hide what lies below the layer, never what it brings
//! itself. Most layers bring whole directories that nothing is in the way of, in the order of a walk; those are put in at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Ino, Inode, ResolveError, Tree};
use crate::at::At;
use crate::entry::{Entry, Kind, Meta, Whiteout};
use crate::image::Layer;
use crate::mtime::Mtime;

/// Why a layer cannot be applied.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ApplyError {
    #[error("apply the layer: {at} is a hard link to {target}, which does not exist")]
    DanglingHardlink { at: At, target: At },
    #[error("apply the layer: {at} is a hard link to the directory {target}")]
    HardlinkToDir { at: At, target: At },
    #[error("apply the layer: {0}")]
    Resolve(#[from] ResolveError),
}

impl Tree {
    /// Applies a layer.
    ///
    /// # Errors
    /// It names a hard link to nothing or to a directory, or a path that cannot be resolved.
    pub fn apply(&mut self, layer: &Layer) -> Result<(), ApplyError> {
        let hides_directories =
            layer.entries.iter().any(|entry| matches!(entry.whiteout(), Some(Whiteout::Opaque(_))));
        // What the layer itself has put there; asked only by what hides directories.
        let mut brought: BTreeSet<At> = BTreeSet::new();
        // A directory that is there, and no symbolic link above it: most entries lie where the one before does.
        let mut known: Option<At> = None;
        let mut left = layer.entries.as_slice();
        while let Some((entry, rest)) = left.split_first() {
            left = rest;
            match entry.whiteout() {
                Some(Whiteout::Removed(hidden)) => {
                    let hidden = self.resolve(hidden.as_bytes(), false)?;
                    self.remove(&hidden);
                    known = None;
                }
                Some(Whiteout::Opaque(dir)) => {
                    let dir = self.resolve(dir.as_bytes(), true)?;
                    self.remove_where(&dir, |at| {
                        *at != dir
                            && brought.range(at.clone()..).next().is_none_or(|next| !next.is_within(at))
                    });
                    known = None;
                }
                None => {
                    let is_known = known.as_ref().is_some_and(|dir| entry.at.is_in(dir));
                    let at = match is_known {
                        true => entry.at.clone(),
                        false => self.resolve(entry.at.as_bytes(), false)?,
                    };
                    if !is_known {
                        self.make_parents(&at);
                    }
                    let is_dir = entry.kind.is_dir();
                    let is_free = is_dir && at == entry.at && !hides_directories && self.is_free(&at);
                    self.put(entry, &at)?;
                    if is_free {
                        left = rest.get(self.put_all(&at, rest)..).unwrap_or_default();
                    }
                    if !is_known || is_dir {
                        known = if is_dir { Some(at.clone()) } else { at.parent() };
                        known = known.filter(|_| at == entry.at);
                    }
                    if hides_directories {
                        brought.insert(at);
                    }
                }
            }
        }
        Ok(())
    }

    fn make_parents(&mut self, at: &At) {
        for parent in at.parents() {
            if !self.get(&parent).is_some_and(|inode| inode.kind.is_dir()) {
                self.insert(&parent, Kind::Dir, Meta::new(0o755, Mtime::secs(0)));
            }
        }
    }

    fn put(&mut self, entry: &Entry, at: &At) -> Result<(), ApplyError> {
        let Kind::Hardlink(target) = &entry.kind else {
            self.insert(at, entry.kind.clone(), entry.meta.clone());
            return Ok(());
        };
        let target = self.resolve(target.as_bytes(), false)?;
        match self.get(&target) {
            Some(inode) if inode.kind.is_dir() => Err(ApplyError::HardlinkToDir { at: at.clone(), target }),
            Some(_) => {
                self.link(at, &target);
                Ok(())
            }
            None => Err(ApplyError::DanglingHardlink { at: at.clone(), target }),
        }
    }

    /// Whether nothing is at this place, nor below it.
    fn is_free(&self, at: &At) -> bool {
        self.paths.range(at..).next().is_none_or(|(next, _)| !next.is_within(at))
    }

    /// Puts the first of `entries` below `dir`, a directory that has just been made where nothing was: as many as follow each
    /// other as a walk does, each in a directory that is among them. How many these were.
    fn put_all(&mut self, dir: &At, entries: &[Entry]) -> usize {
        let inodes = Arc::make_mut(&mut self.inodes);
        // The directories around the last one, and itself if it is one.
        let mut around = vec![dir];
        let mut last = dir;
        let mut put: Vec<(At, Ino)> = Vec::new();
        for entry in entries {
            let is_special = matches!(entry.kind, Kind::Hardlink(_)) || entry.whiteout().is_some();
            if is_special || entry.at <= *last {
                break;
            }
            while around.last().is_some_and(|dir| !entry.at.is_in(dir)) {
                around.pop();
            }
            if around.is_empty() {
                break;
            }
            inodes.push(Arc::new(Inode { kind: entry.kind.clone(), meta: entry.meta.clone() }));
            put.push((entry.at.clone(), Ino(inodes.len() - 1)));
            last = &entry.at;
            if entry.kind.is_dir() {
                around.push(last);
            }
        }
        let count = put.len();
        let paths = Arc::make_mut(&mut self.paths);
        // Two maps are made one by going through both.
        if count > paths.len() / 4 {
            paths.append(&mut put.into_iter().collect::<BTreeMap<_, _>>());
        } else {
            paths.extend(put);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::made::{entry, file, layer};
    use super::*;

    fn paths(tree: &Tree) -> Vec<String> {
        tree.iter().map(|(at, _, _)| at.to_string()).collect()
    }

    #[test]
    fn an_opaque_directory_keeps_what_its_own_layer_brought_in_any_order() {
        let mut tree = Tree::new();
        tree.apply(&layer(vec![
            entry("d", Kind::Dir),
            file("d/old"),
            entry("d/s", Kind::Dir),
            file("d/s/old"),
        ]))
        .unwrap();
        tree.apply(&layer(vec![entry("d/s", Kind::Dir), file("d/s/new"), file("d/.wh..wh..opq")])).unwrap();
        assert_eq!(paths(&tree), ["/", "/d", "/d/s", "/d/s/new"]);
    }

    #[test]
    fn a_directory_that_became_a_link_halfway_is_followed_from_then_on() {
        let mut tree = Tree::new();
        let link = entry("d", Kind::Symlink("real".into()));
        tree.apply(&layer(vec![
            entry("real", Kind::Dir),
            entry("d", Kind::Dir),
            file("d/a"),
            link,
            file("d/b"),
            file("d/c"),
            entry("d/.wh.b", Kind::Dir),
        ]))
        .unwrap();
        assert_eq!(paths(&tree), ["/", "/d", "/real", "/real/c"]);
    }

    #[test]
    fn a_whiteout_removes_a_whole_directory() {
        let mut tree = Tree::new();
        tree.apply(&layer(vec![entry("d", Kind::Dir), file("d/a"), file("d-e")])).unwrap();
        tree.apply(&layer(vec![file(".wh.d")])).unwrap();
        assert_eq!(paths(&tree), ["/", "/d-e"]);
    }

    #[test]
    fn hard_links_share_an_inode_and_a_dangling_one_is_an_error() {
        let mut tree = Tree::new();
        tree.apply(&layer(vec![file("a"), entry("b", Kind::Hardlink(At::from("a")))])).unwrap();
        assert_eq!(tree.ino(&At::from("a")), tree.ino(&At::from("b")));
        let error = tree.apply(&layer(vec![entry("c", Kind::Hardlink(At::from("nope")))]));
        assert!(matches!(error, Err(ApplyError::DanglingHardlink { .. })));
    }

    const PLACES: [&str; 9] = ["d", "d/a", "d/s", "d/s/b", "d/s/c", "d-e", "n", "n/x", "e"];

    fn any_entry() -> impl Strategy<Value = Entry> {
        let place = || proptest::sample::select(&PLACES[..]);
        let parts = |at: &str| At::from(at);
        prop_oneof![
            4 => place().prop_map(file),
            4 => place().prop_map(|at| entry(at, Kind::Dir)),
            1 => (place(), place()).prop_map(|(at, to)| entry(at, Kind::Symlink(format!("/{to}").into()))),
            1 => (place(), place()).prop_map(move |(at, to)| entry(at, Kind::Hardlink(parts(to)))),
            1 => place().prop_map(move |at| Entry { at: Entry::whiteout_of(&parts(at)), ..file("x") }),
        ]
    }

    fn told(tree: &Tree) -> Vec<String> {
        let first = |ino| tree.names(ino)[0].to_string();
        tree.iter().map(|(at, ino, inode)| format!("{at} {} {}", inode.kind.word(), first(ino))).collect()
    }

    proptest! {
        /// What is put in at once is what would be put in one by one: each entry as a layer of its own has nothing to go by.
        #[test]
        fn a_layer_is_its_entries_one_after_the_other(
            entries in proptest::collection::vec(any_entry(), 0..12),
            sorted in any::<bool>(),
        ) {
            let mut entries = entries;
            if sorted {
                entries.sort_by(|left, right| left.at.cmp(&right.at));
            }
            let mut below = Tree::new();
            below.apply(&layer(vec![entry("d", Kind::Dir), file("d/old")])).unwrap();
            let (mut at_once, mut each) = (below.clone(), below);
            let one_by_one: Result<Vec<()>, _> =
                entries.iter().map(|entry| each.apply(&layer(vec![entry.clone()]))).collect();
            prop_assert_eq!(at_once.apply(&layer(entries)), one_by_one.map(drop));
            prop_assert_eq!(told(&at_once), told(&each));
        }
    }
}
