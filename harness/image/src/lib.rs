//! Container images as values: bytes → [`Image`] → [`Tree`], and back to layers.
//!
//! Pure: no host path, process, socket, clock or randomness. Bytes arrive through [`Source`]; whoever opens files
//! or sockets is `samebuild-builder` or `samebuild`. What two images differ in is `samebuild-compare`'s question.

pub mod at;
pub mod content;
pub mod digest;
pub mod entry;
pub mod golden;
pub mod image;
pub mod mtime;
pub mod source;
pub mod tree;

pub use at::At;
pub use content::Content;
pub use digest::Digest;
pub use entry::{Entry, Kind, Meta};
pub use image::{Image, Layer};
pub use mtime::{Epoch, Epochs, Mtime};
pub use source::{Bytes, Source};
pub use tree::Tree;
