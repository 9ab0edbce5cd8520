//! One trial of a race on a real engine: its images are made, its actors run, and what became of the images that builds
//! had promised is looked up. Leaves counting to `measure`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use samebuild_store::choosers::{Chooser, Kind};
use samebuild_store::engine::Engine;
use samebuild_store::floor::{Actor, Cast, Conductor, End, Floor, Next, drive};
use samebuild_store::races::Part;
use samebuild_store::session::Journal;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Strategy;
use samebuild_store::timeline::Row;

use super::cast::{beginning, cast};
use super::docker::DockerEngine;
use super::ground::{Ground, LiveError, connect, remove_containers};
use super::notes::Notes;
use super::spelling::Spelling;
use crate::proxy::{Entry, Proxy, Rule};

/// A trial that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What became of the images that builds promised. From good to bad; a trial has its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// There to the end, from the cache.
    Kept,
    /// There to the end; the cache had lost it, and it was built anew.
    Rebuilt,
    /// There when its container was created, gone at the end.
    LostLater,
    /// A build ended without an image.
    BuildFailed,
    /// The build had reported it ready, and its container found no such image: ErrImagePull.
    Refused,
}

impl Fate {
    /// Whether a promise was broken.
    #[must_use]
    pub fn is_lost(self) -> bool {
        self > Self::Rebuilt
    }
}

/// How a trial ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub fate: Fate,
    /// From the beginning to the last build's report.
    pub ready_after: Option<Duration>,
    /// From the beginning to the end of the last prune pass.
    pub pruned_after: Option<Duration>,
    /// Builds that started over because their image had been deleted.
    pub retries: u32,
    /// What passed the proxy.
    pub log: Vec<Entry>,
    /// A row a turn, if it went turn by turn.
    pub timeline: Vec<Row>,
    /// What the engine said no with.
    pub said: Vec<String>,
}

/// One trial in which everybody goes as fast as the engine and `rules` let them.
///
/// # Errors
/// The race has a part that only the model can play; the engine fails; no end after 60 s.
pub fn free(
    ground: &Ground,
    setting: &Setting,
    strategy: &dyn Strategy,
    rules: &[Rule],
) -> Result<Outcome, LiveError> {
    ground.runtime.block_on(async {
        let world = beginning(setting)?;
        let spelling = Rc::new(RefCell::new(ground.set_up(&world).await?));
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let sink = Arc::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        });
        let proxy = Proxy::start(ground.socket(), &ground.proxy_socket(), rules.to_vec(), sink)?;
        let floor = Floor::free();
        let docker = connect(proxy.socket()).await?;
        let stage = Stage::new(docker, floor, spelling);
        let cast = stage.cast(setting, strategy)?;
        let all = futures_util::future::join_all(cast.into_iter().flatten());
        if tokio::time::timeout(DEADLINE, all).await.is_err() {
            return Err(stage.hangs(setting));
        }
        if !proxy.settle(DEADLINE) {
            return Err(stage.hangs(setting));
        }
        let mut outcome = stage.outcome(ground).await?;
        drop(proxy);
        outcome.log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(outcome)
    })
}

/// One trial in which one actor at a time makes one call, in the order that `kind` draws from `seed`: the explorer's own
/// turns, on the real engine.
///
/// # Errors
/// As [`free`].
pub fn turns(
    ground: &Ground,
    setting: &Setting,
    strategy: &dyn Strategy,
    kind: Kind,
    seed: u64,
) -> Result<Outcome, LiveError> {
    /// About how many turns a trial takes, for choosers that have to know.
    const TURNS: usize = 16;
    ground.runtime.block_on(async {
        let spelling = Rc::new(RefCell::new(ground.set_up(&beginning(setting)?).await?));
        let parts = setting.race.cast;
        let stage =
            Stage::new(connect(ground.socket()).await?, Floor::scheduled(parts.len(), true, false), spelling);
        let mut cast = stage.cast(setting, strategy)?;
        let mut turning =
            Turning { chooser: kind.chooser(seed, parts.len(), TURNS), parts, rows: Vec::new() };
        let driven = tokio::time::timeout(DEADLINE, drive(&stage.floor, &mut cast, &mut turning)).await;
        drop(cast);
        match driven {
            Ok(End::Finished) => {}
            _ => return Err(stage.hangs(setting)),
        }
        let mut outcome = stage.outcome(ground).await?;
        outcome.timeline = turning.rows;
        Ok(outcome)
    })
}

