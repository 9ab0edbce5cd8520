//! Reading an image, however it is stored: which one is wanted, what comes back, what can go wrong. The stored forms
//! themselves are [`crate::layout`] and [`crate::archive`].

use std::io::{self, Read};
use std::sync::Arc;

use crate::archive::Archive;
use crate::compression::Expansion;
use crate::digest::Digest;
use crate::files::Files;
use crate::image::{Image, Layer};
use crate::layer_blob;
use crate::layer_read::LayerOptions;
use crate::layout;
use crate::manifest::Platform;
use crate::source::Source;
use crate::stored::{Stored, StoredLayer};
use crate::tar_error::TarError;

/// Which image is wanted, and how to read it.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Its name, where there are several.
    pub name: Option<String>,
    /// Its platform; without one, the only image there is, or the one for `linux/amd64`.
    pub platform: Option<Platform>,
    pub layers: LayerOptions,
    pub expansion: Expansion,
}

/// An image that was read, every digest verified.
#[derive(Debug)]
pub struct Loaded {
    pub image: Image,
    /// The names it goes by there.
    pub names: Vec<String>,
    /// The digest of the configuration as stored: what Docker calls the image's id.
    pub config: Digest,
    /// The digest of the manifest; a docker-archive has none.
    pub manifest: Option<Digest>,
    pub warnings: Vec<Warning>,
}

/// Reads one layer out of its blob, verified against the blob's digest and size and the tar's digest in the one pass.
///
/// # Errors
/// It is damaged, truncated, or no layer.
pub fn layer(source: Arc<dyn Source>, stated: (Digest, u64), diff_id: Digest) -> Result<Layer, ReadError> {
    let blob = StoredLayer { source, stated: Some(stated), diff_id: Some(diff_id), media_type: None };
    let layers = LayerOptions { hash_contents: true, ..LayerOptions::default() };
    let options = ReadOptions { layers, ..ReadOptions::default() };
    let (mut layers, _) = layer_blob::read_all(&[blob], &options)?;
    layers.pop().ok_or(ReadError::LayerCount { layers: 0, diff_ids: 1 })
}

/// What was odd, but no reason not to read the image; `layer` counts from 0 at the bottom, its text from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("layer {}: its tar lacks the two zero blocks at its end; its digest is right", layer + 1)]
    NoEnd { layer: usize },
    #[error("layer {}: {count} global extended headers are ignored, as Docker does", layer + 1)]
    GlobalHeaders { layer: usize, count: u64 },
    #[error("layer {}: what follows the end of its tar is ignored, as Docker does", layer + 1)]
    TrailingData { layer: usize },
    #[error(
        "layer {}: its media type is `{media_type}`, but its bytes say otherwise; the bytes are believed",
        layer + 1
    )]
    MediaType { layer: usize, media_type: String },
}

/// Why an image cannot be read; `layer` counts from 0 at the bottom, its text from 1.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("read {what}: {name} is missing in {set}")]
    Missing { what: String, name: String, set: String },
    #[error("read {what}: its digest is {got}, but {want} is stated; it is damaged, fetch or build it again")]
    DigestMismatch { what: String, want: Digest, got: Digest },
    #[error(
        "read {what}: it has {got} bytes, but {want} are stated; it is truncated, fetch or build it again"
    )]
    Truncated { what: String, want: u64, got: u64 },
    #[error("read {what}: it has {got} bytes, but {want} are stated; it is damaged, fetch or build it again")]
    TooLong { what: String, want: u64, got: u64 },
    #[error("read {what}: it is bigger than the {limit} bytes that are accepted")]
    TooBig { what: String, limit: u64 },
    #[error("read {what}: with it the image has more than {limit} entries, which is the limit")]
    TooMany { what: String, limit: u64 },
    #[error("read {what}: {error}")]
    BadJson { what: String, error: serde_json::Error },
    #[error("read {what}: {why}")]
    Unsupported { what: String, why: String },
    #[error("find image {wanted} in {set}: there is none; there are: {}", list(have))]
    NoSuchImage { wanted: String, set: String, have: Vec<String> },
    #[error("choose an image in {set}: there are several, name one of: {}", list(have))]
    Ambiguous { set: String, have: Vec<String> },
    #[error("match layers with the configuration: there are {layers} layers, but {diff_ids} diff_ids")]
    LayerCount { layers: usize, diff_ids: usize },
    #[error("read layer {}: {error}", layer + 1)]
    Layer { layer: usize, error: TarError },
    #[error("read the archive: {0}")]
    Archive(#[from] TarError),
    #[error("read {what}: {error}")]
    Io { what: String, error: io::Error },
}

impl ReadError {
    /// Whether bytes are missing at the end of something.
    pub fn is_truncation(&self) -> bool {
        match self {
            Self::Truncated { .. } => true,
            Self::Layer { error, .. } | Self::Archive(error) => error.is_truncation(),
            _ => false,
        }
    }
}

/// Reads an image from one file: a docker-archive, old or new, or a tar of an OCI layout.
pub fn image(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Loaded, ReadError> {
    find_image(source, options)?.load(options)
}

/// Finds an image in one file, as [`image`] does; its layers are not opened.
pub fn find_image(source: Arc<dyn Source>, options: &ReadOptions) -> Result<Stored, ReadError> {
    let archive = Archive::open(source)?;
    if archive.contains("manifest.json") {
        return archive.find(options);
    }
    if archive.contains("index.json") {
        return layout::find(&archive, options);
    }
    Err(ReadError::Unsupported {
        what: archive.name(),
        why: "it holds neither manifest.json nor index.json; accepted: a tar from `docker save`, a tar of an OCI layout"
            .to_owned(),
    })
}

/// Reads an image from an OCI layout.
pub fn layout(files: &dyn Files, options: &ReadOptions) -> Result<Loaded, ReadError> {
    layout::read(files, options)
}

/// What people call the layer of that number, which counts from 0: as in the rows of a comparison, the lowest is 1.
pub(crate) fn nth_layer(number: usize) -> String {
    format!("layer {}", number + 1)
}

/// What JSON may take at most, in bytes.
const JSON: u64 = 16 << 20;

/// All of a small file.
pub(crate) fn small(files: &dyn Files, name: &str, what: &str) -> Result<Vec<u8>, ReadError> {
    let io = |error| ReadError::Io { what: what.to_owned(), error };
    let source = open(files, name, what)?;
    let mut bytes = Vec::new();
    source.open(0, JSON + 1).map_err(io)?.take(JSON + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > JSON {
        return Err(ReadError::TooBig { what: what.to_owned(), limit: JSON });
    }
    Ok(bytes)
}

/// A file, whose absence is an error of its own.
pub(crate) fn open(files: &dyn Files, name: &str, what: &str) -> Result<Arc<dyn Source>, ReadError> {
    files.source(name).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            ReadError::Missing { what: what.to_owned(), name: name.to_owned(), set: files.name() }
        }
        _ => ReadError::Io { what: what.to_owned(), error },
    })
}

/// JSON, or an error that says what it should have been.
pub(crate) fn json<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|error| ReadError::BadJson { what: what.to_owned(), error })
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
