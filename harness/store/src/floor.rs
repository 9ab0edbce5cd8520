//! Answers: whose turn is it? One await is one turn: an actor asks for the floor, the scheduler grants it,
//! the actor makes one atomic step and asks again. Leaves the choice to `choosers`, and what a step does to
//! the engine and the desk.
//!
//! No runtime is needed and none is excluded: `drive` is a future. In the model it never waits; on a
//! current-thread runtime an actor inside real I/O keeps the floor until it asks again.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::desk::{DeskGuard, DeskState};
use crate::mix::Mix;

/// An actor's place in the cast, and its number in a schedule. At most 64.
pub type Actor = u8;

/// Things that happen once and that others wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A prune pass has taken its list.
    Listed(u8),
    /// A prune pass is over.
    Pruned(u8),
    /// A build is over, ready or failed.
    Built(u8),
    /// The user of a build is done with it.
    Used(u8),
    /// A scenario's own milestone.
    Cue(u8),
}

impl Signal {
    fn bit(self) -> u64 {
        let (kind, n) = match self {
            Signal::Listed(n) => (0, n),
            Signal::Pruned(n) => (1, n),
            Signal::Built(n) => (2, n),
            Signal::Used(n) => (3, n),
            Signal::Cue(n) => (4, n),
        };
        debug_assert!(n < 12, "at most 12 signals of a kind");
        1 << (kind * 12 + n)
    }
}

/// When a turn may be taken.
#[derive(Clone, Copy, Debug)]
pub enum Guard {
    Always,
    Signal(Signal),
    /// A condition on the desk of that number.
    Desk(u8, DeskGuard),
}

/// The floor of one run: who waits for what, who has been granted, what was said.
pub struct Floor {
    /// Without a scheduler every turn whose guard holds is taken at once: that is how a product uses the crate.
    scheduled: bool,
    tracing: bool,
    hashing: bool,
    current: Cell<Actor>,
    granted: Cell<bool>,
    signals: Cell<u64>,
    cancelled: Cell<u64>,
    shielded: Cell<u64>,
    waiting: RefCell<Vec<Option<Waiting>>>,
    /// Per actor, the request it has with the engine: the engine goes on with it when the actor goes away.
    requests: RefCell<Vec<Option<Acting<'static>>>>,
    pub(crate) desks: RefCell<Vec<DeskState>>,
    /// Per actor, a hash of everything it has seen: an actor is a function of that.
    seen: RefCell<Vec<u64>>,
    said: RefCell<String>,
    wakers: RefCell<Vec<Waker>>,
}

struct Waiting {
    guard: Guard,
    /// In the middle of a request: a client that goes away does not stop it (skaffold's cancel stops the
    /// HTTP client only, the daemon completes the DELETE).
    within_request: bool,
}

impl Floor {
    /// A floor for `actors` under a scheduler. `tracing` records what is said, `hashing` what is seen.
    pub fn scheduled(actors: usize, tracing: bool, hashing: bool) -> Rc<Floor> {
        Rc::new(Floor::new(true, actors, tracing, hashing))
    }

    /// A floor without a scheduler: turns are taken when their guards hold.
    pub fn free() -> Rc<Floor> {
        Rc::new(Floor::new(false, 0, false, false))
    }

    fn new(scheduled: bool, actors: usize, tracing: bool, hashing: bool) -> Floor {
        Floor {
            scheduled,
            tracing,
            hashing,
            current: Cell::new(0),
            granted: Cell::new(false),
            signals: Cell::new(0),
            cancelled: Cell::new(0),
            shielded: Cell::new(0),
            waiting: RefCell::new((0..actors).map(|_| None).collect()),
            requests: RefCell::new((0..actors).map(|_| None).collect()),
            desks: RefCell::new(Vec::new()),
            seen: RefCell::new(vec![0; if hashing { actors } else { 0 }]),
            said: RefCell::new(String::new()),
            wakers: RefCell::new(Vec::new()),
        }
    }

