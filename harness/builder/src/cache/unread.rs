//! Files of a stage that nobody has looked at yet: those of its base, and those of layers that were found in the cache. They
//! are read when a step that is carried out, or an output, needs them, and never before: what is told of them by their listing,
//! and what is in them (`behind`) only where somebody looks.

use std::sync::Arc;

use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Entry, Layer, Source, Tree, read};

use super::backend::Backend;
use super::behind::Contents;
use super::entry::{COMPRESSION, Kept};
use super::fixes::Fixes;
use super::key::Key;
use super::listing::{As, Listed};
use super::turn::Turn;
use super::{check, fixes, flaws, listing, named};
use crate::failure::StepFailure;
use crate::rootfs::Rootfs;
use crate::session::{Session, StepError};
use crate::stage::Stage;

/// What of a stage is still to be read.
#[derive(Clone, Default)]
pub struct Unread {
    /// The base's name and platform.
    base: Option<(String, Platform)>,
    layers: Vec<Later>,
    /// Layers whose files are known, and whose entries nobody has asked for.
    blank: Vec<Later>,
}

/// A layer that was found, or a step that made none but changed what no tar says.
#[derive(Clone)]
pub struct Later {
    /// Which layer of the stage it is.
    pub index: Option<usize>,
    pub key: Key,
    pub place: Arc<dyn Backend>,
    pub layer: Option<Kept>,
    /// The layer's bytes, where they are not in `place` but in a store of images.
    pub elsewhere: Option<Arc<dyn Source>>,
    pub fixes: Option<(Digest, u64)>,
    pub listing: Option<(Digest, u64)>,
}

/// What was found cannot be read after all: the build begins anew without it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("read what the cache has under {key} in {place}: {why}")]
pub struct Damaged {
    pub key: Key,
    pub place: String,
    pub why: String,
    /// Blobs that are not what they are called.
    pub blobs: Vec<Digest>,
}

impl Unread {
    /// Everything of this image.
    pub fn base(name: &str, platform: &Platform) -> Self {
        Self { base: Some((name.to_owned(), platform.clone())), ..Self::default() }
    }

    /// One more layer.
    pub fn push(&mut self, later: Later) {
        self.layers.push(later);
    }
}

impl Later {
    /// Where the layer's bytes are.
    pub fn source(&self, kept: &Kept) -> Result<Arc<dyn Source>, Damaged> {
        if let Some(source) = &self.elsewhere {
            return Ok(Arc::clone(source));
        }
        let found = self.place.blob(&kept.digest, kept.size);
        found.map_err(|error| self.damaged(error.to_string(), vec![kept.digest]))
    }

    pub(super) fn damaged(&self, why: String, blobs: Vec<Digest>) -> Damaged {
        Damaged { key: self.key, place: self.place.name(), why, blobs }
    }

    /// Everything that is kept in `place`.
    pub(super) fn blobs(&self) -> Vec<Digest> {
        let beside = self.fixes.into_iter().chain(self.listing).map(|(digest, _)| digest);
        self.layer_blob().into_iter().chain(beside).collect()
    }

    /// The layer, if it is kept there.
    fn layer_blob(&self) -> Vec<Digest> {
        self.layer.iter().filter(|_| self.elsewhere.is_none()).map(|kept| kept.digest).collect()
    }

    /// The layer with its entries as its tar has them, by its listing where there is one; else, or where that is damaged, all
    /// of it is read.
    pub(super) fn entries(&self, turn: Option<&Turn<'_>>) -> Result<Layer, Damaged> {
        match turn.and_then(|turn| self.listed(turn, As::Tar)) {
            Some((layer, _)) => Ok(layer),
            None => self.layer(),
        }
    }

    /// The same with its entries as the step left them, and what else that left.
    fn left(&self, turn: Option<&Turn<'_>>) -> Result<(Layer, Fixes), Damaged> {
        match turn.and_then(|turn| self.listed(turn, As::Left)) {
            Some(found) => Ok(found),
            None => Ok((self.layer()?, self.fixes()?)),
        }
    }

    fn listed(&self, turn: &Turn<'_>, how: As) -> Option<(Layer, Fixes)> {
        let (kept, listing) = (self.layer?, self.listing?);
        let read = || {
            let bytes = check::small(self.place.as_ref(), &listing.0, listing.1)?;
            let mut contents = Contents::of(self.clone(), turn.noticed().clone());
            let listed = listing::read(&bytes, how, |size, digest| contents.next(size, digest));
            let Listed { entries, outside } = listed.ok_or("it is no list of files")?;
            let blob = Some((self.source(&kept).map_err(|damaged| damaged.why)?, COMPRESSION));
            Ok((Layer { diff_id: Some(kept.diff_id), size: kept.tar_size, entries, blob }, outside))
        };
        read()
            .map_err(|why: String| {
                turn.warn(format!("{}; the layer is read instead", self.damaged(why, Vec::new())));
            })
            .ok()
    }

