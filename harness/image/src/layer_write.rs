//! A layer's tar from its entries, byte for byte as Go's `archive/tar` makes it for Docker, containerd and BuildKit:
//! hashed, compressed and written in one pass. Which entries a layer has is the builder's step; where the bytes go is the
//! writer's that is handed in.
//!
//! One thing is left out: since overlayfs lets whiteouts share an inode, Docker 20.10 leaves the name of the first in the
//! link field of the others. No reader looks at it, and whiteouts carry the time of the build, so no digest compares.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use crate::at::At;
use crate::compression::{Compression, Encoder};
use crate::content::Content;
use crate::digest::{Digest, HashWriter};
use crate::entry::{Entry, Kind};
use crate::tar_header::BLOCK;
use crate::tar_pax::{Records, XATTR};
use crate::tar_write::{self, Fields};

/// The points at which builders' tars differ though their entries are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TarStyle {
    pub mode: ModeField,
    pub times: Times,
    pub names: OwnerNames,
}

/// What the mode field of a header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModeField {
    /// Permissions alone, `0000644`, as Go has written since 1.9: containerd and what builds on its differ.
    Permissions,
    /// The file's type too, `0100644` and `040755`: Docker's own archiver keeps what Go 1.8 wrote, so that digests stay.
    /// Whiteouts are without: their headers are made afresh.
    TypeAndPermissions,
}

/// What becomes of fractions of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Times {
    /// Cut off.
    WholeSeconds,
    /// Kept in a PAX record.
    Fractions,
}

/// Whether owners are named beside their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerNames {
    /// As the entry has it, which is not at all where a builder made it.
    AsGiven,
    /// 0 is `root` where the entry has no name. Docker 20.10 asks the passwd and group files of the machine its daemon
    /// runs on; what other numbers are called there cannot be known, so they stay without.
    Root,
}

impl TarStyle {
    /// Permissions alone, whole seconds, no names: what containerd's differ and BuildKit's write.
    pub const PLAIN: Self =
        Self { mode: ModeField::Permissions, times: Times::WholeSeconds, names: OwnerNames::AsGiven };
    /// The file's type too, whole seconds, `root` by name: what Docker 20.10's own archiver writes.
    pub const TYPED: Self =
        Self { mode: ModeField::TypeAndPermissions, times: Times::WholeSeconds, names: OwnerNames::Root };
}

/// What was written; sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Size of the uncompressed tar.
    pub size: u64,
    /// Digest of what was written.
    pub blob_digest: Digest,
    /// Size of what was written.
    pub blob_size: u64,
}

/// Why a layer cannot be written; `at` is the entry's place.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("write the tar: entry {at}: {why}")]
    Entry { at: At, why: String },
    #[error("write the tar: entry {at}: its time is `{mtime}`, which means something in a golden only")]
    NamedTime { at: At, mtime: String },
    #[error("write the tar: entry {at}: read its content: {error}")]
    Content { at: At, error: io::Error },
    #[error("write the tar: {0}")]
    Io(#[from] io::Error),
}

/// Writes `entries` in their order, compressed, to `out`.
pub fn write<'e, W: Write>(
    entries: impl IntoIterator<Item = &'e Entry>,
    style: TarStyle,
    compression: Compression,
    out: W,
) -> Result<Written, WriteError> {
    let mut packer = Packer::new(out, compression)?;
    write_tar(entries, style, &mut packer)?;
    Ok(packer.finish()?.1)
}

/// Writes `entries` in their order as an uncompressed tar, its end included. Each content is read once, into the buffer it
/// is written from.
pub fn write_tar<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
    style: TarStyle,
    out: impl Write,
) -> Result<(), WriteError> {
    let mut out = Buffer { bytes: vec![0; BUFFER], filled: 0, out };
    let mut heads = Heads::new(style);
    for entry in entries {
        out.put(heads.of(entry)?)?;
        if let Kind::File(content) = &entry.kind {
            write_content(&entry.at, content, &mut out)?;
        }
    }
    out.put(&[0; 2 * BLOCK])?;
    out.flush()?;
    Ok(())
}

