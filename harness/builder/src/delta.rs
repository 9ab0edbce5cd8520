//! What a step computed on the Tree has changed, and the layer that makes of it. Pure: no disk.
//!
//! A `Delta` keeps book as an overlay's upper directory would: what was written, what was removed, which directories are
//! new where something else was. What RUN changes is read from a real upper directory instead, in `snapshot`; what a walk over
//! two trees finds is `walk`, how entries are written `entries`.

mod entries;
mod walk;

use std::collections::BTreeSet;

use samebuild_dockerfile::variants;
use samebuild_image::tree::{Ino, ResolveError};
use samebuild_image::{At, Entry, Kind, Layer, Meta, Mtime, Tree};

use entries::Entries;
pub use entries::{entries_of, opaque, whiteout};
pub use walk::{Eyes, double_walk, double_walk_through};

/// A tree being changed by one step.
pub struct Delta {
    below: Tree,
    tree: Tree,
    touched: BTreeSet<At>,
    /// Directories this step made where the layers below have something.
    replaced: BTreeSet<At>,
    removed: BTreeSet<At>,
    /// What the step says it has written, in its order.
    named: Vec<At>,
    now: Mtime,
}

variants! {
    /// How the difference between two trees is written down as a layer.
    LayerForm {
        /// What lies in an overlay's upper directory: everything touched and the directories above it, opaque markers,
        /// whiteouts with mode 0600 and the time of the removal.
        UpperDirectory = "upper-directory",
        /// What a walk over both trees finds different in content or metadata; a directory of which only the time changed
        /// only above something that did; a whiteout with mode 0 and time 0 for each child that is gone, no opaque markers.
        DoubleWalk = "double-walk",
        /// What a snapshot of one root finds that everything is unpacked into; see the room `unpacked`.
        UnpackedRoot = "unpacked-root",
    }
}

impl Delta {
    /// A step on `tree`; entries it makes itself are from `now`.
    pub fn new(tree: &Tree, now: Mtime) -> Self {
        Self {
            below: tree.clone(),
            tree: tree.clone(),
            touched: BTreeSet::new(),
            replaced: BTreeSet::new(),
            removed: BTreeSet::new(),
            named: Vec::new(),
            now,
        }
    }

    /// The tree as it is so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The time entries made here carry.
    pub fn now(&self) -> Mtime {
        self.now
    }

    /// See [`Tree::resolve`].
    pub fn resolve(&self, path: impl AsRef<[u8]>, follow_last: bool) -> Result<At, ResolveError> {
        self.tree.resolve(path, follow_last)
    }

    /// Whether there is a directory at exactly this place.
    pub fn is_dir(&self, at: &At) -> bool {
        self.tree.get(at).is_some_and(|inode| inode.kind.is_dir())
    }

    /// Puts something where nothing or something else was; the directory around it takes the time `now`.
    pub fn put(&mut self, at: &At, kind: Kind, meta: Meta) {
        self.remove_quietly(at);
        if kind.is_dir() && self.below.get(at).is_some() {
            self.replaced.insert(at.clone());
        }
        self.tree.insert(at, kind, meta);
        self.touched.insert(at.clone());
        self.touch_parent(at);
    }

    /// Puts something else into the inode that is at `at`, for all of its names; the directory around it stays as it was.
    pub fn rewrite(&mut self, at: &At, kind: Kind, meta: Meta) {
        let names: Vec<At> = match self.tree.ino(at) {
            Some(ino) => self.tree.names(ino).into_iter().cloned().collect(),
            None => Vec::new(),
        };
        self.tree.insert(at, kind, meta);
        self.touched.insert(at.clone());
        for name in names.iter().filter(|name| *name != at) {
            self.tree.link(name, at);
            self.touched.insert(name.clone());
        }
    }

    /// Another name for what is at `target`, which an overlay copies up for that, whatever becomes of the new name.
    pub fn link(&mut self, at: &At, target: &At) {
        self.remove_quietly(at);
        self.bring_up(target);
        self.tree.link(at, target);
        self.touched.extend([at.clone(), target.clone()]);
        self.touch_parent(at);
    }

    /// Which inode is at this place.
    pub fn ino(&self, at: &At) -> Option<Ino> {
        self.tree.ino(at)
    }

    /// Makes `at` and every directory missing above it. The ones made, top first; an error names what is in the way.
    pub fn make_dirs(&mut self, at: &At, meta: &Meta) -> Result<Vec<At>, At> {
        let mut made = Vec::new();
        for dir in at.parents().chain((!at.is_root()).then(|| at.clone())) {
            match self.tree.get(&dir).map(|inode| inode.kind.is_dir()) {
                Some(true) => {}
                Some(false) => return Err(dir),
                None => {
                    self.put(&dir, Kind::Dir, meta.clone());
                    made.push(dir);
                }
            }
        }
        Ok(made)
    }

    /// Changes the metadata of what is at `at`.
    pub fn change(&mut self, at: &At, change: impl FnOnce(&mut Meta)) {
        self.bring_up(at);
        if let Some(meta) = self.tree.meta_mut(at) {
            change(meta);
            self.touched.insert(at.clone());
        }
    }

