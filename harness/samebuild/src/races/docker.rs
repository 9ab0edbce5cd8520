//! The store's engine over Docker's API. A call is one turn: it asks for the floor, makes its request, and has the
//! answer before it gives the floor back.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::Hash;
use std::rc::Rc;

use bollard::Docker;
use bollard::errors::Error as ApiError;
use bollard::models::{BuildInfoAux, ContainerCreateBody, ContainerSummaryStateEnum, HostConfig};
use bollard::query_parameters as query;
use futures_util::StreamExt;
use samebuild_store::engine::{
    Answer, Build, Call, Container, Delete, Deleted, Engine, EngineError, Summary,
};
use samebuild_store::floor::{Floor, Guard};
use samebuild_store::names::{ImageId, Name, Reference, Repository};

use super::deploy::Deployer;
use super::ground::context;
use super::spelling::{Spelling, short};

/// On each of our containers, so that they can be found again.
pub(super) const LABEL: &str = "samebuild.race";

/// A Docker daemon as the store sees it.
pub struct DockerEngine {
    floor: Rc<Floor>,
    daemon: Rc<Daemon>,
}

/// What a list tells of an image besides what the store asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it shares with other images counts for each.
    pub bytes: u64,
    pub labels: BTreeMap<String, String>,
}

struct Daemon {
    docker: Docker,
    floor: Rc<Floor>,
    spelling: Rc<RefCell<Spelling>>,
    /// As last listed; the API no longer tells it of a single image.
    parents: RefCell<BTreeMap<ImageId, ImageId>>,
    facts: RefCell<BTreeMap<ImageId, Facts>>,
    /// What it said no with, in its own words.
    said: RefCell<Vec<String>>,
    /// Who runs containers by name, if not we.
    deployer: Option<Deployer>,
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

impl Daemon {
    /// The letter that the model gives it, and what Docker prints.
    fn show(&self, id: ImageId) -> String {
        format!("{id} ({})", short(&self.spelling.borrow().spell_image(id)))
    }

    /// All images are asked for: with a filter for the repository the daemon leaves the other names out.
    async fn list(&self, repository: Repository) -> Answer<Vec<Summary>> {
        let options = query::ListImagesOptions { all: true, ..query::ListImagesOptions::default() };
        let listed = self.docker.list_images(Some(options)).await;
        let listed = listed.map_err(|error| self.explain(&error, Reference::Id(ImageId(0))))?;
        let mut images = Vec::new();
        for image in listed {
            let id = self.spelling.borrow_mut().image(&image.id);
            let mut parent = None;
            if !image.parent_id.is_empty() {
                let known = self.spelling.borrow_mut().image(&image.parent_id);
                self.parents.borrow_mut().insert(id, known);
                parent = Some(known);
            }
            let facts = Facts {
                bytes: u64::try_from(image.size).unwrap_or(0),
                labels: image.labels.into_iter().collect(),
            };
            self.facts.borrow_mut().insert(id, facts);
            let names = self.names(&image.repo_tags)?;
            if names.iter().any(|name| name.repository == repository) {
                let created = u32::try_from(image.created).unwrap_or(0);
                images.push(Summary { id, created, names, parent });
            }
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        self.floor.say(|| {
            let shown: Vec<String> = images.iter().map(|image| self.show(image.id)).collect();
            format!("lists {repository}: {}", shown.join(", "))
        });
        Ok(images)
    }

    async fn inspect(&self, reference: Reference) -> Answer<Summary> {
        let spelt = self.spelling.borrow().spell(reference);
        let answer = self.docker.inspect_image(&spelt).await;
        let image = answer.map_err(|error| self.explain(&error, reference))?;
        let id = self.spelling.borrow_mut().image(&image.id.unwrap_or_default());
        let created = image.created.map_or(0, |time| u32::try_from(time.unix_timestamp()).unwrap_or(0));
        let names = self.names(&image.repo_tags.unwrap_or_default())?;
        Ok(Summary { id, created, names, parent: self.parents.borrow().get(&id).copied() })
    }

    async fn containers(&self) -> Answer<Vec<Container>> {
        let options = query::ListContainersOptionsBuilder::new().all(true).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.explain(&error, Reference::Id(ImageId(0))))?;
        let mut spelling = self.spelling.borrow_mut();
        let containers = listed.into_iter().map(|container| {
            let image = spelling.image(&container.image_id.unwrap_or_default());
            // Once its name has gone, Docker lists the ID instead.
            let named = container.image.as_deref().and_then(|text| {
                let tagged = if text.rsplit('/').next()?.contains(':') {
                    text.to_owned()
                } else {
                    format!("{text}:latest")
                };
                (!text.contains('@') && !text.starts_with("sha256:"))
                    .then(|| spelling.name(&tagged))
                    .flatten()
            });
            let reference = named.map_or(Reference::Id(image), Reference::Name);
            let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
            Container { reference, image, running }
        });
        let containers: Vec<Container> = containers.collect();
        drop(spelling);
        self.floor.say(|| format!("lists containers: {}", containers.len()));
        Ok(containers)
    }

