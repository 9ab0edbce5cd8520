//! The content of a regular file: never copied when a reference will do. Reading it is [`Source`]'s affair.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

use crate::digest::Digest;
use crate::source::{Bytes, Source};

/// Bytes known by where they lie, by their digest, or both.
#[derive(Clone, Debug)]
pub struct Content {
    size: u64,
    digest: Arc<OnceLock<Digest>>,
    bytes: Option<(Arc<dyn Source>, u64)>,
}

impl Content {
    /// `size` bytes of `source` from `offset`; the digest is taken when first asked for.
    pub fn lazy(source: Arc<dyn Source>, offset: u64, size: u64) -> Self {
        Self { size, digest: Arc::default(), bytes: Some((source, offset)) }
    }

    /// Content in memory.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = Bytes::new(bytes);
        let size = bytes.0.len() as u64;
        Self::lazy(Arc::new(bytes), 0, size)
    }

    /// Content of which only the digest is known, as in a golden.
    pub fn known(digest: Digest, size: u64) -> Self {
        Self { size, digest: Arc::new(OnceLock::from(digest)), bytes: None }
    }

    /// The same content, its digest now known to be `digest`.
    pub fn with_digest(self, digest: Digest) -> Self {
        let _ = self.digest.set(digest);
        self
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The sha256 digest; read and hashed once, then remembered.
    pub fn digest(&self) -> io::Result<Digest> {
        if let Some(digest) = self.digest.get() {
            return Ok(*digest);
        }
        let (digest, size) = Digest::of_reader(self.open()?)?;
        if size != self.size {
            return Err(short_read(self, size));
        }
        Ok(*self.digest.get_or_init(|| digest))
    }

    /// The digest if it has been taken already.
    pub fn known_digest(&self) -> Option<Digest> {
        self.digest.get().copied()
    }

    /// A reader of the bytes; an error of kind `NotFound` where only the digest is known.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        match &self.bytes {
            Some((source, offset)) => source.open(*offset, self.size),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "only the digest of this content is known; its bytes are not in a golden",
            )),
        }
    }

    /// All bytes, if there are at most `limit` of them.
    pub fn read_up_to(&self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if self.size > limit {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.open()?.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.size {
            return Err(short_read(self, bytes.len() as u64));
        }
        Ok(Some(bytes))
    }

    /// Whether the bytes themselves can be read.
    pub fn has_bytes(&self) -> bool {
        self.bytes.is_some()
    }
}

fn short_read(content: &Content, got: u64) -> io::Error {
    let name = content.bytes.as_ref().map_or_else(String::new, |(source, _)| source.name());
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!(
            "{name} ended after {got} of {} bytes; it changed while it was read or is truncated",
            content.size
        ),
    )
}