/// How many bytes [`write_tar`] will write. No content is read.
pub fn tar_size<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
    style: TarStyle,
) -> Result<u64, WriteError> {
    let mut heads = Heads::new(style);
    let mut size = 2 * BLOCK as u64;
    for entry in entries {
        size += heads.of(entry)?.len() as u64;
        if let Kind::File(content) = &entry.kind {
            size += content.size().next_multiple_of(BLOCK as u64);
        }
    }
    Ok(size)
}

/// Headers of entries, one after the other.
struct Heads<'e> {
    style: TarStyle,
    special: BTreeMap<&'e At, u32>,
    head: Vec<u8>,
}

impl<'e> Heads<'e> {
    fn new(style: TarStyle) -> Self {
        Self { style, special: BTreeMap::new(), head: Vec::new() }
    }

    fn of(&mut self, entry: &'e Entry) -> Result<&[u8], WriteError> {
        self.head.clear();
        let type_bits = type_bits(entry, &mut self.special);
        let bits = if self.style.mode == ModeField::TypeAndPermissions { type_bits } else { 0 };
        header(entry, self.style, bits, &mut self.head)?;
        Ok(&self.head)
    }
}

/// One buffer for all of a layer: thousands of small files become few large writes.
struct Buffer<W> {
    bytes: Vec<u8>,
    filled: usize,
    out: W,
}

const BUFFER: usize = 256 * 1024;

impl<W: Write> Buffer<W> {
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.room(bytes.len())?;
            let n = room.len().min(bytes.len());
            room[..n].copy_from_slice(&bytes[..n]);
            self.filled += n;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Free space: all there is, and as much as is wanted or can be.
    fn room(&mut self, wanted: usize) -> io::Result<&mut [u8]> {
        if self.bytes.len() - self.filled < wanted.min(self.bytes.len() / 2) {
            self.flush()?;
        }
        Ok(&mut self.bytes[self.filled..])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.bytes[..self.filled])?;
        self.filled = 0;
        Ok(())
    }
}

/// Writes an uncompressed tar that exists already, compressed, to `out`.
pub fn pack<W: Write>(mut tar: impl Read, compression: Compression, out: W) -> io::Result<(W, Written)> {
    let mut packer = Packer::new(out, compression)?;
    io::copy(&mut tar, &mut packer)?;
    packer.finish()
}

/// Takes both digests while it compresses; they are one where it does not.
enum Packer<W: Write> {
    Plain(HashWriter<W>),
    Packed(Box<HashWriter<Encoder<HashWriter<W>>>>),
}

impl<W: Write> Packer<W> {
    fn new(out: W, compression: Compression) -> io::Result<Self> {
        let out = HashWriter::new(out);
        Ok(match compression {
            Compression::None => Self::Plain(out),
            _ => Self::Packed(Box::new(HashWriter::new(Encoder::new(out, compression)?))),
        })
    }

    fn finish(self) -> io::Result<(W, Written)> {
        let (mut out, written) = match self {
            Self::Plain(plain) => {
                let (out, digest, size) = plain.finish();
                (out, Written { diff_id: digest, size, blob_digest: digest, blob_size: size })
            }
            Self::Packed(packed) => {
                let (encoder, diff_id, size) = packed.finish();
                let (out, blob_digest, blob_size) = encoder.finish()?.finish();
                (out, Written { diff_id, size, blob_digest, blob_size })
            }
        };
        out.flush()?;
        Ok((out, written))
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.write(bytes),
            Self::Packed(packed) => packed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.flush(),
            Self::Packed(packed) => packed.flush(),
        }
    }
}

/// The bits of the entry's type. A hard link has those of what it links to, remembered in `special` where that is no
/// regular file.
fn type_bits<'e>(entry: &'e Entry, special: &mut BTreeMap<&'e At, u32>) -> u32 {
    let bits = match &entry.kind {
        Kind::Hardlink(target) => return special.get(target).copied().unwrap_or(0o100_000),
        Kind::File(_) if entry.whiteout().is_some() => 0,
        Kind::File(_) => 0o100_000,
        Kind::Dir => 0o040_000,
        Kind::Symlink(_) => 0o120_000,
        Kind::Char { .. } => 0o020_000,
        Kind::Block { .. } => 0o060_000,
        Kind::Fifo => 0o010_000,
    };
    if !matches!(entry.kind, Kind::File(_) | Kind::Dir) {
        special.insert(&entry.at, bits);
    }
    bits
}

