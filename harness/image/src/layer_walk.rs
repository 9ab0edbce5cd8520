//! A stored layer, entry by entry, at the reader's own pace, so that two can be walked side by side. Contents pass by once
//! and are not hashed unless that is asked for. Reading a layer whole is [`crate::layer_read`]'s affair.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::compression::{self, Compression, Expansion};
use crate::digest::{Digest, Hasher};
use crate::entry::Entry;
use crate::layer_blob::check_size;
use crate::layer_read;
use crate::read::{ReadError, Warning, nth_layer};
use crate::source::Source;
use crate::stored::StoredLayer;
use crate::tar_error::TarError;
use crate::tar_input::Input;
use crate::tar_read::{End, Members, TarLimits};
use crate::unpacked::Unpacked;

/// How a layer is walked.
#[derive(Debug, Clone, Copy, Default)]
pub struct WalkOptions {
    pub limits: TarLimits,
    pub expansion: Expansion,
    /// Take the digests of the stored bytes and of the tar, and hold them against what is stated.
    pub verify: bool,
}

/// A layer being walked.
pub struct Walk<'s> {
    layer: &'s StoredLayer,
    /// Its number from 0, for errors.
    number: usize,
    expansion: Expansion,
    members: Members<Buffered<'s>>,
    forms: Forms,
    /// Where contents can be read again.
    contents: Arc<dyn Source>,
    compression: Compression,
    stored_digest: Option<Tap>,
    tar_digest: Option<Tap>,
}

/// What is known when all of a layer has been walked.
#[derive(Debug)]
pub struct Walked {
    /// Size of the uncompressed tar in bytes.
    pub size: u64,
    pub compression: Compression,
    pub warnings: Vec<Warning>,
    pub forms: Forms,
}

/// The forms in which a tar writes down its entries, and how many entries have each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forms {
    /// `v7`, `ustar`, `gnu`, `star`.
    pub formats: BTreeMap<&'static str, u64>,
    /// Keys of extended records that say nothing about the file.
    pub records: BTreeMap<Vec<u8>, u64>,
    /// How many files are stored without the zeros in them.
    pub sparse: u64,
}

impl<'s> Walk<'s> {
    /// Starts at the first entry of `layer`, the `number`th from 0.
    pub fn open(layer: &'s StoredLayer, number: usize, options: &WalkOptions) -> Result<Self, ReadError> {
        let what = || nth_layer(number);
        let io = |error| ReadError::Io { what: what(), error };
        let size = layer.source.size().map_err(io)?;
        if let Some((_, want)) = layer.stated {
            check_size(&what(), want, size)?;
        }
        let stored_digest = options.verify.then(Tap::default);
        let stored = layer.source.open(0, size).map_err(io)?;
        let stored = Tapped { inner: stored, tap: stored_digest.clone() };
        let (compression, tar) = compression::reader(stored, options.expansion).map_err(io)?;
        // Uncompressed, the stored bytes are the tar.
        let tar_digest = match compression {
            Compression::None => stored_digest.clone(),
            _ => options.verify.then(Tap::default),
        };
        let outer = (compression != Compression::None).then(|| tar_digest.clone()).flatten();
        let reader: Box<dyn Read + Send + 's> = Box::new(Tapped { inner: tar, tap: outer });
        let contents: Arc<dyn Source> = match compression {
            Compression::None => Arc::clone(&layer.source),
            _ => Arc::new(Unpacked::new(Arc::clone(&layer.source), options.expansion)),
        };
        let members = Members::new(Buffered(BufReader::with_capacity(BUFFER, reader)), options.limits);
        let expansion = options.expansion;
        let forms = Forms::default();
        Ok(Self {
            layer,
            number,
            expansion,
            members,
            forms,
            contents,
            compression,
            stored_digest,
            tar_digest,
        })
    }

