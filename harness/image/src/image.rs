//! An image: its configuration and its layers, however it was stored. Reading and writing the stored forms is not here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::entry::Entry;
use crate::source::Source;
use crate::tree::{ApplyError, Tree};

/// A container image.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The configuration as written, every field and their order kept: `architecture`, `config`, `history`, `rootfs`, …
    pub config: Map<String, Value>,
    /// Bottom first.
    pub layers: Vec<Layer>,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What a layer changes, in the order of its tar.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Digest of the uncompressed tar; unknown for a layer read from a golden that does not promise one.
    pub diff_id: Option<Digest>,
    /// Size of the uncompressed tar in bytes; 0 where unknown.
    pub size: u64,
    pub entries: Vec<Entry>,
    /// The stored bytes, where there are any, and how they are compressed.
    pub blob: Option<(Arc<dyn Source>, Compression)>,
}

/// How a stored layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Image {
    /// The flattened file system: all layers applied, bottom first.
    pub fn tree(&self) -> Result<Tree, ApplyError> {
        let mut tree = Tree::new();
        for layer in &self.layers {
            tree.apply(layer)?;
        }
        Ok(tree)
    }

    /// The `config` object of the configuration: `Env`, `Cmd`, `User`, …
    pub fn runtime(&self) -> Option<&Map<String, Value>> {
        self.config.get("config").and_then(Value::as_object)
    }

    /// The `history` array of the configuration; empty where it is absent.
    pub fn history(&self) -> &[Value] {
        self.config.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
