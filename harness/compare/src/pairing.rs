//! What is held against what: layers against layers, entries against entries, history against history. No judgement.

use std::collections::BTreeMap;
use std::ops::Range;

use samebuild_image::layer_walk::Forms;
use samebuild_image::{At, Digest};

use crate::difference::{Entries, LayerNumber, Where};
use crate::side::{Item, Side, SideLayer};

/// Both sides, and which parts of them belong together.
#[derive(Debug)]
pub struct Sides<'s, 'a> {
    pub left: &'s Side<'a>,
    pub right: &'s Side<'a>,
    /// Pairs of layers by index, in order.
    pub layers: Vec<(usize, usize)>,
    /// Pairs of history entries by index; one that is alone has no counterpart.
    pub history: Vec<(Option<usize>, Option<usize>)>,
}

/// Two layers, or two flattened file systems, entry by entry.
#[derive(Debug, Default)]
pub struct Places<'s> {
    /// The layers; `None` for the flattened file systems.
    pub layer: Option<LayerNumber>,
    /// Places that both sides have, in walking order.
    pub both: Vec<Both<'s>>,
    /// Places that only one side has, in walking order.
    pub lone: Vec<Lone>,
    /// The places both have, in the order of the left tar and of the right one. Empty for flattened file systems.
    pub order: (Vec<&'s At>, Vec<&'s At>),
    /// The digests of the layers.
    pub diff_ids: (Option<Digest>, Option<Digest>),
    /// The forms of their tars' headers, where those were looked at.
    pub forms: (Option<&'s Forms>, Option<&'s Forms>),
}

/// A place that both sides have.
#[derive(Debug)]
pub struct Both<'s> {
    pub at: &'s At,
    /// Whether these are entries of a tar, not places of a flattened file system.
    pub in_tar: bool,
    pub left: &'s Item<'s>,
    pub right: &'s Item<'s>,
    /// All names of the left inode, where there are several; only in flattened file systems.
    pub left_names: &'s [At],
    /// All names of the right inode, where there are several.
    pub right_names: &'s [At],
}

/// A place that one side has.
#[derive(Debug)]
pub struct Lone {
    pub at: At,
    /// What each side has there, in words.
    pub left: String,
    pub right: String,
    /// The entry of the side that has it.
    pub entries: Entries,
    /// Whether the layer that has it had this place before.
    pub again: bool,
}

impl Both<'_> {
    /// The entries of both sides, to hand on.
    pub fn entries(&self) -> Entries {
        Entries { left: self.left.shared(), right: self.right.shared() }
    }
}

impl Places<'_> {
    /// `at` as a place in these layers or this file system.
    pub fn place(&self, at: &At) -> Where {
        match self.layer {
            Some(layer) => Where::Entry(layer, at.clone()),
            None => Where::Rootfs(at.clone()),
        }
    }
}

impl<'s, 'a> Sides<'s, 'a> {
    /// Pairs layers and history.
    pub fn new(left: &'s Side<'a>, right: &'s Side<'a>) -> Self {
        let weights = weights(left, right);
        let all = (0..left.layers.len(), 0..right.layers.len());
        let layers = fill_even_gaps(align(all.clone(), &|l, r| weights[l][r]), all);
        Self::paired(left, right, layers)
    }

    /// Pairs history; the layers are paired already.
    pub fn paired(left: &'s Side<'a>, right: &'s Side<'a>, layers: Vec<(usize, usize)>) -> Self {
        Self { left, right, layers, history: pair_history(left, right) }
    }

