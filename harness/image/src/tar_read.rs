//! Walks a tar member by member: extended headers resolved as Go's `archive/tar` does, sizes bounded, truncation told
//! from the end. What a member means in a layer is [`crate::layer_read`]'s affair.

use std::io::{self, BufRead};
use std::sync::Arc;

use crate::content::Content;
use crate::source::Source;
use crate::sparse::{Cursor, Map, Next};
use crate::sparse_map::{self, Segment};
use crate::tar_error::{Part, TarError};
use crate::tar_extended::Extended;
use crate::tar_header::{self, BLOCK, Block, Header};
use crate::tar_input::Input;
use crate::tar_pax::{self, Records};

/// What a hostile tar may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct TarLimits {
    /// Members.
    pub entries: u64,
    /// Bytes of one extended header, path or link; Go's limit.
    pub extended: u64,
    /// Bytes of all paths, links, names and extended attributes together.
    pub metadata: u64,
    /// Pieces of which a sparse file has some and the rest is not stored.
    pub pieces: u64,
    /// Bytes of all sparse files together that are not stored: whoever compares or hashes such a file reads them all.
    pub holes: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        Self { entries: 4_000_000, extended: 1 << 20, metadata: 1 << 30, pieces: 1 << 20, holes: 64 << 30 }
    }
}

/// What is not stored of a sparse file, a piece at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Directories above a file, of which each one more is counted against [`TarLimits::metadata`].
const DEEP: u64 = 64;

/// How the tar ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With two zero blocks, as it should.
    Closed,
    /// After a whole member, or after one zero block.
    Missing,
}

/// One member, extended headers applied.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its header; `size` is that of the content, 0 for all but files.
    pub(crate) header: Header,
    /// Nanoseconds beyond the header's `mtime`.
    pub(crate) nanos: u32,
    pub(crate) xattrs: Records,
    /// Keys of extended records that say nothing about the file.
    pub(crate) other_records: Vec<Vec<u8>>,
    /// Its number, from 0.
    pub(crate) entry: u64,
    /// Where its first header block starts.
    pub(crate) start: u64,
    /// Where its content starts.
    pub(crate) offset: u64,
    /// What of it is stored, if not all is.
    pub(crate) sparse: Option<Arc<Map>>,
}

impl Member {
    /// The content of a file, which is in `source` as this tar is.
    pub(crate) fn content(&self, source: Arc<dyn Source>) -> Content {
        match &self.sparse {
            Some(map) => map.content(source, self.offset),
            None => Content::lazy(source, self.offset, self.header.size.unsigned_abs()),
        }
    }
}

/// The members of a tar, one after the other.
pub(crate) struct Members<I> {
    input: I,
    pub(crate) limits: TarLimits,
    /// Bytes consumed.
    offset: u64,
    entry: u64,
    pub(crate) metadata: u64,
    /// As it is stored.
    pub(crate) content_left: u64,
    /// Where in a sparse file it is.
    sparse: Option<Cursor>,
    pub(crate) holes: u64,
    padding: u64,
    end: Option<End>,
    global_headers: u64,
}

impl<I: Input> Members<I> {
    pub(crate) fn new(input: I, limits: TarLimits) -> Self {
        Self {
            input,
            limits,
            offset: 0,
            entry: 0,
            metadata: 0,
            content_left: 0,
            sparse: None,
            holes: 0,
            padding: 0,
            end: None,
            global_headers: 0,
        }
    }