    /// What is listed, for whoever holds the layer against it.
    pub(super) fn list(&self) -> Result<Vec<Entry>, Damaged> {
        let Some((digest, size)) = self.listing else { return Ok(Vec::new()) };
        let bad = |why: String| self.damaged(why, vec![digest]);
        let bytes = check::small(self.place.as_ref(), &digest, size).map_err(bad)?;
        listing::outline(&bytes).ok_or_else(|| bad("it is no list of files".to_owned()))
    }

    /// The layer with its entries and their contents, verified.
    pub(super) fn layer(&self) -> Result<Layer, Damaged> {
        let Some(kept) = &self.layer else { return Ok(Layer::default()) };
        let source = self.source(kept)?;
        let mut layer = read::layer(Arc::clone(&source), (kept.digest, kept.size), kept.diff_id)
            .map_err(|error| self.damaged(error.to_string(), self.layer_blob()))?;
        layer.blob = Some((source, COMPRESSION));
        Ok(layer)
    }

    fn fixes(&self) -> Result<Fixes, Damaged> {
        let Some((digest, size)) = self.fixes else { return Ok(Vec::new()) };
        let bad = |why: String| self.damaged(why, vec![digest]);
        let bytes = check::small(self.place.as_ref(), &digest, size).map_err(bad)?;
        fixes::read(&bytes).ok_or_else(|| bad("it is no list of fixes".to_owned()))
    }
}

impl From<Damaged> for StepError {
    fn from(damaged: Damaged) -> Self {
        Self::Broken { what: "use the cache".to_owned(), source: Box::new(damaged) }
    }
}

/// Reads everything that is still to be read: what a step that is carried out stands on.
pub fn settle(stage: &mut Stage, session: &Session<'_>) -> Result<(), StepError> {
    let (base, layers) = (stage.unread.base.take(), std::mem::take(&mut stage.unread.layers));
    if let Some((name, platform)) = base {
        let (image, tree) = named::image(session, &name, &platform)?;
        let same = image.layers.len() == stage.base_layers
            && image.layers.iter().zip(&stage.layers).all(|(a, b)| a.diff_id == b.diff_id);
        if !same {
            let message = format!("find the base image `{name}`: it changed while the build ran");
            return Err(StepFailure::new("image-not-found", message).into());
        }
        let identity = Stage::identity(&image.layers).unwrap_or_else(|| Digest::of(name.as_bytes()));
        stage.rootfs = Rootfs::on_base(tree.clone(), identity);
        stage.tree = tree;
        for (old, new) in stage.layers.iter_mut().zip(image.layers) {
            *old = new;
        }
    }
    for later in layers {
        let (mut lower, fixes) = later.left(session.cache.as_ref())?;
        let broken = |error: samebuild_image::tree::ApplyError| {
            later.damaged(error.to_string(), later.layer.iter().map(|kept| kept.digest).collect())
        };
        stage.tree.apply(&lower).map_err(broken)?;
        flaws::unpacked(session, &lower, &mut stage.tree);
        fixes::apply(&fixes, &mut stage.tree, &mut lower);
        stage.rootfs.push_computed(lower, stage.tree.clone());
        stage.unread.blank.push(later);
    }
    Ok(())
}

/// Reads the entries of the stage's own layers, for whoever changes or looks at them.
pub fn entries(stage: &mut Stage, session: &Session<'_>) -> Result<(), StepError> {
    for later in stage.unread.blank.iter().chain(&stage.unread.layers) {
        if let Some(place) = later.index.and_then(|index| stage.layers.get_mut(index))
            && place.entries.is_empty()
        {
            *place = later.entries(session.cache.as_ref())?;
        }
    }
    Ok(())
}

/// The files of a finished stage.
pub fn tree_of(stage: &Stage, session: &Session<'_>) -> Result<Tree, StepError> {
    if stage.unread.base.is_none() && stage.unread.layers.is_empty() {
        return Ok(stage.tree.clone());
    }
    if let Some(turn) = &session.cache
        && let Some(tree) = turn.settled(stage.index)
    {
        return Ok(tree);
    }
    let mut own = stage.clone();
    settle(&mut own, session)?;
    if let Some(turn) = &session.cache {
        turn.remember(stage.index, &own.tree);
    }
    Ok(own.tree)
}
