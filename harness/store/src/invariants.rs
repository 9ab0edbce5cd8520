//! Answers: has something been promised and not kept? INV1–INV10, watched through what actors report and what
//! the engine in memory does. Leaves when to look (after every turn, and at the end of a run) to `stage`.
//!
//! What is *not* checked: bytes of images, registries, anything two daemons do to each other.

use std::cell::RefCell;
use std::fmt;
use std::hash::Hash;

use crate::engine::EngineError;
use crate::mix::Mix;
use crate::model::World;
use crate::names::{ImageId, Name, Reference, Repository};
use crate::session::{Journal, Milestone, Pass, Ready, Victims};

/// The invariants, in the order in which they are reported when several break in one turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Invariant {
    Inv1 = 1,
    Inv2,
    Inv3,
    Inv4,
    Inv5,
    Inv6,
    Inv7,
    Inv8,
    Inv9,
    Inv10,
}

/// Every invariant with what it claims.
pub const INVARIANTS: [(Invariant, &str); 10] = [
    (Invariant::Inv1, "a ready image can be used by its unique name until it is released"),
    (Invariant::Inv2, "when all is done, every name stands for an image that exists"),
    (Invariant::Inv3, "no image of an existing container is deleted, whatever reference created it"),
    (Invariant::Inv4, "a delete removes no image that is ready and not released"),
    (Invariant::Inv5, "what the artifact cache reports as found exists when it is used"),
    (Invariant::Inv6, "every dead image is deleted in the end"),
    (Invariant::Inv7, "a build has one outcome: ready with an image that exists, or an error"),
    (Invariant::Inv8, "a tag is answered with success only for an image that exists"),
    (Invariant::Inv9, "a pruner deletes only what it listed, and nothing published since"),
    (Invariant::Inv10, "a build ends in an image, with few retries and at most one delete waited for"),
];

/// Retries a build may need before INV10 is broken.
pub const MOST_RETRIES: u8 = 4;

impl Invariant {
    /// What it claims.
    pub fn claim(self) -> &'static str {
        INVARIANTS[self as usize - 1].1
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INV{}", *self as u8)
    }
}

/// A broken promise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Violation {
    pub invariant: Invariant,
    pub detail: Detail,
}

/// What it is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Detail {
    Image(ImageId),
    Name(Name),
    Build(u8),
    BuildFailed(u8, EngineError),
    Refused(u8, EngineError),
    Stuck,
    Endless,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: ", self.invariant, self.invariant.claim())?;
        match self.detail {
            Detail::Image(id) => write!(f, "{id}"),
            Detail::Name(name) => write!(f, "{name}"),
            Detail::Build(build) => write!(f, "build {build}"),
            Detail::BuildFailed(build, error) => write!(f, "build {build} failed: {error}"),
            Detail::Refused(build, error) => write!(f, "the user of build {build} got: {error}"),
            Detail::Stuck => f.write_str("actors wait for each other"),
            Detail::Endless => f.write_str("the run does not end"),
        }
    }
}

/// What was promised so far. The journal of every session in a run, and told by the engine in memory.
#[derive(Default)]
pub struct Ledger(RefCell<Promises>);

#[derive(Default, Hash)]
struct Promises {
    ready: Vec<Promise>,
    ended: u64,
    retries: Vec<(u8, u8)>,
    opening: Vec<(u8, Repository, u8)>,
    victims: Vec<ImageId>,
    pruned: u64,
    new_images: u8,
    deletes: u8,
    reached: u8,
    violation: Option<Violation>,
    /// Reported only when nothing else breaks: it is the shadow of a breach to come.
    suspicion: Option<Violation>,
}

#[derive(Hash)]
struct Promise {
    build: u8,
    id: ImageId,
    name: Name,
    released: bool,
}

/// What a run cost, counted in the model.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Images built although one of equal content had been there.
    pub new_images: u64,
    pub retries: u64,
    pub deletes: u64,
    /// A bit for each `Milestone` reached.
    pub reached: u8,
}

impl Cost {
    /// The milestones reached.
    pub fn milestones(&self) -> impl Iterator<Item = Milestone> {
        let reached = self.reached;
        Milestone::ALL
            .into_iter()
            .map(|(milestone, _)| milestone)
            .filter(move |m| reached & (1 << *m as u8) != 0)
    }

    pub(crate) fn add(&mut self, other: Cost) {
        self.new_images += other.new_images;
        self.retries += other.retries;
        self.deletes += other.deletes;
        self.reached |= other.reached;
    }
}

impl Ledger {
    /// Looks at the state after a turn; the breach, if there is one.
    pub fn check(&self, world: &World) -> Option<Violation> {
        let mut promises = self.0.borrow_mut();
        if world.changed {
            let broken = promises
                .ready
                .iter()
                .find(|ready| !ready.released && world.find(Reference::Name(ready.name)) != Some(ready.id));
            if let Some(name) = broken.map(|ready| ready.name) {
                promises.breach(Invariant::Inv1, Detail::Name(name));
            }
        }
        promises.violation
    }

    /// Looks at the state after the last turn. `passes` are those of which INV6 is expected.
    pub fn check_end(&self, world: &World, passes: &[Pass]) -> Option<Violation> {
        let mut promises = self.0.borrow_mut();
        for (name, id) in &world.names {
            if !world.exists(*id) {
                promises.breach(Invariant::Inv2, Detail::Name(*name));
            }
        }
        for pass in passes.iter().filter(|pass| pass.victims == Victims::Older) {
            if promises.pruned & (1 << pass.number) == 0 {
                continue;
            }
            let kept: Vec<ImageId> = world
                .list(pass.repository)
                .iter()
                .take(usize::from(pass.keep))
                .map(|image| image.id)
                .collect();
            let dead = promises.victims.iter().copied().find(|id| {
                world.exists(*id)
                    && world.names_of(*id).all(|name| name.repository == pass.repository)
                    && !kept.contains(id)
                    && !world.has_container(*id)
                    && !promises.ready.iter().any(|ready| ready.id == *id && !ready.released)
            });
            if let Some(id) = dead {
                promises.breach(Invariant::Inv6, Detail::Image(id));
            }
        }
        promises.violation.or(promises.suspicion)
    }

