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

/// A source, by its address, and the offset and size in it.
type Place = (usize, u64, u64);

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

    /// Whether the bytes can be read without reading much else first.
    pub fn is_near(&self) -> bool {
        self.bytes.as_ref().is_some_and(|(source, _)| source.seeks())
    }

    /// Whether both are the same bytes of the same source, which nobody has to read to know.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.place().is_some() && self.place() == other.place()
    }

    fn place(&self) -> Option<Place> {
        let (source, offset) = self.bytes.as_ref()?;
        Some((Arc::as_ptr(source).cast::<()>() as usize, *offset, self.size))
    }

    /// Hands every content that has bytes to `read`, with its number, in the order in which they lie: in a compressed layer
    /// that is one pass for all.
    ///
    /// # Errors
    /// The first that a source or `read` has.
    pub fn each_of(
        contents: &[&Content],
        mut read: impl FnMut(usize, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        for (_, number) in in_place(contents) {
            read(number, &mut *contents[number].open()?)?;
        }
        Ok(())
    }

    /// Takes the digests of all of them that have bytes and no digest yet, one place once.
    pub fn digest_all(contents: &[&Content]) -> io::Result<()> {
        let unknown: Vec<&Content> =
            contents.iter().copied().filter(|content| content.known_digest().is_none()).collect();
        for of_one in in_place(&unknown).chunk_by(|one, next| one.0 == next.0) {
            let digest = unknown[of_one[0].1].digest()?;
            for (_, number) in of_one {
                let _ = unknown[*number].digest.set(digest);
            }
        }
        Ok(())
    }
}

/// The contents that have bytes, by where they lie, each with its number.
fn in_place(contents: &[&Content]) -> Vec<(Place, usize)> {
    let placed = contents.iter().enumerate();
    let mut placed: Vec<_> =
        placed.filter_map(|(number, content)| Some((content.place()?, number))).collect();
    placed.sort_unstable();
    placed
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
