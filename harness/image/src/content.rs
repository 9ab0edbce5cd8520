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

    /// Whether the bytes can be read without reading much else first.
    pub fn is_near(&self) -> bool {
        self.bytes.as_ref().is_some_and(|(source, _)| source.seeks())
    }

    /// Hands every content that has bytes to `read`, in the order in which they lie, each source opened once: the way to
    /// read many contents of a compressed layer. `read` gets the number of the content; what it leaves is skipped.
    ///
    /// # Errors
    /// The first that a source or `read` has.
    pub fn each_of(
        contents: &[&Content],
        mut read: impl FnMut(usize, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let placed = contents.iter().enumerate().filter_map(|(number, content)| {
            let (source, offset) = content.bytes.as_ref()?;
            Some((Arc::as_ptr(source).cast::<()>() as usize, *offset, number, source))
        });
        let mut placed: Vec<_> = placed.collect();
        placed.sort_by_key(|(source, offset, number, _)| (*source, *offset, *number));
        for of_one in placed.chunk_by(|a, b| a.0 == b.0) {
            let source = of_one[0].3;
            let mut opened: Option<(u64, Box<dyn Read + Send + '_>)> = None;
            for (_, offset, number, _) in of_one {
                let content = contents[*number];
                let (at, mut reader) = match opened.take() {
                    Some((at, reader)) if at <= *offset && !source.seeks() => (at, reader),
                    _ => {
                        (*offset, source.open(*offset, if source.seeks() { content.size } else { u64::MAX })?)
                    }
                };
                io::copy(&mut reader.by_ref().take(offset - at), &mut io::sink())?;
                let mut window = reader.by_ref().take(content.size);
                read(*number, &mut window)?;
                io::copy(&mut window, &mut io::sink())?;
                opened = Some((offset + content.size, reader));
            }
        }
        Ok(())
    }

    /// Takes the digests of all of them that have bytes and no digest yet.
    pub fn digest_all(contents: &[&Content]) -> io::Result<()> {
        let unknown: Vec<&Content> =
            contents.iter().copied().filter(|content| content.known_digest().is_none()).collect();
        Self::each_of(&unknown, |number, reader| {
            let content = unknown[number];
            let (digest, size) = Digest::of_reader(reader)?;
            if size != content.size {
                return Err(short_read(content, size));
            }
            let _ = content.digest.set(digest);
            Ok(())
        })
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
