//! Cleaning up a repository on a real engine: a plan that says what stays and why, and its execution by the strategy
//! that was raced, `generation`. Which images may go is the store's `plan`; the engine's API is `races`'.

mod filter;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use samebuild_store::desk::Desk;
use samebuild_store::engine::{Answer, Build, Call, Container, Delete, Deleted, Engine, Summary};
use samebuild_store::floor::Floor;
use samebuild_store::names::{ImageId, Name, Reference, Repository};
use samebuild_store::plan::{self, Why};
use samebuild_store::session::{Pass, Session, Silent, Victims};
use samebuild_store::strategies::{Generation, Strategy as _};
use time::OffsetDateTime;

use crate::engines::{OneOfUs, cache_dir};
use crate::races::{DockerEngine, Facts, Spelling, connect};

pub use filter::{Filter, FilterError};

/// What may go.
#[derive(Clone, Debug)]
pub struct Wish {
    /// As in names, e.g. `registry.example/team/app`.
    pub repository: String,
    /// How many of the newest images stay.
    pub keep: usize,
    /// An image goes only if it is meant by all.
    pub filters: Vec<Filter>,
}

/// What would go, and why the rest stays; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub victims: Vec<Line>,
    pub kept: Vec<(Line, String)>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `sha256:…`
    pub id: String,
    pub names: Vec<String>,
    /// With what it shares with others.
    pub bytes: u64,
    /// Seconds since 1970.
    pub created: u32,
}

/// What came of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub gone: Vec<Line>,
    /// Came into use in the meantime, or the engine would not let them go.
    pub stayed: Vec<Line>,
}

/// An engine to clean up.
pub struct Pruner {
    engine: Rc<DockerEngine>,
    spelling: Rc<RefCell<Spelling>>,
    runtime: tokio::runtime::Runtime,
    wish: Wish,
}

const REPOSITORY: Repository = Repository(0);

