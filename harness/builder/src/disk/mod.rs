//! The disk, seen as trees and sources. What is copied into an image from them is the steps' affair.

pub mod index;
mod names;
pub mod scan;
pub mod source;

pub use scan::{ScanError, scan, scan_with, scan_without, scan_without_with};
pub use source::FileSource;

pub use crate::materialise::{MaterialiseError, tree as write_tree};