    /// Two paired layers, entry by entry.
    pub fn layer(&self, pair: (usize, usize)) -> Places<'s> {
        let (left, right) = (&self.left.layers[pair.0], &self.right.layers[pair.1]);
        let (left_keys, right_keys) = (keys(left), keys(right));
        let mut places = Places {
            layer: Some(LayerNumber::of(pair)),
            diff_ids: (left.diff_id, right.diff_id),
            forms: (left.forms(), right.forms()),
            ..Places::default()
        };
        for (key, left_index) in &left_keys {
            let left = &left.items[*left_index];
            match right_keys.get(key) {
                Some(right_index) => {
                    let right = &right.items[*right_index];
                    let (left_names, right_names) = (&[][..], &[][..]);
                    places.both.push(Both { at: key.0, in_tar: true, left, right, left_names, right_names });
                }
                None => places.lone.push(lone(*key, Some(left), None)),
            }
        }
        for (key, index) in right_keys.iter().filter(|(key, _)| !left_keys.contains_key(*key)) {
            places.lone.push(lone(*key, None, Some(&right.items[*index])));
        }
        places.lone.sort_by(|a, b| a.at.cmp(&b.at));
        places.order = match (&left.sifted, &right.sifted) {
            (Some(left), Some(right)) => (left.common.clone(), right.common.clone()),
            _ => (in_order(&left_keys, &right_keys), in_order(&right_keys, &left_keys)),
        };
        places
    }
}

fn lone((at, before): Key<'_>, left: Option<&Item<'_>>, right: Option<&Item<'_>>) -> Lone {
    let say = |item: Option<&Item<'_>>| item.map_or_else(|| "absent".to_owned(), Item::describe);
    let entries = Entries { left: left.and_then(Item::shared), right: right.and_then(Item::shared) };
    let again = before > 0 || left.or(right).is_some_and(|item| item.again);
    Lone { at: at.clone(), left: say(left), right: say(right), entries, again }
}

/// A place, and how many entries of the same layer named it before.
type Key<'s> = (&'s At, usize);

fn keys<'s>(layer: &'s SideLayer<'_>) -> BTreeMap<Key<'s>, usize> {
    let mut keys = BTreeMap::new();
    for (index, item) in layer.items.iter().enumerate() {
        let at: &At = &item.at;
        let before = keys.range((at, 0)..=(at, usize::MAX)).next_back().map_or(0, |((_, n), _)| n + 1);
        keys.insert((at, before), index);
    }
    keys
}

/// The places of `keys` that `other` has too, in the order of the tar.
fn in_order<'s>(keys: &BTreeMap<Key<'s>, usize>, other: &BTreeMap<Key<'_>, usize>) -> Vec<&'s At> {
    let mut common: Vec<(usize, &At)> =
        keys.iter().filter(|(key, _)| other.contains_key(*key)).map(|(key, index)| (*index, key.0)).collect();
    common.sort_by_key(|(index, _)| *index);
    common.into_iter().map(|(_, at)| at).collect()
}

