//! An image into a registry: every blob it does not have yet, then the manifest.

use std::io;
use std::path::Path;

use futures_util::stream;
use oci_client::errors::OciDistributionError;
use oci_client::{Reference, RegistryOperation};
use samebuild_image::layout::{self, LayoutOptions};
use samebuild_image::manifest::{Descriptor, Manifest, Media};
use samebuild_image::{Compression, Digest, Image, NewFiles, TarStyle};
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;
use ureq::http::HeaderValue;

use super::retry::patiently;
use super::{Registry, RegistryError, runtime};
use crate::engines::Progress;
use crate::stored::Dir;

/// Pushes; the digest is that of the manifest. `work` is for the blobs until they are there, `beside` repositories that may have
/// some of them: the registry is asked to take them from there.
///
/// # Errors
/// See [`RegistryError`].
pub fn push(
    image: &Image,
    reference: &Reference,
    beside: &[Reference],
    style: TarStyle,
    work: &Path,
    progress: Progress,
) -> Result<Digest, RegistryError> {
    let room = |why: String| RegistryError::Disk { what: format!("make room in {}", work.display()), why };
    let dir = tempfile::Builder::new().prefix("push-").tempdir_in(work);
    let dir = dir.map_err(|error| room(error.to_string()))?;
    let options = LayoutOptions { name: None, style, compression: Compression::Gzip, media: Media::Oci };
    let registry = Registry::of(reference)?;
    let is_beside = |other: &&Reference| {
        other.registry() == reference.registry() && other.repository() != reference.repository()
    };
    let beside = beside.iter().filter(is_beside).collect();
    let (runtime, dir_of_blobs) = (runtime()?, Dir::new(dir.path()));
    let files = Unless { registry: &registry, runtime, reference, beside, dir: dir_of_blobs };
    let written = layout::write_blobs(image, &files, &options).map_err(|error| RegistryError::Disk {
        what: "write the image".to_owned(),
        why: error.to_string(),
    })?;
    push_blobs(dir.path(), &written.entry, reference, progress)?;
    Ok(written.manifest)
}

/// Pushes the image of a manifest whose blobs are in the layout `dir`, byte for byte.
///
/// # Errors
/// See [`RegistryError`].
pub fn push_blobs(
    dir: &Path,
    entry: &Descriptor,
    reference: &Reference,
    progress: Progress,
) -> Result<(), RegistryError> {
    let registry = Registry::of(reference)?;
    runtime()?.block_on(push_with(&registry, dir, entry, reference, progress))
}

/// The same, where an executor runs already.
pub(crate) async fn push_with(
    registry: &Registry,
    dir: &Path,
    entry: &Descriptor,
    reference: &Reference,
    progress: Progress<'_>,
) -> Result<(), RegistryError> {
    Push { registry, reference, dir, progress }.all(entry).await
}

/// The blobs of an image on their way, but none that the repository says it has, or can have from one beside it.
struct Unless<'a> {
    registry: &'a Registry,
    runtime: Runtime,
    reference: &'a Reference,
    beside: Vec<&'a Reference>,
    dir: Dir,
}

impl Unless<'_> {
    /// Whoever cannot be asked has nothing; that is told when something is sent to him.
    async fn is_there(&self, digest: &str) -> Option<bool> {
        self.registry.log_in(self.reference, RegistryOperation::Push).await.ok()?;
        let client = &self.registry.client;
        client.store_auth_if_needed(self.reference.resolve_registry(), &self.registry.auth).await;
        if client.blob_exists(self.reference, digest).await.ok()? {
            return Some(true);
        }
        for other in &self.beside {
            // One that does not give it, or gives nothing across repositories, is no worse than one that has it not.
            if client.mount_blob(self.reference, other, digest).await.is_ok() {
                return Some(true);
            }
        }
        Some(false)
    }
}

impl NewFiles for Unless<'_> {
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn io::Write + Send)) -> io::Result<String>) -> io::Result<()> {
        self.dir.put(fill)
    }

    fn has(&self, name: &str, _: u64) -> bool {
        let digest = name.rsplit('/').next().and_then(Digest::from_hex);
        let Some(digest) = digest.map(|digest| digest.to_string()) else { return false };
        self.runtime.block_on(self.is_there(&digest)).unwrap_or(false)
    }
}

struct Push<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    dir: &'a Path,
    progress: Progress<'a>,
}

impl Push<'_> {
    async fn all(&self, entry: &Descriptor) -> Result<(), RegistryError> {
        let bytes = std::fs::read(self.dir.join(layout::blob_name(&entry.digest))).map_err(|e| gone(&e))?;
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| RegistryError::Odd {
            what: "our own manifest".to_owned(),
            why: error.to_string(),
        })?;
        let log_in = async || self.registry.log_in(self.reference, RegistryOperation::Push).await;
        patiently(self.progress, log_in).await?;
        self.registry
            .client
            .store_auth_if_needed(self.reference.resolve_registry(), &self.registry.auth)
            .await;
        for part in manifest.layers.iter().chain([&manifest.config]) {
            patiently(self.progress, async || self.blob(part).await).await?;
        }
        let explain = |error: OciDistributionError| {
            self.registry.explain(format!("push {}", self.reference), self.reference, &error)
        };
        let media_type: HeaderValue = entry.media_type.parse().map_err(|_| RegistryError::Odd {
            what: "our own manifest".to_owned(),
            why: format!("`{}` is no media type", entry.media_type),
        })?;
        patiently(self.progress, async || {
            let (bytes, media_type) = (bytes.clone(), media_type.clone());
            self.registry.client.push_manifest_raw(self.reference, bytes, media_type).await.map_err(explain)
        })
        .await
        .map(drop)
    }

    async fn blob(&self, part: &Descriptor) -> Result<(), RegistryError> {
        let digest = part.digest.to_string();
        let explain = |error: OciDistributionError| {
            self.registry.explain(format!("push {digest} to {}", self.reference), self.reference, &error)
        };
        if self.registry.client.blob_exists(self.reference, &digest).await.map_err(explain)? {
            return Ok(());
        }
        (self.progress)(&format!("pushing {digest}, {} bytes", part.size));
        let path = self.dir.join(layout::blob_name(&part.digest));
        let file = tokio::fs::File::open(&path).await.map_err(|error| gone(&error))?;
        let pieces = stream::try_unfold(file, |mut file| async move {
            let mut piece = Vec::with_capacity(1 << 18);
            let read = file.read_buf(&mut piece).await.map_err(OciDistributionError::IoError)?;
            Ok((read > 0).then(|| (piece.into(), file)))
        });
        let sent = self.registry.client.push_blob_stream(self.reference, pieces, &digest, Some(part.size));
        sent.await.map_err(explain).map(drop)
    }
}

fn gone(error: &std::io::Error) -> RegistryError {
    RegistryError::Disk { what: "read what is to be pushed".to_owned(), why: error.to_string() }
}
