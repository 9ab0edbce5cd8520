//! The cache's own directory: a small file per key that names a manifest, and the blobs. No file is shared by two keys, so
//! any number of builds write at once without a lock; what they write at once is the same.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use samebuild_image::{Digest, Source};

use super::backend::{Backend, BackendError};
use super::blobs::{self, Blobs};
use super::key::Key;

/// The backend that is there without being asked for.
#[derive(Clone, Debug)]
pub struct Local {
    root: PathBuf,
    blobs: Blobs,
}

impl Local {
    /// The one at `root`; nothing is made yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), blobs: Blobs::new(root) }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The file that a key has.
    pub fn entry(&self, key: &Key) -> PathBuf {
        self.root.join("entries").join(key.hex())
    }

    /// Every key, and when its entry was last used or written.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn keys(&self) -> io::Result<Vec<(Key, SystemTime)>> {
        let mut out = Vec::new();
        let entries = match fs::read_dir(self.root.join("entries")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(out),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(Ok(key)) = name.to_str().map(str::parse::<Key>) else { continue };
            // One that was removed meanwhile is not there.
            let Ok(stat) = entry.metadata() else { continue };
            out.push((key, stat.modified()?));
        }
        out.sort();
        Ok(out)
    }

    fn error(&self, what: &str, why: impl std::fmt::Display) -> BackendError {
        BackendError::new(format!("{what} in {}", self.root.display()), why)
    }
}

impl Backend for Local {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let text = match fs::read_to_string(self.entry(key)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&format!("read the entry {key}"), error)),
        };
        let digest: Digest =
            text.trim_end().parse().map_err(|error| self.error(&format!("read the entry {key}"), error))?;
        self.blobs.small(&digest).map(Some)
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError> {
        self.blobs.source(digest, size)
    }

    fn put_blob(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError> {
        self.blobs.put(digest, size, from)
    }

    fn put_manifest(&self, key: &Key, manifest: &[u8]) -> Result<(), BackendError> {
        let digest = self.blobs.put_small(manifest)?;
        let text = format!("{digest}\n");
        blobs::write(&self.entry(key), text.as_bytes())
            .map_err(|error| self.error(&format!("keep the entry {key}"), error))
    }

    fn forget(&self, key: &Key, damaged: &[Digest]) -> Result<(), BackendError> {
        blobs::remove(&self.entry(key))
            .map_err(|error| self.error(&format!("forget the entry {key}"), error))?;
        damaged.iter().try_for_each(|digest| self.blobs.remove(digest))
    }

    fn used(&self, key: &Key) {
        // Only `gc` asks, and only about days.
        let _ = filetime::set_file_mtime(self.entry(key), filetime::FileTime::now());
    }
}
