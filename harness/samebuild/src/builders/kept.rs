//! What is in the new files of images that are gone once they are observed, kept as long as somebody may ask why two of them
//! differ. A record has only digests of all but short texts.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};

use samebuild_compare::Contents;
use samebuild_image::golden::{Body, Record, What};
use samebuild_image::{Content, Digest, Image, Kind};

/// Nothing bigger is kept, in bytes.
const EACH: u64 = 4 << 20;
/// Nor more than this of all, in bytes.
const ALL: u64 = 128 << 20;

/// Contents of images, each once, within bounds.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    contents: Contents,
    digests: BTreeSet<Digest>,
    bytes: u64,
}

impl Kept {
    /// Keeps of `image` what its record shows by digest.
    ///
    /// # Errors
    /// A content cannot be read.
    pub(super) fn take(&self, image: &Image, record: &Record) -> io::Result<()> {
        let rows = record.layers.iter().flat_map(|layer| &layer.rows);
        let shown: BTreeSet<Digest> = rows
            .filter_map(|row| match row.what {
                What::File(Body::Sha256 { size, digest }) if size <= EACH => Some(digest),
                _ => None,
            })
            .collect();
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<(Digest, &Content)> = Vec::new();
        for entry in image.layers.iter().flat_map(|layer| &layer.entries) {
            let Kind::File(content) = &entry.kind else { continue };
            if content.size() > EACH.min(ALL - shelf.bytes) || !content.has_bytes() {
                continue;
            }
            let digest = content.digest()?;
            if shown.contains(&digest) && shelf.digests.insert(digest) {
                shelf.bytes += content.size();
                wanted.push((digest, content));
            }
        }
        let contents: Vec<&Content> = wanted.iter().map(|(_, content)| *content).collect();
        Content::each_of(&contents, |number, reader| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            shelf.contents.add(wanted[number].0, Content::inline(bytes));
            Ok(())
        })
    }

    /// All that was kept.
    pub fn contents(&self) -> Contents {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contents.clone()
    }
}
