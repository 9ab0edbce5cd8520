//! Whether what is kept is what it says, to its last byte. What becomes of an entry that is not, its reader decides.

use samebuild_image::{Digest, Layer, read};

use super::backend::Backend;
use super::entry::Entry;
use super::fixes::Left;
use super::key::Key;
use super::unread::Damaged;
use super::{Fate, LayerCache, Used, fixes, listing, turn};

/// Reads all of an entry of which the manifest is there.
///
/// # Errors
/// It is damaged, and what of it is.
pub(super) fn entry(place: &dyn Backend, key: &Key) -> Result<(), Damaged> {
    let damaged = |why: String, blobs: Vec<Digest>| Damaged { key: *key, place: place.name(), why, blobs };
    let whole = |why: &dyn std::fmt::Display| damaged(why.to_string(), Vec::new());
    let manifest = place.manifest(key).map_err(|error| whole(&error))?;
    let manifest = manifest.ok_or_else(|| whole(&"it is gone"))?;
    let (entry, _) = turn::read(key, &manifest, place).map_err(|error| whole(&error))?;
    let Entry { layer: kept, fixes, listing, .. } = entry;
    let mut layer = Layer::default();
    if let Some(kept) = kept {
        let bad = |why: &dyn std::fmt::Display| damaged(why.to_string(), vec![kept.digest]);
        let source = place.blob(&kept.digest, kept.size).map_err(|error| bad(&error))?;
        layer = read::layer(source, (kept.digest, kept.size), kept.diff_id).map_err(|error| bad(&error))?;
    }
    for (digest, size, is_right) in [
        fixes.map(|(digest, size)| (digest, size, (|bytes, _| fixes::read(bytes).is_some()) as Right)),
        listing.map(|(digest, size)| (digest, size, if kept.is_some() { fits } else { reads } as Right)),
    ]
    .into_iter()
    .flatten()
    {
        let bad = |why: String| damaged(why, vec![digest]);
        let bytes = small(place, &digest, size).map_err(bad)?;
        if !is_right(&bytes, &layer) {
            return Err(bad(format!("{digest} does not fit its layer")));
        }
    }
    Ok(())
}

type Right = fn(&[u8], &Layer) -> bool;

/// Whether it is the listing of that layer.
fn fits(bytes: &[u8], layer: &Layer) -> bool {
    let listed = listing::outline(bytes).map(|entries| Layer { entries, ..Layer::default() });
    // Kinds and contents have no equality; what is written of them tells.
    let tells = |layer: &Layer| listing::write(layer, &Left::default());
    listed.is_some_and(|listed| tells(&listed) == tells(layer))
}

/// Whether it is the listing of some layer, which an image has.
fn reads(bytes: &[u8], _: &Layer) -> bool {
    listing::outline(bytes).is_some()
}

/// Room that is made at once, in bytes: for the list of a hundred thousand files.
const MOST: usize = 16 << 20;

/// All of a blob, verified.
///
/// # Errors
/// It is missing, or damaged.
pub(super) fn small(place: &dyn Backend, digest: &Digest, size: u64) -> Result<Vec<u8>, String> {
    let source = place.blob(digest, size).map_err(|error| error.to_string())?;
    // What is said of its size is believed as far as it costs nothing.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(MOST));
    let read = source.open(0, size).and_then(|mut reader| reader.read_to_end(&mut bytes).map(drop));
    read.map_err(|error| error.to_string())?;
    match Digest::of(&bytes) == *digest {
        true => Ok(bytes),
        false => Err(format!("the digest of {digest} is another; it is damaged")),
    }
}

impl LayerCache {
    /// Forgets what turned out to be damaged.
    ///
    /// # Errors
    /// It would be found again.
    pub(crate) fn forget(&self, damaged: &Damaged) -> Result<(), super::BackendError> {
        let mut places = self.from.iter().filter(|place| place.name() == damaged.place);
        places.try_for_each(|place| place.forget(&damaged.key, &damaged.blobs))
    }

    /// Reads all that a build found; what of it is damaged.
    pub(crate) fn damaged(&self, used: &Used) -> Vec<Damaged> {
        let found = used.looked.iter().filter_map(|looked| {
            let (Fate::Found(name), Some(key)) = (&looked.fate, &looked.key) else { return None };
            let place = self.from.iter().find(|place| place.name() == *name)?;
            entry(place.as_ref(), key).err()
        });
        found.collect()
    }
}