    /// The step says that it has written this.
    pub fn name(&mut self, at: &At) {
        self.named.push(at.clone());
    }

    /// What the step said it has written.
    pub fn named(&self) -> &[At] {
        &self.named
    }

    /// The tree after the step, for whoever finds the layer otherwise.
    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Removes what is at `at` and everything below it.
    pub fn remove(&mut self, at: &At) {
        if self.remove_quietly(at) {
            self.touch_parent(at);
        }
    }

    /// What is still shared with other names below is copied when it is written to, and then a file of its own.
    fn bring_up(&mut self, at: &At) {
        let (Some(ino), Some(inode)) = (self.tree.ino(at), self.tree.get(at)) else { return };
        if inode.kind.is_dir() || self.below.ino(at) != Some(ino) || self.tree.names(ino).len() < 2 {
            return;
        }
        if self.touched.contains(at) {
            return;
        }
        let (kind, meta) = (inode.kind.clone(), inode.meta.clone());
        self.tree.insert(at, kind, meta);
    }

    fn remove_quietly(&mut self, at: &At) -> bool {
        if self.tree.get(at).is_none() || at.is_root() {
            return false;
        }
        self.tree.remove(at);
        forget(&mut self.touched, at);
        forget(&mut self.replaced, at);
        if self.below.get(at).is_some() {
            self.removed.insert(at.clone());
        }
        true
    }

    fn touch_parent(&mut self, at: &At) {
        let (Some(parent), now) = (at.parent(), self.now) else { return };
        self.change(&parent, |meta| meta.mtime = now);
    }

    /// The tree after the step and the layer that leads to it.
    pub fn finish(self, form: LayerForm) -> (Tree, Layer) {
        let entries = match form {
            LayerForm::UpperDirectory => self.upper_directory(),
            // A root is compared by its own snapshots; who asks here all the same gets what differs.
            LayerForm::DoubleWalk | LayerForm::UnpackedRoot => double_walk(&self.below, &self.tree),
        };
        (self.tree, Layer { entries, ..Layer::default() })
    }

    fn upper_directory(&self) -> Vec<Entry> {
        let mut places: BTreeSet<At> = self.touched.iter().filter(|at| !at.is_root()).cloned().collect();
        let gone: BTreeSet<&At> = self.removed.iter().filter(|at| self.leaves_a_whiteout(at)).collect();
        let above: Vec<At> = places.iter().chain(gone.iter().copied()).flat_map(At::parents).collect();
        places.extend(above);
        places.extend(gone.iter().map(|at| (*at).clone()));
        let mut writer = Entries::default();
        for at in &places {
            if gone.contains(at) {
                writer.entries.push(whiteout(at, 0o600, self.now));
                continue;
            }
            writer.push(&self.tree, at);
            if self.replaced.contains(at)
                && let Some(inode) = self.tree.get(at)
            {
                writer.entries.push(opaque(at, &inode.meta));
            }
        }
        writer.entries
    }

    /// Whether the upper directory holds a whiteout for this removed place: nothing is there again, and the directory
    /// around it is the one from below.
    fn leaves_a_whiteout(&self, at: &At) -> bool {
        self.tree.get(at).is_none()
            && at.parents().all(|dir| {
                self.tree.get(&dir).is_some_and(|inode| inode.kind.is_dir()) && !self.replaced.contains(&dir)
            })
    }
}