/// The engine, the floor and the notes of one trial.
struct Stage {
    floor: Rc<Floor>,
    engine: Rc<DockerEngine>,
    spelling: Rc<RefCell<Spelling>>,
    notes: Rc<Notes>,
    /// So many images were there at the beginning.
    known: u32,
}

impl Stage {
    fn new(docker: bollard::Docker, floor: Rc<Floor>, spelling: Rc<RefCell<Spelling>>) -> Self {
        let engine = DockerEngine::new(docker, Rc::clone(&floor), Rc::clone(&spelling));
        let known = spelling.borrow().images();
        Self { floor, engine: Rc::new(engine), spelling, notes: Rc::new(Notes::new()), known }
    }

    fn cast<'a>(&self, setting: &Setting, strategy: &'a dyn Strategy) -> Result<Cast<'a>, LiveError> {
        let engine: Rc<dyn Engine> = self.engine.clone();
        let journal: Rc<dyn Journal> = self.notes.clone();
        cast(&engine, &self.floor, &journal, setting.race, strategy)
    }

    fn hangs(&self, setting: &Setting) -> LiveError {
        let said = self.engine.said().join("; ");
        let why = format!("it does not end within {} s; the engine said: {said}", DEADLINE.as_secs());
        LiveError::Race { race: setting.race.id.to_owned(), why }
    }

    /// Looks up every image that was promised, then removes the containers.
    async fn outcome(&self, ground: &Ground) -> Result<Outcome, LiveError> {
        let docker = connect(ground.socket()).await?;
        let engine = DockerEngine::new(docker.clone(), Floor::free(), Rc::clone(&self.spelling));
        let fate = fate(&engine, &self.notes, self.known).await;
        remove_containers(&docker).await?;
        Ok(Outcome {
            fate,
            ready_after: self.notes.ready_after.get(),
            pruned_after: self.notes.pruned_after.get(),
            retries: self.notes.retries.get(),
            log: Vec::new(),
            timeline: Vec::new(),
            said: self.engine.said(),
        })
    }
}

/// Looks up every image that was promised. Images from number `known` on were not there at the beginning.
pub(super) async fn fate(engine: &dyn Engine, notes: &Notes, known: u32) -> Fate {
    let mut fate = Fate::Kept;
    let promised = notes.ready.borrow().clone();
    for (_, ready) in promised {
        if ready.id.0 >= known {
            fate = fate.max(Fate::Rebuilt);
        }
        if engine.resolve(ready.name).await != Ok(ready.id) {
            fate = fate.max(Fate::LostLater);
        }
    }
    if !notes.failed.borrow().is_empty() {
        fate = fate.max(Fate::BuildFailed);
    }
    if !notes.refused.borrow().is_empty() {
        fate = fate.max(Fate::Refused);
    }
    fate
}

pub(super) struct Turning {
    pub(super) chooser: Box<dyn Chooser>,
    pub(super) parts: &'static [Part],
    pub(super) rows: Vec<Row>,
}

impl Conductor for Turning {
    fn choose(&mut self, enabled: u64) -> Option<Actor> {
        Some(self.chooser.choose(enabled))
    }

    fn after(&mut self, actor: Actor, said: String) -> Next {
        let text = if said.is_empty() { "goes on".into() } else { said };
        let actor = self.parts[usize::from(actor)].name;
        self.rows.push(Row { turn: self.rows.len() + 1, actor, text, breaks: None });
        Next::Continue
    }
}
