//! Cases: a directory with a Dockerfile, a build context and (mostly) a `case.toml`. Reading them, finding every
//! contradiction in them, and making their context in memory. What a builder makes of a case, and whether that is what
//! it says, is not here.
//!
//! `dockerfiles/README.md` is the format on one page.

mod archive;
mod case;
mod check;
mod config;
mod context;
mod corpus;
mod dialects;
mod entry;
mod format;
pub(crate) mod glob;
pub(crate) mod gnu_tar;
mod id;
mod ignores;
mod load;
mod problem;
mod seeded;
mod serve;
mod tar_out;
mod values;

pub use case::{
    Build, Case, Cause, Expect, Known, Need, Network, Outcome, Outside, Secret, Under, Underway, Volatile,
};
pub use config::configure;
pub(crate) use context::plant;
pub use context::{CONTEXT_EPOCH, as_sent};
pub use corpus::{Corpus, load_corpus};
pub use dialects::{DIALECTS, Vocabulary, matches as dialect_matches};
pub(crate) use format::EntryToml;
pub use id::CaseId;
pub use ignores::read_ignores;
pub use load::{load, load_one};
pub use problem::CaseError;
pub(crate) use problem::{Problem, Text};
pub(crate) use seeded::splitmix64;
pub use tar_out::{context_tar, shuffled_context_tar, write_context_tar};
pub(crate) use values::Stamp;