    /// The classic builder, whose cache gives an equal context the image it gave before.
    async fn build(&self, request: Build) -> Answer<ImageId> {
        let options = query::BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            t: Some(self.spelling.borrow().spell_name(request.name)),
            rm: true,
            forcerm: true,
            networkmode: Some("none".into()),
            version: query::BuilderVersion::BuilderV1,
            ..query::BuildImageOptions::default()
        };
        let body = bollard::body_full(context(&self.spelling.borrow().spell_content(request.content)).into());
        let mut stream = std::pin::pin!(self.docker.build_image(options, None, Some(body)));
        let mut built = None;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    if let Some(BuildInfoAux::Default(image)) = event.aux {
                        built = image.id.or(built);
                    }
                }
                Err(ApiError::DockerStreamError { error }) => {
                    self.said.borrow_mut().push(error);
                    // There is nothing in these builds that could fail but for an image that went away.
                    return Err(EngineError::CacheVanished(self.of_content(request)));
                }
                Err(error) => return Err(self.explain(&error, Reference::Name(request.name))),
            }
        }
        let built = built.ok_or(EngineError::CacheVanished(self.of_content(request)))?;
        let id = self.spelling.borrow_mut().image(&built);
        self.floor.say(|| format!("builds {}: {}", request.name, self.show(id)));
        Ok(id)
    }

    /// Image n is made of content n when a trial begins.
    fn of_content(&self, request: Build) -> ImageId {
        ImageId(u32::from(request.content.0))
    }

    async fn delete(&self, target: Reference, options: Delete) -> Answer<Deleted> {
        let spelt = self.spelling.borrow().spell(target);
        let wanted = query::RemoveImageOptions {
            force: options.force,
            noprune: !options.parents,
            ..query::RemoveImageOptions::default()
        };
        let answer = self.docker.remove_image(&spelt, Some(wanted), None).await;
        let items = answer.map_err(|error| self.explain(&error, target))?;
        let deleted = self.deleted(items.into_iter().map(|item| (item.untagged, item.deleted)));
        self.floor.say(|| {
            let gone: Vec<String> = deleted.images.iter().map(|id| self.show(*id)).collect();
            format!("deletes {target}: {} names and the images {}", deleted.names.len(), gone.join(", "))
        });
        Ok(deleted)
    }

    fn deleted(&self, items: impl Iterator<Item = (Option<String>, Option<String>)>) -> Deleted {
        let mut deleted = Deleted::default();
        let mut spelling = self.spelling.borrow_mut();
        for (untagged, image) in items {
            deleted.names.extend(untagged.and_then(|name| spelling.name(&name)));
            // Layers are listed as deleted like images.
            deleted.images.extend(image.and_then(|id| spelling.known(&id)));
        }
        deleted
    }

    /// Nothing is pulled: the API does not, the client does.
    async fn create_container(&self, image: Reference, running: bool) -> Answer<()> {
        if let (Some(deployer), Reference::Name(name), true) = (&self.deployer, image, running) {
            let (repository, tag) = self.spelling.borrow().spell_tag(name);
            let deployed = deployer.run(&repository, &tag).await.answer(image);
            return match deployed {
                Ok(()) => {
                    self.floor.say(|| format!("runs a container from {image}"));
                    Ok(())
                }
                Err((error, why)) => {
                    self.said.borrow_mut().push(why);
                    Err(error)
                }
            };
        }
        let spelt = self.spelling.borrow().spell(image);
        let network = HostConfig { network_mode: Some("none".into()), ..HostConfig::default() };
        let body = ContainerCreateBody {
            image: Some(spelt),
            cmd: Some(vec!["sleep".into(), "600".into()]),
            host_config: Some(network),
            labels: Some(HashMap::from([(LABEL.to_owned(), "1".to_owned())])),
            ..ContainerCreateBody::default()
        };
        let created = self.docker.create_container(None, body).await;
        let created = created.map_err(|error| self.explain(&error, image))?;
        if running {
            let started = self.docker.start_container(&created.id, None).await;
            started.map_err(|error| self.explain(&error, image))?;
        }
        self.floor.say(|| format!("runs a container from {image}"));
        Ok(())
    }

    fn names(&self, tags: &[String]) -> Answer<Vec<Name>> {
        let mut spelling = self.spelling.borrow_mut();
        let tags = tags.iter().filter(|tag| tag.as_str() != "<none>:<none>");
        // A name we cannot hold must not be taken for none.
        tags.map(|tag| spelling.name(tag).ok_or(EngineError::Refused(413))).collect()
    }

    /// The daemon's answer as the store knows it; its words are kept.
    fn explain(&self, error: &ApiError, reference: Reference) -> EngineError {
        self.said.borrow_mut().push(error.to_string());
        let ApiError::DockerResponseServerError { status_code, message } = error else {
            return EngineError::ConnectionLost;
        };
        let id = match reference {
            Reference::Id(id) | Reference::ShortId(id) | Reference::Digest(_, id) => id,
            Reference::Name(_) => ImageId(u32::MAX),
        };
        let says = |words: &str| message.contains(words);
        match status_code {
            404 => EngineError::NoSuchImage(reference),
            // Tagging an image while it is deleted.
            500 if says("failed to get digest") || says("No such image") => {
                EngineError::NoSuchImage(reference)
            }
            409 if says("prune operation") => EngineError::PruneRunning,
            409 if says("running container") => EngineError::HardConflict(id),
            409 if says("dependent child") => EngineError::HasChildren(id),
            409 => EngineError::SoftConflict(id),
            status => EngineError::Refused(*status),
        }
    }
}
