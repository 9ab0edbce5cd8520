//! Answers: what would a container engine do? An engine in memory, split into turns at the places where the
//! real daemons were measured not to be atomic. Leaves judging what it did to `invariants`.
//!
//! Two modes: `Graphdriver` (dockerd with overlay2) and `Containerd` (dockerd with the containerd image store).

mod build;
mod delete;
mod engine;
mod prune;
mod world;

pub use engine::ModelEngine;
pub use world::{Mode, World};