    /// How the layer is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The next entry; what was left of the content of the one before is skipped. A content lies where it is: reading it
    /// again later costs little in a plain tar, and as much as all before it in a compressed one.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let member = match self.members.next() {
            Ok(Some(member)) => member,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        *self.forms.formats.entry(member.header.format).or_default() += 1;
        for key in &member.other_records {
            // As many as a person would read; what is hostile may have more.
            let is_full = self.forms.records.len() >= 64;
            if let Some(count) = self.forms.records.get_mut(key) {
                *count += 1;
            } else if !is_full {
                self.forms.records.insert(key.clone(), 1);
            }
        }
        self.forms.sparse += u64::from(member.sparse.is_some());
        let is_file = matches!(member.header.flag, 0 | b'0' | b'7');
        let content = is_file.then(|| member.content(Arc::clone(&self.contents)));
        layer_read::entry(member, content, false).map(Some).map_err(|error| self.failed(error))
    }

    /// What is left of the content of the current entry, as much as is at hand; empty at its end.
    pub fn peek(&mut self) -> Result<&[u8], ReadError> {
        let number = self.number;
        self.members.peek().map_err(|error| ReadError::Layer { layer: number, error })
    }

    /// Goes on by `len` of the bytes that `peek` gave.
    pub fn advance(&mut self, len: usize) {
        self.members.advance(len);
    }

    /// Reads to the end of what is stored; only after `next_entry` gave `None`.
    ///
    /// # Errors
    /// A digest is not what is stated, where digests are taken; a tar without its end, where they are not.
    pub fn finish(self) -> Result<Walked, ReadError> {
        let Self { layer, number, expansion, members, forms, compression, stored_digest, tar_digest, .. } =
            self;
        let what = nth_layer(number);
        let (entries, offset) = (members.entries(), members.offset());
        let (Buffered(mut rest), end, global_headers) = members.finish();
        let fail = |error| ReadError::Layer { layer: number, error };
        let (more, trailing) = drain(&mut rest).map_err(|e| fail(TarError::from_io(e, entries, offset)))?;
        let check = |what: String, tap: &Option<Tap>, want: Option<Digest>| match (tap, want) {
            (Some(tap), Some(want)) => match tap.digest() {
                got if got == want => Ok(()),
                got => Err(ReadError::DigestMismatch { what, want, got }),
            },
            _ => Ok(()),
        };
        check(what.clone(), &stored_digest, layer.stated.map(|(digest, _)| digest))?;
        check(format!("{what}, uncompressed"), &tar_digest, layer.diff_id)?;
        // Only a digest says that nothing is missing.
        if end == End::Missing && tar_digest.is_none() && layer.diff_id.is_some() {
            verify(layer, number, expansion)?;
        } else if end == End::Missing && layer.diff_id.is_none() {
            return Err(fail(TarError::NoEnd { entries, offset }));
        }
        let warnings = [
            (end == End::Missing, Warning::NoEnd { layer: number }),
            (global_headers > 0, Warning::GlobalHeaders { layer: number, count: global_headers }),
            (trailing, Warning::TrailingData { layer: number }),
        ];
        let warnings = warnings.into_iter().filter(|(is, _)| *is).map(|(_, warning)| warning).collect();
        Ok(Walked { size: offset + more, compression, warnings, forms })
    }

    fn failed(&self, error: TarError) -> ReadError {
        ReadError::Layer { layer: self.number, error }
    }
}

/// Verifies the digests of a layer without looking at what is in it.
pub fn verify(layer: &StoredLayer, number: usize, expansion: Expansion) -> Result<(), ReadError> {
    let what = nth_layer(number);
    let io = |error| ReadError::Io { what: what.clone(), error };
    let size = layer.source.size().map_err(io)?;
    if let Some((_, want)) = layer.stated {
        check_size(&what, want, size)?;
    }
    let tap = Tap::default();
    let stored = Tapped { inner: layer.source.open(0, size).map_err(io)?, tap: Some(tap.clone()) };
    let (compression, tar) = compression::reader(stored, expansion).map_err(io)?;
    let compressed = compression != Compression::None;
    let diff_id = match layer.diff_id {
        // The digest of the stored bytes vouches for what they expand to as little as for anything else.
        Some(_) if compressed => Some(Digest::of_reader(tar).map_err(io)?.0),
        _ => {
            let mut tar = tar;
            io::copy(&mut tar, &mut io::sink()).map_err(io)?;
            (!compressed).then(|| tap.digest())
        }
    };
    let stated = layer.stated.map(|(digest, _)| (what.clone(), digest, tap.digest()));
    let tar = layer.diff_id.zip(diff_id).map(|(want, got)| (format!("{what}, uncompressed"), want, got));
    for (what, want, got) in stated.into_iter().chain(tar) {
        if want != got {
            return Err(ReadError::DigestMismatch { what, want, got });
        }
    }
    Ok(())
}

const BUFFER: usize = 256 * 1024;

/// Reads to the end: how many bytes there were, and whether any was not zero.
fn drain(reader: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let (mut count, mut data) = (0, false);
    loop {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if bytes.is_empty() {
            return Ok((count, data));
        }
        data |= bytes.iter().any(|byte| *byte != 0);
        let len = bytes.len();
        count += len as u64;
        reader.consume(len);
    }
}

/// A digest being taken of what passes by.
#[derive(Clone, Default)]
struct Tap(Arc<Mutex<Hasher>>);

impl Tap {
    fn digest(&self) -> Digest {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().finish().0
    }
}

struct Tapped<R> {
    inner: R,
    tap: Option<Tap>,
}

impl<R: Read> Read for Tapped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(tap) = &self.tap {
            tap.0.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..n]);
        }
        Ok(n)
    }
}

struct Buffered<'s>(BufReader<Box<dyn Read + Send + 's>>);

impl Read for Buffered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Buffered<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, len: usize) {
        self.0.consume(len);
    }
}

impl Input for Buffered<'_> {
    fn skip(&mut self, len: u64) -> io::Result<u64> {
        let mut left = len;
        while left > 0 {
            let at_hand = match self.0.fill_buf() {
                Ok(bytes) => bytes.len() as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if at_hand == 0 {
                break;
            }
            let step = at_hand.min(left);
            self.0.consume(step as usize);
            left -= step;
        }
        Ok(len - left)
    }
}
