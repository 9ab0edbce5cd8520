//! Container images as values: bytes → [`Image`] → [`Tree`], and back to layers.
//!
//! Pure: no host path, process, socket, clock or randomness. Bytes arrive through [`Source`]; whoever opens files
//! or sockets is `samebuild-builder` or `samebuild`. What two images differ in is `samebuild-compare`'s question.

pub mod archive;
pub mod at;
pub mod compression;
pub mod content;
pub mod digest;
pub mod entry;
pub mod envelope;
mod even;
pub mod files;
pub mod golden;
pub mod image;
pub mod in_order;
mod layer_blob;
pub mod layer_read;
mod layer_tar;
pub mod layer_walk;
pub mod layer_write;
pub mod layout;
pub mod manifest;
pub mod mtime;
pub mod read;
pub mod source;
mod sparse;
mod sparse_map;
pub mod stored;
pub mod tar_error;
mod tar_extended;
mod tar_header;
mod tar_input;
mod tar_pax;
mod tar_read;
mod tar_sparse;
mod tar_write;
pub mod tree;
pub mod unpacked;
pub mod walked;

pub use at::At;
pub use content::Content;
pub use digest::Digest;
pub use entry::{Entry, Kind, Meta};
pub use files::{Files, NewFiles};
pub use image::{Compression, Image, Layer};
pub use layer_tar::SaveError;
pub use layer_write::TarStyle;
pub use mtime::{Epoch, Epochs, Mtime};
pub use source::{Bytes, Source, Stated};
pub use stored::{Stored, StoredLayer};
pub use tree::{Inode, Tree};
pub use unpacked::Unpacked;
pub use walked::Walked;
