//! What the daemon is asked over its API, and what its answers are in the store's words. Whose turn it is, is the engine's
//! affair.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bollard::Docker;
use bollard::errors::Error as ApiError;
use bollard::models::{BuildInfoAux, ContainerCreateBody, ContainerSummaryStateEnum, HostConfig};
use bollard::query_parameters as query;
use futures_util::StreamExt;
use samebuild_store::engine::{Answer, Build, Container, Delete, Deleted, EngineError, Summary};
use samebuild_store::floor::Floor;
use samebuild_store::names::{ImageId, Name, Reference, Repository};

use super::LABEL;
use crate::races::deploy::Deployer;
use crate::races::ground::context;
use crate::races::spelling::{Spelling, short};

/// What a list tells of an image besides what the store asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it shares with other images counts for each.
    pub bytes: u64,
    pub labels: BTreeMap<String, String>,
}

/// The daemon, asked without waiting for a turn: that is the caller's.
pub(super) struct Daemon {
    pub docker: Docker,
    pub floor: Rc<Floor>,
    pub spelling: Rc<RefCell<Spelling>>,
    /// As last listed; the API no longer tells it of a single image.
    pub parents: RefCell<BTreeMap<ImageId, ImageId>>,
    pub facts: RefCell<BTreeMap<ImageId, Facts>>,
    /// What it said no with, in its own words.
    pub said: RefCell<Vec<String>>,
    /// Who runs containers by name, if not we.
    pub deployer: Option<Deployer>,
}

impl Daemon {
    /// The letter that the model gives it, and what Docker prints.
    pub fn show(&self, id: ImageId) -> String {
        format!("{id} ({})", short(&self.spelling.borrow().spell_image(id)))
    }

    /// All images are asked for: with a filter for the repository the daemon leaves the other names out.
    pub async fn list(&self, repository: Repository) -> Answer<Vec<Summary>> {
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

    pub async fn inspect(&self, reference: Reference) -> Answer<Summary> {
        let spelt = self.spelling.borrow().spell(reference);
        let answer = self.docker.inspect_image(&spelt).await;
        let image = answer.map_err(|error| self.explain(&error, reference))?;
        let id = self.spelling.borrow_mut().image(&image.id.unwrap_or_default());
        let created = image.created.map_or(0, |time| u32::try_from(time.unix_timestamp()).unwrap_or(0));
        let names = self.names(&image.repo_tags.unwrap_or_default())?;
        Ok(Summary { id, created, names, parent: self.parents.borrow().get(&id).copied() })
    }

    pub async fn containers(&self) -> Answer<Vec<Container>> {
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
    pub async fn build(&self, request: Build) -> Answer<ImageId> {
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

    pub async fn delete(&self, target: Reference, options: Delete) -> Answer<Deleted> {
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

    pub fn deleted(&self, items: impl Iterator<Item = (Option<String>, Option<String>)>) -> Deleted {
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
    pub async fn create_container(&self, image: Reference, running: bool) -> Answer<()> {
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
    pub fn explain(&self, error: &ApiError, reference: Reference) -> EngineError {
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
