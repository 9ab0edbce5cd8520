//! Where bytes come from. The one door through which content enters the pure crates; who opens files is not here.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use crate::digest::Digest;

/// Something whose bytes can be read again and again, from any offset: a file on disk, a blob, a slice.
pub trait Source: Send + Sync {
    /// A reader of `len` bytes from `offset`; fewer if the source ends before.
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>>;

    /// The size of the whole source in bytes.
    fn size(&self) -> io::Result<u64>;

    /// What to call it in an error.
    fn name(&self) -> String;

    /// The digest that all of its bytes are stated to have, where that is known without reading them.
    fn stated(&self) -> Option<Digest> {
        None
    }

    /// Whether opening it anywhere costs as much as opening it at its beginning; a compressed stream has to be read up to
    /// there.
    fn seeks(&self) -> bool {
        true
    }
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}", self.name())
    }
}

/// A source in memory.
#[derive(Clone)]
pub struct Bytes(pub Arc<[u8]>);

impl Bytes {
    /// A source of these bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }
}

impl Source for Bytes {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let total = self.0.len() as u64;
        let start = offset.min(total) as usize;
        let end = offset.saturating_add(len).min(total) as usize;
        Ok(Box::new(Cursor::new(&self.0[start..end])))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn name(&self) -> String {
        format!("{} bytes in memory", self.0.len())
    }
}

/// A piece of another source, as a file in an archive.
pub struct Window {
    source: Arc<dyn Source>,
    offset: u64,
    size: u64,
    name: String,
}

impl Window {
    /// `size` bytes of `source` from `offset`; `name` is what to call it in an error.
    pub fn new(source: Arc<dyn Source>, offset: u64, size: u64, name: String) -> Self {
        Self { source, offset, size, name }
    }
}

impl Source for Window {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let offset = offset.min(self.size);
        self.source.open(self.offset + offset, len.min(self.size - offset))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        format!("{} in {}", self.name, self.source.name())
    }

    fn seeks(&self) -> bool {
        self.source.seeks()
    }
}

/// A source whose digest is stated: by a manifest, or by the name it is stored under.
pub struct Stated {
    source: Arc<dyn Source>,
    digest: Digest,
}

impl Stated {
    /// `source`, said to have this digest. Whoever reads it holds it against that.
    pub fn new(source: Arc<dyn Source>, digest: Digest) -> Self {
        Self { source, digest }
    }
}

impl Source for Stated {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.source.open(offset, len)
    }

    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn stated(&self) -> Option<Digest> {
        Some(self.digest)
    }

    fn seeks(&self) -> bool {
        self.source.seeks()
    }
}
