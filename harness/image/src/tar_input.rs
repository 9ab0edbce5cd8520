//! Where the bytes of a tar come from: a reader, or a source of which only what is asked for is read.

use std::io::{self, Read};

use crate::source::Source;
use crate::tar_header::BLOCK;

/// Bytes in order, of which some can be left out.
pub(crate) trait Input: Read {
    /// Goes `len` bytes on; how many there were before the end.
    fn skip(&mut self, len: u64) -> io::Result<u64>;
}

/// A reader in which leaving out means reading.
pub(crate) struct Stream<R>(pub(crate) R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Input for Stream<R> {
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        io::copy(&mut self.0.by_ref().take(len), &mut io::sink())
    }
}

/// A source, of which only what is asked for is read.
pub(crate) struct Jump<'s> {
    source: &'s dyn Source,
    size: u64,
    at: u64,
    reader: Option<Box<dyn Read + Send + 's>>,
}

impl<'s> Jump<'s> {
    pub(crate) fn new(source: &'s dyn Source) -> io::Result<Self> {
        Ok(Self { source, size: source.size()?, at: 0, reader: None })
    }
}

impl Read for Jump<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.source.open(self.at, self.size.saturating_sub(self.at))?),
        };
        let n = reader.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Input for Jump<'_> {
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        let len = len.min(self.size.saturating_sub(self.at));
        if len <= BLOCK as u64 {
            return io::copy(&mut self.by_ref().take(len), &mut io::sink());
        }
        self.at += len;
        self.reader = None;
        Ok(len)
    }
}
