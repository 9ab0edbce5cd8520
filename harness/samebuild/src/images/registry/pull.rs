//! An image out of a registry: the manifest, the one for the platform where there are several, then every blob that the
//! store does not have yet, streamed to disk and verified on the way.

use std::io::Write as _;
use std::path::PathBuf;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci_client::manifest::OciDescriptor;
use oci_client::{Reference, RegistryOperation};
use samebuild_image::envelope::Listing;
use samebuild_image::layout;
use samebuild_image::manifest::{Descriptor, Index, Manifest, Media, Platform, Role};
use samebuild_image::read::{ReadError, ReadOptions};
use samebuild_image::{Digest, Image};

use super::retry::patiently;
use super::{Registry, RegistryError, digest_of, runtime};
use crate::engines::Progress;
use crate::images::store::Store;

/// How many blobs are fetched at a time, as Docker does.
const AT_A_TIME: usize = 3;

/// How many indexes may be nested.
const DEPTH: usize = 4;

/// Fetches the image; its blobs are in `store` afterwards, under no name.
///
/// # Errors
/// See [`RegistryError`]. Nothing that was fetched in part, or is not what its digest says, is kept.
pub fn pull(
    reference: &Reference,
    platform: &Platform,
    store: &Store,
    progress: Progress,
) -> Result<Image, RegistryError> {
    fetch(reference, platform, store, progress).map(|pulled| pulled.image)
}

/// An image that came from a registry, and is in a store now.
pub struct Pulled {
    pub image: Image,
    /// Its manifest, without a name.
    pub entry: Descriptor,
    /// The index it was chosen from, if it was.
    pub listing: Listing,
}

/// As [`pull`]; says what it is called by its digest, too.
///
/// # Errors
/// As [`pull`].
pub fn fetch(
    reference: &Reference,
    platform: &Platform,
    store: &Store,
    progress: Progress,
) -> Result<Pulled, RegistryError> {
    let _adding = store.prepare().map_err(|error| disk(store, &error))?;
    let registry = Registry::of(reference)?;
    let runtime = runtime()?;
    let pull = Pull { registry: &registry, reference, platform, store, progress };
    let (entry, listing) = runtime.block_on(pull.listed())?;
    let options = ReadOptions { platform: Some(platform.clone()), ..ReadOptions::default() };
    runtime.block_on(pull.blobs(&entry))?;
    let read = || store.read(Descriptor { platform: None, ..entry.clone() }, &options);
    let image = match read() {
        Ok(loaded) => loaded.image,
        // Something that was here already has been damaged since: all of it anew, once.
        Err(ReadError::DigestMismatch { .. } | ReadError::Truncated { .. } | ReadError::TooLong { .. }) => {
            for descriptor in parts(&pull.stored(&entry)?) {
                let _ = std::fs::remove_file(store.blob(&descriptor.digest));
            }
            runtime.block_on(pull.blobs(&entry))?;
            read()?.image
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Pulled { image, entry, listing })
}

pub(super) struct Pull<'a> {
    pub(super) registry: &'a Registry,
    pub(super) reference: &'a Reference,
    pub(super) platform: &'a Platform,
    pub(super) store: &'a Store,
    pub(super) progress: Progress<'a>,
}

