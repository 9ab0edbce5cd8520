//! One trial of a race on a real engine: its images are made, its actors run, and what became of the images that builds
//! had promised is looked up. Leaves counting to `measure`.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use samebuild_store::choosers::{Chooser, Kind};
use samebuild_store::crowd::crowd;
use samebuild_store::engine::{Engine, EngineError};
use samebuild_store::floor::{Actor, Cast, Conductor, End, Floor, Next, drive};
use samebuild_store::names::ImageId;
use samebuild_store::races::{Part, Role};
use samebuild_store::session::Journal;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Strategy;
use samebuild_store::timeline::Row;

use super::cast::{Disturb, Waiting, beginning, cast};
use super::deploy::{self, Deployer};
use super::docker::DockerEngine;
use super::ground::{Ground, LiveError, connect, remove_containers};
use super::measure::Pressure;
use super::notes::Notes;
use super::spelling::Spelling;
use crate::proxy::{Entry, Proxy, What};

/// A trial that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What became of the images that builds promised. From good to bad; a trial has its worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// There to the end, from the cache.
    Kept,
    /// There to the end; the cache had lost it, and it was built anew.
    Rebuilt,
    /// The daemon went away under a build or a deployment, which said so.
    Cut,
    /// There when its container was created, or its container from the beginning, and gone at the end.
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
        self > Self::Cut
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

/// One trial in which everybody goes as fast as the engine and the pressure let them, in the state that `spelling` spells.
///
/// # Errors
/// The race has a part that only the model can play; the engine fails; no end after 60 s.
pub(super) fn free(
    ground: &Ground,
    setting: &Setting,
    strategy: &dyn Strategy,
    pressure: Pressure,
    spelling: Spelling,
) -> Result<Outcome, LiveError> {
    ground.runtime.block_on(async {
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let sink = Arc::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        });
        let rules = [deploy::rules(&version(ground).await?)?, pressure.rules(setting)].concat();
        let proxy = Proxy::start(ground.socket(), &ground.proxy_socket(), rules, sink)?;
        let stage =
            Stage::new(connect(proxy.socket()).await?, proxy.socket(), Floor::free(), spelling).await?;
        let disturb = Disturb { moment: moment(setting, pressure, &log), restart: ground.restarter() };
        let mut cast = stage.cast(setting, strategy, &disturb)?;
        if tokio::time::timeout(DEADLINE, crowd(&stage.floor, &mut cast)).await.is_err() {
            return Err(stage.hangs(setting));
        }
        drop(cast);
        // Whoever is gone may have left a request that is held until something which can no longer come.
        proxy.open();
        if !proxy.settle(DEADLINE) {
            return Err(stage.hangs(setting));
        }
        let mut outcome = stage.outcome(ground).await?;
        drop(proxy);
        outcome.log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(outcome)
    })
}

