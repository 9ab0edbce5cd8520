//! A layer from its tar, in one pass: entries, where their contents lie, the digest of the whole. Walking the tar is
//! `tar_read`'s affair, decompressing [`crate::compression`]'s, applying whiteouts [`crate::Tree`]'s.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use crate::at::At;
use crate::content::Content;
use crate::digest::{Digest, HashReader, Hasher};
use crate::entry::{Entry, Kind, Meta};
use crate::image::{Compression, Layer};
use crate::mtime::Mtime;
use crate::source::Source;
pub use crate::tar_error::TarError;
use crate::tar_input::{Input, Stream};
pub use crate::tar_read::{End, TarLimits};
use crate::tar_read::{Member, Members};

/// How a layer is read; sizes in bytes.
#[derive(Debug, Clone, Copy)]
pub struct LayerOptions {
    pub limits: TarLimits,
    /// A content of a stream is kept in memory if it is no bigger.
    pub inline: u64,
    /// But not more than this of all together; beyond it only digests are known.
    pub inline_total: u64,
    /// Take the digest of every content on the way, also where the contents can be read again.
    pub hash_contents: bool,
    /// Take a tar that ends after a whole member without its closing blocks. Only for who checks the digest.
    pub accept_missing_end: bool,
    /// Read an archive that somebody wants to unpack and not a layer: its root may be anything, what is reserved for
    /// contiguous files is no file.
    pub archive: bool,
}

impl Default for LayerOptions {
    fn default() -> Self {
        Self {
            limits: TarLimits::default(),
            inline: 64 * 1024,
            inline_total: 256 << 20,
            hash_contents: false,
            accept_missing_end: false,
            archive: false,
        }
    }
}

/// A layer, and what was odd about its tar.
#[derive(Debug)]
pub struct LayerRead {
    pub layer: Layer,
    pub end: End,
    /// Global extended headers; ignored, as Docker does.
    pub global_headers: u64,
    /// Whether something other than zeros follows the end; ignored but for the digest, as Docker does.
    pub trailing_data: bool,
}

/// Whether a tar begins here, going by its first member as Go's `archive/tar` does.
pub fn begins(reader: impl Read) -> bool {
    Members::new(Stream(reader), TarLimits::default()).next().is_ok_and(|member| member.is_some())
}

/// Reads the uncompressed tar in `source`; contents stay where they are.
pub fn index(source: Arc<dyn Source>, options: &LayerOptions) -> Result<LayerRead, TarError> {
    let io = |error| TarError::Io { offset: 0, error };
    let size = source.size().map_err(io)?;
    let reader = source.open(0, size).map_err(io)?;
    let mut read = read(reader, options, |member, mut bytes| {
        let lazy = member.content(Arc::clone(&source));
        if !options.hash_contents {
            return Ok(lazy);
        }
        let mut hasher = Hasher::default();
        bytes.each(|chunk| hasher.update(chunk))?;
        Ok(lazy.with_digest(hasher.finish().0))
    })?;
    read.layer.blob = Some((source, Compression::None));
    Ok(read)
}

/// Reads an uncompressed tar as it comes; contents are hashed, and kept if they are small.
pub fn stream(reader: impl Read, options: &LayerOptions) -> Result<LayerRead, TarError> {
    let mut keeper = Keeper::new(options);
    read(reader, options, |file, bytes| keeper.take(file, bytes, Content::known))
}

/// A regular file as it comes by.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'m> {
    member: &'m Member,
    /// Its size in bytes.
    pub size: u64,
}

impl Passing<'_> {
    /// The path as written.
    pub fn path(&self) -> &[u8] {
        &self.member.header.name
    }

    /// Its content, where it lies in the uncompressed tar `source`.
    pub fn content(&self, source: Arc<dyn Source>) -> Content {
        self.member.content(source)
    }
}

/// Reads an uncompressed tar; `take` gets every file's content as it passes by and says how it will be known. What it
/// does not read is skipped.
pub fn read(
    reader: impl Read,
    options: &LayerOptions,
    mut take: impl FnMut(Passing<'_>, Passed<'_>) -> Result<Content, TarError>,
) -> Result<LayerRead, TarError> {
    let buffered = BufReader::with_capacity(BUFFER, HashReader::new(reader));
    let mut members = Members::new(Stream(buffered), options.limits);
    let mut entries = Vec::new();
    let mut buffer = vec![0; BUFFER];
    while let Some(member) = members.next()? {
        let content = match member.header.flag {
            b'7' if options.archive => None,
            0 | b'0' | b'7' => {
                let size = member.header.size.unsigned_abs();
                let passing = Passing { member: &member, size };
                let bytes = Passed { members: &mut members, buffer: &mut buffer };
                Some(take(passing, bytes)?)
            }
            _ => None,
        };
        entries.push(entry(member, content, options.archive)?);
    }
    let (offset, count) = (members.offset(), members.entries());
    let (Stream(mut rest), end, global_headers) = members.finish();
    if end == End::Missing && !options.accept_missing_end {
        return Err(TarError::NoEnd { entries: count, offset });
    }
    let trailing_data = drain(&mut rest, &mut buffer).map_err(|e| TarError::from_io(e, count, offset))?;
    let (_, diff_id, size) = rest.into_inner().finish();
    let layer = Layer { diff_id: Some(diff_id), size, entries, blob: None };
    Ok(LayerRead { layer, end, global_headers, trailing_data })
}