fn header(entry: &Entry, style: TarStyle, type_bits: u32, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let meta = &entry.meta;
    let named = || WriteError::NamedTime { at: entry.at.clone(), mtime: meta.mtime.to_string() };
    let (secs, nanos) = meta.mtime.timestamp().ok_or_else(named)?;
    let (flag, link, size, major, minor): (u8, &[u8], u64, u32, u32) = match &entry.kind {
        Kind::File(content) => (b'0', b"", content.size(), 0, 0),
        Kind::Hardlink(target) => (b'1', target.as_bytes(), 0, 0, 0),
        Kind::Symlink(target) => (b'2', target, 0, 0, 0),
        Kind::Char { major, minor } => (b'3', b"", 0, *major, *minor),
        Kind::Block { major, minor } => (b'4', b"", 0, *major, *minor),
        Kind::Dir => (b'5', b"", 0, 0, 0),
        Kind::Fifo => (b'6', b"", 0, 0, 0),
    };
    let fields = Fields {
        path: &entry.path(),
        link,
        flag,
        mode: meta.mode | type_bits,
        uid: meta.uid,
        gid: meta.gid,
        size,
        secs,
        nanos: if style.times == Times::Fractions { nanos } else { 0 },
        uname: style.names.of(&entry.uname, meta.uid),
        gname: style.names.of(&entry.gname, meta.gid),
        major,
        minor,
    };
    let xattr = |(name, value): (&Vec<u8>, &Vec<u8>)| ([XATTR, name].concat(), value.clone());
    let records: Records = meta.xattrs.iter().map(xattr).collect();
    tar_write::encode(&fields, records, out).map_err(|why| WriteError::Entry { at: entry.at.clone(), why })
}

impl OwnerNames {
    fn of(self, given: &[u8], id: u64) -> &[u8] {
        match self {
            Self::Root if given.is_empty() && id == 0 => b"root",
            Self::Root | Self::AsGiven => given,
        }
    }
}

fn write_content<W: Write>(at: &At, content: &Content, out: &mut Buffer<W>) -> Result<(), WriteError> {
    let failed = |error| WriteError::Content { at: at.clone(), error };
    let mut left = content.size();
    if left > 0 {
        let mut reader = content.open().map_err(failed)?;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let room = out.room(most)?;
            let most = most.min(room.len());
            match reader.read(&mut room[..most]) {
                Ok(0) => {
                    let why = format!("ended {left} bytes before its size; it changed while it was read");
                    return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
                }
                Ok(n) => {
                    out.filled += n;
                    left -= n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
    }
    let padding = content.size().next_multiple_of(BLOCK as u64) - content.size();
    out.put(&[0; BLOCK][..padding as usize])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Meta;
    use crate::mtime::Mtime;

    #[test]
    fn a_tar_has_the_size_that_was_foretold_whatever_the_contents_are() {
        for sizes in [vec![], vec![0, 1, 511, 512, 513], vec![BUFFER - 1, BUFFER, 3 * BUFFER + 7, 5]] {
            let long = "deep/".repeat(60);
            let file = |(n, size): (usize, &usize)| {
                let content = Content::inline(vec![n as u8; *size]);
                let at = At::clean(format!("{long}{n}"));
                Entry::new(at, Kind::File(content), Meta::new(0o644, Mtime::secs(1)))
            };
            let entries: Vec<Entry> = sizes.iter().enumerate().map(file).collect();
            let mut bytes = Vec::new();
            write_tar(&entries, TarStyle::PLAIN, &mut bytes).unwrap();
            assert_eq!(tar_size(&entries, TarStyle::PLAIN).unwrap(), bytes.len() as u64);
            for (n, size) in sizes.iter().enumerate() {
                let run = vec![n as u8; *size];
                assert!(*size < 600 || bytes.windows(*size).any(|window| window == run), "file {n} is whole");
            }
        }
    }
}
