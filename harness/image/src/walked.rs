//! A [`Tree`] from a walk over a file system: each place is told once, and all are put in their order at the end, which
//! costs a fraction of putting each where it belongs. Changing a tree is the tree's own.

use std::sync::Arc;

use crate::at::At;
use crate::entry::{Kind, Meta};
use crate::tree::{Inode, Tree};

/// What a walk has told so far.
#[derive(Debug)]
pub struct Walked {
    root: Meta,
    inodes: Vec<Arc<Inode>>,
    paths: Vec<(At, usize)>,
}

/// An inode that was told, for its other names.
#[derive(Clone, Copy, Debug)]
pub struct Told(usize);

impl Walked {
    /// Nothing but the root directory.
    pub fn new(root: Meta) -> Self {
        Self { root, inodes: Vec::new(), paths: Vec::new() }
    }

    /// An inode at a place below the root. The directories around it are the walk's to tell.
    pub fn push(&mut self, at: At, kind: Kind, meta: Meta) -> Told {
        debug_assert!(!matches!(kind, Kind::Hardlink(_)), "a hard link is told with `link`");
        self.inodes.push(Arc::new(Inode { kind, meta }));
        let number = self.inodes.len() - 1;
        self.paths.push((at, number));
        Told(number)
    }

    /// Another name of one that was told.
    pub fn link(&mut self, at: At, told: Told) {
        self.paths.push((at, told.0));
    }

    /// All of it.
    pub fn tree(self) -> Tree {
        Tree::of(self.root, self.inodes, self.paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mtime::Mtime;

    #[test]
    fn a_tree_is_what_was_told_in_whatever_order() {
        let meta = || Meta::new(0o755, Mtime::secs(1));
        let mut walked = Walked::new(Meta::new(0o700, Mtime::secs(9)));
        let file = walked.push(At::from("b"), Kind::Fifo, meta());
        walked.push(At::from("a"), Kind::Dir, meta());
        walked.link(At::from("a/c"), file);
        let tree = walked.tree();
        let places: Vec<String> = tree.iter().map(|(at, _, _)| at.to_string()).collect();
        assert_eq!(places, ["/", "/a", "/a/c", "/b"]);
        assert_eq!(tree.ino(&At::from("a/c")), tree.ino(&At::from("b")));
        assert_eq!(tree.get(&At::root()).unwrap().meta.mode, 0o700);
    }
}
