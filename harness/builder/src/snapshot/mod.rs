//! What a RUN changed. The upper directory of its overlay is read once, and a [`LayerForm`] says how it is written down.
//! A `Snapshotter` that decides by what it can see of the files, as kaniko's do, looks through a [`probe::Probe`].

pub mod probe;
mod upper;
pub mod walk;

pub use probe::{Clear, Lens};
pub use upper::{SnapshotError, read_upper};
pub use walk::{SNAPSHOTTERS, Snapshotter};