    /// Asks for the floor; what follows the await, up to the next one, is one atomic step.
    pub fn turn(&self, guard: Guard) -> Turn<'_> {
        Turn { floor: self, guard: Some(guard), within_request: false }
    }

    /// As `turn`, between two steps of one request to the engine.
    pub fn next_step(&self) -> Turn<'_> {
        Turn { floor: self, guard: Some(Guard::Always), within_request: true }
    }

    /// Has the engine do `work` for the current actor: once its first turn was taken it goes on to its end,
    /// whatever becomes of the actor. For engines whose requests take several turns.
    pub async fn request<T: 'static>(&self, work: impl Future<Output = T> + 'static) -> T {
        if !self.scheduled {
            return work.await;
        }
        let answer = Rc::new(Cell::new(None));
        let slot = answer.clone();
        let request = Box::pin(async move { slot.set(Some(work.await)) });
        self.requests.borrow_mut()[usize::from(self.current.get())] = Some(request);
        std::future::poll_fn(|_| answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Waits until `signal` was raised.
    pub fn wait(&self, signal: Signal) -> Turn<'_> {
        self.turn(Guard::Signal(signal))
    }

    /// Raises `signal`, for good.
    pub fn raise(&self, signal: Signal) {
        self.signals.set(self.signals.get() | signal.bit());
        self.wake();
    }

    /// Whether `signal` was raised.
    pub fn raised(&self, signal: Signal) -> bool {
        let raised = self.signals.get() & signal.bit() != 0;
        self.see(&raised);
        raised
    }

    /// Says what the current step does, for the timeline. Not evaluated when nobody listens.
    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.tracing {
            let mut said = self.said.borrow_mut();
            if !said.is_empty() {
                said.push_str("; ");
            }
            said.push_str(&text());
        }
    }

    /// Records what the current actor has learnt from shared state. Exhaustive search takes two actors with
    /// equal records to be in equal states, so code that reads shared state of its own must call this.
    pub fn see(&self, what: &impl Hash) {
        if self.hashing {
            let mut seen = self.seen.borrow_mut();
            if let Some(slot) = seen.get_mut(usize::from(self.current.get())) {
                let mut mix = Mix::from(*slot);
                what.hash(&mut mix);
                *slot = mix.finish();
            }
        }
    }

    /// The actor that has the floor.
    pub fn current(&self) -> Actor {
        self.current.get()
    }

    /// Cancels `actor`: it is dropped as soon as it is not shielded. A request it has sent goes on.
    pub fn cancel(&self, actor: Actor) {
        self.cancelled.set(self.cancelled.get() | 1 << actor);
    }

    /// Whether the current actor has been cancelled; for shielded code, which must end by itself.
    pub fn is_cancelled(&self) -> bool {
        let cancelled = self.cancelled.get() & (1 << self.current.get()) != 0;
        self.see(&cancelled);
        cancelled
    }

    /// Shields the current actor from being dropped until `unshield`: a drain before exit.
    pub fn shield(&self) {
        self.shielded.set(self.shielded.get() | 1 << self.current.get());
    }

    /// What follows is this actor's; for a floor without a scheduler, which grants nothing.
    pub(crate) fn enter(&self, actor: Actor) {
        self.current.set(actor);
    }

    /// Whether `actor` was cancelled and nothing keeps it.
    pub(crate) fn has_to_go(&self, actor: Actor) -> bool {
        self.cancelled.get() & !self.shielded.get() & (1 << actor) != 0
    }

    /// Ends `shield`.
    pub fn unshield(&self) {
        self.shielded.set(self.shielded.get() & !(1 << self.current.get()));
    }

    pub(crate) fn wake(&self) {
        if !self.scheduled {
            self.wakers.take().into_iter().for_each(Waker::wake);
        }
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Always => true,
            Guard::Signal(signal) => self.signals.get() & signal.bit() != 0,
            Guard::Desk(desk, guard) => {
                self.desks.borrow().get(usize::from(*desk)).is_none_or(|desk| desk.holds(*guard))
            }
        }
    }

    /// Feeds everything that decides the future, apart from the world, into `mix`.
    pub(crate) fn hash(&self, mix: &mut Mix) {
        self.signals.get().hash(mix);
        self.cancelled.get().hash(mix);
        self.shielded.get().hash(mix);
        self.seen.borrow().hash(mix);
        self.desks.borrow().hash(mix);
    }
}

/// A request for the floor.
pub struct Turn<'a> {
    floor: &'a Floor,
    guard: Option<Guard>,
    within_request: bool,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let floor = self.floor;
        if !floor.scheduled {
            if self.guard.as_ref().is_none_or(|guard| floor.holds(guard)) {
                return Poll::Ready(());
            }
            floor.wakers.borrow_mut().push(context.waker().clone());
            return Poll::Pending;
        }
        let actor = usize::from(floor.current.get());
        if let Some(guard) = self.guard.take() {
            let within_request = self.within_request;
            floor.waiting.borrow_mut()[actor] = Some(Waiting { guard, within_request });
            return Poll::Pending;
        }
        if floor.granted.take() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// The actors of a run, as futures; `None` once ended.
