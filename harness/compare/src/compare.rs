//! Runs the rules over two sides and joins what the two views of the file system say. No rule is named here.

use std::collections::BTreeSet;
use std::io;

use samebuild_image::golden::{Observation, Outcome, Record};
use samebuild_image::read::ReadError;
use samebuild_image::{At, Entry, Image, Kind, Meta, Mtime, entry::Whiteout};

use crate::difference::{Difference, Seen, Where};
use crate::options::Options;
use crate::pairing::{Places, Sides};
use crate::rootfs::{Rootfs, implied};
use crate::rules::{Findings, RULES, link};
use crate::side::Side;
use crate::sieve::Hand;
use crate::stored::digest_pairs;

/// Why two images could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The content of a file could not be read.
    #[error("compare {at}: {source}; read the image again or fetch it anew")]
    Content {
        /// The place whose content was needed: `layer 2 · /srv/app`.
        at: Where,
        source: io::Error,
    },
    /// A layer could not be read: it is damaged, truncated, hostile or not what its digest says.
    #[error("{} image: failed to {error}", match side { Hand::Left => "left", Hand::Right => "right" })]
    Read { side: Hand, error: ReadError },
}

/// Everything that differs between two images, in the order of [`Where`], rules in the order of [`RULES`].
pub fn compare(left: &Image, right: &Image, options: &Options) -> Result<Vec<Difference>, CompareError> {
    let (left, right) = (Side::of_image(left, &options.left), Side::of_image(right, &options.right));
    let found = sides(&left, &right, None, options)?;
    Ok(found.1)
}

/// Everything that differs between two records: new layers, configuration, history.
pub fn compare_records(
    left: &Record,
    right: &Record,
    options: &Options,
) -> Result<Vec<Difference>, CompareError> {
    let base = options.base.as_deref();
    let left = Side::of_record(left, base, &options.left);
    let right = Side::of_record(right, base, &options.right);
    Ok(sides(&left, &right, None, options)?.1)
}

/// Everything that differs between what two builders did. Who they were, and on which platform, is not compared.
pub fn compare_outcome(
    left: &Observation,
    right: &Observation,
    options: &Options,
) -> Result<Vec<Difference>, CompareError> {
    if let (Outcome::Built(left), Outcome::Built(right)) = (&left.outcome, &right.outcome) {
        return compare_records(left, right, options);
    }
    let mut all = Vec::new();
    for rule in RULES {
        let mut found = Findings::new(rule.about().name);
        rule.outcomes(&left.outcome, &right.outcome, &mut found);
        all.extend(found.into_differences());
    }
    Ok(all)
}

/// Pairs of layers, and what differs.
type Found = (Vec<(usize, usize)>, Vec<Difference>);

/// Both sides by every rule; `pairs` of layers where they are paired already.
pub(crate) fn sides(
    left: &Side<'_>,
    right: &Side<'_>,
    pairs: Option<Vec<(usize, usize)>>,
    options: &Options,
) -> Result<Found, CompareError> {
    let sides = match pairs {
        Some(pairs) => Sides::paired(left, right, pairs),
        None => Sides::new(left, right),
    };
    let mut all = Vec::new();
    for rule in RULES {
        let mut found = Findings::new(rule.about().name);
        rule.images(&sides, options, &mut found);
        all.extend(found.into_differences());
    }
    let mut layers = Vec::new();
    if options.layers {
        for pair in &sides.layers {
            let (left, right) = (&left.layers[pair.0].diff_id, &right.layers[pair.1].diff_id);
            if left.is_none() || left != right {
                places(&sides.layer(*pair), options, &mut layers)?;
            }
        }
    }
    let mut rootfs = Vec::new();
    if options.rootfs && !(options.layers && layers.is_empty() && sides.layers_correspond()) {
        let implied = implied();
        let (left, right) = (Rootfs::of(left, &implied), Rootfs::of(right, &implied));
        let pairs = Rootfs::pair(&left, &right);
        let content = |source| CompareError::Content { at: Where::Image, source };
        digest_pairs(pairs.both.iter().map(|both| (both.left, both.right))).map_err(content)?;
        places(&pairs, options, &mut rootfs)?;
    }
    if options.layers && options.rootfs {
        all.extend(join(layers, rootfs));
    } else {
        all.extend(layers);
        all.extend(rootfs);
    }
    // Another digest of the configuration is news only where nothing else is.
    if all.len() > 1 {
        all.retain(|difference| difference.rule != "config_digest");
    }
    let rank = |difference: &Difference| RULES.iter().position(|rule| rule.about().name == difference.rule);
    all.sort_by_cached_key(|difference| (difference.at.clone(), rank(difference)));
    Ok((sides.layers, all))
}

