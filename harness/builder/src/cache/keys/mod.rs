//! By which rules a step is known. A family: [`Keys`] and the table [`KEYS`]. Ours is what is used.

use super::key::{Key, Parts};

/// What a key is taken of.
pub struct Facts<'f> {
    /// Everything the step's result depends on.
    pub parts: &'f Parts,
}

/// A way to take keys.
pub struct Keys {
    /// As `--cache-keys` takes it.
    pub name: &'static str,
    pub about: &'static str,
    pub key: fn(&Facts<'_>) -> Key,
}

/// What is used unless something else is asked for.
pub const OURS: Keys = Keys {
    name: "ours",
    about: "everything the result depends on, each part with its length",
    key: |facts| facts.parts.key(),
};

/// Every way there is.
pub const KEYS: [&Keys; 1] = [&OURS];