/// Pairs so that what belongs together weighs most. Order is kept; what weighs nothing stays alone.
pub(crate) fn align(of: Gap, weight: &dyn Fn(usize, usize) -> u32) -> Vec<(usize, usize)> {
    let (rows, columns) = (of.0.len(), of.1.len());
    let weights: Vec<Vec<u32>> = of.0.clone().map(|i| of.1.clone().map(|j| weight(i, j)).collect()).collect();
    // best[i][j]: the greatest weight of the layers from i on the left and j on the right.
    let mut best = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let paired = if weights[i][j] > 0 { weights[i][j] + best[i + 1][j + 1] } else { 0 };
            best[i][j] = paired.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < rows && j < columns {
        if weights[i][j] > 0 && best[i][j] == weights[i][j] + best[i + 1][j + 1] {
            pairs.push((of.0.start + i, of.1.start + j));
            (i, j) = (i + 1, j + 1);
        } else if best[i][j] == best[i + 1][j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Layers of left and right that lie between two pairs.
pub(crate) type Gap = (Range<usize>, Range<usize>);

/// What lies between, before and behind these pairs.
pub(crate) fn gaps(pairs: &[(usize, usize)], all: Gap) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let (mut i, mut j) = (all.0.start, all.1.start);
    for (l, r) in pairs.iter().copied().chain([(all.0.end, all.1.end)]) {
        gaps.push((i..l, j..r));
        (i, j) = (l + 1, r + 1);
    }
    gaps
}

/// `pairs`, and more in the gaps between them.
pub(crate) fn within(
    pairs: &[(usize, usize)],
    all: Gap,
    weight: &dyn Fn(usize, usize) -> u32,
) -> Vec<(usize, usize)> {
    let more = gaps(pairs, all).into_iter().flat_map(|gap| align(gap, weight));
    let mut pairs: Vec<(usize, usize)> = pairs.iter().copied().chain(more).collect();
    pairs.sort_unstable();
    pairs
}

/// `pairs`, and one by one what is left between them where it is as many on both sides.
pub(crate) fn fill_even_gaps(pairs: Vec<(usize, usize)>, all: Gap) -> Vec<(usize, usize)> {
    let even = gaps(&pairs, all).into_iter().filter(|(l, r)| l.len() == r.len());
    let more: Vec<(usize, usize)> = even.flat_map(|(l, r)| l.zip(r)).collect();
    let mut pairs: Vec<(usize, usize)> = pairs.into_iter().chain(more).collect();
    pairs.sort_unstable();
    pairs
}

fn weights(left: &Side<'_>, right: &Side<'_>) -> Vec<Vec<u32>> {
    let (left_said, right_said) = (left.instructions(), right.instructions());
    let places = |side: &Side<'_>| -> Vec<Vec<At>> { side.layers.iter().map(sorted_places).collect() };
    let (left_places, right_places) = (places(left), places(right));
    let weight = |i: usize, j: usize| {
        let (a, b) = (&left.layers[i], &right.layers[j]);
        let digest = a.diff_id.is_some() && a.diff_id == b.diff_id;
        let said = matches!((&left_said, &right_said), (Some(a), Some(b)) if a[i] == b[j]);
        u32::from(digest) * 4000 + u32::from(said) * 2000 + similarity(&left_places[i], &right_places[j])
    };
    (0..left.layers.len()).map(|i| (0..right.layers.len()).map(|j| weight(i, j)).collect()).collect()
}

fn sorted_places(layer: &SideLayer<'_>) -> Vec<At> {
    let mut places: Vec<At> = layer.items.iter().map(|item| item.at.clone().into_owned()).collect();
    places.sort();
    places.dedup();
    places
}

/// How many of all places both layers have, in thousandths. Both sorted.
pub(crate) fn similarity(left: &[At], right: &[At]) -> u32 {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while i < left.len() && j < right.len() {
        match left[i].cmp(&right[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    let all = left.len() + right.len() - common;
    u32::try_from((common * 1000).checked_div(all).unwrap_or(0)).unwrap_or(1000)
}

/// Pairs what the beginnings and the ends have in common; what is between, one by one.
fn pair_history(left: &Side<'_>, right: &Side<'_>) -> Vec<(Option<usize>, Option<usize>)> {
    let same = |i: usize, j: usize| left.history[i].get("created_by") == right.history[j].get("created_by");
    let (m, n) = (left.history.len(), right.history.len());
    let head = (0..m.min(n)).take_while(|k| same(*k, *k)).count();
    let tail = (0..m.min(n) - head).take_while(|k| same(m - 1 - k, n - 1 - k)).count();
    let between = |of: Range<usize>, k: usize| (of.start + k < of.end).then_some(of.start + k);
    let widest = m.max(n) - head - tail;
    let middle = (0..widest).map(|k| (between(head..m - tail, k), between(head..n - tail, k)));
    let pair = |(i, j): (usize, usize)| (Some(i), Some(j));
    (0..head)
        .map(|k| pair((k, k)))
        .chain(middle)
        .chain((0..tail).rev().map(|k| pair((m - 1 - k, n - 1 - k))))
        .collect()
}
