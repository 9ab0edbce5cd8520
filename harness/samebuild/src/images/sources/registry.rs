//! Images of a registry, by their name. What is pulled stays in the cache by digest; a tag is asked for every time.

use oci_client::Reference;
use samebuild_builder::Wanted;
use samebuild_image::Image;
use samebuild_image::manifest::Platform;

use super::{Answer, Means, Source, Told};
use crate::engines::Progress;
use crate::images::registry::RegistryError;
use crate::images::store::Store;
use crate::images::{names, registry};

/// A way to get an image: all of it, or what it is made of.
type Get = for<'p> fn(&Reference, &Platform, &Store, Progress<'p>) -> Result<Image, RegistryError>;

pub(super) struct OfRegistry<'a> {
    store: Store,
    progress: Told<'a>,
}

impl<'a> OfRegistry<'a> {
    pub(super) fn new(means: &'a Means<'a>) -> Self {
        Self { store: Store::in_cache(&means.cache), progress: means.progress }
    }
}

impl Source for OfRegistry<'_> {
    fn find(&self, wanted: &Wanted<'_>) -> Answer {
        self.ask(wanted, registry::pull)
    }

    fn outline(&self, wanted: &Wanted<'_>) -> Answer {
        self.ask(wanted, registry::outline)
    }
}

impl OfRegistry<'_> {
    fn ask(&self, wanted: &Wanted<'_>, get: Get) -> Answer {
        let reference = match names::parse(wanted.name) {
            Ok(reference) => reference,
            Err(why) => return Answer::Lacks(why),
        };
        match get(&reference, wanted.platform, &self.store, &self.progress) {
            // One image alone is taken as it is, as an engine does.
            Ok(image) => Answer::Has(Box::new(image)),
            Err(error) if error.is_absence() => Answer::Lacks(format!("failed to {error}")),
            Err(error) => Answer::Broken(error.to_string()),
        }
    }
}
