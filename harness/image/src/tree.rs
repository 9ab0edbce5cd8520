//! The flattened file system of an image: path → inode, hard links sharing one. Symbolic links, parents and whiteouts
//! are pure functions on it; applying a layer is `apply`. Producing layers from two trees is the builder's step, not here.

mod apply;
#[cfg(test)]
mod made;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::at::At;
use crate::entry::{Kind, Meta};
use crate::mtime::Mtime;
pub use apply::ApplyError;

/// What a path names.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Never [`Kind::Hardlink`].
    pub kind: Kind,
    pub meta: Meta,
}

/// Identity of an inode within one tree; paths with the same number are hard links of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(usize);

/// A file system in memory, contents by reference. Cheap to clone: what two trees share they share until one changes.
#[derive(Clone, Debug)]
pub struct Tree {
    paths: Arc<BTreeMap<At, Ino>>,
    inodes: Arc<Vec<Arc<Inode>>>,
}

/// Why a path cannot be resolved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    #[error("resolve {at}: more than 255 symbolic links; they form a loop")]
    Loop { at: At },
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// Nothing but the root directory, 0755, owned by root, from 1970.
    pub fn new() -> Self {
        Self::of(Meta::new(0o755, Mtime::secs(0)), Vec::new(), Vec::new())
    }

    /// Of these inodes, by their places. Of two at one place the last counts.
    pub(crate) fn of(root: Meta, inodes: Vec<Arc<Inode>>, paths: Vec<(At, usize)>) -> Self {
        let root = Arc::new(Inode { kind: Kind::Dir, meta: root });
        let inodes = std::iter::once(root).chain(inodes).collect();
        let paths = std::iter::once((At::root(), Ino(0)))
            .chain(paths.into_iter().map(|(at, number)| (at, Ino(number + 1))));
        Self { paths: Arc::new(paths.collect()), inodes: Arc::new(inodes) }
    }

    /// What is at exactly this path; no symbolic link is followed.
    pub fn get(&self, at: &At) -> Option<&Inode> {
        self.paths.get(at).map(|ino| &*self.inodes[ino.0])
    }

    /// Which inode is at exactly this path.
    pub fn ino(&self, at: &At) -> Option<Ino> {
        self.paths.get(at).copied()
    }

    /// The metadata at exactly this path, to change it; hard links change together.
    pub fn meta_mut(&mut self, at: &At) -> Option<&mut Meta> {
        let ino = self.paths.get(at)?;
        Some(&mut Arc::make_mut(&mut Arc::make_mut(&mut self.inodes)[ino.0]).meta)
    }

    /// Changes the metadata at every path, in walking order; an inode with several names comes up as often.
    pub fn change_meta(&mut self, mut change: impl FnMut(&At, &Kind, &mut Meta)) {
        let inodes = Arc::make_mut(&mut self.inodes);
        for (at, ino) in self.paths.iter() {
            let inode = Arc::make_mut(&mut inodes[ino.0]);
            change(at, &inode.kind, &mut inode.meta);
        }
    }

    /// Sets the metadata at these places. What is not there is passed over.
    pub fn set_metas(&mut self, metas: &[(At, Meta)]) {
        for (at, meta) in metas {
            if let Some(own) = self.meta_mut(at) {
                own.clone_from(meta);
            }
        }
    }

    /// Every path and inode, in walking order, the root first.
    pub fn iter(&self) -> impl Iterator<Item = (&At, Ino, &Inode)> {
        self.paths.iter().map(|(at, ino)| (at, *ino, &*self.inodes[ino.0]))
    }

    /// `dir` and everything below it, in walking order.
    pub fn within<'t>(&'t self, dir: &'t At) -> impl Iterator<Item = (&'t At, Ino, &'t Inode)> {
        self.paths
            .range((Bound::Included(dir), Bound::Unbounded))
            .take_while(move |(at, _)| at.is_within(dir))
            .map(|(at, ino)| (at, *ino, &*self.inodes[ino.0]))
    }

    /// The direct children of `dir`, by name.
    pub fn children<'t>(&'t self, dir: &'t At) -> impl Iterator<Item = (&'t At, &'t Inode)> {
        self.within(dir)
            .filter(move |(at, _, _)| {
                at.below(dir).is_some_and(|rest| !rest.is_empty() && !rest.contains(&b'/'))
            })
            .map(|(at, _, inode)| (at, inode))
    }

    /// All names of the inode, in walking order.
    pub fn names(&self, ino: Ino) -> Vec<&At> {
        self.paths.iter().filter(|(_, other)| **other == ino).map(|(at, _)| at).collect()
    }

    /// How many paths there are, the root included.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.paths.len() == 1
    }

    /// Puts an inode at `at`, in place of what was there. What lies below stays only where directory replaces directory.
    /// Parents that are missing are *not* made: whose they are is a decision.
    pub fn insert(&mut self, at: &At, kind: Kind, meta: Meta) {
        debug_assert!(!matches!(kind, Kind::Hardlink(_)), "a hard link is made with `link`");
        let is_dir = kind.is_dir();
        let inodes = Arc::make_mut(&mut self.inodes);
        inodes.push(Arc::new(Inode { kind, meta }));
        let ino = Ino(inodes.len() - 1);
        let old = Arc::make_mut(&mut self.paths).insert(at.clone(), ino);
        let keep_children = is_dir && old.is_some_and(|old| self.inodes[old.0].kind.is_dir());
        if !keep_children {
            self.remove_where(at, |below| below != at);
        }
    }

    /// Gives the inode at `target` another name; `false` where there is no such inode.
    pub fn link(&mut self, at: &At, target: &At) -> bool {
        let Some(ino) = self.paths.get(target).copied() else { return false };
        if at != target {
            self.remove(at);
            Arc::make_mut(&mut self.paths).insert(at.clone(), ino);
        }
        true
    }

    /// Removes `at` and everything below it; the root itself stays. How many paths went.
    pub fn remove(&mut self, at: &At) -> usize {
        self.remove_where(at, |below| !below.is_root())
    }

    /// Removes what `goes` of `dir` and of what is below it. How many paths went.
    fn remove_where(&mut self, dir: &At, goes: impl Fn(&At) -> bool) -> usize {
        let gone: Vec<At> = self.within(dir).map(|(at, _, _)| at).filter(|at| goes(at)).cloned().collect();
        if !gone.is_empty() {
            let paths = Arc::make_mut(&mut self.paths);
            for at in &gone {
                paths.remove(at);
            }
        }
        gone.len()
    }

    /// Follows symbolic links in every component but the last, and there too if `follow_last`. Components that do not
    /// exist are taken as they are. Never leaves the root: an absolute link starts there, `..` stops there.
    pub fn resolve(&self, path: impl AsRef<[u8]>, follow_last: bool) -> Result<At, ResolveError> {
        self.resolve_in(&At::root(), path, follow_last)
    }

    /// The same with `root`, a directory of this tree, for the root: `path` and every link are seen from there.
    pub fn resolve_in(
        &self,
        root: &At,
        path: impl AsRef<[u8]>,
        follow_last: bool,
    ) -> Result<At, ResolveError> {
        let path = path.as_ref();
        let mut left: Vec<Vec<u8>> = split_reversed(path);
        let mut done = root.clone();
        let mut hops = 0;
        while let Some(part) = left.pop() {
            if part == b".." {
                if done != *root {
                    done = done.parent().unwrap_or_default();
                }
                continue;
            }
            let next = done.join(&part);
            let is_last = left.is_empty();
            match self.get(&next).map(|inode| &inode.kind) {
                Some(Kind::Symlink(target)) if !is_last || follow_last => {
                    hops += 1;
                    if hops > 255 {
                        return Err(ResolveError::Loop { at: At::clean(path) });
                    }
                    if target.starts_with(b"/") {
                        done = root.clone();
                    }
                    left.extend(split_reversed(target));
                }
                _ => done = next,
            }
        }
        Ok(done)
    }
}

