//! Walks a tar member by member: extended headers resolved as Go's `archive/tar` does, sizes bounded, truncation told
//! from the end. What a member means in a layer is [`crate::layer_read`]'s affair.

use std::io::{self, BufRead, Read};

use crate::source::Source;
use crate::tar_error::{Part, TarError};
use crate::tar_header::{self, BLOCK, Block, Header};
use crate::tar_pax::{self, Records, XATTR};

/// What a hostile tar may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct TarLimits {
    /// Members.
    pub entries: u64,
    /// Bytes of one extended header, path or link; Go's limit.
    pub extended: u64,
    /// Bytes of all paths, links, names and extended attributes together.
    pub metadata: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        Self { entries: 4_000_000, extended: 1 << 20, metadata: 1 << 30 }
    }
}

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
}

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

/// The members of a tar, one after the other.
pub(crate) struct Members<I> {
    input: I,
    limits: TarLimits,
    /// Bytes consumed.
    offset: u64,
    entry: u64,
    metadata: u64,
    content_left: u64,
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
                _ => return self.member(header, extended, start).map(Some),
            }
        }
    }

    /// Reads some of the current member's content; 0 at its end.
    pub(crate) fn content(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let len = self.content_left.min(buffer.len() as u64) as usize;
        if len == 0 {
            return Ok(0);
        }
        let n = self.read(&mut buffer[..len])?;
        if n == 0 {
            return Err(self.truncated(Part::Content));
        }
        self.content_left -= n as u64;
        Ok(n)
    }

    /// What is left of the current member's content, as much as is at hand; empty at its end.
    pub(crate) fn peek(&mut self) -> Result<&[u8], TarError>
    where
        I: BufRead,
    {
        if self.content_left == 0 {
            return Ok(&[]);
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
        let len = self.content_left.min(at_hand as u64) as usize;
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
        self.input.consume(len);
        self.offset += len as u64;
        self.content_left -= (len as u64).min(self.content_left);
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

    fn member(&mut self, mut header: Header, extended: Extended, start: u64) -> Result<Member, TarError> {
        let (nanos, xattrs, other_records) =
            extended.apply(&mut header).map_err(|why| self.damaged(start, why))?;
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
        self.entry += 1;
        Ok(Member { header, nanos, xattrs, other_records, entry, start, offset: self.offset })
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
        (self.content_left, self.padding) = (0, 0);
        Ok(())
    }

    /// A block; `None` at the end.
    fn block(&mut self) -> Result<Option<Block>, TarError> {
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
    fn truncated(&self, part: Part) -> TarError {
        let inside = matches!(part, Part::Content | Part::Padding);
        TarError::Truncated { entry: self.entry - u64::from(inside), offset: self.offset, part }
    }

    fn io(&self, error: io::Error) -> TarError {
        TarError::from_io(error, self.entry - u64::from(self.content_left > 0), self.offset)
    }

    fn damaged(&self, offset: u64, why: impl Into<String>) -> TarError {
        TarError::Damaged { entry: self.entry, offset, why: why.into() }
    }

    fn limit(&self, offset: u64, what: &'static str, limit: u64) -> TarError {
        TarError::Limit { entry: self.entry, offset, what, limit }
    }
}

/// What extended headers say about the member that follows.
#[derive(Default)]
struct Extended {
    records: Records,
    any: bool,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extended {
    fn is_empty(&self) -> bool {
        !self.any && self.name.is_none() && self.link.is_none()
    }

    /// Puts everything in its place; nanoseconds, extended attributes and the keys of what has no place are returned. An
    /// empty value changes nothing.
    fn apply(self, header: &mut Header) -> Result<(u32, Records, Vec<Vec<u8>>), String> {
        let mut xattrs = Records::new();
        let mut others = Vec::new();
        let mut nanos = 0;
        for (key, value) in self.records {
            if let Some(name) = key.strip_prefix(XATTR) {
                xattrs.insert(name.to_vec(), value);
                continue;
            }
            if value.is_empty() {
                continue;
            }
            match &key[..] {
                b"path" => header.name = value,
                b"linkpath" => header.link = value,
                b"uname" => header.uname = value,
                b"gname" => header.gname = value,
                b"uid" => header.uid = decimal(&key, &value)?,
                b"gid" => header.gid = decimal(&key, &value)?,
                b"size" => header.size = decimal(&key, &value)?,
                b"mtime" => {
                    let time = tar_pax::parse_time(&value);
                    (header.mtime, nanos) = time.ok_or_else(|| bad_record(&key, &value))?;
                }
                key if key.starts_with(b"GNU.sparse.") => header.flag = b'S',
                _ => others.push(key),
            }
        }
        header.name = self.name.unwrap_or_else(|| std::mem::take(&mut header.name));
        header.link = self.link.unwrap_or_else(|| std::mem::take(&mut header.link));
        Ok((nanos, xattrs, others))
    }
}

fn decimal(key: &[u8], value: &[u8]) -> Result<i64, String> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad_record(key, value))
}

fn bad_record(key: &[u8], value: &[u8]) -> String {
    let value = &value[..value.len().min(80)];
    format!("its PAX record {}={:?} is not a number", bstr::BStr::new(key), bstr::BStr::new(value))
}
