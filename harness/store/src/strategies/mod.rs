//! Answers: which ways are there to delete old images while new ones are built? One file each; a row in
//! `STRATEGIES` is its registration, its help text and its place in reports.
//! Leaves the steps that several share to `steps`.

mod async_by_id;
pub mod steps;
mod sync;

use crate::engine::{Answer, Call};
use crate::session::{Pass, Ready, Request, Session};

pub use async_by_id::AsyncById;
pub use sync::Sync;

/// A way to prune and to build next to it. Implement it to race your own.
pub trait Strategy: std::marker::Sync {
    /// One prune pass, from taking the list to the last delete.
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()>;
    /// One build, until its image can be promised to its user.
    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>>;
}

/// What is known of a strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Loses images in this race: a run that does not catch it is a failure of the explorer.
    CaughtIn(&'static str),
    /// Loses nothing.
    Survives,
}

/// A strategy with its name.
pub struct Row {
    pub id: &'static str,
    pub about: &'static str,
    pub expected: Expected,
    pub strategy: &'static dyn Strategy,
}

/// Every strategy.
pub const STRATEGIES: &[Row] = &[
    Row {
        id: "async-by-id",
        about: "delete the listed image IDs with force while the build runs (Skaffold v2.7.1)",
        expected: Expected::CaughtIn("skaffold-9251"),
        strategy: &AsyncById,
    },
    Row {
        id: "sync",
        about: "list and delete before the build starts; the build waits for the whole prune",
        expected: Expected::Survives,
        strategy: &Sync,
    },
];

/// The row named `id`.
pub fn strategy(id: &str) -> Result<&'static Row, UnknownStrategy> {
    STRATEGIES.iter().find(|row| row.id == id).ok_or_else(|| UnknownStrategy(id.to_owned()))
}

/// No strategy has this name.
#[derive(Debug, thiserror::Error)]
#[error("no strategy `{0}`; there are {list}", list = names())]
pub struct UnknownStrategy(String);

fn names() -> String {
    STRATEGIES.iter().map(|row| row.id).collect::<Vec<_>>().join(", ")
}
