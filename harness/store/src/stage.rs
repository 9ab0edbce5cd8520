//! Answers: what happens in one run of a race under one order of turns? Builds the engine in memory, the actors
//! and the ledger, drives them, and looks for broken promises after every turn and at the end.
//! Leaves which orders to try to `explore`.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::actors;
use crate::artifacts::Memory;
use crate::desk::Desk;
use crate::floor::{Acting, Actor, Cast, Conductor, End, Floor, Next, Signal, drive};
use crate::invariants::{Cost, Detail, Invariant, Ledger, Violation};
use crate::mix::Mix;
use crate::model::{Mode, ModelEngine, World};
use crate::races::{Race, Role};
use crate::session::{Pass, Session};
use crate::strategies::Strategy;
use crate::timeline::Row;

/// A run that takes more turns than this does not end.
pub const MOST_TURNS: usize = 20_000;

/// What is raced: a race in an engine of some kind with some number of old images.
#[derive(Clone, Copy)]
pub struct Setting {
    pub race: &'static Race,
    pub mode: Mode,
    pub old: u8,
}

impl Setting {
    /// The engine at the start.
    pub fn world(&self) -> World {
        let mut world = World::new(self.mode);
        (self.race.setup)(&mut world, self.old);
        world
    }

    fn passes(&self) -> Vec<Pass> {
        let passes = self.race.cast.iter().filter_map(|part| match part.role {
            Role::Prune(pass) => Some(pass),
            _ => None,
        });
        passes.collect()
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub turns: Vec<Actor>,
    pub end: End,
    /// What broke, and after which turn (from 1).
    pub violated: Option<(Violation, usize)>,
    pub cost: Cost,
    /// Empty unless asked for.
    pub timeline: Vec<Row>,
}

/// Where a run takes its next actor from. `None` ends it.
pub type Choose<'a> = &'a mut dyn FnMut(u64, &Stage) -> Option<Actor>;

/// One run in progress.
pub struct Stage {
    pub(crate) floor: Rc<Floor>,
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) ledger: Rc<Ledger>,
    /// Of those who ask the artifact cache, one each.
    books: RefCell<Vec<Rc<Memory>>>,
}

/// Runs `setting` under `strategy` in the order that `choose` gives. `world` is `setting.world()`.
pub fn run(setting: &Setting, strategy: &dyn Strategy, world: World, look: Look, choose: Choose<'_>) -> Run {
    let floor = Floor::scheduled(setting.race.cast.len(), look.tracing, look.hashing);
    let stage = Stage {
        floor,
        world: Rc::new(RefCell::new(world)),
        ledger: Rc::new(Ledger::default()),
        books: RefCell::default(),
    };
    // The actors borrow the strategy: they live no longer than this call.
    let mut cast = stage.cast(setting, strategy);
    let mut turning = Turning {
        stage: &stage,
        setting,
        tracing: look.tracing,
        choose,
        turns: Vec::new(),
        rows: Vec::new(),
        violated: None,
    };
    // An actor that awaits anything but a turn would wait for ever in memory.
    let end = now(drive(&stage.floor, &mut cast, &mut turning));
    let end = end.unwrap_or(End::Stuck { waiting: 1 << stage.floor.current(), abandoned: false });
    let Turning { turns, mut rows, mut violated, .. } = turning;
    if violated.is_none() {
        violated = stage.last_look(setting, end).map(|violation| (violation, turns.len()));
        if let Some(row) = rows.last_mut() {
            row.breaks = violated.map(|(violation, _)| violation);
        }
    }
    Run { turns, end, violated, cost: stage.ledger.cost(), timeline: rows }
}

/// What a run records on the way.
#[derive(Clone, Copy, Default)]
pub struct Look {
    /// The timeline.
    pub tracing: bool,
    /// The state of each actor, for `Stage::state`.
    pub hashing: bool,
}

