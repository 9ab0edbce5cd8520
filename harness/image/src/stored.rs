//! An image as it lies in a store: its configuration read, its layers known by digest, source and media type, none of them
//! opened yet. Which stored form it was found in is no longer to be seen.

use std::io;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::image::{Compression, Image};
use crate::layer_blob;
use crate::read::{Loaded, ReadError, ReadOptions};
use crate::source::Source;

/// An image that was found; only its manifest and configuration have been read, and verified.
#[derive(Clone, Debug)]
pub struct Stored {
    /// As written, every field and their order kept.
    pub config: Map<String, Value>,
    /// The digest of the configuration as stored: what Docker calls the image's id.
    pub config_digest: Digest,
    /// Bottom first.
    pub layers: Vec<StoredLayer>,
    /// The names it goes by there.
    pub names: Vec<String>,
    /// What is around it; a docker-archive has none.
    pub manifest: Option<Envelope>,
}

/// A layer as it is stored.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    pub source: Arc<dyn Source>,
    /// Digest and size of the stored bytes, where they are stated.
    pub stated: Option<(Digest, u64)>,
    /// Digest of the uncompressed tar, where it is stated.
    pub diff_id: Option<Digest>,
    pub media_type: Option<String>,
}

impl Stored {
    /// Reads the layers, and verifies every digest on the way.
    pub fn load(self, options: &ReadOptions) -> Result<Loaded, ReadError> {
        let (layers, warnings) = layer_blob::read_all(&self.layers, options)?;
        let annotations = self.manifest.as_ref().map(|manifest| manifest.manifest.annotations.clone());
        Ok(Loaded {
            image: Image { config: self.config, layers, annotations: annotations.unwrap_or_default() },
            names: self.names,
            config: self.config_digest,
            manifest: self.manifest.map(|manifest| manifest.digest),
            warnings,
        })
    }
}

impl StoredLayer {
    /// How it is compressed, by its first bytes.
    pub fn compression(&self) -> io::Result<Compression> {
        Compression::of_source(&*self.source)
    }
}