    /// The next member; what is left of the content of the one before is left out.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, TarError> {
        if self.end.is_some() {
            return Ok(None);
        }
        self.leave_content()?;
        let start = self.offset;
        let mut extended = Extended::default();
        loop {
            let Some(block) = self.block()? else {
                if !extended.is_empty() {
                    return Err(self.truncated(Part::ExtendedHeader));
                }
                return self.at_end(End::Missing);
            };
            if block == [0; BLOCK] {
                if !extended.is_empty() {
                    return Err(self.damaged(start, "its extended header is followed by the end of the tar"));
                }
                return match self.block()? {
                    None => self.at_end(End::Missing),
                    Some(second) if second == [0; BLOCK] => self.at_end(End::Closed),
                    Some(_) => Err(self.damaged(start, "a zero block is followed by data")),
                };
            }
            let header = tar_header::decode(&block).map_err(|why| self.damaged(start, why))?;
            match header.flag {
                b'x' => {
                    let records = tar_pax::parse(&self.extended(&header)?);
                    extended.records = records.map_err(|why| self.damaged(start, why))?;
                    extended.any = true;
                }
                b'g' => {
                    self.extended(&header)?;
                    self.global_headers += 1;
                }
                b'L' => extended.name = Some(tar_header::up_to_nul(&self.extended(&header)?).to_vec()),
                b'K' => extended.link = Some(tar_header::up_to_nul(&self.extended(&header)?).to_vec()),
                b'S' => {
                    let sparse = self.old_sparse(&header, &block, start)?;
                    return self.member(header, extended, sparse, start).map(Some);
                }
                _ => return self.member(header, extended, None, start).map(Some),
            }
        }
    }

    /// Reads some of the current member's content; 0 at its end.
    pub(crate) fn content(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let (zeros, left) = self.at_hand();
        let len = left.min(buffer.len() as u64) as usize;
        if len == 0 {
            return Ok(0);
        }
        if zeros {
            buffer[..len].fill(0);
            self.sparse.iter_mut().for_each(|cursor| cursor.advance(len as u64));
            return Ok(len);
        }
        let n = self.read(&mut buffer[..len])?;
        if n == 0 {
            return Err(self.truncated(Part::Content));
        }
        self.content_left -= n as u64;
        self.sparse.iter_mut().for_each(|cursor| cursor.advance(n as u64));
        Ok(n)
    }

    /// What is left of the current member's content, as much as is at hand; empty at its end.
    pub(crate) fn peek(&mut self) -> Result<&[u8], TarError>
    where
        I: BufRead,
    {
        let (zeros, left) = self.at_hand();
        if zeros || left == 0 {
            return Ok(&ZEROS[..left.min(ZEROS.len() as u64) as usize]);
        }
        let at_hand = loop {
            match self.input.fill_buf() {
                Ok(bytes) => break bytes.len(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        };
        if at_hand == 0 {
            return Err(self.truncated(Part::Content));
        }
        let len = left.min(at_hand as u64) as usize;
        // What has been filled once is given again, without reading.
        match self.input.fill_buf() {
            Ok(bytes) => Ok(&bytes[..len.min(bytes.len())]),
            Err(_) => Ok(&[]),
        }
    }

    /// Goes on by `len` of the bytes that `peek` gave.
    pub(crate) fn advance(&mut self, len: usize)
    where
        I: BufRead,
    {
        let (zeros, _) = self.at_hand();
        self.sparse.iter_mut().for_each(|cursor| cursor.advance(len as u64));
        if zeros {
            return;
        }
        self.input.consume(len);
        self.offset += len as u64;
        self.content_left -= (len as u64).min(self.content_left);
    }

    /// Whether zeros that are not stored come next in the current member's content, and how much of one kind there is.
    fn at_hand(&self) -> (bool, u64) {
        match self.sparse.as_ref().map(Cursor::next) {
            None => (false, self.content_left),
            Some(Next::Zeros(len)) => (true, len),
            Some(Next::Stored(len)) => (false, len),
            Some(Next::End) => (false, 0),
        }
    }

    /// The input, how the tar ended, and how many global extended headers there were. Only after `next` gave `None`.
    pub(crate) fn finish(self) -> (I, End, u64) {
        (self.input, self.end.unwrap_or(End::Missing), self.global_headers)
    }

    /// Where the next byte comes from.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many members there were so far.
    pub(crate) fn entries(&self) -> u64 {
        self.entry
    }

    fn at_end(&mut self, end: End) -> Result<Option<Member>, TarError> {
        self.end = Some(end);
        Ok(None)
    }

    fn member(
        &mut self,
        mut header: Header,
        mut extended: Extended,
        old: Option<(Vec<Segment>, i64)>,
        start: u64,
    ) -> Result<Member, TarError> {
        let told = sparse_map::of_records(&mut extended.records).map_err(|why| self.damaged(start, why))?;
        let (nanos, xattrs, other_records) =
            extended.apply(&mut header).map_err(|why| self.damaged(start, why))?;
        let mut told = told.filter(|_| matches!(header.flag, 0 | b'0' | b'7'));
        if let Some(name) = told.as_mut().and_then(|told| told.name.take()) {
            header.name = name;
        }
        let entry = self.entry;
        if entry >= self.limits.entries {
            return Err(self.limit(start, "entries", self.limits.entries));
        }
        let lengths =
            [&header.name, &header.link, &header.uname, &header.gname].map(|text| text.len() as u64);
        let attributes = xattrs.iter().map(|(name, value)| (name.len() + value.len()) as u64);
        // Whoever makes a file system of it makes every directory above, each with its whole path.
        let depth = header.name.iter().filter(|byte| **byte == b'/').count() as u64;
        let above = header.name.len() as u64 * depth.saturating_sub(DEEP) / 2;
        self.metadata += lengths.into_iter().chain(attributes).chain([above]).sum::<u64>();
        if self.metadata > self.limits.metadata {
            return Err(self.limit(start, "bytes of names in all", self.limits.metadata));
        }
        if header.flag == 0 && header.name.ends_with(b"/") {
            header.flag = b'5';
        }
        if matches!(header.flag, b'1'..=b'6') {
            header.size = 0;
        }
        let size = u64::try_from(header.size).map_err(|_| self.damaged(start, "its size is negative"))?;
        let padded = size.checked_next_multiple_of(BLOCK as u64).filter(|size| *size < i64::MAX as u64);
        let padded = padded.ok_or_else(|| self.damaged(start, "its size is absurd"))?;
        self.content_left = size;
        self.padding = padded - size;
        let sparse = match (old, told) {
            (Some((segments, whole)), _) => Some(self.sparse(&segments, whole, start)?),
            (None, Some(told)) => {
                let segments = match told.map {
                    sparse_map::Where::Here(segments) => segments,
                    sparse_map::Where::Ahead => self.map_ahead(start)?,
                };
                Some(self.sparse(&segments, told.size.unwrap_or(header.size), start)?)
            }
            (None, None) => None,
        };
        if let Some(map) = &sparse {
            header.flag = b'0';
            header.size = i64::try_from(map.size()).unwrap_or(i64::MAX);
        }
        self.sparse = sparse.clone().map(Cursor::new);
        self.entry += 1;
        Ok(Member { header, nanos, xattrs, other_records, entry, start, offset: self.offset, sparse })
    }

    /// The content of an extended header.
    fn extended(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let size = u64::try_from(header.size).unwrap_or(u64::MAX);
        if size > self.limits.extended {
            return Err(self.limit(self.offset, "bytes of extended header", self.limits.extended));
        }
        let mut bytes = vec![0; size.next_multiple_of(BLOCK as u64) as usize];
        if self.fill(&mut bytes)? < bytes.len() {
            return Err(self.truncated(Part::ExtendedHeader));
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    /// Goes on to the next header.
    fn leave_content(&mut self) -> Result<(), TarError> {
        for (part, len) in [(Part::Content, self.content_left), (Part::Padding, self.padding)] {
            let skipped = self.input.skip(len).map_err(|e| self.io(e))?;
            self.offset += skipped;
            if skipped < len {
                return Err(self.truncated(part));
            }
        }
        (self.content_left, self.padding, self.sparse) = (0, 0, None);
        Ok(())
    }

    /// A block; `None` at the end.
    pub(crate) fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(TarError::Truncated { entry: self.entry, offset: self.offset, part: Part::Header }),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.input.read(buffer) {
                Ok(n) => {
                    self.offset += n as u64;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.io(e)),
            }
        }
    }

    /// The member whose content is being read has been counted already.
    pub(crate) fn truncated(&self, part: Part) -> TarError {
        let inside = matches!(part, Part::Content | Part::Padding);
        TarError::Truncated { entry: self.entry - u64::from(inside), offset: self.offset, part }
    }

    fn io(&self, error: io::Error) -> TarError {
        TarError::from_io(error, self.entry - u64::from(self.content_left > 0), self.offset)
    }

    pub(crate) fn damaged(&self, offset: u64, why: impl Into<String>) -> TarError {
        TarError::Damaged { entry: self.entry, offset, why: why.into() }
    }

    pub(crate) fn limit(&self, offset: u64, what: &'static str, limit: u64) -> TarError {
        TarError::Limit { entry: self.entry, offset, what, limit }
    }
}