/// Hashes contents, and keeps the small ones while there is room.
pub(crate) struct Keeper {
    inline: u64,
    left: u64,
}

impl Keeper {
    pub(crate) fn new(options: &LayerOptions) -> Self {
        Self { inline: options.inline, left: options.inline_total }
    }

    /// The content that passes by; `otherwise` says how it is known where it is not kept.
    pub(crate) fn take(
        &mut self,
        file: Passing<'_>,
        mut bytes: Passed<'_>,
        otherwise: impl FnOnce(Digest, u64) -> Content,
    ) -> Result<Content, TarError> {
        let keep = file.size <= self.inline.min(self.left);
        let mut kept = Vec::new();
        let mut hasher = Hasher::default();
        bytes.each(|chunk| {
            hasher.update(chunk);
            if keep {
                kept.extend_from_slice(chunk);
            }
        })?;
        let (digest, size) = hasher.finish();
        if !keep {
            return Ok(otherwise(digest, size));
        }
        self.left -= size;
        Ok(Content::inline(kept).with_digest(digest))
    }
}

const BUFFER: usize = 128 * 1024;

/// The content of a file that passes by.
pub struct Passed<'m> {
    members: &'m mut dyn Chunks,
    buffer: &'m mut [u8],
}

impl Passed<'_> {
    /// Calls `chunk` with the bytes, piece by piece, to their end.
    pub fn each(&mut self, mut chunk: impl FnMut(&[u8])) -> Result<(), TarError> {
        loop {
            match self.members.chunk(self.buffer)? {
                0 => return Ok(()),
                n => chunk(&self.buffer[..n]),
            }
        }
    }
}

impl Read for Passed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.members.chunk(buffer).map_err(|e| {
            let kind = if e.is_truncation() { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::Other };
            io::Error::new(kind, e)
        })
    }
}

trait Chunks {
    fn chunk(&mut self, buffer: &mut [u8]) -> Result<usize, TarError>;
}

impl<I: Input> Chunks for Members<I> {
    fn chunk(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        self.content(buffer)
    }
}

/// Reads to the end; whether there was anything but zeros.
fn drain(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut data = false;
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(data),
            Ok(n) => data |= buffer[..n].iter().any(|byte| *byte != 0),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

pub(crate) fn entry(member: Member, content: Option<Content>, archive: bool) -> Result<Entry, TarError> {
    let Member { header, nanos, xattrs, entry: number, start, .. } = member;
    let damaged = |why: String| TarError::Damaged { entry: number, offset: start, why };
    let device = |number: i64| {
        u32::try_from(number).map_err(|_| damaged(format!("its device number {number} is out of range")))
    };
    let owner = |id: i64| u64::try_from(id).map_err(|_| damaged(format!("its owner {id} is negative")));
    let unsupported = |what: String| TarError::Unsupported {
        entry: number,
        offset: start,
        path: header.name.clone().into(),
        what,
    };
    let kind = match (content, header.flag) {
        (Some(content), _) => Kind::File(content),
        (_, b'1') => Kind::Hardlink(At::clean(&header.link)),
        (_, b'2') => Kind::Symlink(header.link),
        (_, b'3') => Kind::Char { major: device(header.major)?, minor: device(header.minor)? },
        (_, b'4') => Kind::Block { major: device(header.major)?, minor: device(header.minor)? },
        (_, b'5') => Kind::Dir,
        (_, b'6') => Kind::Fifo,
        (_, b'M' | b'V') => return Err(unsupported("a part of a tar in several volumes".to_owned())),
        (_, flag) => return Err(unsupported(format!("of type {:?}", char::from(flag)))),
    };
    let at = At::clean(&header.name);
    if at.is_root() && !kind.is_dir() && !archive {
        return Err(damaged(format!("it makes the root a {}", kind.word())));
    }
    let meta = Meta {
        mode: (header.mode & 0o7777) as u32,
        uid: owner(header.uid)?,
        gid: owner(header.gid)?,
        mtime: Mtime::At { secs: header.mtime, nanos },
        xattrs,
    };
    let mut entry = Entry { uname: header.uname, gname: header.gname, ..Entry::new(at, kind, meta) };
    if entry.usual_path() != header.name {
        entry.raw = Some(header.name);
    }
    Ok(entry)
}
