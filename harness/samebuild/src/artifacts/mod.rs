//! Several artifacts of one file, built by the reference builder only where the image is not there already. What an entry
//! means, what is looked for and when a hit counts are `samebuild_store::artifacts`'; here are the file, the disk, the
//! registry and the builder ([docs/artifacts.md](../../../../docs/artifacts.md)).

mod add;
mod bases;
mod book;
mod building;
mod engine;
mod file;
mod registry;
mod run;
mod workspace;

pub use add::{Added, add};
pub use book::{Disk, Note};
pub use building::{Ears, NotBuilt, Way};
pub use file::{Artifact, Artifacts, FileError, read};
pub use run::{Asked, Done, Failed, Line, run};
