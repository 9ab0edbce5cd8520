//! A run over the artifacts of a file: all are looked for at once, then each is had in its turn, and told of in one line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use samebuild_store::artifacts::{self, Cache, How, Kept, Looked, Made, MakeError, State, Why, all};
use samebuild_store::desk::Desk;
use samebuild_store::engine::EngineError;
use samebuild_store::floor::Floor;
use samebuild_store::names::{Content, ImageId, Name, Tag};
use samebuild_store::session::{Request, Session, Silent};
use samebuild_store::strategies::Generation;

use super::book::{Disk, Noted};
use super::building::{Ears, NotBuilt, Way};
use super::engine::StoreEngine;
use super::file::Artifact;
use super::registry::Registries;
use super::workspace::Workspaces;
use crate::images::store::Store;
use crate::races::Spelling;

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What every image is tagged.
    pub tag: String,
    /// To the registries of their names; else into the store in the cache.
    pub push: bool,
    pub cache_artifacts: bool,
}

/// What became of one artifact.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Line {
    pub image: String,
    /// `IMAGE:TAG`.
    pub name: String,
    /// What it is called by its digest.
    pub digest: String,
    /// `found`, `tagged`, `pushed` or `built`.
    pub how: &'static str,
    pub why: String,
    pub took_ms: u64,
    /// Why the next run may build it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Of all artifacts.
#[derive(Clone, Debug)]
pub struct Done {
    pub built: usize,
    pub hits: usize,
    /// Until it was known what is to be done with each.
    pub looked: Duration,
}

/// An artifact that was not built; those that came before it were.
#[derive(Debug)]
pub struct Failed {
    pub image: String,
    pub why: NotBuilt,
}

