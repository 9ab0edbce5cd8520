//! Two stored images: layers paired before any is opened, equal ones left closed, the others walked side by side, several
//! pairs at a time. What is left over goes to the same rules that images in memory go to.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_image::in_order::in_order;
use samebuild_image::layer_walk::{self, Walk, WalkOptions};
use samebuild_image::read::{ReadError, Warning};
use samebuild_image::{At, Content, Kind, Stored};

use crate::compare::{CompareError, sides};
use crate::comparison::{Comparison, LayerShape, Shape, directories};
use crate::options::Options;
use crate::pairing::align;
use crate::side::{Item, Origin, Packed, Side, SideLayer, SiftedItems, Stuff, Thing, item_of_entry};
use crate::sieve::{self, Failure, Hand, Odd, Settled, Sifted};
use crate::touched::Touched;

/// A layer that has to be looked at: a pair, or one that is alone.
type Job = (Option<usize>, Option<usize>);

/// Everything that differs between two stored images, as [`crate::compare_images`] of the same images loaded would say.
pub fn compare_stored(left: &Stored, right: &Stored, options: &Options) -> Result<Comparison, CompareError> {
    let pairs = pair(left, right, &options.walk)?;
    let jobs = jobs(left, right, &pairs);
    let (equal, open): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| is_equal(left, right, *job));
    if options.walk.verify {
        verify(left, right, &equal, &options.walk)?;
    }
    let sifted = in_order(open.len(), |number| {
        let id = u32::try_from(number).unwrap_or(u32::MAX);
        match open[number] {
            (Some(l), Some(r)) => {
                sieve::sift((&left.layers[l], l), (&right.layers[r], r), id, options, &options.walk)
            }
            (Some(l), None) => sieve::alone((&left.layers[l], l), Hand::Left, &options.walk),
            (None, Some(r)) => sieve::alone((&right.layers[r], r), Hand::Right, &options.walk),
            (None, None) => Ok(Sifted { settled: vec![], left: vec![], right: vec![], walked: (None, None) }),
        }
    });
    let sifted: Vec<Sifted> = sifted.into_iter().collect::<Result<_, _>>().map_err(failed)?;

    let below = Below::of(&open, &equal, &sifted, options);
    let mut touched = Some(Touched::by(&sifted));
    let mut shared = open_shared(left, &below.open, &options.walk, touched.as_ref())?;
    let links = |shared: &[Sifted]| {
        touched.as_ref().is_some_and(|touched| touched.crosses(symlinks(&sifted, shared)))
    };
    if links(&shared) {
        touched = None;
        shared = open_shared(left, &below.open, &options.walk, None)?;
    }

    let wanted = |settled: &&Settled| touched.as_ref().is_none_or(|touched| touched.by_entry(&settled.entry));
    let items = |layer: &'_ Sifted| -> Vec<(u32, u32, usize)> {
        let wanted = layer.settled.iter().enumerate().filter(|(_, settled)| wanted(settled));
        wanted.map(|(index, settled)| (settled.numbers.0, settled.numbers.1, index)).collect()
    };
    let all: Vec<(Job, &Sifted)> =
        open.iter().copied().zip(&sifted).chain(below.open.iter().copied().zip(&shared)).collect();
    let settled: Vec<Vec<(u32, u32, Item<'_>)>> = all
        .iter()
        .map(|(_, layer)| {
            let item = |(l, r, index): (u32, u32, usize)| {
                (l, r, item_of_entry(&layer.settled[index].entry, &options.left))
            };
            items(layer).into_iter().map(item).collect()
        })
        .collect();
    let mut left_side = Side::of_stored(left);
    let mut right_side = Side::of_stored(right);
    for ((job, layer), settled) in all.iter().zip(&settled) {
        if let Some(l) = job.0 {
            fill(&mut left_side.layers[l], layer, Hand::Left, settled, options);
        }
        if let Some(r) = job.1 {
            fill(&mut right_side.layers[r], layer, Hand::Right, settled, options);
        }
    }
    left_side.partial = below.hidden;
    right_side.partial = below.hidden;
    let (layers, differences) = sides(&left_side, &right_side, Some(pairs), options)?;
    let warnings = |hand: Hand| -> Vec<Warning> {
        let walked = sifted.iter().filter_map(|layer| match hand {
            Hand::Left => layer.walked.0.as_ref(),
            Hand::Right => layer.walked.1.as_ref(),
        });
        walked.flat_map(|walked| walked.warnings.clone()).collect()
    };
    Ok(Comparison {
        differences,
        left: shape(left, &open, &sifted, Hand::Left),
        right: shape(right, &open, &sifted, Hand::Right),
        layers,
        warnings: (warnings(Hand::Left), warnings(Hand::Right)),
        verified: options.walk.verify,
    })
}

