//! The contents of a layer of which only the listing was read. The first that somebody asks for has the whole layer read and
//! verified; if it is not what the listing says, that is told to the build, which begins anew without it.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock};

use samebuild_image::{Content, Digest, Entry, Kind, Source};

use super::locked;
use super::unread::{Damaged, Later};

/// What was found damaged while something was read, for whoever began the reading.
#[derive(Clone, Debug, Default)]
pub struct Noticed(Arc<Mutex<Vec<Damaged>>>);

impl Noticed {
    /// All of it, once.
    pub fn take(&self) -> Vec<Damaged> {
        std::mem::take(&mut *locked(&self.0))
    }

    fn note(&self, damaged: Damaged) {
        locked(&self.0).push(damaged);
    }
}

/// A layer that is read when somebody needs one of its contents: a source of all of them, one behind the other.
pub struct Behind {
    later: Later,
    noticed: Noticed,
    read: OnceLock<Result<Files, String>>,
}

/// Contents, and where each begins.
struct Files(Vec<(u64, Content)>);

/// Contents as they are listed, each with its place behind the others.
pub struct Contents {
    behind: Arc<Behind>,
    at: u64,
}

impl Contents {
    pub fn of(later: Later, noticed: Noticed) -> Self {
        Self { behind: Arc::new(Behind { later, noticed, read: OnceLock::new() }), at: 0 }
    }

    /// What is in the next file, which is listed with this size and digest; `None` if that is more than there can be.
    pub fn next(&mut self, size: u64, digest: Digest) -> Option<Content> {
        let at = self.at;
        self.at = at.checked_add(size)?;
        Some(Content::lazy(Arc::clone(&self.behind) as Arc<dyn Source>, at, size).with_digest(digest))
    }
}

impl Behind {
    fn files(&self) -> io::Result<&Files> {
        let read = self.read.get_or_init(|| self.verified().map_err(|damaged| self.told(damaged)));
        read.as_ref().map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.as_str()))
    }

    fn told(&self, damaged: Damaged) -> String {
        let why = damaged.to_string();
        self.noticed.note(damaged);
        why
    }

    /// The layer's contents, which are those that are listed.
    fn verified(&self) -> Result<Files, Damaged> {
        let layer = self.later.layer()?;
        let listed = self.later.list()?;
        if !contents(&layer.entries).map(what).eq(contents(&listed).map(what)) {
            let why = "its list of files is another layer's".to_owned();
            return Err(self.later.damaged(why, self.later.blobs()));
        }
        let mut end = 0;
        let placed = contents(&layer.entries).map(|content| {
            let at = end;
            end += content.size();
            (at, content.clone())
        });
        // Nobody asks for what is in an empty one.
        Ok(Files(placed.filter(|(_, content)| content.size() > 0).collect()))
    }
}

/// What is in the files among these.
pub(super) fn contents(entries: &[Entry]) -> impl Iterator<Item = &Content> {
    entries.iter().filter_map(|entry| match &entry.kind {
        Kind::File(content) => Some(content),
        _ => None,
    })
}

fn what(content: &Content) -> (u64, Option<Digest>) {
    (content.size(), content.known_digest())
}

impl Source for Behind {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        if len == 0 {
            return Ok(Box::new(io::empty()));
        }
        let Files(files) = self.files()?;
        let after = files.partition_point(|(at, _)| *at <= offset);
        let Some((at, content)) = after.checked_sub(1).and_then(|number| files.get(number)) else {
            return Ok(Box::new(io::empty()));
        };
        let mut reader = content.open()?;
        io::copy(&mut reader.by_ref().take(offset - at), &mut io::sink())?;
        Ok(Box::new(reader.take(len)))
    }

    /// Known only by reading it all.
    fn size(&self) -> io::Result<u64> {
        Ok(self.files()?.0.last().map_or(0, |(at, content)| at + content.size()))
    }

    fn name(&self) -> String {
        format!("what the cache has under {}", self.later.key)
    }

    fn seeks(&self) -> bool {
        false
    }
}
