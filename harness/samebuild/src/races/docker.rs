//! The store's engine over Docker's API. A call is one turn: it asks for the floor, makes its request, and has the
//! answer before it gives the floor back. What the request is, is `daemon`'s affair.

mod daemon;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::rc::Rc;

use bollard::Docker;
use bollard::query_parameters as query;
use samebuild_store::engine::{Answer, Build, Call, Container, Delete, Deleted, Engine, Summary};
use samebuild_store::floor::{Floor, Guard};
use samebuild_store::names::{ImageId, Name, Reference, Repository};

use super::deploy::Deployer;
use super::spelling::Spelling;
use daemon::Daemon;
pub use daemon::Facts;

/// On each of our containers, so that they can be found again.
pub(super) const LABEL: &str = "samebuild.race";

/// A Docker daemon as the store sees it.
pub struct DockerEngine {
    floor: Rc<Floor>,
    daemon: Rc<Daemon>,
}

impl DockerEngine {
    /// An engine whose calls take their turns on `floor`.
    #[must_use]
    pub fn new(docker: Docker, floor: Rc<Floor>, spelling: Rc<RefCell<Spelling>>) -> Self {
        Self::with(docker, floor, spelling, None)
    }

    /// The same, its users' containers run by a deployer.
    pub(super) fn deploying(
        docker: Docker,
        floor: Rc<Floor>,
        spelling: Rc<RefCell<Spelling>>,
        deployer: Deployer,
    ) -> Self {
        Self::with(docker, floor, spelling, Some(deployer))
    }

    fn with(
        docker: Docker,
        floor: Rc<Floor>,
        spelling: Rc<RefCell<Spelling>>,
        deployer: Option<Deployer>,
    ) -> Self {
        let daemon = Daemon {
            docker,
            floor: Rc::clone(&floor),
            spelling,
            parents: RefCell::default(),
            facts: RefCell::default(),
            said: RefCell::default(),
            deployer,
        };
        Self { floor, daemon: Rc::new(daemon) }
    }

    /// What the last list told of an image.
    #[must_use]
    pub fn facts(&self, id: ImageId) -> Facts {
        self.daemon.facts.borrow().get(&id).cloned().unwrap_or_default()
    }

    /// The daemon's own name for itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn name(&self) -> Answer<String> {
        let info = self.daemon.docker.info().await;
        let info = info.map_err(|error| self.daemon.explain(&error, Reference::Id(ImageId(0))))?;
        Ok(info.id.unwrap_or_default())
    }

    /// What the daemon said no with so far, in its own words.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.daemon.said.borrow().clone()
    }

    /// One call in one turn. Once begun it goes on, whatever becomes of the actor.
    fn call<'a, T, F>(&'a self, work: impl FnOnce(Rc<Daemon>) -> F) -> Call<'a, Answer<T>>
    where
        T: Hash + 'static,
        F: Future<Output = Answer<T>> + 'static,
    {
        let floor = Rc::clone(&self.floor);
        let work = work(Rc::clone(&self.daemon));
        Box::pin(self.floor.request(async move {
            floor.turn(Guard::Always).await;
            let answer = work.await;
            floor.see(&answer);
            if let Err(error) = &answer {
                floor.say(|| error.to_string());
            }
            answer
        }))
    }
}

impl Engine for DockerEngine {
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        self.call(|daemon| async move { daemon.list(repository).await })
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        self.call(move |daemon| async move {
            daemon.floor.say(|| format!("inspects {}", daemon.show(id)));
            daemon.inspect(Reference::Id(id)).await
        })
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        self.call(move |daemon| async move {
            daemon.floor.say(|| format!("resolves {name}"));
            daemon.inspect(Reference::Name(name)).await.map(|image| image.id)
        })
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        self.call(|daemon| async move { daemon.containers().await })
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        self.call(|daemon| async move {
            daemon.floor.say(|| "asks for the disk usage".into());
            let answer = daemon.docker.df(None::<query::DataUsageOptions>).await;
            answer.map(drop).map_err(|error| daemon.explain(&error, Reference::Id(ImageId(0))))
        })
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        self.call(move |daemon| async move { daemon.build(request).await })
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        self.call(move |daemon| async move {
            daemon.floor.say(|| format!("tags {} as {name}", daemon.show(id)));
            let (image, (repo, tag)) = {
                let spelling = daemon.spelling.borrow();
                (spelling.spell_image(id), spelling.spell_tag(name))
            };
            let options = query::TagImageOptionsBuilder::new().repo(&repo).tag(&tag).build();
            let answer = daemon.docker.tag_image(&image, Some(options)).await;
            answer.map_err(|error| daemon.explain(&error, Reference::Id(id)))
        })
    }

    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        self.call(move |daemon| async move { daemon.delete(target, options).await })
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        self.call(|daemon| async move {
            daemon.floor.say(|| "prunes all images".into());
            let filters = HashMap::from([("dangling".to_owned(), vec!["false".to_owned()])]);
            let options = query::PruneImagesOptions { filters: Some(filters) };
            let answer = daemon.docker.prune_images(Some(options)).await;
            let answer = answer.map_err(|error| daemon.explain(&error, Reference::Id(ImageId(0))))?;
            let items = answer.images_deleted.unwrap_or_default();
            Ok(daemon.deleted(items.into_iter().map(|item| (item.untagged, item.deleted))))
        })
    }

    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        self.call(move |daemon| async move { daemon.create_container(image, running).await })
    }

    fn show_image(&self, id: ImageId) -> String {
        self.daemon.show(id)
    }

    fn show_name(&self, name: Name) -> String {
        self.daemon.spelling.borrow().spell_name(name)
    }
}