/// Pairs, then whoever is alone, in the order of the layers.
fn jobs(left: &Stored, right: &Stored, pairs: &[(usize, usize)]) -> Vec<Job> {
    let mut jobs: Vec<Job> = pairs.iter().map(|(l, r)| (Some(*l), Some(*r))).collect();
    jobs.extend((0..left.layers.len()).filter(|l| pairs.iter().all(|p| p.0 != *l)).map(|l| (Some(l), None)));
    jobs.extend((0..right.layers.len()).filter(|r| pairs.iter().all(|p| p.1 != *r)).map(|r| (None, Some(r))));
    jobs
}

fn is_equal(left: &Stored, right: &Stored, job: Job) -> bool {
    let (Some(l), Some(r)) = job else { return false };
    let (l, r) = (&left.layers[l], &right.layers[r]);
    l.diff_id.is_some() && l.diff_id == r.diff_id
}

/// Equal layers are not compared, but where digests are to be believed only when they were taken, they are taken.
fn verify(left: &Stored, right: &Stored, equal: &[Job], walk: &WalkOptions) -> Result<(), CompareError> {
    let mut work = Vec::new();
    for (l, r) in equal {
        work.extend(l.map(|l| (Hand::Left, &left.layers[l], l)));
        // The same place on disk is read once.
        let same =
            l.zip(*r).is_some_and(|(l, r)| left.layers[l].source.name() == right.layers[r].source.name());
        work.extend(r.filter(|_| !same).map(|r| (Hand::Right, &right.layers[r], r)));
    }
    let done = in_order(work.len(), |number| {
        let (hand, layer, index) = work[number];
        layer_walk::verify(layer, index, walk.expansion).map_err(|error| (hand, error))
    });
    done.into_iter().collect::<Result<Vec<()>, _>>().map_err(failed)?;
    Ok(())
}

/// Which of the equal layers have to be opened to know what is left of the differences in the flattened file system.
struct Below {
    open: Vec<Job>,
    /// Whether some stay closed, below all that differs.
    hidden: bool,
}

impl Below {
    fn of(open: &[Job], equal: &[Job], sifted: &[Sifted], options: &Options) -> Self {
        let odd = |layer: &Sifted| !layer.left.is_empty() || !layer.right.is_empty();
        let differing: Vec<&Job> =
            open.iter().zip(sifted).filter(|(_, layer)| odd(layer)).map(|(job, _)| job).collect();
        if !options.rootfs || differing.is_empty() {
            return Self { open: Vec::new(), hidden: !equal.is_empty() };
        }
        let everywhere = open.iter().any(|job| job.0.is_none() || job.1.is_none())
            || sifted
                .iter()
                .any(|layer| layer.left.iter().any(looks_below) || layer.right.iter().any(looks_below));
        let lowest = differing.iter().filter_map(|job| job.0).min().unwrap_or(0);
        let needed = |job: &&Job| everywhere || job.0.is_some_and(|l| l > lowest);
        let opened: Vec<Job> = equal.iter().filter(needed).copied().collect();
        let hidden = opened.len() < equal.len();
        Self { open: opened, hidden }
    }
}

/// Whether it depends on the layers below what an entry leaves in the flattened file system.
fn looks_below(odd: &Odd) -> bool {
    let same_place = odd.twin.is_some();
    !same_place || !matches!(odd.entry.kind, Kind::File(_) | Kind::Dir | Kind::Symlink(_))
}

/// Opens layers that both sides have, for those of their entries that bear on what differs.
fn open_shared(
    left: &Stored,
    jobs: &[Job],
    walk: &WalkOptions,
    touched: Option<&Touched>,
) -> Result<Vec<Sifted>, CompareError> {
    let walk = WalkOptions { verify: false, ..*walk };
    let opened = in_order(jobs.len(), |number| match jobs[number].0 {
        Some(l) => sieve::shared((&left.layers[l], l), &walk, &|entry| {
            touched.is_none_or(|touched| touched.by_entry(entry)) || matches!(entry.kind, Kind::Symlink(_))
        }),
        None => Ok(Sifted { settled: vec![], left: vec![], right: vec![], walked: (None, None) }),
    });
    opened.into_iter().collect::<Result<_, _>>().map_err(failed)
}

fn symlinks<'s>(sifted: &'s [Sifted], shared: &'s [Sifted]) -> impl Iterator<Item = &'s At> {
    let layers = || sifted.iter().chain(shared);
    let settled = layers().flat_map(|layer| &layer.settled).map(|settled| &settled.entry);
    let odd = layers().flat_map(|layer| layer.left.iter().chain(&layer.right)).map(|odd| &*odd.entry);
    settled.chain(odd).filter(|entry| matches!(entry.kind, Kind::Symlink(_))).map(|entry| &entry.at)
}

