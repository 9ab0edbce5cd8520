//! A repository as a place for the layer cache: each entry an image tagged with its key. A look costs a manifest and a small
//! configuration; a layer is fetched when somebody reads it, into the local store's blobs.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures_util::{StreamExt as _, stream};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OciDescriptor;
use oci_client::{Reference, RegistryOperation};
use samebuild_builder::cache::{Backend, BackendError, Blobs, Key};
use samebuild_image::manifest::{Media, Role};
use samebuild_image::{Digest, Source};
use tokio::runtime::Runtime;

use super::retry::patiently;
use super::{Registry, RegistryError, runtime};
use crate::images::names;

/// One repository.
pub struct InRegistry(Arc<Repository>);

struct Repository {
    registry: Registry,
    runtime: Runtime,
    reference: Reference,
    /// Where fetched layers are kept.
    blobs: Blobs,
    pulls: OnceLock<()>,
    pushes: OnceLock<()>,
}

impl InRegistry {
    /// The repository of that name; nothing is sent yet.
    ///
    /// # Errors
    /// It is no name; the text says why.
    pub fn open(name: &str, blobs: &Blobs) -> Result<Self, String> {
        let reference = names::parse(name)?;
        let registry = Registry::of(&reference).map_err(|error| error.to_string())?;
        let repository = Repository {
            runtime: runtime().map_err(|error| error.to_string())?,
            registry,
            reference,
            blobs: blobs.clone(),
            pulls: OnceLock::new(),
            pushes: OnceLock::new(),
        };
        Ok(Self(Arc::new(repository)))
    }
}

impl Repository {
    fn name(&self) -> String {
        format!("{}/{}", self.reference.registry(), self.reference.repository())
    }

    fn tagged(&self, key: &Key) -> Reference {
        let (registry, repository) = (self.reference.registry(), self.reference.repository());
        Reference::with_tag(registry.to_owned(), repository.to_owned(), key.hex())
    }

    fn explain(&self, what: String, error: &OciDistributionError) -> RegistryError {
        self.registry.explain(what, &self.reference, error)
    }

    /// Logged in, once for each kind of thing.
    async fn may(&self, operation: RegistryOperation) -> Result<(), RegistryError> {
        let done = match operation {
            RegistryOperation::Pull => &self.pulls,
            RegistryOperation::Push => &self.pushes,
        };
        if done.get().is_none() {
            self.registry.log_in(&self.reference, operation).await?;
            let client = &self.registry.client;
            client.store_auth_if_needed(self.reference.resolve_registry(), &self.registry.auth).await;
            let _ = done.set(());
        }
        Ok(())
    }

