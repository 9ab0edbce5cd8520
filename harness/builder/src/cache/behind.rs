//! The contents of a layer of which only the listing was read. The first that somebody asks for has the whole layer read and
//! verified; if it is not what the listing says, that is told to the build, which begins anew without it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use samebuild_image::{Content, Digest, Entry, Kind, Source};

use super::unread::{Damaged, Later};

/// What was found damaged while something was read, for whoever began the reading.
#[derive(Clone, Debug, Default)]
pub struct Noticed(Arc<Mutex<Vec<Damaged>>>);

impl Noticed {
    /// All of it, once.
    pub fn take(&self) -> Vec<Damaged> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, damaged: Damaged) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(damaged);
    }
}

/// A layer that is read when somebody needs one of its contents.
pub struct Behind {
    later: Later,
    noticed: Noticed,
    /// A content for each entry that is a file.
    read: OnceLock<Result<Vec<Option<Content>>, String>>,
}

impl Behind {
    pub fn new(later: Later, noticed: Noticed) -> Arc<Self> {
        Arc::new(Self { later, noticed, read: OnceLock::new() })
    }

    /// What is in the entry of that number, which is listed with this size and digest.
    pub fn content(self: &Arc<Self>, number: usize, size: u64, digest: Digest) -> Content {
        let one = OneOf { behind: Arc::clone(self), number, size, digest };
        Content::lazy(Arc::new(one), 0, size).with_digest(digest)
    }

    fn contents(&self) -> io::Result<&[Option<Content>]> {
        let content = |entry: Entry| match entry.kind {
            Kind::File(content) => Some(content),
            _ => None,
        };
        let read = self.read.get_or_init(|| {
            let layer = self.later.layer().map_err(|damaged| self.told(damaged))?;
            Ok(layer.entries.into_iter().map(content).collect())
        });
        read.as_deref().map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.as_str()))
    }

    fn told(&self, damaged: Damaged) -> String {
        let why = damaged.to_string();
        self.noticed.note(damaged);
        why
    }
}

/// One content of it.
struct OneOf {
    behind: Arc<Behind>,
    number: usize,
    size: u64,
    digest: Digest,
}

impl Source for OneOf {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let found = self.behind.contents()?.get(self.number).and_then(Option::as_ref);
        let is_it =
            |content: &&Content| content.size() == self.size && content.known_digest() == Some(self.digest);
        let Some(content) = found.filter(is_it) else {
            let why = "its list of files is another layer's".to_owned();
            let why = self.behind.told(self.behind.later.damaged(why, self.behind.later.blobs()));
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        let mut reader = content.open()?;
        io::copy(&mut reader.by_ref().take(offset), &mut io::sink())?;
        Ok(Box::new(reader.take(len)))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        format!("file {} of what the cache has under {}", self.number, self.behind.later.key)
    }
}
