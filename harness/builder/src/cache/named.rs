//! The files of an image that a Dockerfile names, in FROM or `--from`, without its layers being read. What is in a layer depends
//! on nothing but its tar, so its listing is kept under the tar's digest by whoever first reads it; from then on a layer is
//! read only when somebody looks into a file of it (`behind`). Layers that steps made are `unread`'s.

use std::sync::Arc;

use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Image, Layer, Tree};

use super::entry::Kept;
use super::key::{Key, Parts};
use super::turn::Turn;
use super::unread::Later;
use super::upload::{Job, Made};
use crate::failure::StepFailure;
use crate::history::Line;
use crate::session::Session;

/// An image by its name, and its files.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn image(session: &Session<'_>, name: &str, platform: &Platform) -> Result<(Image, Tree), StepFailure> {
    let known = (name.to_owned(), platform.to_string());
    if let Some(found) = session.cache.as_ref().and_then(|turn| turn.named(&known)) {
        return Ok(found);
    }
    let outline =
        session.cache.as_ref().and_then(|turn| Some((turn, session.outline(name, platform)?.ok()?)));
    // What is not stored under a digest is known by nothing; of what was read already there is nothing to be spared.
    let Some((turn, outline)) = outline.filter(|(_, image)| image.layers.iter().all(is_stored)) else {
        return session.image(name, platform);
    };
    let found = match listed(turn, outline) {
        Some(found) => found,
        None => {
            let (image, tree) = session.image(name, platform)?;
            for (number, layer) in image.layers.iter().enumerate() {
                keep(turn, layer, format!("layer {} of {name}", number + 1));
            }
            (image, tree)
        }
    };
    turn.remember_named(known, &found);
    Ok(found)
}

fn is_stored(layer: &Layer) -> bool {
    layer.entries.is_empty()
        && layer.diff_id.is_some()
        && layer.blob.as_ref().is_some_and(|(source, _)| source.stated().is_some())
}

/// An image with the entries of its layers, if all of them are listed.
fn listed(turn: &Turn<'_>, mut image: Image) -> Option<(Image, Tree)> {
    for layer in &mut image.layers {
        let (diff_id, (source, _)) = (layer.diff_id?, layer.blob.as_ref()?);
        let (entry, place) = turn.find_near(&key(diff_id))?;
        let kept =
            Kept { diff_id, tar_size: layer.size, digest: source.stated()?, size: source.size().ok()? };
        let later = Later {
            index: None,
            key: entry.key,
            place,
            layer: Some(kept),
            elsewhere: Some(Arc::clone(source)),
            fixes: None,
            listing: Some(entry.listing?),
        };
        // What is damaged is found to be by who reads all of it.
        layer.entries = later.entries(Some(turn)).ok()?.entries;
    }
    let tree = image.tree().ok()?;
    Some((image, tree))
}

/// What a layer's listing is kept under.
fn key(diff_id: Digest) -> Key {
    let mut parts = Parts::default();
    parts.add("listing of", diff_id.to_string());
    parts.key()
}

/// Keeps the listing of a layer, under `called` for people.
fn keep(turn: &Turn<'_>, layer: &Layer, called: String) {
    let Some(diff_id) = layer.diff_id else { return };
    turn.keep(Job {
        key: key(diff_id),
        line: Line::Whole(called.clone()),
        instruction: called,
        working_dir: None,
        made: Made::Elsewhere(layer.clone()),
        fixes: Vec::new(),
        created: turn.cache.now,
    });
}
