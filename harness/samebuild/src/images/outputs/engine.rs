//! Into this machine's engine, as `docker load` does it. Only names under `samebuild.test/` are touched there.

use anyhow::Result;
use samebuild_image::Image;

use super::{Asked, How, Output};
use crate::engines::{Engine, OUR_NAMES};
use crate::stored;
use crate::tag::Tag;

pub(super) struct InEngine {
    names: Vec<Tag>,
}

impl InEngine {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        let names = asked.all_names("engine")?;
        match names.iter().find(|name| !name.to_string().starts_with(OUR_NAMES)) {
            None => Ok(Self { names }),
            Some(name) => Err(format!(
                "load `{name}` into the engine: only names under {OUR_NAMES} are touched there; use {OUR_NAMES}{name}, or docker-archive:FILE and `docker load`"
            )),
        }
    }
}

impl Output for InEngine {
    fn check(&self) -> Result<(), String> {
        Engine::host().map(drop).map_err(|error| error.to_string())
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        let room = tempfile::Builder::new().prefix("load-").tempdir_in(how.work)?;
        let file = room.path().join("image.tar");
        stored::write_archive(image, &self.names, &file, how.style)?;
        let engine = Engine::host()?;
        let mut told = Vec::new();
        for name in &self.names {
            let id = engine.load_base(&name.to_string(), &file)?;
            told.push(format!("{name} loaded into the engine, {id}"));
        }
        Ok(told.join("; "))
    }
}
