//! Who is measured beside the reference, as a family: a trait and the table [`PEERS`]. Each builds a workload cold, and says
//! what that cost; who is not here says why.

mod buildah;
mod docker;
mod kaniko;

use std::path::Path;

use anyhow::Result;

use super::cost::Cost;
use crate::bases::Base;
use crate::engines::Engine;

/// A builder that is not ours.
pub trait Peer {
    /// As goals call it.
    fn id(&self) -> &'static str;

    /// Whose image it makes, where a dialect is for that.
    fn dialect(&self) -> Option<&str>;

    /// Builds, nothing cached.
    ///
    /// # Errors
    /// The build fails, or the builder breaks.
    fn build(&self, context: &Path) -> Result<Cost>;

    /// Builds with whatever the last such build left; `None` if it keeps nothing without help.
    ///
    /// # Errors
    /// As [`Peer::build`].
    fn rebuild(&self, _context: &Path) -> Option<Result<Cost>> {
        None
    }
}

/// What peers are made from.
pub struct Means<'a> {
    pub engine: Option<&'a Engine>,
    /// The dialects of the engine's builders, by the builder.
    pub dialects: &'a [(String, String)],
    pub base: &'a Base,
    /// Scratch space.
    pub room: &'a Path,
}

/// A kind of peer.
pub struct Row {
    pub id: &'static str,
    /// Makes one, or says what it lacks.
    pub open: for<'a> fn(&'a Means<'a>) -> Result<Box<dyn Peer + 'a>, String>,
}

/// Every peer.
pub const PEERS: &[Row] = &[
    Row { id: "classic", open: |means| docker::open(means, crate::engines::Builder::Classic) },
    Row { id: "buildkit", open: |means| docker::open(means, crate::engines::Builder::BuildKit) },
    Row { id: "buildah", open: |means| buildah::open(means) },
    Row { id: "kaniko", open: |means| kaniko::open(means) },
];

/// Who is here, and why the others are not.
pub struct Found<'a> {
    pub peers: Vec<Box<dyn Peer + 'a>>,
    pub absent: Vec<(String, String)>,
}

/// Opens all that can be opened.
#[must_use]
pub fn found<'a>(means: &'a Means<'a>) -> Found<'a> {
    let mut found = Found { peers: Vec::new(), absent: Vec::new() };
    for row in PEERS {
        match (row.open)(means) {
            Ok(peer) => found.peers.push(peer),
            Err(why) => found.absent.push((row.id.to_owned(), why)),
        }
    }
    found
}
