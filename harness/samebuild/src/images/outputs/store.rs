//! Into the store in the cache, where later builds find it by its name.

use anyhow::Result;
use samebuild_image::Image;

use super::{Asked, How, Output};
use crate::images::store::Store;

pub(super) struct InStore {
    store: Store,
    names: Vec<String>,
}

impl InStore {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        Ok(Self {
            store: Store::in_cache(&asked.cache),
            names: asked.all_names("store")?.iter().map(ToString::to_string).collect(),
        })
    }
}

impl Output for InStore {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        let written = self.store.put(image, &self.names, how.style)?;
        Ok(format!("{} kept in our store, {}", self.names.join(", "), written.manifest))
    }
}
