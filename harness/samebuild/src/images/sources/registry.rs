//! Images of a registry, by their name. What is pulled stays in the cache by digest; a tag is asked for every time.

use samebuild_builder::Wanted;

use super::{Answer, Means, Source, Told};
use crate::images::store::Store;
use crate::images::{names, registry};

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
        let reference = match names::parse(wanted.name) {
            Ok(reference) => reference,
            Err(why) => return Answer::Lacks(why),
        };
        match registry::pull(&reference, wanted.platform, &self.store, &self.progress) {
            // One image alone is taken as it is, as an engine does.
            Ok(image) => Answer::Has(Box::new(image)),
            Err(error) if error.is_absence() => Answer::Lacks(format!("failed to {error}")),
            Err(error) => Answer::Broken(error.to_string()),
        }
    }
}
