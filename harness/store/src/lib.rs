//! Answers: does cleaning up old images ever delete the one just built? Images, names and containers behind the
//! trait [`engine::Engine`], ways to prune them, and an explorer that tries the orders in which a pruner, a
//! builder and a deployer can take their turns. And: is the image that some sources would make there already
//! ([`artifacts`])?
//!
//! Leaves real engines, disks and processes to the rim. Nothing here depends on a runtime, reads a clock or
//! draws a random number that was not seeded by the caller.
//!
//! ```
//! use samebuild_store::{choosers::Kind, explore, model::Mode, races, report, stage::Setting, strategies};
//!
//! let setting = Setting { race: races::race("skaffold-9251")?, mode: Mode::Graphdriver, old: 1 };
//! let budget = explore::Budget::first_of(100);
//! let outcome = explore::run(&setting, strategies::strategy("async-by-id")?, Kind::Random, 1, budget);
//! assert!(outcome.first_failing.is_some(), "{}", report::text(&outcome));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod actors;
pub mod artifacts;
pub mod choosers;
pub mod crowd;
pub mod desk;
pub mod engine;
pub mod exhaust;
pub mod explore;
pub mod floor;
pub mod invariants;
mod mix;
pub mod model;
pub mod names;
pub mod plan;
pub mod price;
pub mod races;
pub mod report;
pub mod repro;
pub mod schedule;
pub mod session;
pub mod shrink;
pub mod stage;
pub mod strategies;
pub mod timeline;