impl Pruner {
    /// Connects to the engine at a socket.
    ///
    /// # Errors
    /// Nothing answers there.
    pub fn open(socket: &Path, wish: Wish) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("start an executor")?;
        let docker = runtime.block_on(connect(socket))?;
        let spelling = Rc::new(RefCell::new(Spelling::new(&[&wish.repository])));
        let engine = Rc::new(DockerEngine::new(docker, Floor::free(), Rc::clone(&spelling)));
        Ok(Self { engine, spelling, runtime, wish })
    }

    /// What would be deleted now.
    ///
    /// # Errors
    /// The engine does not answer, or has no image of the repository.
    pub fn plan(&self) -> Result<Plan> {
        self.runtime.block_on(self.planned())
    }

    /// Does what [`Self::plan`] says, by `generation`: each image is looked at once more before it is deleted. Builds of
    /// other processes of ours are waited for, and wait for one delete at most.
    ///
    /// # Errors
    /// As [`Self::plan`]; the lock cannot be taken.
    pub fn execute(&self) -> Result<Pruned> {
        self.runtime.block_on(async {
            let planned = self.planned().await?;
            let locks = self.locks().await?;
            for victim in &planned.victims {
                let id = self.spelling.borrow_mut().image(&victim.id);
                // Held until the outcome is known.
                let _underway = locks.delete().context("lock the engine for a delete")?;
                self.delete(id).await;
            }
            let left = self.images().await?;
            let is_left = |line: &Line| left.iter().any(|image| self.spelled(image.id) == line.id);
            let (stayed, gone) = planned.victims.into_iter().partition(is_left);
            Ok(Pruned { gone, stayed })
        })
    }

    /// One image, if the wish still means it.
    async fn delete(&self, only: ImageId) {
        let floor = Floor::free();
        let chosen = Chosen { engine: Rc::clone(&self.engine), wish: self.wish.clone(), only };
        let session = Session {
            engine: Rc::new(chosen),
            desk: Desk::new(&floor),
            machine: Desk::new(&floor),
            floor,
            journal: Rc::new(Silent),
        };
        let pass =
            Pass { number: 0, repository: REPOSITORY, keep: 0, build: None, tag: 0, victims: Victims::Older };
        Generation::WHOLE.prune(&session, pass).await;
    }

    async fn planned(&self) -> Result<Plan> {
        let images = self.images().await?;
        if images.is_empty() {
            bail!(
                "find an image of {}; write the repository as `docker images` does, without a tag",
                self.wish.repository
            );
        }
        let containers = self.engine.containers().await.with_context(|| self.said("list containers"))?;
        let plan = plan::plan(REPOSITORY, images.clone(), &containers, self.wish.keep);
        let line = |id: ImageId| images.iter().find(|image| image.id == id).map(|image| self.line(image));
        let mut kept: Vec<(Line, String)> =
            plan.kept.iter().filter_map(|(id, why)| Some((line(*id)?, self.why(*why)))).collect();
        let mut victims = Vec::new();
        for image in &plan.victims {
            if self.wish.means(image, &self.engine.facts(image.id)) {
                victims.push(self.line(image));
            } else {
                kept.push((self.line(image), "a filter does not mean it".to_owned()));
            }
        }
        kept.sort_by_key(|(line, _)| std::cmp::Reverse(line.created));
        Ok(Plan { victims, kept })
    }

    async fn images(&self) -> Result<Vec<Summary>> {
        self.engine.list(REPOSITORY).await.with_context(|| self.said("list images"))
    }

    fn line(&self, image: &Summary) -> Line {
        let spelling = self.spelling.borrow();
        Line {
            id: spelling.spell_image(image.id),
            names: image.names.iter().map(|name| spelling.spell_name(*name)).collect(),
            bytes: self.engine.facts(image.id).bytes,
            created: image.created,
        }
    }

    fn why(&self, why: Why) -> String {
        let spelling = self.spelling.borrow();
        match why {
            Why::Newest => format!("one of the newest {}", self.wish.keep),
            Why::Container(reference) => {
                format!("a container was created from {}", spelling.spell(reference))
            }
            Why::NamedElsewhere(name) => format!("it is also {}", spelling.spell_name(name)),
        }
    }

    fn spelled(&self, id: ImageId) -> String {
        self.spelling.borrow().spell_image(id)
    }

    fn said(&self, what: &str) -> String {
        format!(
            "{what}: {}",
            self.engine.said().pop().unwrap_or_else(|| "the engine does not answer".to_owned())
        )
    }

    async fn locks(&self) -> Result<OneOfUs> {
        let daemon = self.engine.name().await.with_context(|| self.said("ask the engine for its name"))?;
        OneOfUs::at(&cache_dir()?.join("locks"), &daemon).context("keep locks in the cache")
    }
}

impl Wish {
    fn means(&self, image: &Summary, facts: &Facts) -> bool {
        let now = OffsetDateTime::now_utc();
        self.filters.iter().all(|filter| filter.is(image.created, &facts.labels, now))
    }
}

/// The engine as a pass sees it that keeps none: its lists have the one image, if the wish still lets it go. Everything else, and so the
/// last look before a delete, is the engine's.
struct Chosen {
    engine: Rc<DockerEngine>,
    wish: Wish,
    only: ImageId,
}

impl Engine for Chosen {
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        Box::pin(async move {
            let images = self.engine.list(repository).await?;
            let mut chosen = plan::plan(repository, images, &[], self.wish.keep).victims;
            chosen.retain(|image| {
                image.id == self.only && self.wish.means(image, &self.engine.facts(image.id))
            });
            Ok(chosen)
        })
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        self.engine.inspect(id)
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        self.engine.resolve(name)
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        self.engine.containers()
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        self.engine.disk_usage()
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        self.engine.build(request)
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        self.engine.tag(id, name)
    }

    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        self.engine.delete(target, options)
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        self.engine.prune_all()
    }

    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        self.engine.create_container(image, running)
    }
}
