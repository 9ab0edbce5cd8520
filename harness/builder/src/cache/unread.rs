//! Files of a stage that nobody has looked at yet: those of its base, and those of layers that were found in the cache. They
//! are read when a step that is carried out, or an output, needs them, and never before.

use std::sync::Arc;

use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Layer, Source, Tree, read};

use super::backend::Backend;
use super::entry::{COMPRESSION, Kept};
use super::fixes;
use super::key::Key;
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
}

/// A layer that was found, or a step that made none but changed what no tar says.
#[derive(Clone)]
pub struct Later {
    /// Which layer of the stage it is.
    pub index: Option<usize>,
    pub key: Key,
    pub place: Arc<dyn Backend>,
    pub layer: Option<Kept>,
    pub fixes: Option<(Digest, u64)>,
}

/// What was found cannot be read after all: the build begins anew without it.
#[derive(Debug, thiserror::Error)]
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
        Self { base: Some((name.to_owned(), platform.clone())), layers: Vec::new() }
    }

    /// One more layer.
    pub fn push(&mut self, later: Later) {
        self.layers.push(later);
    }
}

impl Later {
    /// Where the layer's bytes are.
    pub fn source(&self, kept: &Kept) -> Result<Arc<dyn Source>, Damaged> {
        let found = self.place.blob(&kept.digest, kept.size);
        found.map_err(|error| self.damaged(error.to_string(), vec![kept.digest]))
    }

    fn damaged(&self, why: String, blobs: Vec<Digest>) -> Damaged {
        Damaged { key: self.key, place: self.place.name(), why, blobs }
    }

    /// The layer with its entries, verified.
    fn layer(&self) -> Result<Layer, Damaged> {
        let Some(kept) = &self.layer else { return Ok(Layer::default()) };
        let source = self.source(kept)?;
        let mut layer = read::layer(Arc::clone(&source), (kept.digest, kept.size), kept.diff_id)
            .map_err(|error| self.damaged(error.to_string(), vec![kept.digest]))?;
        layer.blob = Some((source, COMPRESSION));
        Ok(layer)
    }

    fn fixes(&self) -> Result<fixes::Fixes, Damaged> {
        let Some((digest, size)) = self.fixes else { return Ok(Vec::new()) };
        let bad = |why: String| self.damaged(why, vec![digest]);
        let source = self.place.blob(&digest, size).map_err(|error| bad(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = source.open(0, size).and_then(|mut reader| reader.read_to_end(&mut bytes).map(drop));
        read.map_err(|error| bad(error.to_string()))?;
        if Digest::of(&bytes) != digest {
            return Err(bad("its digest is another; it is damaged".to_owned()));
        }
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
    let Unread { base, layers } = std::mem::take(&mut stage.unread);
    if let Some((name, platform)) = base {
        let (image, tree) = session.image(&name, &platform)?;
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
        let layer = later.layer()?;
        let broken = |error: samebuild_image::tree::ApplyError| {
            later.damaged(error.to_string(), later.layer.iter().map(|kept| kept.digest).collect())
        };
        stage.tree.apply(&layer).map_err(broken)?;
        let mut lower = layer.clone();
        fixes::apply(&later.fixes()?, &mut stage.tree, &mut lower);
        stage.rootfs.push_computed(lower, stage.tree.clone());
        if let Some(place) = later.index.and_then(|index| stage.layers.get_mut(index)) {
            *place = layer;
        }
    }
    Ok(())
}

/// Reads the entries of the stage's own layers, for whoever changes or looks at them.
pub fn entries(stage: &mut Stage) -> Result<(), StepError> {
    for later in &stage.unread.layers {
        if let Some(place) = later.index.and_then(|index| stage.layers.get_mut(index))
            && place.entries.is_empty()
        {
            *place = later.layer()?;
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
