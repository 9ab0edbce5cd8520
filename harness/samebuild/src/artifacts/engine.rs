//! The store in the cache as an engine of `samebuild-store`: images by the digest of their manifest, names in its index,
//! and builds by the reference builder. Nothing is ever deleted from it, and it runs no containers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::ready;
use std::rc::Rc;

use samebuild_image::Digest;
use samebuild_image::manifest::Descriptor;
use samebuild_store::engine::{
    Answer, Build, Call, Container, Delete, Deleted, Engine, EngineError, Summary,
};
use samebuild_store::names::{ImageId, Name, Reference, Repository};

use super::building::{self, Ears, NotBuilt, Way};
use super::file::Artifact;
use crate::images::store::Store;
use crate::races::Spelling;

/// The engine of one run.
pub(super) struct StoreEngine {
    pub(super) store: Store,
    pub(super) spelling: Rc<RefCell<Spelling>>,
    pub(super) all: Rc<Vec<Artifact>>,
    pub(super) way: Rc<Way>,
    pub(super) ears: Ears,
    /// What those that others require are called, by artifact.
    pub(super) made: Rc<RefCell<BTreeMap<usize, String>>>,
    /// Why the last build made no image, or what the disk said.
    pub(super) why: Rc<RefCell<Option<NotBuilt>>>,
}

impl StoreEngine {
    fn digest(&self, id: ImageId) -> Option<Digest> {
        self.spelling.borrow().spell_image(id).parse().ok()
    }

    fn held(&self, id: ImageId) -> Answer<Descriptor> {
        let missing = Err(EngineError::NoSuchImage(Reference::Id(id)));
        let Some(digest) = self.digest(id) else { return missing };
        match self.store.holds(&digest) {
            Ok(Some(entry)) => Ok(entry),
            Ok(None) => missing,
            Err(error) => Err(self.broken(error)),
        }
    }

    /// A disk that fails is an engine that went away.
    fn broken(&self, error: anyhow::Error) -> EngineError {
        *self.why.borrow_mut() = Some(NotBuilt::Broken(error));
        EngineError::ConnectionLost
    }

    fn summary(&self, id: ImageId) -> Answer<Summary> {
        self.held(id).map(|_| Summary { id, created: 0, names: Vec::new(), parent: None })
    }

    fn named(&self, name: Name) -> Answer<ImageId> {
        let text = self.spelling.borrow().spell_name(name);
        let found = match self.store.named(&text) {
            Ok(found) => found,
            Err(error) => return Err(self.broken(error)),
        };
        let wanted = |entry: &&Descriptor| {
            let wanted = self.artifact_called(&text).and_then(|artifact| self.way.platform(artifact).ok());
            wanted.is_none_or(|wanted| entry.platform.as_ref().is_none_or(|is| wanted.takes(is)))
        };
        let missing = EngineError::NoSuchImage(Reference::Name(name));
        let entry = found.iter().find(wanted).ok_or(missing)?;
        let id = self.spelling.borrow_mut().image(&entry.digest.to_string());
        self.held(id).map(|_| id).map_err(|_| missing)
    }

    fn artifact_called(&self, name: &str) -> Option<&Artifact> {
        let (image, _) = name.rsplit_once(':')?;
        self.all.iter().find(|artifact| artifact.image == image)
    }

    fn built(&self, request: Build) -> Answer<ImageId> {
        let Some(artifact) = self.all.get(usize::from(request.content.0)) else {
            return Err(EngineError::NotBuilt);
        };
        let mut args = artifact.args.clone();
        for (alias, number) in &artifact.requires {
            if let Some(name) = self.made.borrow().get(number) {
                args.insert(alias.clone(), name.clone());
            }
        }
        let name = self.spelling.borrow().spell_name(request.name);
        let (way, ears) = (&*self.way, self.ears);
        // A build may ask registries, which has an executor of its own: on a thread without one.
        let built = std::thread::scope(|scope| {
            scope.spawn(|| building::build(artifact, args, &name, way, ears)).join()
        });
        match built {
            Ok(Ok(written)) => Ok(self.spelling.borrow_mut().image(&written.manifest.to_string())),
            Ok(Err(why)) => {
                *self.why.borrow_mut() = Some(why);
                Err(EngineError::NotBuilt)
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Engine for StoreEngine {
    fn list(&self, _: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        Box::pin(ready(self.summary(id)))
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        Box::pin(ready(self.named(name)))
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        Box::pin(ready(Ok(())))
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        Box::pin(ready(self.built(request)))
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        let text = self.spelling.borrow().spell_name(name);
        let named = self
            .held(id)
            .and_then(|entry| self.store.give_names(&entry, &[text]).map_err(|error| self.broken(error)));
        Box::pin(ready(named))
    }

    fn delete(&self, _: Reference, _: Delete) -> Call<'_, Answer<Deleted>> {
        Box::pin(ready(Ok(Deleted::default())))
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        Box::pin(ready(Ok(Deleted::default())))
    }

    fn create_container(&self, image: Reference, _: bool) -> Call<'_, Answer<()>> {
        Box::pin(ready(Err(EngineError::NoSuchImage(image))))
    }
}
