//! The flattened file system of a side. How layers apply is [`Tree`]'s knowledge, used here, not repeated; what is
//! added is that a record's base is unknown and that hostile layers are compared too, not refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use samebuild_image::entry::Whiteout;
use samebuild_image::{At, Content, Entry, Kind, Layer, Meta, Mtime, Tree};

use crate::difference::Entries;
use crate::pairing::{Both, Lone, Places};
use crate::side::{Item, Origin, Side, SideLayer, Thing};

/// What is where after all layers.
#[derive(Debug)]
pub(crate) struct Rootfs<'s> {
    /// `None` where something of the unknown base was removed.
    places: BTreeMap<At, Option<Place<'s>>>,
    partial: bool,
}

#[derive(Debug)]
struct Place<'s> {
    item: &'s Item<'s>,
    /// All names, if there are several.
    names: Vec<At>,
}

impl<'s> Rootfs<'s> {
    /// Applies the layers of `side`. `implied` is what a directory looks like that no entry made.
    pub(crate) fn of(side: &'s Side<'_>, implied: &'s Item<'static>) -> Self {
        let layers: Vec<Vec<&'s Item<'s>>> =
            side.base.iter().chain(&side.layers).map(SideLayer::in_order).collect();
        let items: Vec<&'s Item<'s>> = layers.iter().flatten().copied().collect();
        let mut tree = Tree::new();
        let mut gone = BTreeSet::new();
        let mut first = 0;
        for layer in &layers {
            let numbered = || (first..).zip(layer.iter().copied());
            // Whiteouts hide what lies below the layer, never what it brings, wherever they stand in it.
            for (_, item) in numbered() {
                hide(&mut tree, &mut gone, item);
            }
            for (number, item) in numbered() {
                put(&mut tree, &mut gone, number, item);
            }
            first += layer.len();
        }
        let mut names: BTreeMap<_, Vec<At>> = BTreeMap::new();
        for (at, ino, _) in tree.iter() {
            names.entry(ino).or_default().push(at.clone());
        }
        let mut places: BTreeMap<At, Option<Place<'s>>> = BTreeMap::new();
        for (at, ino, inode) in tree.iter() {
            let item = match number_of(&inode.meta) {
                Some(number) => items[number],
                // A directory that no entry made is the base's where there is one.
                None if side.partial => continue,
                None => implied,
            };
            let names = names.get(&ino).filter(|names| names.len() > 1).cloned().unwrap_or_default();
            places.insert(at.clone(), Some(Place { item, names }));
        }
        if side.partial {
            places.extend(gone.into_iter().map(|at| (at, None)));
        }
        Self { places, partial: side.partial }
    }

    /// Two file systems, place by place.
    pub(crate) fn pair<'r>(left: &'r Rootfs<'s>, right: &'r Rootfs<'s>) -> Places<'r> {
        let mut places = Places::default();
        let all: BTreeSet<&At> = left.places.keys().chain(right.places.keys()).collect();
        for at in all {
            match (left.places.get(at), right.places.get(at)) {
                // One entry that both sides have, and that is the same file's.
                (Some(Some(l)), Some(Some(r))) if std::ptr::eq(l.item, r.item) && l.names == r.names => {}
                // What no entry made is as whoever unpacks it likes.
                (Some(Some(l)), Some(Some(r))) if l.item.is_like_implied(r.item) => {}
                (Some(Some(l)), Some(Some(r))) => places.both.push(Both {
                    at,
                    in_tar: false,
                    left: l.item,
                    right: r.item,
                    left_names: &l.names,
                    right_names: &r.names,
                }),
                (Some(None), Some(None)) => {}
                (l, r) => {
                    let of = |place: Option<&Option<Place<'_>>>| place?.as_ref()?.item.shared();
                    let entries = Entries { left: of(l), right: of(r) };
                    places.lone.push(Lone {
                        at: at.clone(),
                        left: left.say(l),
                        right: right.say(r),
                        entries,
                        again: false,
                    });
                }
            }
        }
        places
    }

    fn say(&self, place: Option<&Option<Place<'_>>>) -> String {
        match place {
            Some(Some(place)) => place.item.describe(),
            Some(None) => "removed".to_owned(),
            None if self.partial => "as in the base".to_owned(),
            None => "absent".to_owned(),
        }
    }
}

/// A directory that no entry made, as [`Tree`] makes it.
pub(crate) fn implied() -> Item<'static> {
    let meta = Meta::new(0o755, Mtime::secs(0));
    let mtime = samebuild_image::Epochs::default().name(meta.mtime);
    Item {
        at: Cow::Owned(At::root()),
        form: None,
        thing: Thing::Dir,
        meta: Cow::Owned(meta),
        mtime,
        origin: Origin::Implied,
        twin: None,
        again: false,
    }
}

/// The tree carries the number of an item in the place of its time; 0 is what nothing made.
fn number_of(meta: &Meta) -> Option<usize> {
    let (secs, _) = meta.mtime.timestamp()?;
    usize::try_from(secs).ok()?.checked_sub(1)
}

fn numbered(number: usize, at: &At, kind: Kind) -> Layer {
    let secs = i64::try_from(number + 1).unwrap_or(i64::MAX);
    let entry = Entry::new(at.clone(), kind, Meta::new(0, Mtime::secs(secs)));
    Layer { entries: vec![entry], ..Layer::default() }
}

fn whiteout(item: &Item<'_>) -> Option<Whiteout> {
    Entry::new((*item.at).clone(), Kind::Fifo, Meta::new(0, Mtime::secs(0))).whiteout()
}

fn hide(tree: &mut Tree, gone: &mut BTreeSet<At>, item: &Item<'_>) {
    let Some(whiteout) = whiteout(item) else { return };
    // A whiteout behind a loop of links hides nothing.
    let _ = tree.apply(&numbered(0, &item.at, Kind::Fifo));
    match whiteout {
        Whiteout::Removed(at) => gone.insert(at),
        Whiteout::Opaque(dir) => gone.insert(Entry::opaque_of(&dir)),
    };
}

fn put(tree: &mut Tree, gone: &mut BTreeSet<At>, number: usize, item: &Item<'_>) {
    if whiteout(item).is_some() {
        return;
    }
    gone.remove(&*item.at);
    let file = || Kind::File(Content::inline(*b""));
    let kind = match item.thing {
        Thing::Dir => Kind::Dir,
        Thing::Symlink(target) => Kind::Symlink(target.to_vec()),
        Thing::Hardlink(target) => Kind::Hardlink(target.clone()),
        _ => file(),
    };
    // A hard link to the unknown base, to nowhere, or through a loop stands for itself.
    if tree.apply(&numbered(number, &item.at, kind)).is_err() {
        let _ = tree.apply(&numbered(number, &item.at, file()));
    }
}
