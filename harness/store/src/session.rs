//! Answers: what does an actor of a process have at hand? The engine, the floor, the desks, a journal.
//! Leaves what it does with them to the strategies and actors.

use std::rc::Rc;

use crate::desk::Desk;
use crate::engine::{Engine, EngineError};
use crate::floor::Floor;
use crate::names::{Content, ImageId, Name, Repository};

/// What an actor works with.
#[derive(Clone)]
pub struct Session {
    pub engine: Rc<dyn Engine>,
    pub floor: Rc<Floor>,
    /// Shared by the actors of one process.
    pub desk: Desk,
    /// Shared by all processes of ours on the machine.
    pub machine: Desk,
    pub journal: Rc<dyn Journal>,
}

/// One prune pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Numbers of passes and builds are below 12.
    pub number: u8,
    pub repository: Repository,
    /// How many of the newest images stay.
    pub keep: u8,
    /// The build this pass was started by, if any, and the number of the policy tag that build gives.
    pub build: Option<u8>,
    pub tag: u16,
    pub victims: Victims,
}

/// Where a pass takes its victims from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Victims {
    /// All but the newest `keep` of the repository.
    Older,
    /// The image that the last build replaced (Skaffold's dev loop, #8897).
    Previous(ImageId),
    /// Every image of the engine that is not in use: `image prune --all`.
    Unused,
}

/// One build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    pub number: u8,
    pub content: Content,
    pub repository: Repository,
    /// The number of the policy tag.
    pub tag: u16,
    /// The prune pass this build starts, if any.
    pub pass: Option<u8>,
}

impl Request {
    /// The name the user's tag policy yields.
    pub fn policy_name(&self) -> Name {
        Name::policy(self.repository, self.tag)
    }
}

/// What a build promises: `name` stands for `id` until the build is released.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ready {
    pub id: ImageId,
    pub name: Name,
}

/// What builds, prunes and users of images report. The checker listens in the model; a product may log.
pub trait Journal {
    /// A pass has taken its list of victims.
    fn collected(&self, _pass: u8, _victims: &[ImageId]) {}
    /// A pass has ended by itself.
    fn pruned(&self, _pass: u8) {}
    /// A build asks to begin, and begins.
    fn opening(&self, _build: u8, _repository: Repository) {}
    fn opened(&self, _build: u8) {}
    /// A build starts over because its image was deleted under it.
    fn retried(&self, _build: u8) {}
    /// A build makes its promise, which holds until `released`.
    fn ready(&self, _build: u8, _ready: Ready) {}
    /// A build ends without an image.
    fn failed(&self, _build: u8, _error: EngineError) {}
    /// The artifact cache reports an image as found.
    fn found(&self, _build: u8, _id: ImageId) {}
    /// An image reported as found was gone when it was used.
    fn lost(&self, _build: u8, _id: ImageId) {}
    /// Something that a run must sometimes do, lest a search prove nothing.
    fn reached(&self, _milestone: Milestone) {}
    /// The user of a build's image was refused it.
    fn refused(&self, _build: u8, _error: EngineError) {}
    /// The user of a build's image is done.
    fn released(&self, _build: u8) {}
}

/// Places in the protocol that a search must reach now and then.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Milestone {
    /// A deleter left an image alone because a build uses it.
    SkippedLive,
    /// A deleter left an image alone because of a container or a new name.
    SkippedUsed,
    /// A deleter threw its list away because a build had come and gone.
    ListedAgain,
    /// A build found its image deleted and started over.
    BuiltAgain,
    /// A delete was repeated because its outcome was unknown.
    DeletedAgain,
    /// A deleter that was cancelled waited for the answer to its request.
    Drained,
    /// The artifact cache's image was gone, and it said so.
    CacheMissed,
    /// The artifact cache's image was there, and has its name.
    CacheHit,
}

impl Milestone {
    /// Every milestone with what it means.
    pub const ALL: [(Milestone, &str); 8] = [
        (Milestone::SkippedLive, "left a live image alone"),
        (Milestone::SkippedUsed, "left a used image alone"),
        (Milestone::ListedAgain, "listed again"),
        (Milestone::BuiltAgain, "built again"),
        (Milestone::DeletedAgain, "deleted again"),
        (Milestone::Drained, "drained"),
        (Milestone::CacheMissed, "missed the cache"),
        (Milestone::CacheHit, "hit the cache"),
    ];
}

/// A journal that nobody reads.
pub struct Silent;

impl Journal for Silent {}