/// Has every artifact. `each` hears of them one by one, in the order in which they are had.
///
/// # Errors
/// They require each other, or the cache cannot be reached. [`Failed`] is not an error of ours.
pub fn run(
    artifacts: Vec<Artifact>,
    way: Way,
    asked: &Asked,
    ears: Ears,
    each: &mut dyn FnMut(&Line),
) -> Result<Result<Done, Failed>> {
    let requires: Vec<Vec<usize>> =
        artifacts.iter().map(|artifact| artifact.requires.values().copied().collect()).collect();
    let order = all::order(&requires).map_err(|cycle| {
        let names = cycle.0.iter().map(|number| artifacts[*number].image.clone()).collect::<Vec<_>>();
        anyhow::anyhow!("order the artifacts: {} require each other; take one of it away", names.join(", "))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start an executor")?;
    let began = Instant::now();
    let ground = Ground::new(artifacts, way, asked, ears)?;
    runtime.block_on(async {
        let looked = all::look_for_all(&ground.session, &ground.cache, &ground.requests).await;
        let mut done = Done { built: 0, hits: 0, looked: began.elapsed() };
        let mut looked: Vec<Option<Looked>> = looked.into_iter().map(Some).collect();
        for number in order {
            let Some(looked) = looked[number].take() else { continue };
            match ground.have(number, looked).await {
                Ok((line, hit)) => {
                    if hit {
                        done.hits += 1
                    } else {
                        done.built += 1
                    }
                    each(&line);
                }
                Err(why) => {
                    let image = ground.all[number].image.clone();
                    return Ok(Err(Failed { image, why }));
                }
            }
        }
        Ok(Ok(done))
    })
}

struct Ground {
    all: Rc<Vec<Artifact>>,
    spelling: Rc<RefCell<Spelling>>,
    session: Session,
    cache: Cache,
    requests: Vec<Request>,
    sources: Rc<Workspaces>,
    made: Rc<RefCell<BTreeMap<usize, String>>>,
    why: Rc<RefCell<Option<NotBuilt>>>,
}

impl Ground {
    fn new(artifacts: Vec<Artifact>, way: Way, asked: &Asked, ears: Ears) -> Result<Self> {
        let (all, way) = (Rc::new(artifacts), Rc::new(way));
        let spelling = Rc::new(RefCell::new(Spelling::new(&[])));
        let mut requests = Vec::new();
        for (number, artifact) in all.iter().enumerate() {
            let text = format!("{}:{}", artifact.image, asked.tag);
            let name = spelling.borrow_mut().name(&text);
            let Some(Name { repository, tag: Tag::Policy(tag) }) = name else {
                bail!(
                    "tag {}: `{}` is no tag that people give; name another with --tag",
                    artifact.image,
                    asked.tag
                );
            };
            let content = Content(u16::try_from(number).context("count the artifacts: there are too many")?);
            requests.push(Request { number: 0, content, repository, tag, pass: None });
        }
        let store = || Store::in_cache(&way.cache);
        let sources = Rc::new(Workspaces::read(Rc::clone(&all), Rc::clone(&way)));
        let book = Noted {
            disk: Disk::in_cache(&way.cache),
            spelling: Rc::clone(&spelling),
            image: sources.image_of(),
        };
        let registries = asked.push.then(|| Registries {
            store: store(),
            spelling: Rc::clone(&spelling),
            told: ears.lines,
            open: RefCell::default(),
        });
        let (made, why) = (Rc::default(), Rc::default());
        let engine = StoreEngine {
            store: store(),
            spelling: Rc::clone(&spelling),
            all: Rc::clone(&all),
            way: Rc::clone(&way),
            ears,
            made: Rc::clone(&made),
            why: Rc::clone(&why),
        };
        let floor = Floor::free();
        let session = Session {
            engine: Rc::new(engine),
            desk: Desk::new(&floor),
            machine: Desk::new(&floor),
            floor,
            journal: Rc::new(Silent),
        };
        let cache = Cache {
            book: Rc::new(book),
            sources: Rc::clone(&sources) as Rc<dyn artifacts::Sources>,
            registry: registries.map(|registries| Rc::new(registries) as Rc<dyn artifacts::Registry>),
            on: asked.cache_artifacts,
        };
        Ok(Self { all, spelling, session, cache, requests, sources, made, why })
    }

    async fn have(&self, number: usize, looked: Looked) -> Result<(Line, bool), NotBuilt> {
        let began = Instant::now();
        let request = self.requests[number];
        let made = artifacts::make(&self.session, &Generation::WHOLE, &self.cache, request, looked).await;
        let made = made.map_err(|error| self.not_built(&error))?;
        let took = self.sources.took(number) + began.elapsed();
        self.made.borrow_mut().insert(number, self.name_for_others(number, &made));
        let name = self.spelling.borrow().spell_name(request.policy_name());
        let (how, why) = told(&made, self.cache.registry.is_some());
        let line = Line {
            image: self.all[number].image.clone(),
            name,
            digest: self.digest(&made),
            how,
            why,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            warning: warning(&made.kept),
        };
        Ok((line, matches!(made.how, How::Hit(_))))
    }

    /// What a Dockerfile that requires it is told: a name that stands for this image and no other.
    fn name_for_others(&self, number: usize, made: &Made) -> String {
        match made.ready {
            Some(ready) => self.spelling.borrow().spell_name(ready.name),
            None => format!("{}@{}", self.all[number].image, self.digest(made)),
        }
    }

    fn digest(&self, made: &Made) -> String {
        let id = made.ready.map(|ready| ready.id).or(made.manifest.map(|manifest| ImageId(manifest.0)));
        id.map(|id| self.spelling.borrow().spell_image(id)).unwrap_or_default()
    }

    fn not_built(&self, error: &MakeError) -> NotBuilt {
        match error {
            MakeError::Engine(EngineError::NotBuilt | EngineError::ConnectionLost) => {
                let why = self.why.borrow_mut().take();
                why.unwrap_or_else(|| NotBuilt::Broken(anyhow::anyhow!("{error}")))
            }
            error => NotBuilt::Broken(anyhow::anyhow!("{error}")),
        }
    }
}

fn told(made: &Made, remote: bool) -> (&'static str, String) {
    let (how, why) = match (&made.how, remote) {
        (How::Hit(State::NeedsTag), false) => ("tagged", "these sources made it, under another name"),
        (How::Hit(State::NeedsTag), true) => ("tagged", "the registry has it, without that name"),
        (How::Hit(State::NeedsPush), _) => ("pushed", "these sources made it, and the registry had it not"),
        (How::Hit(_), false) => ("found", "these sources made it"),
        (How::Hit(_), true) => ("found", "the registry has it under that name"),
        (How::Built(Why::Off), _) => ("built", "the cache was not to be asked"),
        (How::Built(Why::New), _) => ("built", "these sources were never built here"),
        (How::Built(Why::Gone), _) => ("built", "the image that these sources made is gone"),
        (How::Built(Why::Elsewhere), _) => ("built", "the image that these sources made was never here"),
        (How::Built(Why::Trouble(trouble)), _) => {
            return ("built", format!("nobody knows whether it is there: failed to {trouble}"));
        }
    };
    (how, why.to_owned())
}

fn warning(kept: &Kept) -> Option<String> {
    match kept {
        Kept::Yes | Kept::Off => None,
        Kept::Changed => Some("its sources changed while it was built; it is not remembered".to_owned()),
        Kept::Failed(trouble) => Some(format!("it is not remembered: failed to {trouble}")),
    }
}