/// Takes out what is at `at` and below, which stands together in the order of places.
fn forget(places: &mut BTreeSet<At>, at: &At) {
    let gone: Vec<At> = places.range(at..).take_while(|place| place.is_within(at)).cloned().collect();
    for place in &gone {
        places.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use samebuild_image::Content;

    use super::*;

    fn base() -> Tree {
        let mut tree = Tree::new();
        for dir in ["d", "d/s"] {
            tree.insert(&At::from(dir), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
        }
        for file in ["d/a", "d/s/b"] {
            tree.insert(
                &At::from(file),
                Kind::File(Content::inline(*b"x")),
                Meta::new(0o644, Mtime::secs(1)),
            );
        }
        tree
    }

    fn paths(layer: &Layer) -> Vec<String> {
        layer.entries.iter().map(|entry| String::from_utf8_lossy(&entry.path()).into_owned()).collect()
    }

    fn file() -> Kind {
        Kind::File(Content::inline(*b"new"))
    }

    #[test]
    fn a_directory_in_place_of_a_directory_is_opaque_in_an_upper_and_whited_out_by_a_walk() {
        for (form, want) in [
            (LayerForm::UpperDirectory, vec!["d/", "d/s/", "d/s/.wh..wh..opq", "d/s/n"]),
            (LayerForm::DoubleWalk, vec!["d/", "d/s/", "d/s/.wh.b", "d/s/n"]),
        ] {
            let mut delta = Delta::new(&base(), Mtime::secs(9));
            delta.remove(&At::from("d/s"));
            delta.put(&At::from("d/s"), Kind::Dir, Meta::new(0o755, Mtime::secs(9)));
            delta.put(&At::from("d/s/n"), file(), Meta::new(0o644, Mtime::secs(9)));
            let (tree, layer) = delta.finish(form);
            assert_eq!(paths(&layer), want);
            let mut applied = base();
            applied.apply(&layer).unwrap();
            assert!(applied.iter().map(|(at, _, _)| at).eq(tree.iter().map(|(at, _, _)| at)));
        }
    }

    #[test]
    fn removing_a_file_leaves_one_whiteout_with_its_parent() {
        let mut delta = Delta::new(&base(), Mtime::secs(9));
        delta.remove(&At::from("d/a"));
        let (_, layer) = delta.finish(LayerForm::UpperDirectory);
        assert_eq!(paths(&layer), ["d/", "d/.wh.a"]);
        assert_eq!(layer.entries[0].meta.mtime, Mtime::secs(9));
        assert_eq!(layer.entries[1].meta.mode, 0o600);
    }

    #[test]
    fn what_is_made_and_removed_again_leaves_only_the_directory_s_time() {
        let mut delta = Delta::new(&base(), Mtime::secs(9));
        delta.put(&At::from("d/t"), file(), Meta::new(0o644, Mtime::secs(9)));
        delta.remove(&At::from("d/t"));
        let (_, layer) = delta.finish(LayerForm::UpperDirectory);
        assert_eq!(paths(&layer), ["d/"]);
    }

    /// Found by the property below: the target kept its old mode in the layer.
    #[test]
    fn what_is_done_to_a_new_name_is_done_to_the_file_from_below() {
        let acts = [Act::Link(6, 1), Act::Mode(6)];
        let (tree, layer) = play(&acts).finish(LayerForm::UpperDirectory);
        assert_eq!(paths(&layer), ["d/", "d/a", "e"]);
        let mut applied = base();
        applied.apply(&layer).unwrap();
        assert_eq!(told(&applied), told(&tree));
    }

    /// One thing a step may do, to one of a few places, so that steps meet.
    #[derive(Debug, Clone)]
    enum Act {
        File(usize),
        Dir(usize),
        Remove(usize),
        Link(usize, usize),
        Mode(usize),
    }

    const PLACES: [&str; 7] = ["d", "d/a", "d/s", "d/s/b", "n", "n/x", "e"];

    fn act() -> impl proptest::strategy::Strategy<Value = Act> {
        use proptest::prelude::*;
        let place = 0..PLACES.len();
        prop_oneof![
            place.clone().prop_map(Act::File),
            place.clone().prop_map(Act::Dir),
            place.clone().prop_map(Act::Remove),
            (place.clone(), place.clone()).prop_map(|(a, b)| Act::Link(a, b)),
            place.prop_map(Act::Mode),
        ]
    }

    fn play(acts: &[Act]) -> Delta {
        let mut delta = Delta::new(&base(), Mtime::secs(9));
        let has_parent = |delta: &Delta, at: &At| at.parent().is_none_or(|dir| delta.is_dir(&dir));
        for act in acts {
            match act {
                Act::File(place) | Act::Dir(place) => {
                    let at = At::from(PLACES[*place]);
                    let is_dir = matches!(act, Act::Dir(_));
                    if has_parent(&delta, &at) && !(is_dir && delta.is_dir(&at)) {
                        let kind = if is_dir { Kind::Dir } else { file() };
                        delta.put(&at, kind, Meta::new(0o700, Mtime::secs(9)));
                    }
                }
                Act::Remove(place) => delta.remove(&At::from(PLACES[*place])),
                Act::Link(at, to) => {
                    let (at, to) = (At::from(PLACES[*at]), At::from(PLACES[*to]));
                    let is_file = delta.tree().get(&to).is_some_and(|inode| !inode.kind.is_dir());
                    if is_file && has_parent(&delta, &at) && !to.is_within(&at) {
                        delta.link(&at, &to);
                    }
                }
                Act::Mode(place) => delta.change(&At::from(PLACES[*place]), |meta| meta.mode = 0o711),
            }
        }
        delta
    }

    fn told(tree: &Tree) -> Vec<String> {
        let tell = |(at, _, inode): (&At, _, &samebuild_image::Inode)| {
            let content = if let Kind::File(content) = &inode.kind { content.digest().ok() } else { None };
            format!("{at} {} {:o} {content:?}", inode.kind.word(), inode.meta.mode)
        };
        tree.iter().map(tell).collect()
    }

    proptest::proptest! {
        /// What a layer says of a step, applied to what was below, is what the step made: in either form.
        #[test]
        fn a_layer_applied_to_what_was_below_is_the_step(acts in proptest::collection::vec(act(), 0..14)) {
            for form in [LayerForm::UpperDirectory, LayerForm::DoubleWalk] {
                let (tree, layer) = play(&acts).finish(form);
                let mut applied = base();
                applied.apply(&layer).unwrap();
                proptest::prop_assert_eq!(told(&applied), told(&tree), "{:?}: {:?}", form, paths(&layer));
            }
        }
    }
}