impl Sides<'_, '_> {
    /// Whether every layer has a counterpart, so that equal layers make equal file systems.
    fn layers_correspond(&self) -> bool {
        self.layers.len() == self.left.layers.len()
            && self.layers.len() == self.right.layers.len()
            && self.left.below == self.right.below
    }
}

/// Every rule over one pair of layers or file systems.
fn places(places: &Places<'_>, options: &Options, all: &mut Vec<Difference>) -> Result<(), CompareError> {
    let mut here = Vec::new();
    for rule in RULES {
        let mut found = Findings::new(rule.about().name);
        rule.places(places, options, &mut found);
        for both in &places.both {
            if !rule.across_kinds() && !both.left.thing.same_kind(&both.right.thing) {
                continue;
            }
            let told = rule.entry(both, options);
            if let Some((left, right)) =
                told.map_err(|source| CompareError::Content { at: places.place(both.at), source })?
            {
                found.say_of(places.place(both.at), left, right, both.entries());
            }
        }
        here.extend(found.into_differences());
    }
    // A digest that differs is news only where nothing else says why.
    if here.len() > 1 {
        here.retain(|difference| !matches!(difference.at, Where::Layer(_)) || difference.rule != "diff_id");
    }
    all.extend(here);
    Ok(())
}

/// Marks what only one view shows. A whiteout in a layer and the place it hides in the rootfs are one difference, and so are
/// an entry of a layer that is linked to another file and the names of these two files.
fn join(mut layers: Vec<Difference>, rootfs: Vec<Difference>) -> Vec<Difference> {
    let key = |difference: &Difference| difference.at.path().map(|at| (difference.rule, hidden(at)));
    let linked = |difference: &Difference| -> Vec<String> {
        let sides = [&difference.left, &difference.right].into_iter().filter(|_| difference.rule == "link");
        sides.filter_map(|side| link::other_name(side)).map(str::to_owned).collect()
    };
    let in_layers: BTreeSet<_> = layers.iter().filter_map(key).collect();
    let relinked: BTreeSet<String> = layers
        .iter()
        .filter(|difference| difference.rule == "link")
        .filter_map(|difference| difference.at.path().map(ToString::to_string))
        .collect();
    let mut in_rootfs = BTreeSet::new();
    let mut only = Vec::new();
    for difference in rootfs {
        let key = key(&difference);
        let others = linked(&difference).into_iter().filter(|name| relinked.contains(name));
        let others: Vec<_> = others.map(|name| ("link", At::clean(name))).collect();
        if key.as_ref().is_none_or(|key| !in_layers.contains(key)) && others.is_empty() {
            only.push(Difference { seen: Some(Seen::RootfsOnly), ..difference });
        }
        in_rootfs.extend(key.into_iter().chain(others));
    }
    for difference in &mut layers {
        difference.seen =
            key(difference).map(|key| if in_rootfs.contains(&key) { Seen::Both } else { Seen::LayersOnly });
    }
    layers.extend(only);
    layers
}

/// The place a whiteout speaks of; any other place itself.
fn hidden(at: &At) -> At {
    match Entry::new(at.clone(), Kind::Fifo, Meta::new(0, Mtime::secs(0))).whiteout() {
        Some(Whiteout::Removed(hidden)) => hidden,
        _ => at.clone(),
    }
}
