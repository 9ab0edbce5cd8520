//! An engine of our own on disk: images as an OCI layout that other tools can read, names and containers beside it.
//! Several processes may use one at a time, and one may be killed at any moment: every change is made under a lock on
//! the directory and becomes visible with one rename; what a killed process left is swept by the next change.
//!
//! An image is one small layer: this is for races, not for content. Its builds have a cache like Docker's: equal content
//! gives the image that is there, else a new one.

mod store;
mod trial;

use std::fs;
use std::hash::Hash;
use std::io::Result;
use std::path::Path;
use std::rc::Rc;

use samebuild_store::engine::{
    Answer, Build, Call, Container, Delete, Deleted, Engine, EngineError, Summary,
};
use samebuild_store::floor::{Floor, Guard};
use samebuild_store::names::{Content, ImageId, Name, Reference, Repository};

use super::spelling::Spelling;
use store::{Run, Store};

pub use trial::on_disk;

/// One process's handle. Calls take their turns on its floor.
pub struct DiskEngine {
    floor: Rc<Floor>,
    store: Rc<Store>,
}

impl DiskEngine {
    /// Opens the store in `dir`, or begins one there. `repositories` are numbers 0, 1, … of this process.
    ///
    /// # Errors
    /// The directory cannot be made, or holds something else.
    pub fn open(dir: &Path, floor: Rc<Floor>, repositories: &[&str]) -> Result<Self> {
        fs::create_dir_all(dir.join("blobs/sha256"))?;
        let store = Store { dir: dir.to_owned(), spelling: Spelling::new(repositories).into() };
        store.change(|store, _| store.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#))?;
        Ok(Self { floor, store: Rc::new(store) })
    }

    /// The same store, and the same symbols, on another floor.
    #[must_use]
    pub fn on(&self, floor: Rc<Floor>) -> Self {
        Self { floor, store: Rc::clone(&self.store) }
    }

    /// The symbol of a new image of `content`, named; for what a race begins with.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&self, content: Content, names: impl Fn(ImageId) -> Vec<Name>) -> Result<ImageId> {
        self.store.change(|store, state| {
            let id = store.new_image(state, content)?;
            let symbol = store.spelling.borrow_mut().image(&id);
            for name in names(symbol) {
                state.names.insert(store.spelling.borrow().spell_name(name), id.clone());
            }
            Ok(symbol)
        })
    }

    /// One call in one turn.
    fn call<'a, T: Hash + 'static>(
        &'a self,
        work: impl FnOnce(&Store) -> Result<Answer<T>> + 'static,
    ) -> Call<'a, Answer<T>> {
        let (floor, store) = (Rc::clone(&self.floor), Rc::clone(&self.store));
        Box::pin(self.floor.request(async move {
            floor.turn(Guard::Always).await;
            // A disk that fails is to its client an engine that went away.
            let answer = work(&store).unwrap_or(Err(EngineError::ConnectionLost));
            floor.see(&answer);
            if let Err(error) = &answer {
                floor.say(|| error.to_string());
            }
            answer
        }))
    }
}

impl Engine for DiskEngine {
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        self.call(move |store| {
            let state = store.read()?;
            let mut images: Vec<Summary> = state.images.keys().map(|id| store.summary(&state, id)).collect();
            images.retain(|image| image.names.iter().any(|name| name.repository == repository));
            images.sort_by_key(|image| std::cmp::Reverse(image.created));
            Ok(Ok(images))
        })
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        self.call(move |store| {
            let state = store.read()?;
            Ok(store.find(&state, Reference::Id(id)).map(|id| store.summary(&state, &id)))
        })
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        self.call(move |store| {
            let state = store.read()?;
            Ok(store.find(&state, Reference::Name(name)).map(|id| store.spelling.borrow_mut().image(&id)))
        })
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        self.call(|store| {
            let state = store.read()?;
            let containers = state.containers.iter().map(|run| {
                let image = store.spelling.borrow_mut().image(&run.image);
                Container { reference: Reference::Id(image), image, running: run.running }
            });
            Ok(Ok(containers.collect()))
        })
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        self.call(|store| {
            let state = store.read()?;
            let _bytes: u64 = state.images.values().map(|image| image.size).sum();
            Ok(Ok(()))
        })
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        self.call(move |store| {
            store.change(|store, state| {
                let cached = state.images.iter().find(|(_, image)| image.content == request.content.0);
                let id = match cached {
                    Some((id, _)) => id.clone(),
                    None => store.new_image(state, request.content)?,
                };
                state.names.insert(store.spelling.borrow().spell_name(request.name), id.clone());
                Ok(Ok(store.spelling.borrow_mut().image(&id)))
            })
        })
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        self.call(move |store| {
            store.change(|store, state| {
                let found = store.find(state, Reference::Id(id));
                Ok(found.map(|id| {
                    state.names.insert(store.spelling.borrow().spell_name(name), id);
                }))
            })
        })
    }

    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        self.call(move |store| store.change(|store, state| Ok(store.delete(state, target, options))))
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        self.call(|store| {
            store.change(|store, state| {
                let mut deleted = Deleted::default();
                let unused: Vec<String> =
                    state.images.keys().filter(|id| !state.has_container(id)).cloned().collect();
                for id in unused {
                    store.remove(state, &id, &mut deleted);
                }
                Ok(Ok(deleted))
            })
        })
    }

    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        self.call(move |store| {
            store.change(|store, state| {
                let found = store.find(state, image);
                Ok(found.map(|image| state.containers.push(Run { image, running })))
            })
        })
    }
}
