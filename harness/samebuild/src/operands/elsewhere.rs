//! Operands that are not on disk: `docker://NAME` is asked of an engine, `registry://NAME` of a registry, and so is a bare
//! name with a registry's host in it, where there is no such file.

use std::path::Path;

use anyhow::{Context as _, Result};
use samebuild_image::layout::Offer;
use samebuild_image::manifest::Platform;
use samebuild_image::read::ReadOptions;

use super::{Asked, Digests, Operand, What};
use crate::engines::{Engine, Progress, cache_dir};
use crate::images::store::Store;
use crate::images::{names, registry};
use crate::stored::find_image_of;

/// A name that no registry takes: whoever said it is mistaken.
#[derive(Debug, thiserror::Error)]
#[error("read an image of a registry: {0}")]
pub(crate) struct NoName(String);

/// Where an operand is.
pub(super) enum Place<'n> {
    Engine(&'n str),
    Registry(&'n str),
}

/// Where `name` says it is; `None` for a path.
pub(super) fn place(name: &str) -> Option<Place<'_>> {
    if let Some(name) = name.strip_prefix("docker://") {
        return Some(Place::Engine(name));
    }
    if let Some(name) = name.strip_prefix("registry://") {
        return Some(Place::Registry(name));
    }
    let (host, rest) = name.split_once('/')?;
    let is_host = host == "localhost" || host.contains(':') || host.trim_matches('.').contains('.');
    let is_name = is_host && !rest.is_empty() && names::parse(name).is_ok();
    (is_name && !Path::new(name).exists()).then_some(Place::Registry(name))
}

impl Place<'_> {
    /// What an index there offers; an engine has images of one platform.
    pub(super) fn offer(&self, progress: Progress<'_>) -> Result<Offer> {
        let Self::Registry(name) = self else { return Ok(Offer::default()) };
        let reference = names::parse(name).map_err(NoName)?;
        let store = Store::in_cache(&cache_dir()?);
        registry::offer(&reference, &store, progress).with_context(|| format!("read {name}"))
    }

    pub(super) fn open(&self, asked: &Asked<'_>) -> Result<Operand> {
        match self {
            Self::Engine(name) => of_engine(name, asked),
            Self::Registry(name) => of_registry(name, asked),
        }
    }
}

/// Exported by the engine of this machine (DOCKER_HOST), whose word for digests is not taken.
fn of_engine(name: &str, asked: &Asked<'_>) -> Result<Operand> {
    let engine = Engine::host()?;
    let file = tempfile::Builder::new().prefix("samebuild-diff-").suffix(".tar").tempfile()?;
    let path = file.into_temp_path();
    engine.export(name, &path)?;
    let options = ReadOptions { platform: asked.platform.cloned(), ..ReadOptions::default() };
    let stored = find_image_of(&path, &options).with_context(|| format!("read {}", asked.name))?;
    Ok(Operand {
        digests: Digests::Unseen,
        _kept: vec![path],
        ..Operand::of(asked.name, What::Image(stored))
    })
}

/// Pulled into the cache, every digest verified on the way.
fn of_registry(name: &str, asked: &Asked<'_>) -> Result<Operand> {
    let reference = names::parse(name).map_err(NoName)?;
    let store = Store::in_cache(&cache_dir()?);
    let default = Platform::linux_amd64();
    let platform = asked.platform.unwrap_or(&default);
    let pulled = registry::fetch(&reference, platform, &store, asked.progress)
        .with_context(|| format!("read {}", asked.name))?;
    let options = ReadOptions { platform: Some(platform.clone()), ..ReadOptions::default() };
    let mut stored = store.stored(pulled.entry, &options).with_context(|| format!("read {}", asked.name))?;
    // In the store it is under no index; in the registry it may be.
    stored.manifest.iter_mut().for_each(|envelope| envelope.listing = pulled.listing.clone());
    Ok(Operand { digests: Digests::Taken, ..Operand::of(asked.name, What::Image(stored)) })
}