/// Gives a layer of a side what was found in it.
fn fill<'a>(
    side: &mut SideLayer<'a>,
    layer: &'a Sifted,
    hand: Hand,
    settled: &'a [(u32, u32, Item<'a>)],
    options: &Options,
) {
    let (odd, epochs, walked) = match hand {
        Hand::Left => (&layer.left, &options.left, layer.walked.0.as_ref()),
        Hand::Right => (&layer.right, &options.right, layer.walked.1.as_ref()),
    };
    let mine = |numbers: (u32, u32)| if hand == Hand::Left { numbers.0 } else { numbers.1 };
    let again = again(layer, odd, hand);
    let item = |odd: &'a Odd| Item {
        twin: odd.twin,
        again: again.contains(&odd.number),
        origin: Origin::Shared(&odd.entry),
        ..item_of_entry(&odd.entry, epochs)
    };
    side.items = odd.iter().map(item).collect();
    let mut items: Vec<(u32, &Item<'_>)> =
        settled.iter().map(|(l, r, item)| (mine((*l, *r)), item)).collect();
    items.sort_by_key(|(number, _)| *number);
    side.sifted = Some(SiftedItems {
        numbers: odd.iter().map(|odd| odd.number).collect(),
        settled: items,
        common: common(layer, hand),
        forms: walked.map(|walked| &walked.forms),
    });
    side.count = layer.settled.len() + odd.len();
}

/// The places that both layers have, in the order of one of them; nothing where the order is the same.
fn common(layer: &Sifted, hand: Hand) -> Vec<&At> {
    let mut right: BTreeMap<u64, u32> = Default::default();
    for odd in &layer.right {
        right.extend(odd.twin.map(|twin| (twin.pair, odd.number)));
    }
    let settled = layer.settled.iter().map(|settled| (settled.numbers, &settled.entry.at));
    let pairs = layer.left.iter().filter_map(|odd| {
        let number = right.get(&odd.twin?.pair)?;
        Some(((odd.number, *number), &odd.entry.at))
    });
    let mut all: Vec<((u32, u32), &At)> = settled.chain(pairs).collect();
    all.sort_by_key(|(numbers, _)| numbers.0);
    if all.is_sorted_by_key(|(numbers, _)| numbers.1) {
        return Vec::new();
    }
    if hand == Hand::Right {
        all.sort_by_key(|(numbers, _)| numbers.1);
    }
    all.into_iter().map(|(_, at)| at).collect()
}

/// Which of the odd entries without a twin have a place that the layer has had before.
fn again(layer: &Sifted, odd: &[Odd], hand: Hand) -> BTreeSet<u32> {
    let alone = || odd.iter().filter(|odd| odd.twin.is_none());
    let mut first: BTreeMap<&At, u32> = alone().map(|odd| (&odd.entry.at, odd.number)).collect();
    if first.is_empty() {
        return BTreeSet::new();
    }
    let mine = |numbers: (u32, u32)| if hand == Hand::Left { numbers.0 } else { numbers.1 };
    let settled = layer.settled.iter().map(|settled| (&settled.entry.at, mine(settled.numbers)));
    for (at, number) in settled.chain(odd.iter().map(|odd| (&odd.entry.at, odd.number))) {
        if let Some(lowest) = first.get_mut(at) {
            *lowest = number.min(*lowest);
        }
    }
    let is_again = |odd: &&Odd| first.get(&odd.entry.at).is_some_and(|lowest| *lowest < odd.number);
    alone().filter(is_again).map(|odd| odd.number).collect()
}

/// Layers with equal digests belong together, then those of the same instruction, then those with the same paths; order is
/// kept. What is left between two pairs, as many on both sides, is taken one by one.
fn pair(left: &Stored, right: &Stored, walk: &WalkOptions) -> Result<Vec<(usize, usize)>, CompareError> {
    let digest = |l: usize, r: usize| {
        let (l, r) = (left.layers[l].diff_id, right.layers[r].diff_id);
        u32::from(l.is_some() && l == r)
    };
    let (left_said, right_said) = (instructions(left), instructions(right));
    let said = |l: usize, r: usize| match (&left_said, &right_said) {
        (Some(left), Some(right)) => u32::from(!left[l].is_empty() && left[l] == right[r]),
        _ => 0,
    };
    let all = (0..left.layers.len(), 0..right.layers.len());
    let mut pairs = crate::pairing::within(&[], all.clone(), &digest);
    pairs = crate::pairing::within(&pairs, all.clone(), &said);
    let mut similar = Vec::new();
    for (l, r) in crate::pairing::gaps(&pairs, all.clone()) {
        if l.len() == r.len() && l.len() == 1 || l.is_empty() || r.is_empty() {
            continue;
        }
        let left_paths: Vec<Vec<At>> = paths(left, l.clone(), Hand::Left, walk)?;
        let right_paths: Vec<Vec<At>> = paths(right, r.clone(), Hand::Right, walk)?;
        let weight = |i: usize, j: usize| {
            crate::pairing::similarity(&left_paths[i - l.start], &right_paths[j - r.start])
        };
        similar.extend(align((l.clone(), r.clone()), &weight));
    }
    pairs.extend(similar);
    pairs.sort_unstable();
    Ok(crate::pairing::fill_even_gaps(pairs, all))
}