impl Pull<'_> {
    /// The manifest of the image, which is in the store then.
    pub(super) async fn manifest(&self) -> Result<Descriptor, RegistryError> {
        self.listed().await.map(|(entry, _)| entry)
    }

    /// The same, and how an index lists it.
    async fn listed(&self) -> Result<(Descriptor, Listing), RegistryError> {
        let mut reference = self.reference.clone();
        let mut listing = Listing::default();
        for _ in 0..DEPTH {
            let (bytes, digest) =
                patiently(self.progress, async || self.raw_manifest(&reference).await).await?;
            let what = format!("the manifest of {reference}");
            let odd =
                |error: serde_json::Error| RegistryError::Odd { what: what.clone(), why: error.to_string() };
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&bytes).map_err(odd)?;
            if fields.get("schemaVersion").and_then(serde_json::Value::as_u64) != Some(2) {
                let why = "it is of schema 1, which is no longer read; push the image anew".to_owned();
                return Err(RegistryError::Odd { what, why });
            }
            self.store.put_blob(&digest, &bytes).map_err(|error| RegistryError::Disk {
                what: "keep a manifest".to_owned(),
                why: format!("{error:#}"),
            })?;
            if fields.contains_key("manifests") {
                let index: Index = serde_json::from_slice(&bytes).map_err(odd)?;
                let wanted = ReadOptions { platform: Some(self.platform.clone()), ..ReadOptions::default() };
                let chosen = layout::choose(&index, &wanted, &reference.to_string())?;
                listing = Listing::read(&bytes, &chosen.digest)?;
                reference = reference.clone_with_digest(chosen.digest.to_string());
                continue;
            }
            let media_type = fields.get("mediaType").and_then(serde_json::Value::as_str);
            let media_type = media_type.unwrap_or(Role::Manifest.media_type(Media::Oci)).to_owned();
            let entry = Descriptor {
                media_type,
                digest,
                size: bytes.len() as u64,
                platform: None,
                annotations: Default::default(),
            };
            return Ok((entry, listing));
        }
        let why = format!("more than {DEPTH} indexes are nested in each other");
        Err(RegistryError::Odd { what: self.reference.to_string(), why })
    }

    /// From the store where it is named by its digest and there, else from the registry.
    pub(super) async fn raw_manifest(
        &self,
        reference: &Reference,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        if let Some(text) = reference.digest() {
            let digest = digest_of(text)?;
            let kept = std::fs::read(self.store.blob(&digest)).ok();
            if let Some(bytes) = kept.filter(|bytes| Digest::of(bytes) == digest) {
                return Ok((bytes, digest));
            }
        }
        self.registry.log_in(reference, RegistryOperation::Pull).await?;
        let accepted = accepted();
        let answer = self.registry.client.pull_manifest_raw(reference, &self.registry.auth, &accepted).await;
        let (bytes, _) =
            answer.map_err(|error| self.registry.explain(format!("pull {reference}"), reference, &error))?;
        let digest = Digest::of(&bytes);
        match reference.digest() {
            Some(want) if digest_of(want)? != digest => Err(RegistryError::WrongDigest {
                what: format!("the manifest of {reference}"),
                want: want.to_owned(),
            }),
            _ => Ok((bytes.to_vec(), digest)),
        }
    }

    pub(super) fn stored(&self, entry: &Descriptor) -> Result<Manifest, RegistryError> {
        let bytes =
            std::fs::read(self.store.blob(&entry.digest)).map_err(|error| disk(self.store, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| RegistryError::Odd {
            what: format!("the manifest of {}", self.reference),
            why: error.to_string(),
        })
    }

    /// Fetches what is not there yet.
    async fn blobs(&self, entry: &Descriptor) -> Result<(), RegistryError> {
        let manifest = self.stored(entry)?;
        self.parts_of(&manifest, |_| true).await
    }

    /// Fetches what is `wanted` of an image and not there yet.
    pub(super) async fn parts_of(
        &self,
        manifest: &Manifest,
        wanted: impl Fn(&Descriptor) -> bool,
    ) -> Result<(), RegistryError> {
        let missing: Vec<(String, &Descriptor)> = parts(manifest)
            .into_iter()
            .enumerate()
            .filter(|(_, part)| wanted(part))
            .map(|(number, part)| {
                let what =
                    if number == 0 { "the configuration".to_owned() } else { format!("layer {number}") };
                (format!("{what} of {}", self.reference), part)
            })
            .filter(|(_, part)| {
                std::fs::metadata(self.store.blob(&part.digest)).map_or(true, |stat| stat.len() != part.size)
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let bytes: u64 = missing.iter().map(|(_, part)| part.size).sum();
        (self.progress)(&format!(
            "pulling {}: {} blobs, {}",
            self.reference,
            missing.len(),
            megabytes(bytes)
        ));
        let log_in = async || self.registry.log_in(self.reference, RegistryOperation::Pull).await;
        patiently(self.progress, log_in).await?;
        self.registry
            .client
            .store_auth_if_needed(self.reference.resolve_registry(), &self.registry.auth)
            .await;
        let fetched =
            stream::iter(missing.into_iter().map(|(what, part)| {
                patiently(self.progress, async move || self.blob(what.clone(), part).await)
            }));
        fetched.buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await.map(drop)
    }

    /// One blob, to its place when all of it is right.
    pub(super) async fn blob(&self, what: String, part: &Descriptor) -> Result<(), RegistryError> {
        let descriptor = OciDescriptor {
            media_type: part.media_type.clone(),
            digest: part.digest.to_string(),
            size: i64::try_from(part.size).unwrap_or(i64::MAX),
            ..OciDescriptor::default()
        };
        let answer = self.registry.client.pull_blob_stream(self.reference, &descriptor).await;
        let mut stream = answer
            .map_err(|error| self.registry.explain(format!("read {what}"), self.reference, &error))?
            .stream;
        let place = self.store.blob(&part.digest);
        let dir = place.parent().map_or_else(PathBuf::new, PathBuf::from);
        let broken = |error: std::io::Error| disk(self.store, &error);
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(broken)?;
        let mut got = 0;
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => {
                    got += bytes.len() as u64;
                    if got > part.size {
                        return Err(RegistryError::TooLong { what, want: part.size });
                    }
                    file.write_all(&bytes).map_err(broken)?;
                }
                // Whatever was said about it: it ended early.
                Err(_) if got < part.size => {
                    return Err(RegistryError::Truncated { what, got, want: part.size });
                }
                // The client looks at the digest when it has seen all of it.
                Err(_) => return Err(RegistryError::WrongDigest { what, want: part.digest.to_string() }),
            }
        }
        if got < part.size {
            return Err(RegistryError::Truncated { what, got, want: part.size });
        }
        crate::files::publish(file, &place).map_err(broken)
    }
}

/// The media types of manifests that we read.
pub(super) fn accepted() -> Vec<&'static str> {
    let both = |role: &Role| [Media::Oci, Media::Docker].map(|media| role.media_type(media));
    [Role::Index, Role::Manifest].iter().flat_map(both).collect()
}

/// What a manifest is made of: the configuration, then the layers.
fn parts(manifest: &Manifest) -> Vec<&Descriptor> {
    std::iter::once(&manifest.config).chain(&manifest.layers).collect()
}

pub(super) fn disk(store: &Store, error: &std::io::Error) -> RegistryError {
    RegistryError::Disk { what: format!("keep blobs in {}", store.root().display()), why: error.to_string() }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}
