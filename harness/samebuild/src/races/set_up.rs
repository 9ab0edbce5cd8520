//! The state a race begins in, made on a real engine: images of the right ages and names, and containers of them. For many
//! trials at once, since ages are whole seconds that have to go by.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as ApiError;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters as query;
use samebuild_store::engine::{Build, Delete, Engine as _, EngineError};
use samebuild_store::floor::Floor;
use samebuild_store::model::World;
use samebuild_store::names::{Content, ImageId, Name, Reference, Tag};

use super::docker::DockerEngine;
use super::ground::{Ground, LiveError, REPOSITORIES, connect, remove_containers};
use super::spelling::Spelling;

/// How often a beginning is tried: two builds within one second need luck.
const ATTEMPTS: usize = 8;

impl Ground {
    /// Removes every container and every image but the base; then makes what `world` has for so many trials, in
    /// repositories of their own. Image n of a spelling is image n of the world.
    ///
    /// # Errors
    /// The engine fails, or images that are to be of one age never are.
    pub(super) async fn set_up(&self, world: &World, trials: usize) -> Result<Vec<Spelling>, LiveError> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.attempt(world, trials).await {
                Ok(Some(made)) => return Ok(made),
                Ok(None) => {}
                // The containerd store may still be at work on what was removed a moment ago.
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| cannot("images of one age never were", &[])))
    }

    async fn attempt(&self, world: &World, trials: usize) -> Result<Option<Vec<Spelling>>, LiveError> {
        let docker = connect(self.socket()).await?;
        clear(&docker).await?;
        if !world.containers().is_empty() {
            keep_base(&docker).await?;
        }
        let first = self.made.get();
        self.made.set(first + trials);
        let made: Vec<Making> = (first..first + trials).map(|number| Making::new(&docker, number)).collect();
        self.make_images(world, &made).await?;
        if !ages_are_right(world, &made).await? {
            return Ok(None);
        }
        for making in &made {
            making.containers(world).await?;
        }
        Ok(Some(made.into_iter().map(|making| making.spelling.borrow().clone()).collect()))
    }

    async fn make_images(&self, world: &World, made: &[Making]) -> Result<(), LiveError> {
        let mut before = None;
        for (image, content) in world.images() {
            if before != Some(image.created) {
                second_boundary().await;
            }
            before = Some(image.created);
            for making in made {
                making.image(content, image.id, &image.names).await?;
            }
        }
        Ok(())
    }
}

/// Whether images are as old as one another, or not, as they are in `world`.
async fn ages_are_right(world: &World, made: &[Making]) -> Result<bool, LiveError> {
    let wanted: Vec<(ImageId, u32)> = world.images().map(|(image, _)| (image.id, image.created)).collect();
    for making in made {
        let mut ages = Vec::new();
        for (id, _) in &wanted {
            ages.push(making.engine.inspect(*id).await.map_err(|error| making.cannot(error))?.created);
        }
        let right = wanted
            .windows(2)
            .zip(ages.windows(2))
            .all(|(wanted, ages)| wanted[0].1.cmp(&wanted[1].1) == ages[0].cmp(&ages[1]));
        if !right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One trial's beginning.
struct Making {
    engine: DockerEngine,
    spelling: Rc<RefCell<Spelling>>,
}

impl Making {
    fn new(docker: &Docker, number: usize) -> Self {
        let spelling = Rc::new(RefCell::new(Spelling::of_trial(&REPOSITORIES, number)));
        Self { engine: DockerEngine::new(docker.clone(), Floor::free(), Rc::clone(&spelling)), spelling }
    }

    async fn image(&self, content: Content, id: ImageId, names: &[Name]) -> Result<(), LiveError> {
        // Its unique name is not known yet; the policy tag moves on to the next image that has it.
        let Some(repository) = names.first().map(|name| name.repository) else { return Ok(()) };
        let policy = names.iter().find(|name| matches!(name.tag, Tag::Policy(_)));
        let name = policy.copied().unwrap_or(Name::policy(repository, 0));
        let built = self.engine.build(Build { content, name }).await.map_err(|error| self.cannot(error))?;
        if built != id {
            return Err(cannot(&format!("image {id} came out as {built}"), &[]));
        }
        for name in names {
            self.engine.tag(id, *name).await.map_err(|error| self.cannot(error))?;
        }
        Ok(())
    }

    /// A reference that is a name of no image any more was one when the container was created.
    async fn containers(&self, world: &World) -> Result<(), LiveError> {
        for container in world.containers() {
            let lost = match container.reference {
                Reference::Name(name) if world.find(container.reference) != Some(container.image) => {
                    Some(name)
                }
                _ => None,
            };
            if let Some(name) = lost {
                self.engine.tag(container.image, name).await.map_err(|error| self.cannot(error))?;
            }
            match self.engine.create_container(container.reference, container.running).await {
                // Docker's own store knows only the digests that a registry told it: no such container can be.
                Err(EngineError::NoSuchImage(Reference::Digest(..))) => {}
                created => created.map_err(|error| self.cannot(error))?,
            }
            if let Some(name) = lost {
                let options = Delete { force: true, parents: false };
                let removed = self.engine.delete(Reference::Name(name), options).await;
                removed.map_err(|error| self.cannot(error))?;
            }
        }
        Ok(())
    }

    fn cannot(&self, error: EngineError) -> LiveError {
        cannot(&error.to_string(), &self.engine.said())
    }
}

fn cannot(why: &str, said: &[String]) -> LiveError {
    let said = if said.is_empty() { String::new() } else { format!("; it said: {}", said.join("; ")) };
    LiveError::Api { what: "prepare the race's images".into(), why: format!("{why}{said}") }
}

/// A container of the base, which an engine's own prune would take like any other image. Created by its only name, it
/// keeps it on every engine.
async fn keep_base(docker: &Docker) -> Result<(), LiveError> {
    let options = query::CreateContainerOptionsBuilder::new().name("samebuild-base").build();
    let body = ContainerCreateBody {
        image: Some("samebuild.test/base:1".into()),
        cmd: Some(vec!["true".into()]),
        ..ContainerCreateBody::default()
    };
    match docker.create_container(Some(options), body).await {
        // It is there already.
        Ok(_) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
        Err(error) => Err(cannot(&error.to_string(), &[])),
    }
}

/// Removes every container of ours and every image but the base.
pub(super) async fn clear(docker: &Docker) -> Result<(), LiveError> {
    remove_containers(docker).await?;
    remove_images(docker).await
}

/// Removes every image that is not a base.
async fn remove_images(docker: &Docker) -> Result<(), LiveError> {
    let cannot = |error: bollard::errors::Error| LiveError::Api {
        what: "remove the trial's images".into(),
        why: error.to_string(),
    };
    for image in docker.list_images(None::<query::ListImagesOptions>).await.map_err(cannot)? {
        if image.repo_tags.iter().any(|tag| tag.starts_with("samebuild.test/base:")) {
            continue;
        }
        let options = query::RemoveImageOptionsBuilder::new().force(true).build();
        docker.remove_image(&image.id, Some(options), None).await.map_err(cannot)?;
    }
    Ok(())
}

/// Waits for the next second: Docker's creation times have no finer ones in a list.
pub(super) async fn second_boundary() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let past = Duration::from_nanos(u64::from(now.subsec_nanos()));
    tokio::time::sleep(Duration::from_secs(1) - past).await;
}