/// Every place that these layers name, sorted, each once.
fn paths(
    of: &Stored,
    layers: std::ops::Range<usize>,
    hand: Hand,
    walk: &WalkOptions,
) -> Result<Vec<Vec<At>>, CompareError> {
    let walk = WalkOptions { verify: false, ..*walk };
    let start = layers.start;
    let read = in_order(layers.len(), |number| -> Result<Vec<At>, ReadError> {
        let mut walk = Walk::open(&of.layers[start + number], start + number, &walk)?;
        let mut places = Vec::new();
        while let Some(entry) = walk.next_entry()? {
            places.push(entry.at);
        }
        places.sort();
        places.dedup();
        Ok(places)
    });
    read.into_iter().collect::<Result<_, _>>().map_err(|error| failed((hand, error)))
}

/// What made each layer, where the history says which entries made none and the counts agree.
fn instructions(of: &Stored) -> Option<Vec<String>> {
    let shape = shape(of, &[], &[], Hand::Left);
    let said = |layer: usize| shape.instruction(layer).map(str::to_owned).unwrap_or_default();
    shape
        .layers
        .iter()
        .all(|layer| layer.history.is_some())
        .then(|| (0..shape.layers.len()).map(said).collect())
}

fn shape(of: &Stored, jobs: &[Job], sifted: &[Sifted], hand: Hand) -> Shape {
    let mut shape = Shape { config: of.config.clone(), layers: Vec::new(), names: of.names.clone() };
    for layer in &of.layers {
        let stored = layer.stated.map(|(_, size)| size).or_else(|| layer.source.size().ok());
        shape.layers.push(LayerShape {
            diff_id: layer.diff_id,
            blob: layer.stated.map(|(digest, _)| digest),
            compression: layer.compression().ok(),
            stored,
            ..LayerShape::default()
        });
    }
    for ((l, r), layer) in jobs.iter().zip(sifted) {
        let (index, odd, walked) = match hand {
            Hand::Left => (l, &layer.left, &layer.walked.0),
            Hand::Right => (r, &layer.right, &layer.walked.1),
        };
        if let (Some(index), Some(walked)) = (index, walked) {
            shape.layers[*index].size = Some(walked.size);
            shape.layers[*index].entries = Some(layer.settled.len() + odd.len());
            let settled = layer.settled.iter().map(|settled| &settled.entry);
            shape.layers[*index].directories = directories(settled.chain(odd.iter().map(|odd| &*odd.entry)));
        }
    }
    shape.number_history();
    shape
}

fn failed((side, error): Failure) -> CompareError {
    CompareError::Read { side, error }
}

/// Takes, in one go for each layer, the digests that pairs of contents in different layers will be compared by.
pub(crate) fn digest_pairs<'s>(
    pairs: impl Iterator<Item = (&'s Item<'s>, &'s Item<'s>)>,
) -> std::io::Result<()> {
    let mut wanted: Vec<&Content> = Vec::new();
    for (left, right) in pairs {
        let (Thing::File(Stuff::Content(l)), Thing::File(Stuff::Content(r))) = (&left.thing, &right.thing)
        else {
            continue;
        };
        let settled = left.twin.zip(right.twin).is_some_and(|(l, r)| l.pair == r.pair);
        let is_answered = settled || l.size() != r.size() || l.is_same_place(r);
        if is_answered || (l.is_near() && r.is_near()) {
            continue;
        }
        wanted.extend([*l, *r]);
    }
    Content::digest_all(&wanted)
}

/// How a layer is packed.
pub(crate) fn packed(layer: &samebuild_image::StoredLayer) -> Packed {
    Packed {
        compression: layer.compression().ok(),
        blob: layer.stated.map(|(digest, _)| digest),
        size: layer.stated.map(|(_, size)| size).or_else(|| layer.source.size().ok()),
        media_type: layer.media_type.clone(),
    }
}
