//! The layer of a snapshot: whiteouts first, then files, each after the directories above it that were not there yet,
//! each path once. Every layer so begins with the root itself.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_image::tree::Ino;
use samebuild_image::{At, Entry, Kind, Layer, Mtime, Tree};

use super::resolve::in_order;
use super::rules::{Names, UnpackedRules};

/// What a snapshot takes.
#[derive(Debug, Default)]
pub struct Taken {
    pub adds: BTreeSet<At>,
    pub whiteouts: BTreeSet<At>,
}

/// The only extended attribute that is kept.
const CAPABILITY: &[u8] = b"security.capability";

/// The layer; `None` if there is nothing in it.
pub fn layer(tree: &Tree, taken: Taken, rules: &UnpackedRules) -> Option<Layer> {
    let mut writer =
        Writer { tree, rules, entries: Vec::new(), written: BTreeSet::new(), first_name: BTreeMap::new() };
    for at in in_order(taken.whiteouts) {
        let is_dir = |dir: &At| tree.get(dir).is_none_or(|inode| inode.kind.is_dir());
        if at.parents().all(|dir| is_dir(&dir)) {
            writer.above(&at);
            writer.push(crate::delta::whiteout(&at, 0, Mtime::secs(0)));
        }
    }
    for at in in_order(taken.adds) {
        writer.above(&at);
        writer.entry(&at);
    }
    (!writer.entries.is_empty()).then(|| Layer { entries: writer.entries, ..Layer::default() })
}

struct Writer<'t> {
    tree: &'t Tree,
    rules: &'t UnpackedRules,
    entries: Vec<Entry>,
    written: BTreeSet<At>,
    first_name: BTreeMap<Ino, At>,
}

impl Writer<'_> {
    fn above(&mut self, at: &At) {
        if !at.is_root() {
            self.entry(&At::root());
        }
        for dir in at.parents() {
            self.entry(&dir);
        }
    }

    fn entry(&mut self, at: &At) {
        let (Some(inode), Some(ino)) = (self.tree.get(at), self.tree.ino(at)) else { return };
        if !self.written.insert(at.clone()) {
            return;
        }
        let kind = match self.first_name.get(&ino) {
            Some(first) if !inode.kind.is_dir() => Kind::Hardlink(first.clone()),
            _ => {
                self.first_name.insert(ino, at.clone());
                inode.kind.clone()
            }
        };
        let mut meta = inode.meta.clone();
        meta.xattrs.retain(|name, _| name == CAPABILITY);
        self.push(Entry::new(at.clone(), kind, meta));
    }

    fn push(&mut self, mut entry: Entry) {
        let absolute = self.rules.names == Names::Absolute;
        if absolute || entry.at.is_root() {
            entry.raw = Some([b"/", entry.at.as_bytes()].concat());
        }
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use samebuild_image::{Content, Meta};

    use super::*;
    use crate::dialect::KANIKO_1_24;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for dir in ["d", "d/s"] {
            tree.insert(&At::from(dir), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
        }
        for file in ["d/s/f", "z"] {
            let meta = Meta::new(0o644, Mtime::secs(1));
            tree.insert(&At::from(file), Kind::File(Content::inline(*b"x")), meta);
        }
        tree.link(&At::from("d/twin"), &At::from("d/s/f"));
        tree
    }

    fn paths(adds: &[&str], whiteouts: &[&str]) -> Vec<String> {
        let places = |paths: &[&str]| paths.iter().map(|path| At::from(*path)).collect();
        let taken = Taken { adds: places(adds), whiteouts: places(whiteouts) };
        let layer = layer(&tree(), taken, &KANIKO_1_24.unpacked).unwrap_or_default();
        layer.entries.iter().map(|entry| String::from_utf8_lossy(&entry.path()).into_owned()).collect()
    }

    /// GoogleContainerTools/kaniko#1149, #1350, #2113: whiteouts in any order, and before their directory.
    #[test]
    fn whiteouts_come_first_in_order_each_after_its_directory() {
        assert_eq!(
            paths(&["z", "d/s/f"], &["d/s/y", "d/s/x"]),
            ["/", "d/", "d/s/", "d/s/.wh.x", "d/s/.wh.y", "d/s/f", "z"]
        );
    }

    /// GoogleContainerTools/kaniko#2308, #2590.
    #[test]
    fn there_is_no_whiteout_below_what_is_no_directory_any_more() {
        assert_eq!(paths(&["z"], &["z/old"]), ["/", "z"]);
    }

    #[test]
    fn a_second_name_is_a_link_to_the_first_and_nothing_is_no_layer() {
        let taken = Taken { adds: ["d/s/f", "d/twin"].map(At::from).into(), ..Taken::default() };
        let layer = layer(&tree(), taken, &KANIKO_1_24.unpacked).unwrap_or_default();
        assert!(matches!(&layer.entries[4].kind, Kind::Hardlink(first) if *first == At::from("d/s/f")));
        assert!(super::layer(&tree(), Taken::default(), &KANIKO_1_24.unpacked).is_none());
    }
}
