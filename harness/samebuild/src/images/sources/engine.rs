//! Images of an engine, exported through its API. It is opened when it is first asked, and only if it was named.

use std::sync::{Mutex, PoisonError};

use samebuild_builder::Wanted;
use samebuild_image::Image;

use super::{Answer, Means, Source, fits};
use crate::checkout;
use crate::engines::{self, Engine, EngineError};
use crate::stored::read_image;

pub(super) struct OfEngine<'a> {
    means: &'a Means<'a>,
    opened: Mutex<Option<Engine>>,
}

impl<'a> OfEngine<'a> {
    pub(super) fn new(means: &'a Means<'a>) -> Self {
        Self { means, opened: Mutex::default() }
    }

    fn export(&self, engine: &Engine, name: &str) -> Result<Image, String> {
        let file = tempfile::Builder::new().prefix("image-").suffix(".tar").tempfile_in(self.means.work);
        let file = file.map_err(|error| format!("make room in {}: {error}", self.means.work.display()))?;
        // Contents stay in the file: it goes with the directory it is in.
        let path = file.into_temp_path().keep().map_err(|error| error.to_string())?;
        match engine.export(name, &path) {
            Ok(()) => read_image(&path).map(|loaded| loaded.image).map_err(|error| format!("{error:#}")),
            // An image of nothing but metadata cannot be saved; of a private engine its configuration can be read.
            Err(EngineError::EmptyExport { .. }) => {
                let id = engine.image_id(name).map_err(|error| error.to_string())?;
                let bytes = engine.inspect_config(&id).map_err(|error| error.to_string())?;
                let config = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("read the configuration of {name}: {error}"))?;
                Ok(Image { config, ..Image::default() })
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The engine of this name, opened.
///
/// # Errors
/// See [`engines::open`]; a row of ci/engines.toml needs the checkout it is in.
pub(crate) fn open(name: &str, progress: engines::Progress) -> anyhow::Result<Engine> {
    if name == "host" {
        return Ok(Engine::host()?);
    }
    let policy = checkout::engines_at_hand()?;
    Ok(engines::open(name, &policy, progress)?)
}

impl Source for OfEngine<'_> {
    fn find(&self, wanted: &Wanted<'_>) -> Answer {
        let Some(name) = self.means.engine else {
            return Answer::Lacks("none was asked for; --engine host asks this machine's".to_owned());
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            match open(name, &self.means.progress) {
                Ok(engine) => *opened = Some(engine),
                Err(error) => return Answer::Broken(format!("{error:#}")),
            }
        }
        let Some(engine) = opened.as_ref() else { return Answer::Lacks(format!("{name} is not open")) };
        if let Err(error) = engine.image_id(wanted.name) {
            return Answer::Lacks(format!("failed to {error} on {name}"));
        }
        match self.export(engine, wanted.name) {
            Ok(image) => match fits(&image, wanted) {
                Ok(()) => Answer::Has(Box::new(image)),
                Err(why) => Answer::Lacks(format!("{name} {why}")),
            },
            Err(why) => Answer::Broken(why),
        }
    }
}
