//! Files of which a tar stores only what is not zero: the map of it, and the file as it was. How the map stands in a tar is
//! [`crate::sparse_map`]'s affair. Nothing that is absent is ever kept in memory.

use std::io::{self, Read};
use std::sync::Arc;

use crate::content::Content;
use crate::source::Source;

/// What of a file is stored, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    size: u64,
    /// Offset and length, in order, none empty.
    segments: Vec<(u64, u64)>,
}

/// What comes next in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// So many zeros that are not stored.
    Zeros(u64),
    /// So many bytes that are.
    Stored(u64),
    End,
}

/// A place in such a file.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    map: Arc<Map>,
    at: u64,
    segment: usize,
}

impl Map {
    /// Of a file of `size` bytes; `stored` are in the tar. The error says what is wrong with the map.
    pub(crate) fn new(size: i64, segments: &[(i64, i64)], stored: u64) -> Result<Self, String> {
        let unsigned = |number: i64| {
            u64::try_from(number).map_err(|_| "the map of a sparse file has a negative number".to_owned())
        };
        let size = unsigned(size)?;
        let mut map = Self { size, segments: Vec::new() };
        let (mut end, mut sum) = (0u64, 0u64);
        for (offset, len) in segments {
            let (offset, len) = (unsigned(*offset)?, unsigned(*len)?);
            if offset < end {
                return Err(format!(
                    "the map of a sparse file has a piece at {offset}, inside the one before"
                ));
            }
            // Two numbers that fit 63 bits.
            end = offset + len;
            if end > size {
                return Err(format!("the map of a sparse file ends at {end}, beyond its size of {size}"));
            }
            sum += len;
            if len > 0 {
                map.segments.push((offset, len));
            }
        }
        if sum != stored {
            return Err(format!("the map of a sparse file has {sum} bytes, but {stored} are stored"));
        }
        Ok(map)
    }

    /// The size of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the file that are not stored.
    pub(crate) fn holes(&self) -> u64 {
        self.size - self.segments.iter().map(|(_, len)| len).sum::<u64>()
    }

    /// The file, whose stored bytes lie in `source` from `offset`.
    pub(crate) fn content(self: &Arc<Self>, source: Arc<dyn Source>, offset: u64) -> Content {
        Content::lazy(Arc::new(Whole { source, offset, map: Arc::clone(self) }), 0, self.size)
    }
}

impl Cursor {
    /// The beginning.
    pub(crate) fn new(map: Arc<Map>) -> Self {
        Self { map, at: 0, segment: 0 }
    }

    pub(crate) fn next(&self) -> Next {
        match self.map.segments.get(self.segment) {
            Some((offset, _)) if self.at < *offset => Next::Zeros(offset - self.at),
            Some((offset, len)) => Next::Stored(offset + len - self.at),
            None if self.at < self.map.size => Next::Zeros(self.map.size - self.at),
            None => Next::End,
        }
    }

    /// Goes on, by no more than there is of what comes next.
    pub(crate) fn advance(&mut self, len: u64) {
        self.at += len;
        if self.map.segments.get(self.segment).is_some_and(|(offset, len)| offset + len <= self.at) {
            self.segment += 1;
        }
    }

    /// How many stored bytes there are before this one of the file, which becomes the place.
    fn seek(&mut self, to: u64) -> u64 {
        self.segment = self.map.segments.partition_point(|(offset, len)| offset + len <= to);
        self.at = to;
        let before: u64 = self.map.segments[..self.segment].iter().map(|(_, len)| len).sum();
        before + self.map.segments.get(self.segment).map_or(0, |(offset, _)| to.saturating_sub(*offset))
    }
}

/// The file as it was.
struct Whole {
    source: Arc<dyn Source>,
    offset: u64,
    map: Arc<Map>,
}

impl Source for Whole {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut cursor = Cursor::new(Arc::clone(&self.map));
        let stored = self.map.size - self.map.holes();
        let before = cursor.seek(offset.min(self.map.size));
        let inner = self.source.open(self.offset + before, stored - before)?;
        let left = len.min(self.map.size.saturating_sub(offset));
        Ok(Box::new(Filled { cursor, inner, left }))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.map.size)
    }

    fn name(&self) -> String {
        format!("a sparse file in {}", self.source.name())
    }

    fn seeks(&self) -> bool {
        self.source.seeks()
    }
}

struct Filled<R> {
    cursor: Cursor,
    inner: R,
    left: u64,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.left.min(buffer.len() as u64);
        let n = match self.cursor.next() {
            Next::End => 0,
            Next::Zeros(len) => {
                let n = len.min(room) as usize;
                buffer[..n].fill(0);
                n
            }
            Next::Stored(len) => {
                let n = len.min(room) as usize;
                self.inner.read(&mut buffer[..n])?
            }
        };
        self.cursor.advance(n as u64);
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Bytes;

    #[test]
    fn every_piece_of_a_sparse_file_reads_as_the_whole_does() {
        let map = Arc::new(Map::new(20, &[(2, 3), (5, 2), (10, 4), (20, 0)], 9).unwrap());
        let whole = b"\0\0abcde\0\0\0fghi\0\0\0\0\0\0";
        assert_eq!((map.size(), map.holes()), (20, 11));
        let content = map.content(Arc::new(Bytes::new(*b"xxabcdefghi")), 2);
        assert_eq!(content.read_up_to(20).unwrap().unwrap(), whole);
        let source = Whole { source: Arc::new(Bytes::new(*b"abcdefghi")), offset: 0, map };
        for from in 0..=21u64 {
            for len in 0..=21u64 {
                let mut read = Vec::new();
                source.open(from, len).unwrap().read_to_end(&mut read).unwrap();
                let to = (from + len).min(20) as usize;
                assert_eq!(read, whole[(from as usize).min(to)..to], "{len} bytes from {from}");
            }
        }
    }

    #[test]
    fn a_map_that_makes_no_sense_says_why() {
        for (size, segments, stored, why) in [
            (10, &[(0, 4), (3, 2)][..], 6, "inside the one before"),
            (10, &[(8, 4)], 4, "beyond its size"),
            (10, &[(-1, 4)], 4, "negative"),
            (10, &[(i64::MAX, i64::MAX)], 4, "beyond its size"),
            (-1, &[], 0, "negative"),
            (10, &[(0, 4)], 5, "5 are stored"),
        ] {
            let error = Map::new(size, segments, stored).unwrap_err();
            assert!(error.contains(why), "{segments:?}: {error}");
        }
    }
}
