//! By which rules a step is known. A family: [`Keys`] and the table [`KEYS`]. Ours is what is used; the others are there to
//! be shown wrong (`docs/cache.md`).

mod kaniko;

use samebuild_dockerfile::Instruction;

use super::flaws::Flaw;
use super::key::{Key, Parts};
use super::parts;
use crate::session::Session;
use crate::stage::Stage;

/// What a key is taken of.
pub struct Facts<'f> {
    pub(crate) stage: &'f Stage,
    pub(crate) session: &'f Session<'f>,
    pub(crate) node: &'f Instruction,
    /// Everything the step's result depends on; none for a step whose result nobody keeps.
    pub(crate) parts: Option<&'f Parts>,
}

/// A way to take keys.
pub struct Keys {
    /// As `--cache-keys` takes it.
    pub name: &'static str,
    pub about: &'static str,
    /// Whether results of such an instruction are kept.
    pub keeps: fn(&Instruction) -> bool,
    /// What an instruction leaves for the keys of those after it.
    pub writes: fn(&Facts<'_>) -> Vec<String>,
    pub key: fn(&Facts<'_>) -> Key,
    /// What goes wrong besides.
    pub flaws: &'static [Flaw],
}

/// What is used unless something else is asked for.
pub const OURS: Keys = Keys {
    name: "ours",
    about: "everything the result depends on, each part with its length",
    keeps: parts::is_kept,
    writes: |_| Vec::new(),
    key: |facts| facts.parts.map_or_else(|| Parts::default().key(), Parts::key),
    flaws: &[],
};

/// Every way there is.
pub const KEYS: [&Keys; 7] = [
    &OURS,
    &kaniko::Y2018_09,
    &kaniko::Y2019_01,
    &kaniko::Y2019_05,
    &kaniko::Y2021_12,
    &kaniko::HEAD,
    &kaniko::HEAD_SINGLE_SNAPSHOT,
];
