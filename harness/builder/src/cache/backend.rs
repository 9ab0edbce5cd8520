//! Where the cache's entries are kept: small things under a key, blobs under their digest. A family: this trait, with
//! directories in `local` and `oci_layout`, and registries at the rim. What an entry is made of is `entry`'s affair, so
//! the same bytes lie in all of them.

use std::path::Path;
use std::sync::Arc;

use samebuild_image::{Digest, Source};

use super::key::Key;

/// One place.
pub trait Backend: Send + Sync {
    /// What to call it: a directory, a repository.
    fn name(&self) -> String;

    /// The manifest kept under the key, verified; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be reached, or what is there is damaged.
    fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError>;

    /// A blob. Its bytes may be fetched only when they are read, and whoever reads them verifies them.
    ///
    /// # Errors
    /// It is known not to be there, or not to have that size.
    fn blob(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError>;

    /// Keeps the file at `from`, which has that digest and size. One that is there already stays as it is.
    ///
    /// # Errors
    /// Not all of it could be kept; then none of it is.
    fn put_blob(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError>;

    /// Keeps a manifest under a key, whatever was there, when all its blobs are kept: from now on it is found.
    ///
    /// # Errors
    /// It could not be kept; then what was there before is found.
    fn put_manifest(&self, key: &Key, manifest: &[u8]) -> Result<(), BackendError>;

    /// Forgets what is kept under the key, if anything is, and blobs that turned out to be damaged.
    ///
    /// # Errors
    /// It would be found again.
    fn forget(&self, key: &Key, damaged: &[Digest]) -> Result<(), BackendError>;

    /// That an entry was used, for whoever asks which were not. Nothing depends on it.
    fn used(&self, _key: &Key) {}

    /// Whether it is on this machine, and asking it costs nothing worth mentioning.
    fn is_near(&self) -> bool {
        true
    }
}

/// Why something could not be kept or had; fits after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {why}")]
pub struct BackendError {
    pub what: String,
    pub why: String,
}

impl BackendError {
    /// With a reason that is an error.
    pub fn new(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}
