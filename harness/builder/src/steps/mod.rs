//! What each instruction does to a stage. A step asks the dialect for a decision, never for its name.

pub mod container;
pub mod copy;
pub mod identity;
pub mod metadata;
pub mod mounts;
pub mod run;
pub(crate) mod surroundings;
pub mod transfer;
pub mod workdir;
