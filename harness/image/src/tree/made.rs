//! Entries and layers as the tests of trees write them.

use crate::at::At;
use crate::content::Content;
use crate::entry::{Entry, Kind, Meta};
use crate::image::Layer;
use crate::mtime::Mtime;

fn dir() -> Entry {
    Entry::new(At::root(), Kind::Dir, Meta::new(0o755, Mtime::secs(1)))
}

pub(super) fn entry(path: &str, kind: Kind) -> Entry {
    Entry { at: At::from(path), kind, ..dir() }
}

pub(super) fn file(path: &str) -> Entry {
    entry(path, Kind::File(Content::inline(*b"x")))
}

pub(super) fn layer(entries: Vec<Entry>) -> Layer {
    Layer { entries, ..Layer::default() }
}
