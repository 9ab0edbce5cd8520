//! What a golden holds, as values. Everything a run, a machine or the base image contributes is already gone here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::at::At;
use crate::digest::Digest;
use crate::entry::Meta;

/// What a builder did with a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Ids of the dialects that did exactly this, sorted: `buildkit@26.1`, `buildkit@26.1-containerd`.
    pub seen_by: Vec<String>,
    /// The builder in a person's words: product, version, storage.
    pub builder: String,
    /// `linux/amd64`.
    pub platform: String,
    pub outcome: Outcome,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Built(Record),
    Failed(Failure),
}

/// An image without what every image of its base has.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub base: BaseLine,
    /// New layers only, bottom first.
    pub layers: Vec<Stratum>,
    /// The `config` object.
    pub config: Map<String, Value>,
    /// The other fields of the configuration, but those that are ids, clocks, or printed elsewhere.
    pub top: Map<String, Value>,
    /// New entries only.
    pub history: Vec<Map<String, Value>>,
}

/// The image a record stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLine {
    /// `scratch` where there is none.
    pub name: String,
    /// How many of the image's layers are the base's.
    pub layers: u32,
}

/// One new layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stratum {
    /// Only where it was asked for and no entry depends on the run.
    pub diff_id: Option<Digest>,
    /// In the order of the tar.
    pub rows: Vec<Row>,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// As in the tar; a directory's usually ends in `/`.
    pub path: Vec<u8>,
    pub what: What,
    /// Times are named by their moment where they have one.
    pub meta: Meta,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    File(Body),
    Dir,
    /// The link's text, unresolved.
    Symlink(Vec<u8>),
    /// The other name.
    Hardlink(At),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Printable, at most [`Body::TEXT_MAX`] bytes.
    Text(String),
    Sha256 {
        /// In bytes.
        size: u64,
        digest: Digest,
    },
    /// Equal to this file of the base image, whatever that is on this machine.
    Base(At),
    /// Depends on the run or the host.
    Volatile,
}

impl Body {
    /// The size in bytes up to which content is printed as text.
    pub const TEXT_MAX: u64 = 256;
}

/// A build that failed, or did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The failing instruction, counted as the builder counts; `None` where it does not say.
    pub step: Option<u32>,
    /// The line of the Dockerfile; `None` where the builder does not say.
    pub line: Option<u32>,
    /// A slug of the message tables: `unknown-flag`; [`UNCLASSIFIED`] where none matches.
    pub class: String,
    /// The builder's own words, ids and paths of the machine masked.
    pub message: String,
}

/// The class of a message that no table knows. Two such failures are equal only if their messages are.
pub const UNCLASSIFIED: &str = "unclassified";

impl Observation {
    /// Whether nothing in it depends on the run: no time `now`, no volatile content.
    pub fn is_stable(&self) -> bool {
        match &self.outcome {
            Outcome::Built(record) => record.layers.iter().all(Stratum::is_stable),
            Outcome::Failed(_) => true,
        }
    }
}

impl Stratum {
    /// Whether no entry depends on the run, so that the digest of the layer can be promised.
    pub fn is_stable(&self) -> bool {
        use crate::mtime::{Epoch, Mtime};
        self.rows.iter().all(|row| {
            row.meta.mtime != Mtime::Named(Epoch::Now) && !matches!(row.what, What::File(Body::Volatile))
        })
    }
}

impl What {
    /// The word goldens and reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "dir",
            Self::Symlink(_) => "symlink",
            Self::Hardlink(_) => "hardlink",
            Self::Char { .. } => "char",
            Self::Block { .. } => "block",
            Self::Fifo => "fifo",
        }
    }
}

impl Row {
    /// A row without extended attributes.
    pub fn new(path: impl Into<Vec<u8>>, what: What, meta: Meta) -> Self {
        Self { path: path.into(), what, meta }
    }

    /// Extended attributes by name.
    pub fn xattrs(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.meta.xattrs
    }
}

/// Whether `text` can stand in a golden as it is: no control characters but newlines and tabs.
pub fn is_printable(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}
