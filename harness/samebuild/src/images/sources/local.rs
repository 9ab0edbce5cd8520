//! Images that need no one else: those kept in the cache under a name, and the bases of our own cases, made when asked for.

use std::path::PathBuf;

use samebuild_builder::Wanted;

use super::{Answer, Means, Source, Told, fits};
use crate::bases;
use crate::images::names;
use crate::images::store::Store;

pub(super) struct Local<'a> {
    store: Store,
    cache: PathBuf,
    progress: Told<'a>,
}

impl<'a> Local<'a> {
    pub(super) fn new(means: &'a Means<'a>) -> Self {
        Self { store: Store::in_cache(&means.cache), cache: means.cache.clone(), progress: means.progress }
    }

    /// The same base as it lies in the cache, where it has been made already.
    fn base_outline(&self, wanted: &Wanted<'_>) -> Option<Answer> {
        let policy = bases::Policy::compiled_in().ok()?;
        let whole = names::whole(wanted.name);
        let is_it = |id: &&str| policy.base(id).is_ok_and(|base| names::whole(&base.image) == whole);
        let image = bases::outline(policy.names().find(is_it)?, &self.cache)?;
        fits(&image, wanted).ok().map(|()| Answer::Has(Box::new(image)))
    }

    /// The base of our own cases that has this name: a row of ci/bases.toml.
    fn base(&self, wanted: &Wanted<'_>) -> Option<Answer> {
        let policy = match bases::Policy::compiled_in() {
            Ok(policy) => policy,
            Err(error) => return Some(Answer::Broken(error.to_string())),
        };
        let whole = names::whole(wanted.name);
        let is_it = |id: &&str| policy.base(id).is_ok_and(|base| names::whole(&base.image) == whole);
        let base = policy.names().find(is_it)?;
        Some(match bases::provide(base, &self.cache, &self.progress) {
            Ok(base) => match fits(&base.image, wanted) {
                Ok(()) => Answer::Has(Box::new(base.image)),
                Err(why) => Answer::Lacks(why),
            },
            Err(error) => Answer::Broken(error.to_string()),
        })
    }
}

impl Source for Local<'_> {
    fn outline(&self, wanted: &Wanted<'_>) -> Answer {
        match self.store.outline(wanted.name, wanted.platform) {
            Ok(Some(image)) => match fits(&image, wanted) {
                Ok(()) => Answer::Has(Box::new(image)),
                Err(why) => Answer::Lacks(why),
            },
            Ok(None) => self.base_outline(wanted).unwrap_or_else(|| self.find(wanted)),
            Err(error) => Answer::Broken(format!("{error:#}")),
        }
    }

    fn find(&self, wanted: &Wanted<'_>) -> Answer {
        match self.store.find(wanted.name, wanted.platform) {
            Ok(Some(loaded)) => match fits(&loaded.image, wanted) {
                Ok(()) => return Answer::Has(Box::new(loaded.image)),
                Err(why) => return Answer::Lacks(why),
            },
            Ok(None) => {}
            Err(error) => return Answer::Broken(format!("{error:#}")),
        }
        self.base(wanted).unwrap_or_else(|| {
            Answer::Lacks(format!("{} has no {}", self.store.root().display(), names::whole(wanted.name)))
        })
    }
}