    /// Records a breach that only the scheduler sees.
    pub fn breach(&self, invariant: Invariant, detail: Detail) {
        self.0.borrow_mut().breach(invariant, detail);
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        let promises = self.0.borrow();
        Cost {
            new_images: u64::from(promises.new_images),
            retries: promises.retries.iter().map(|(_, n)| u64::from(*n)).sum(),
            deletes: u64::from(promises.deletes),
            reached: promises.reached,
        }
    }

    /// Whether any build has been ready.
    pub(crate) fn has_promised(&self) -> bool {
        !self.0.borrow().ready.is_empty()
    }

    pub(crate) fn hash(&self, mix: &mut Mix) {
        self.0.borrow().hash(mix);
    }

    pub(crate) fn built(&self, world: &World, id: ImageId) {
        let content = world.images[id.0 as usize].content;
        let again = world.images.iter().filter(|image| image.content == content).count() > 1;
        self.0.borrow_mut().new_images += u8::from(again);
    }

    pub(crate) fn named(&self, world: &World, name: Name, id: ImageId) {
        if !world.exists(id) {
            self.breach(Invariant::Inv8, Detail::Name(name));
        }
    }

    /// A client's DELETE reaches the engine.
    pub(crate) fn delete_begins(&self, world: &World, id: ImageId) {
        let mut promises = self.0.borrow_mut();
        promises.deletes = promises.deletes.saturating_add(1);
        let published = promises.is_promised(id);
        if published || !promises.victims.contains(&id) {
            promises
                .suspicion
                .get_or_insert(Violation { invariant: Invariant::Inv9, detail: Detail::Image(id) });
        }
        for (_, repository, begun) in &mut promises.opening {
            *begun += u8::from(world.names_of(id).any(|name| name.repository == *repository));
        }
        if let Some((build, ..)) = promises.opening.iter().find(|(.., begun)| *begun > 1).copied() {
            promises.breach(Invariant::Inv10, Detail::Build(build));
        }
    }

    /// An image is deleted in this turn.
    pub(crate) fn deleted(&self, world: &World, id: ImageId) {
        let mut promises = self.0.borrow_mut();
        if world.has_container(id) {
            promises.breach(Invariant::Inv3, Detail::Image(id));
        }
        if promises.is_promised(id) {
            promises.breach(Invariant::Inv4, Detail::Image(id));
        }
    }
}

impl Promises {
    /// The first breach stays, unless a more telling one comes in.
    fn breach(&mut self, invariant: Invariant, detail: Detail) {
        if self.violation.is_none_or(|violation| violation.invariant > invariant) {
            self.violation = Some(Violation { invariant, detail });
        }
    }

    fn is_promised(&self, id: ImageId) -> bool {
        self.ready.iter().any(|ready| ready.id == id && !ready.released)
    }

    fn end(&mut self, build: u8) {
        if self.ended & (1 << build) != 0 {
            self.breach(Invariant::Inv7, Detail::Build(build));
        }
        self.ended |= 1 << build;
    }
}

impl Journal for Ledger {
    fn collected(&self, _pass: u8, victims: &[ImageId]) {
        let known = &mut self.0.borrow_mut().victims;
        known.extend_from_slice(victims);
        known.sort_unstable();
        known.dedup();
    }

    fn pruned(&self, pass: u8) {
        self.0.borrow_mut().pruned |= 1 << pass;
    }

    fn opening(&self, build: u8, repository: Repository) {
        self.0.borrow_mut().opening.push((build, repository, 0));
    }

    fn opened(&self, build: u8) {
        self.0.borrow_mut().opening.retain(|(other, ..)| *other != build);
    }

    fn retried(&self, build: u8) {
        let mut promises = self.0.borrow_mut();
        let retries = match promises.retries.iter_mut().find(|(other, _)| *other == build) {
            Some((_, retries)) => {
                *retries += 1;
                *retries
            }
            None => {
                promises.retries.push((build, 1));
                1
            }
        };
        if retries > MOST_RETRIES {
            promises.breach(Invariant::Inv10, Detail::Build(build));
        }
    }

    fn ready(&self, build: u8, ready: Ready) {
        let mut promises = self.0.borrow_mut();
        promises.end(build);
        promises.ready.push(Promise { build, id: ready.id, name: ready.name, released: false });
    }

    fn failed(&self, build: u8, error: EngineError) {
        let mut promises = self.0.borrow_mut();
        promises.end(build);
        // Nobody can build without a daemon; every other error is the prune's doing.
        if error != EngineError::ConnectionLost {
            promises.breach(Invariant::Inv10, Detail::BuildFailed(build, error));
        }
    }

    fn reached(&self, milestone: Milestone) {
        self.0.borrow_mut().reached |= 1 << milestone as u8;
    }

    fn lost(&self, _build: u8, id: ImageId) {
        self.breach(Invariant::Inv5, Detail::Image(id));
    }

    fn refused(&self, build: u8, error: EngineError) {
        if error != EngineError::ConnectionLost {
            self.breach(Invariant::Inv1, Detail::Refused(build, error));
        }
    }

    fn released(&self, build: u8) {
        let mut promises = self.0.borrow_mut();
        promises
            .ready
            .iter_mut()
            .filter(|ready| ready.build == build)
            .for_each(|ready| ready.released = true);
    }
}