fn split_reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .rev()
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::made::{entry, file, layer};
    use super::*;

    #[test]
    fn metadata_changes_path_by_path_and_the_last_name_of_an_inode_has_the_last_word() {
        let mut tree = Tree::new();
        tree.apply(&layer(vec![file("b"), file("a"), entry("c", Kind::Hardlink(At::from("a")))])).unwrap();
        let before = tree.clone();
        let mut asked = Vec::new();
        tree.change_meta(|at, kind, meta| {
            asked.push(at.to_string());
            if !kind.is_dir() {
                meta.uid = asked.len() as u64;
            }
        });
        assert_eq!(asked, ["/", "/a", "/b", "/c"]);
        let owners = |tree: &Tree| -> Vec<_> { tree.iter().map(|(_, _, inode)| inode.meta.uid).collect() };
        assert_eq!((owners(&before), owners(&tree)), (vec![0, 0, 0, 0], vec![0, 4, 3, 4]));
    }

    #[test]
    fn a_directory_can_stand_for_the_root_and_is_not_left() {
        let mut tree = Tree::new();
        let link = |path: &str, target: &str| entry(path, Kind::Symlink(target.into()));
        tree.apply(&layer(vec![entry("d", Kind::Dir), link("d/abs", "/x"), link("d/up", "../../y")]))
            .unwrap();
        for (path, want) in [("abs/a", "d/x/a"), ("up", "d/y"), ("../../z", "d/z")] {
            assert_eq!(tree.resolve_in(&At::from("d"), path, true), Ok(At::from(want)), "{path}");
        }
    }

    #[test]
    fn links_resolve_inside_the_root_and_loops_are_errors() {
        let mut tree = Tree::new();
        let link = |path: &str, target: &str| entry(path, Kind::Symlink(target.into()));
        tree.apply(&layer(vec![
            entry("real", Kind::Dir),
            link("lnk", "/real"),
            link("out", "../../../real/x"),
            link("l1", "l2"),
            link("l2", "l1"),
        ]))
        .unwrap();
        assert_eq!(tree.resolve("lnk/new/deep", true), Ok(At::from("real/new/deep")));
        assert_eq!(tree.resolve("out", true), Ok(At::from("real/x")));
        assert_eq!(tree.resolve("lnk", false), Ok(At::from("lnk")));
        assert!(tree.resolve("l1", true).is_err());
    }
}
