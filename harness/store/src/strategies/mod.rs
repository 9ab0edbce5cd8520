//! Answers: which ways are there to delete old images while new ones are built? One file each; a row in
//! `STRATEGIES` is its registration, its help text and its place in reports.
//! Leaves the steps that several share to `steps`.

mod async_by_id;
mod by_ref;
mod fence;
mod generation;
mod lease;
mod revalidate;
pub mod steps;
mod sync;

use crate::engine::{Answer, Call};
use crate::floor::Signal;
use crate::names::ImageId;
use crate::session::{Pass, Ready, Request, Session};

pub use async_by_id::AsyncById;
pub use by_ref::ByRef;
pub use fence::Fence;
pub use generation::{Generation, Piece};
pub use lease::Lease;
pub use revalidate::Revalidate;
pub use sync::Sync;

/// A way to prune and to build next to it. Implement it to race your own.
pub trait Strategy: std::marker::Sync {
    /// One prune pass, from taking the list to the last delete.
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()>;
    /// One build, until its image can be promised to its user.
    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>>;
    /// The artifact cache says that `cached` is what `request` would build: its image under its unique name, or
    /// `None` when it is gone. Without a protocol: look, report found, give it its name.
    fn find<'a>(
        &'a self,
        session: &'a Session,
        request: Request,
        cached: ImageId,
    ) -> Call<'a, Answer<Option<Ready>>> {
        Box::pin(async move {
            if let Some(pass) = request.pass {
                session.floor.wait(self.finds_after(pass)).await;
            }
            steps::find_and_name(session, request, cached).await
        })
    }
    /// What `find` waits for when the build has a prune pass: by default that its list was taken.
    fn finds_after(&self, pass: u8) -> Signal {
        Signal::Listed(pass)
    }
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
    Row {
        id: "by-ref",
        about: "delete the listed names without force; every build gives a fresh policy tag",
        expected: Expected::CaughtIn("skaffold-9251"),
        strategy: &ByRef,
    },
    Row {
        id: "revalidate",
        about: "just before each delete, skip the image that the build's tag stands for",
        expected: Expected::CaughtIn("skaffold-9251"),
        strategy: &Revalidate,
    },
    Row {
        id: "fence",
        about: "delete only after the build, and not the image it returned",
        expected: Expected::CaughtIn("overlapping-builds"),
        strategy: &Fence,
    },
    Row {
        id: "lease",
        about: "builds pin their image with a lease tag; the pruner skips leased images",
        expected: Expected::CaughtIn("skaffold-9251"),
        strategy: &Lease,
    },
    Row {
        id: "generation",
        about: "fence by generation, lock each image, verify after the build, drain before exit",
        expected: Expected::Survives,
        strategy: &Generation::WHOLE,
    },
];

/// The row named `id`.
pub fn strategy(id: &str) -> Result<&'static Row, UnknownStrategy> {
    STRATEGIES.iter().find(|row| row.id == id).ok_or_else(|| UnknownStrategy(id.to_owned()))
}

/// No strategy has this name.
#[derive(Debug, thiserror::Error)]
#[error("find the strategy `{0}`; there are {list}", list = names())]
pub struct UnknownStrategy(String);

fn names() -> String {
    STRATEGIES.iter().map(|row| row.id).collect::<Vec<_>>().join(", ")
}