    async fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, RegistryError> {
        self.may(RegistryOperation::Pull).await?;
        let reference = self.tagged(key);
        let accepted = [Role::Manifest.media_type(Media::Oci)];
        let answer = self.registry.client.pull_manifest_raw(&reference, &self.registry.auth, &accepted).await;
        match answer {
            Ok((bytes, _)) => Ok(Some(bytes.to_vec())),
            Err(error) => match self.explain(format!("look up {key}"), &error) {
                RegistryError::NoSuchImage { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    /// Fetches a blob into the local store, verified; what is there already is not fetched.
    async fn fetch(&self, digest: &Digest, size: u64) -> Result<(), RegistryError> {
        if self.blobs.source(digest, size).is_ok() {
            return Ok(());
        }
        self.may(RegistryOperation::Pull).await?;
        let what = || format!("{digest} of {}", self.name());
        let disk =
            |error: io::Error| RegistryError::Disk { what: format!("keep {digest}"), why: error.to_string() };
        let descriptor = OciDescriptor {
            digest: digest.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let answer = self.registry.client.pull_blob_stream(&self.reference, &descriptor).await;
        let mut stream = answer.map_err(|error| self.explain(format!("read {}", what()), &error))?.stream;
        let mut file = tempfile::NamedTempFile::new().map_err(disk)?;
        let mut got = 0;
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => {
                    got += bytes.len() as u64;
                    if got > size {
                        return Err(RegistryError::TooLong { what: what(), want: size });
                    }
                    file.write_all(&bytes).map_err(disk)?;
                }
                Err(_) if got < size => break,
                Err(_) => return Err(RegistryError::WrongDigest { what: what(), want: digest.to_string() }),
            }
        }
        if got < size {
            return Err(RegistryError::Truncated { what: what(), got, want: size });
        }
        // The client has looked at the digest; whoever reads the file looks again.
        self.blobs
            .put(digest, size, file.path())
            .map_err(|error| RegistryError::Disk { what: error.what, why: error.why })
    }

    async fn push(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), RegistryError> {
        self.may(RegistryOperation::Push).await?;
        let name = digest.to_string();
        let explain = |error: OciDistributionError| self.explain(format!("push {name}"), &error);
        if self.registry.client.blob_exists(&self.reference, &name).await.map_err(explain)? {
            return Ok(());
        }
        let gone = |error: io::Error| RegistryError::Disk {
            what: "read what is to be pushed".to_owned(),
            why: error.to_string(),
        };
        let file = tokio::fs::File::open(from).await.map_err(gone)?;
        let pieces = stream::try_unfold(file, |mut file| async move {
            use tokio::io::AsyncReadExt as _;
            let mut piece = Vec::with_capacity(1 << 18);
            let read = file.read_buf(&mut piece).await.map_err(OciDistributionError::IoError)?;
            Ok((read > 0).then(|| (piece.into(), file)))
        });
        let sent = self.registry.client.push_blob_stream(&self.reference, pieces, &name, Some(size));
        sent.await.map_err(explain).map(drop)
    }

    async fn tag(&self, key: &Key, manifest: &[u8]) -> Result<(), RegistryError> {
        self.may(RegistryOperation::Push).await?;
        let text = Role::Manifest.media_type(Media::Oci);
        let media_type = text.parse().map_err(|_| RegistryError::Odd {
            what: "our own manifest".to_owned(),
            why: format!("`{text}` is no media type"),
        })?;
        let reference = self.tagged(key);
        let pushed = self.registry.client.push_manifest_raw(&reference, manifest.to_vec(), media_type).await;
        pushed.map(drop).map_err(|error| self.explain(format!("push {reference}"), &error))
    }

    /// Tries until it is no use, and waits for it.
    fn wait<T>(&self, work: impl AsyncFnMut() -> Result<T, RegistryError>) -> Result<T, BackendError> {
        let done = self.runtime.block_on(patiently(&|_| {}, work));
        done.map_err(|error| BackendError::new(format!("use {}", self.name()), error))
    }
}

impl Backend for InRegistry {
    fn name(&self) -> String {
        format!("registry:{}", self.0.name())
    }

    fn manifest(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.0.wait(async || self.0.manifest(key).await)
    }

    fn blob(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError> {
        Ok(Arc::new(Remote { repository: Arc::clone(&self.0), digest: *digest, size }))
    }

    fn put_blob(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError> {
        self.0.wait(async || self.0.push(digest, size, from).await)
    }

    fn put_manifest(&self, key: &Key, manifest: &[u8]) -> Result<(), BackendError> {
        self.0.wait(async || self.0.tag(key, manifest).await)
    }

    /// What a registry has it keeps: it is passed over from now on, and overwritten by whoever builds anew.
    fn forget(&self, _: &Key, damaged: &[Digest]) -> Result<(), BackendError> {
        damaged.iter().try_for_each(|digest| self.0.blobs.remove(digest))
    }

    fn is_near(&self) -> bool {
        false
    }
}

/// A blob that is fetched when it is read.
struct Remote {
    repository: Arc<Repository>,
    digest: Digest,
    size: u64,
}

impl Source for Remote {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let repository = &self.repository;
        repository
            .wait(async || repository.fetch(&self.digest, self.size).await)
            .map_err(io::Error::other)?;
        let mut file = File::open(repository.blobs.path(&self.digest))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file.take(len)))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        format!("{} in {}", self.digest, self.repository.name())
    }

    fn stated(&self) -> Option<Digest> {
        Some(self.digest)
    }
}
