//! Entries of a layer as they are in a tree, and the markers of what is in it no longer.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_image::tree::Ino;
use samebuild_image::{At, Content, Entry, Kind, Layer, Meta, Mtime, Tree};

/// The marker of an opaque directory: the directory's mode and owner, no time.
pub fn opaque(dir: &At, meta: &Meta) -> Entry {
    let meta =
        Meta { mode: meta.mode & 0o777, mtime: Mtime::secs(0), xattrs: Default::default(), ..meta.clone() };
    Entry::new(Entry::opaque_of(dir), Kind::File(Content::inline(*b"")), meta)
}

/// The whiteout of a removed place.
pub fn whiteout(at: &At, mode: u32, mtime: Mtime) -> Entry {
    Entry::new(Entry::whiteout_of(at), Kind::File(Content::inline(*b"")), Meta::new(mode, mtime))
}

/// Writes entries of a tree, later names of an inode as hard links to the first.
#[derive(Default)]
pub(super) struct Entries {
    pub entries: Vec<Entry>,
    first_name: BTreeMap<Ino, At>,
}

impl Entries {
    pub fn push(&mut self, tree: &Tree, at: &At) {
        let (Some(inode), Some(ino)) = (tree.get(at), tree.ino(at)) else { return };
        let kind = match self.first_name.get(&ino) {
            Some(first) if !inode.kind.is_dir() => Kind::Hardlink(first.clone()),
            _ => {
                self.first_name.insert(ino, at.clone());
                inode.kind.clone()
            }
        };
        self.entries.push(Entry::new(at.clone(), kind, inode.meta.clone()));
    }
}

/// The entries at `places`, in order, as they are in `tree`.
pub fn entries_of(tree: &Tree, places: &BTreeSet<At>) -> Layer {
    let mut writer = Entries::default();
    places.iter().for_each(|at| writer.push(tree, at));
    Layer { entries: writer.entries, ..Layer::default() }
}
