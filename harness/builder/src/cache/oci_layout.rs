//! An OCI image layout as a cache: each entry an image in the index, tagged with its key, so that any tool that copies
//! layouts carries the cache along. The index is one file; it is read and replaced under a lock.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::manifest::{Descriptor, Index, Media, Role};
use samebuild_image::{Digest, Source, layout};

use super::backend::{Backend, BackendError};
use super::blobs::{self, Blobs};
use super::key::Key;

const NAME: &str = "org.opencontainers.image.ref.name";

/// A layout in a directory.
#[derive(Clone, Debug)]
pub struct OciLayout {
    root: PathBuf,
    blobs: Blobs,
}

impl OciLayout {
    /// The one at `root`; nothing is made yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), blobs: Blobs::new(root) }
    }

    fn index(&self) -> Result<Index, BackendError> {
        let path = self.root.join("index.json");
        let what = || format!("read {}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| BackendError::new(what(), error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index {
                schema_version: 2,
                media_type: Role::Index.media_type(Media::Oci).to_owned(),
                manifests: Vec::new(),
            }),
            Err(error) => Err(BackendError::new(what(), error)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<(), BackendError> {
        let failed = |error: io::Error| BackendError::new(format!("change {}", self.root.display()), error);
        fs::create_dir_all(&self.root).map_err(failed)?;
        let lock = File::create(self.root.join(".lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut index = self.index()?;
        change(&mut index.manifests);
        let bytes = serde_json::to_vec(&index).map_err(|error| failed(error.into()))?;
        if !self.root.join("oci-layout").exists() {
            blobs::write(&self.root.join("oci-layout"), layout::LAYOUT_VERSION).map_err(failed)?;
        }
        blobs::write(&self.root.join("index.json"), &bytes).map_err(failed)
    }
}

impl Backend for OciLayout {
    fn name(&self) -> String {
        format!("oci:{}", self.root.display())
    }

    fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let hex = key.hex();
        let index = self.index()?;
        let entry = index.manifests.iter().find(|entry| entry.annotations.get(NAME) == Some(&hex));
        entry.map(|entry| self.blobs.small(&entry.digest)).transpose()
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError> {
        self.blobs.source(digest, size)
    }

    fn put_blob(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError> {
        self.blobs.put(digest, size, from)
    }

    fn put_manifest(&self, key: &Key, manifest: &[u8]) -> Result<(), BackendError> {
        let digest = self.blobs.put_small(manifest)?;
        let mut entry = Descriptor {
            media_type: Role::Manifest.media_type(Media::Oci).to_owned(),
            digest,
            size: manifest.len() as u64,
            platform: None,
            annotations: Default::default(),
        };
        entry.annotations.insert(NAME.to_owned(), key.hex());
        self.change(|all| {
            all.retain(|old| old.annotations.get(NAME) != entry.annotations.get(NAME));
            all.push(entry);
        })
    }

    fn forget(&self, key: &Key, damaged: &[Digest]) -> Result<(), BackendError> {
        let hex = key.hex();
        self.change(|all| all.retain(|old| old.annotations.get(NAME) != Some(&hex)))?;
        damaged.iter().try_for_each(|digest| self.blobs.remove(digest))
    }
}