impl Stage {
    fn cast<'a>(&self, setting: &Setting, strategy: &'a dyn Strategy) -> Cast<'a> {
        let engine = Rc::new(ModelEngine::new(self.floor.clone(), self.world.clone(), self.ledger.clone()));
        let machine = Desk::new(&self.floor);
        let mut desks: Vec<(u8, Desk)> = Vec::new();
        let mut outcomes: Vec<(u8, actors::Outcome)> = Vec::new();
        let mut cast: Cast<'a> = Vec::with_capacity(setting.race.cast.len());
        for part in setting.race.cast {
            let session = Session {
                engine: engine.clone(),
                floor: self.floor.clone(),
                desk: entry(&mut desks, part.process, || Desk::new(&self.floor)),
                machine: machine.clone(),
                journal: self.ledger.clone(),
            };
            let acting: Acting<'a> = match part.role {
                Role::Prune(pass) => Box::pin(actors::pruner(session, strategy, pass)),
                Role::Build(request) => {
                    let outcome = entry(&mut outcomes, request.number, Default::default);
                    Box::pin(actors::builder(session, strategy, request, outcome))
                }
                Role::Find(request, cached) => {
                    let outcome = entry(&mut outcomes, request.number, Default::default);
                    let book = Memory::of(request.content, cached);
                    self.books.borrow_mut().push(book.clone());
                    Box::pin(actors::finder(session, strategy, book.cache(), request, outcome))
                }
                Role::Deploy { build } => {
                    let outcome = entry(&mut outcomes, build, Default::default);
                    Box::pin(actors::deployer(session, build, outcome))
                }
                Role::Cancel(actors) => Box::pin(actors::canceller(session, actors)),
                Role::Restart => {
                    let engine = engine.clone();
                    Box::pin(async move { engine.restart().await })
                }
            };
            cast.push(Some(match part.after {
                None => acting,
                Some(signal) => Box::pin(after(self.floor.clone(), signal, acting)),
            }));
        }
        cast
    }

    /// A number for the state of everything that decides what can still happen. Needs `Look::hashing`.
    pub fn state(&self) -> u64 {
        let mut mix = Mix::from(0);
        self.floor.hash(&mut mix);
        self.world.borrow().hash(&mut mix);
        self.ledger.hash(&mut mix);
        self.books.borrow().iter().for_each(|book| book.mix_into(&mut mix));
        mix.finish()
    }

    fn last_look(&self, setting: &Setting, end: End) -> Option<Violation> {
        match end {
            End::Stopped => return self.ledger.check(&self.world.borrow()),
            End::Stuck { abandoned: true, .. } | End::Finished => {}
            End::Stuck { abandoned: false, .. } => self.ledger.breach(Invariant::Inv10, Detail::Stuck),
        }
        self.ledger.check_end(&self.world.borrow(), &setting.passes())
    }
}

async fn after(floor: Rc<Floor>, signal: Signal, acting: Acting<'_>) {
    floor.wait(signal).await;
    floor.say(|| "begins".into());
    acting.await;
}

fn entry<T: Clone>(table: &mut Vec<(u8, T)>, key: u8, new: impl FnOnce() -> T) -> T {
    if let Some((_, value)) = table.iter().find(|(other, _)| *other == key) {
        return value.clone();
    }
    let value = new();
    table.push((key, value.clone()));
    value
}

struct Turning<'a, 'b> {
    stage: &'a Stage,
    setting: &'a Setting,
    tracing: bool,
    choose: Choose<'b>,
    turns: Vec<Actor>,
    rows: Vec<Row>,
    violated: Option<(Violation, usize)>,
}

impl Conductor for Turning<'_, '_> {
    fn choose(&mut self, enabled: u64) -> Option<Actor> {
        if self.violated.is_none() {
            return (self.choose)(enabled, self.stage);
        }
        // After a breach only the users of images move on, to show what it does to them.
        let users = (0_u8..).zip(self.setting.race.cast);
        let mut users = users.filter(|(_, part)| matches!(part.role, Role::Deploy { .. }));
        users.find(|(actor, _)| enabled & (1 << actor) != 0).map(|(actor, _)| actor)
    }

    fn after(&mut self, actor: Actor, said: String) -> Next {
        self.turns.push(actor);
        let turn = self.turns.len();
        if self.violated.is_none() {
            if turn >= MOST_TURNS {
                self.stage.ledger.breach(Invariant::Inv10, Detail::Endless);
            }
            let violation = self.stage.ledger.check(&self.stage.world.borrow());
            self.violated = violation.map(|violation| (violation, turn));
            self.stage.world.borrow_mut().changed = false;
        }
        if self.tracing {
            let text = if said.is_empty() { "goes on".into() } else { said };
            let breaks = self.violated.filter(|(_, at)| *at == turn).map(|(violation, _)| violation);
            let actor = self.setting.race.cast[usize::from(actor)].name;
            self.rows.push(Row { turn, actor, text, breaks });
        }
        if turn >= MOST_TURNS { Next::Stop } else { Next::Continue }
    }
}

/// A future that is not to wait for the world, polled once.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
