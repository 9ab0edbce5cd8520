//! Bases fetched before they are needed: by name, kept by digest with their manifests, and found by every later build
//! without a network. What is here already is verified, and fetched anew where it is damaged.
//!
//! Any number of processes may warm one cache: a blob gets its name when all of it is right, whoever is first, and a name its
//! image under the index's lock. What a killed one left behind is swept once nobody has written to it for an hour.

use std::time::Duration;

use anyhow::{Context as _, Result};
use samebuild_image::Digest;
use samebuild_image::manifest::Platform;

use super::store::Store;
use super::{names, registry};
use crate::engines::Progress;

/// What became of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmed {
    pub manifest: Digest,
    /// Bytes of the layers, as they are stored.
    pub bytes: u64,
    /// All of it was there, and is right.
    pub was_here: bool,
}

/// Fetches `name` for `platform` into `store`, under its name.
///
/// # Errors
/// There is no such image, a registry does not answer, what it sends is not what it says.
pub fn warm(name: &str, platform: &Platform, store: &Store, progress: Progress) -> Result<Warmed> {
    let reference = names::parse(name).map_err(anyhow::Error::msg)?;
    let fetched = std::cell::Cell::new(false);
    let heard = |line: &str| {
        fetched.set(true);
        progress(line);
    };
    let pulled = registry::fetch(&reference, platform, store, &heard)?;
    let held = store.holds(&pulled.entry.digest)?;
    let entry = held.with_context(|| format!("keep {name}: it went away while it was fetched"))?;
    let by_digest = format!("{}/{}@{}", reference.registry(), reference.repository(), entry.digest);
    store.give_names(&entry, &[name.to_owned(), by_digest])?;
    let bytes = store.bytes(&entry.digest)?;
    Ok(Warmed { manifest: entry.digest, bytes, was_here: !fetched.get() })
}

/// Removes what killed processes left half fetched.
///
/// # Errors
/// The store cannot be read.
pub fn sweep(store: &Store) -> Result<()> {
    const DEAD: Duration = Duration::from_secs(3600);
    let dir = store.root().join("blobs/sha256");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("read {}", dir.display())),
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("read {}", dir.display()))?;
        let is_half = entry.file_name().to_str().is_none_or(|name| name.starts_with('.'));
        let written = entry.metadata().and_then(|meta| meta.modified());
        if is_half && written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > DEAD)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
