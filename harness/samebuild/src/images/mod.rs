//! Images by name: where FROM finds them (`sources`), where builds put them (`outputs`), and the two places that both know:
//! the store in the cache and registries. What is in an image is `samebuild-image`'s.

pub mod clean;
pub mod named;
pub mod names;
pub mod outputs;
pub mod registry;
pub mod sources;
pub mod store;
pub mod warm;