pub type Cast<'a> = Vec<Option<Acting<'a>>>;

/// An actor.
pub type Acting<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What a run's observer wants after a turn.
pub enum Next {
    Continue,
    Stop,
}

/// Picks the next actor and looks at what its turn did.
pub trait Conductor {
    /// One of the actors in `enabled` (a bit each), or `None` to end the run here.
    fn choose(&mut self, enabled: u64) -> Option<Actor>;
    /// Called after each turn with what was said.
    fn after(&mut self, actor: Actor, said: String) -> Next;
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Every actor ended (or was cancelled).
    Finished,
    /// Nobody can move, these actors wait; `true` when all of them wait for a signal that a cancelled actor owed.
    Stuck { waiting: u64, abandoned: bool },
    /// The conductor ended it.
    Stopped,
}

/// Runs `cast` on `floor`, one turn at a time, in the conductor's order.
pub async fn drive(floor: &Floor, cast: &mut Cast<'_>, conductor: &mut dyn Conductor) -> End {
    // Up to its first turn an actor does nothing that another could see.
    for actor in 0..cast.len() {
        step(floor, cast, actor).await;
    }
    loop {
        let (mut enabled, mut unfinished, mut abandoned) = (0_u64, 0_u64, true);
        for (actor, future) in cast.iter_mut().enumerate() {
            if goes_away(floor, actor) {
                *future = None;
            }
            if future.is_none() && floor.requests.borrow()[actor].is_none() {
                continue;
            }
            unfinished |= 1 << actor;
            if let Some(waiting) = &floor.waiting.borrow()[actor] {
                if floor.holds(&waiting.guard) {
                    enabled |= 1 << actor;
                } else if !matches!(waiting.guard, Guard::Signal(_)) {
                    abandoned = false;
                }
            }
        }
        if unfinished == 0 {
            return End::Finished;
        }
        if enabled == 0 {
            let abandoned = abandoned && floor.cancelled.get() != 0;
            return End::Stuck { waiting: unfinished, abandoned };
        }
        let Some(actor) = conductor.choose(enabled) else { return End::Stopped };
        floor.waiting.borrow_mut()[usize::from(actor)] = None;
        floor.granted.set(true);
        step(floor, cast, usize::from(actor)).await;
        let said = if floor.tracing { floor.said.take() } else { String::new() };
        if let Next::Stop = conductor.after(actor, said) {
            return End::Stopped;
        }
    }
}

/// Whether an actor is to be dropped; its request, too, when it has not been sent.
fn goes_away(floor: &Floor, actor: usize) -> bool {
    if !floor.has_to_go(u8::try_from(actor).unwrap_or(u8::MAX)) {
        return false;
    }
    if floor.waiting.borrow()[actor].as_ref().is_none_or(|waiting| !waiting.within_request) {
        floor.requests.borrow_mut()[actor] = None;
    }
    true
}

/// Polls one actor, its request first, until it asks for the floor again or ends.
async fn step(floor: &Floor, cast: &mut Cast<'_>, actor: usize) {
    std::future::poll_fn(|context| {
        floor.current.set(u8::try_from(actor).unwrap_or(u8::MAX));
        floor.see(&1_u8);
        loop {
            let request = floor.requests.borrow_mut()[actor].take();
            if let Some(mut request) = request
                && request.as_mut().poll(context).is_pending()
            {
                floor.requests.borrow_mut()[actor] = Some(request);
                return turn_taken(floor, actor);
            }
            let Some(future) = cast[actor].as_mut() else { return Poll::Ready(()) };
            if future.as_mut().poll(context).is_ready() {
                cast[actor] = None;
                return Poll::Ready(());
            }
            // A request just made has its first turn to ask for.
            if floor.requests.borrow()[actor].is_none() {
                return turn_taken(floor, actor);
            }
        }
    })
    .await;
}

/// Over when the actor waits for its next turn; otherwise it waits for the world.
fn turn_taken(floor: &Floor, actor: usize) -> Poll<()> {
    if floor.waiting.borrow()[actor].is_some() { Poll::Ready(()) } else { Poll::Pending }
}
