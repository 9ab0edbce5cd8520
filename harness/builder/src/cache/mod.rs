//! The layer cache: what a step made is kept under a key of everything its result depends on, and stands in for the step
//! when that comes again. Never wrong before fast: a key leaves out only what no file of the result shows.
//!
//! Taking keys is `parts` over `key`, `base` and `files`; what is kept is `entry`, `fixes` and `listing`; where, `backend` with
//! `local` and `oci_layout` (registries are the rim's); keeping it `upload`, and a build's way through it `turn`, `unread`,
//! `named` and `behind`; whether it is what it says, `check`.

pub mod backend;
pub mod base;
mod behind;
mod blobs;
mod check;
pub mod entry;
mod files;
mod fixes;
pub mod flaws;
pub mod gc;
pub mod journal;
pub mod key;
pub mod keys;
mod listing;
pub mod local;
mod meta;
pub(crate) mod named;
pub mod oci_layout;
pub mod parts;
pub mod turn;
pub(crate) mod unread;
pub mod upload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use samebuild_image::{Compression, Digest, Source};

pub use backend::{Backend, BackendError};
pub use blobs::Blobs;
pub use journal::Journal;
pub use key::{Key, Part, Parts};
pub use local::Local;
pub use oci_layout::OciLayout;
pub use unread::Damaged;

/// Where results are looked for and kept, and by which rules.
pub struct LayerCache {
    /// Asked in this order; the first that has it is believed.
    pub from: Vec<Arc<dyn Backend>>,
    /// What is not found is kept in all of these.
    pub to: Vec<Arc<dyn Backend>>,
    /// Entries that are older, in seconds, count as not there.
    pub ttl: Option<u64>,
    /// Whether times of files count.
    pub times: Times,
    /// What a step is known by.
    pub keys: &'static keys::Keys,
    /// What time it is, in seconds since 1970.
    pub now: i64,
    /// Whether the caller wants every layer's entries; else those of layers that nobody needed stay unread, and only their
    /// stored bytes are there.
    pub whole: bool,
}

/// Locks, whoever panicked while holding it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LayerCache {
    /// One place, and our own rules.
    pub fn at(place: Arc<dyn Backend>) -> Self {
        Self {
            from: vec![Arc::clone(&place)],
            to: vec![place],
            ttl: None,
            times: Times::Kept,
            keys: &keys::OURS,
            now: crate::context::clock_seconds(),
            whole: false,
        }
    }

    /// Whether an entry of that time counts as not there.
    pub fn is_too_old(&self, created: i64) -> bool {
        let age = u64::try_from(self.now.saturating_sub(created)).unwrap_or(0);
        self.ttl.is_some_and(|ttl| age > ttl)
    }
}

/// Whether times of files count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// They do: an image has them, and a command can look at them. A fresh checkout finds nothing.
    #[default]
    Kept,
    /// They do not, as for Docker: what is found may have the times of another checkout.
    PassedOver,
}

/// What the cache had to do with a build.
#[derive(Default)]
pub struct Used {
    /// Each step that could be kept, in order.
    pub looked: Vec<Looked>,
    /// What went wrong, a sentence each, fit after "failed to"; no build fails for it.
    pub warnings: Vec<String>,
    /// New layers by the digest of their tar, packed as they are kept.
    pub packed: BTreeMap<Digest, (Arc<dyn Source>, Compression)>,
    /// How many entries were kept, in all places together.
    pub kept: usize,
}

impl std::fmt::Debug for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Used").field("looked", &self.looked).field("warnings", &self.warnings).finish()
    }
}

impl Used {
    /// How many steps were found.
    pub fn found(&self) -> usize {
        self.looked.iter().filter(|looked| matches!(looked.fate, Fate::Found(_))).count()
    }

    /// That, of how many, as a line for people.
    pub fn told(&self) -> String {
        format!("{} of {} steps found in the cache", self.found(), self.looked.len())
    }
}

/// A step that could be kept.
#[derive(Clone)]
pub struct Looked {
    /// From 1, over all stages.
    pub number: usize,
    /// In the Dockerfile, from 1.
    pub line: usize,
    pub text: String,
    pub key: Option<Key>,
    pub parts: Option<Parts>,
    pub fate: Fate,
}

impl std::fmt::Debug for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?} {:?}", self.number, self.text, self.fate)
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was found in this place.
    Found(String),
    /// It was carried out, and is being kept.
    CarriedOut,
    /// It was carried out and is not kept; why.
    Unkept(String),
}