/// When what disturbs a race comes: Ctrl-C when the DELETE that matters is on its way, a restart then or after the time of
/// the pressure. Where it is never sent, a second after it could have been.
fn moment(setting: &Setting, pressure: Pressure, log: &Arc<Mutex<Vec<Entry>>>) -> Rc<dyn Fn() -> Waiting> {
    let restarts = setting.race.cast.iter().any(|part| part.role == Role::Restart);
    let log = Arc::clone(log);
    // The image that is built again is the oldest, and the last to go.
    let old = usize::from(setting.old.max(1));
    let held_ms = match pressure {
        Pressure::Delay(ms) => ms,
        Pressure::Gate => 0,
    };
    let at_most = Duration::from_millis(1000 + held_ms * u64::from(setting.old));
    Rc::new(move || match pressure {
        Pressure::Delay(ms) if restarts => Box::pin(tokio::time::sleep(Duration::from_millis(ms))),
        _ => {
            let log = Arc::clone(&log);
            Box::pin(async move {
                let is_delete = |entry: &Entry| entry.method == "DELETE" && entry.what == What::Request;
                let seen = || {
                    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.iter().filter(|entry| is_delete(entry)).count()
                };
                let began = Instant::now();
                while seen() < old && began.elapsed() < at_most {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        }
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
        let spelling = ground.set_up(&beginning(setting)?, 1).await?.remove(0);
        let parts = setting.race.cast;
        let rules = deploy::rules(&version(ground).await?)?;
        let proxy = Proxy::start(ground.socket(), &ground.proxy_socket(), rules, deploy::unread())?;
        let floor = Floor::scheduled(parts.len(), true, false);
        let stage = Stage::new(connect(ground.socket()).await?, proxy.socket(), floor, spelling).await?;
        let at_once: Rc<dyn Fn() -> Waiting> = Rc::new(|| Box::pin(std::future::ready(())));
        let disturb = Disturb { moment: at_once, restart: ground.restarter() };
        let mut cast = stage.cast(setting, strategy, &disturb)?;
        let mut turning =
            Turning { chooser: kind.chooser(seed, parts.len(), TURNS), parts, rows: Vec::new() };
        let driven = tokio::time::timeout(DEADLINE, drive(&stage.floor, &mut cast, &mut turning)).await;
        drop(cast);
        match driven {
            Ok(End::Finished | End::Stuck { abandoned: true, .. }) => {}
            _ => return Err(stage.hangs(setting)),
        }
        let mut outcome = stage.outcome(ground).await?;
        outcome.timeline = turning.rows;
        Ok(outcome)
    })
}

/// The version of the API that the engine speaks at most, and we too.
async fn version(ground: &Ground) -> Result<String, LiveError> {
    Ok(connect(ground.socket()).await?.client_version().to_string())
}

/// The engine, the floor and the notes of one trial.
struct Stage {
    floor: Rc<Floor>,
    engine: Rc<DockerEngine>,
    spelling: Rc<RefCell<Spelling>>,
    notes: Rc<Notes>,
    /// So many images were there at the beginning.
    known: u32,
    /// Images of the containers that were.
    contained: Vec<ImageId>,
}

impl Stage {
    /// `gate` is a socket behind the deployer's rules.
    async fn new(
        docker: bollard::Docker,
        gate: &Path,
        floor: Rc<Floor>,
        spelling: Spelling,
    ) -> Result<Self, LiveError> {
        let known = spelling.images();
        let spelling = Rc::new(RefCell::new(spelling));
        let before = DockerEngine::new(docker.clone(), Floor::free(), Rc::clone(&spelling));
        let contained = before.containers().await.map_err(|error| LiveError::Api {
            what: "see what the race begins with".into(),
            why: error.to_string(),
        })?;
        let contained = contained.into_iter().map(|container| container.image).collect();
        let deployer = Deployer { socket: gate.to_owned() };
        let engine = DockerEngine::deploying(docker, Rc::clone(&floor), Rc::clone(&spelling), deployer);
        Ok(Self { floor, engine: Rc::new(engine), spelling, notes: Rc::new(Notes::new()), known, contained })
    }

    fn cast<'a>(
        &self,
        setting: &Setting,
        strategy: &'a dyn Strategy,
        disturb: &Disturb,
    ) -> Result<Cast<'a>, LiveError> {
        let engine: Rc<dyn Engine> = self.engine.clone();
        let journal: Rc<dyn Journal> = self.notes.clone();
        cast(&engine, &self.floor, &journal, setting.race, strategy, Some(disturb))
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
        let fate = fate(&engine, &self.notes, self.known, &self.contained).await;
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

/// Looks up every image that was promised, and those that containers were `contained` of from the beginning. Images from
/// number `known` on were not there then.
pub(super) async fn fate(engine: &dyn Engine, notes: &Notes, known: u32, contained: &[ImageId]) -> Fate {
    let mut fate = Fate::Kept;
    let promised = notes.ready.borrow().clone();
    let refused = notes.refused.borrow().clone();
    for (build, ready) in promised {
        if ready.id.0 >= known {
            fate = fate.max(Fate::Rebuilt);
        }
        // Whose deployment was cut off has let go of its image without a container, and there is nothing to keep.
        if refused.contains(&(build, EngineError::ConnectionLost)) {
            continue;
        }
        if engine.resolve(ready.name).await != Ok(ready.id) {
            fate = fate.max(Fate::LostLater);
        }
    }
    for id in contained {
        if engine.inspect(*id).await.is_err() {
            fate = fate.max(Fate::LostLater);
        }
    }
    for error in notes.failed.borrow().iter() {
        fate = fate.max(if *error == EngineError::ConnectionLost { Fate::Cut } else { Fate::BuildFailed });
    }
    for (_, error) in refused {
        fate = fate.max(if error == EngineError::ConnectionLost { Fate::Cut } else { Fate::Refused });
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
