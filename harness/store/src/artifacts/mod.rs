//! Answers: is the image that these sources would make there already? The artifact cache: from what a build depends on
//! (a [`Key`]) to the image it made, by ID and by digest. A hit is looked for in [`look`], and verified when it is used
//! in [`make`]; several artifacts with dependencies are [`all`]'s.
//!
//! Leaves how sources are read, where entries are kept, and what a registry says to the traits here; which images a
//! pruner may delete meanwhile to the strategy. The race `found-then-pruned` runs exactly this.

pub mod all;
mod key;
mod look;
mod make;
mod memory;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use crate::engine::{Call, EngineError};
use crate::names::{Content, ImageId, Name, Repository};

pub use key::{File, Key, Kind, Recipe, required, workspace};
pub use look::{Looked, State, Why, look};
pub use make::{How, Kept, Made, make};
pub use memory::Memory;

/// A manifest's digest, as a registry knows an image. A symbol, as [`ImageId`] is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ManifestId(pub u32);

/// What is remembered of an image: at least one of the two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Entry {
    /// What the engine calls it.
    pub id: Option<ImageId>,
    /// What registries call it, once it was pushed.
    pub digest: Option<ManifestId>,
}

/// What is asked before an artifact is built.
#[derive(Clone)]
pub struct Cache {
    pub book: Rc<dyn Book>,
    pub sources: Rc<dyn Sources>,
    /// Where images are to end up, if that is not the engine. Nobody else asks a registry.
    pub registry: Option<Rc<dyn Registry>>,
    /// `--cache-artifacts`. Without it nothing is read, and nothing written.
    pub on: bool,
}

/// The entries, kept somewhere that several processes share.
pub trait Book {
    /// What is known of `key`.
    fn read(&self, key: Key) -> Call<'_, Result<Option<Entry>, Trouble>>;
    /// Remembers. Visible to others whole or not at all.
    fn write(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>>;
    /// Forgets `key` if it still says `entry`: another process may have built meanwhile.
    fn forget(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>>;
}

/// What artifacts are made of, as it is now.
pub trait Sources {
    /// Reads all that `content` depends on, required artifacts included.
    fn hash(&self, content: Content) -> Call<'_, Result<Hashed, Trouble>>;
}

/// A registry, asked for remote targets only. It is never asked for a list.
pub trait Registry {
    /// What the name stands for there; `None` if for nothing.
    fn digest(&self, name: Name) -> Call<'_, Result<Option<ManifestId>, Trouble>>;
    /// Whether the repository has that manifest, whatever its names.
    fn has(&self, repository: Repository, manifest: ManifestId) -> Call<'_, Result<bool, Trouble>>;
    /// Gives a manifest that is there a name; whether it was still there.
    fn tag(&self, manifest: ManifestId, name: Name) -> Call<'_, Result<bool, Trouble>>;
    /// Sends an image of the engine there.
    fn push(&self, id: ImageId, name: Name) -> Call<'_, Result<ManifestId, Trouble>>;
}

/// What sources hashed to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hashed {
    pub key: Key,
    /// Of what shows that files were touched although they are as before: an edit during a build, taken back.
    pub witness: u64,
}

/// Why something besides the engine did not do what was asked. Fits after "failed to".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// Why there is no image.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MakeError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Registry(#[from] Trouble),
}
