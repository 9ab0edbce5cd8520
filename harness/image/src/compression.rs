//! Gzip, zstd or nothing: told apart by their first bytes, read with a bound on how far they may expand, written in one
//! pass. What is inside is not looked at.

use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::even::Even;
pub use crate::image::Compression;
use crate::source::Source;

/// How far compressed bytes may expand before they are taken for an attack; all in bytes.
///
/// Deflate cannot do better than 1032:1, so an honest gzip layer never meets the ratio.
#[derive(Debug, Clone, Copy)]
pub struct Expansion {
    /// Uncompressed bytes that are always allowed.
    pub free: u64,
    /// Uncompressed bytes that are allowed for each compressed one.
    pub ratio: u64,
    /// Uncompressed bytes that are never exceeded.
    pub total: u64,
}

impl Default for Expansion {
    fn default() -> Self {
        Self { free: 1 << 30, ratio: 1100, total: 1 << 38 }
    }
}

/// Compressed bytes expand beyond what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{read} compressed bytes expand to more than {allowed}; this looks like a decompression bomb")]
pub struct Bomb {
    /// Compressed bytes read until then.
    pub read: u64,
    /// The limit, in uncompressed bytes.
    pub allowed: u64,
}

impl Compression {
    /// Tells by the first bytes (four are enough).
    pub fn detect(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            // A frame, or a skippable frame as zstd:chunked and pzstd put before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Tells by the first bytes of `source`.
    pub fn of_source(source: &dyn Source) -> io::Result<Self> {
        let mut first = Vec::new();
        source.open(0, 4)?.take(4).read_to_end(&mut first)?;
        Ok(Self::detect(&first))
    }
}

/// Reads what is compressed in `reader`, however it is; never more than `expansion` allows.
///
/// A bomb is an error that holds a [`Bomb`]; compressed data that ends early has the kind `UnexpectedEof`, damaged data
/// the kind `InvalidData`.
pub fn reader<'r>(
    mut reader: impl Read + Send + 'r,
    expansion: Expansion,
) -> io::Result<(Compression, Box<dyn Read + Send + 'r>)> {
    let mut head = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let compression = Compression::detect(&head);
    let all = Cursor::new(head).chain(reader);
    let progress = Arc::new(Progress::default());
    let counted = Counted { inner: all, progress: Arc::clone(&progress) };
    let inner: Box<dyn Read + Send + 'r> = match compression {
        Compression::None => return Ok((compression, Box::new(counted.inner))),
        Compression::Gzip => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, counted)))
        }
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, counted))?),
    };
    Ok((compression, Box::new(Bounded { inner, progress, expansion, out: 0 })))
}

const BUFFER: usize = 128 * 1024;

#[derive(Default)]
struct Progress {
    read: AtomicU64,
    failed: AtomicBool,
}

/// Counts the compressed bytes, and remembers whether an error came from below.
struct Counted<R> {
    inner: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        match &result {
            Ok(n) => {
                self.progress.read.fetch_add(*n as u64, Relaxed);
            }
            Err(_) => self.progress.failed.store(true, Relaxed),
        }
        result
    }
}

struct Bounded<R> {
    inner: R,
    progress: Arc<Progress>,
    expansion: Expansion,
    out: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.inner.read(buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof || self.progress.failed.load(Relaxed) => {
                return Err(e);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e)),
        };
        self.out += n as u64;
        let read = self.progress.read.load(Relaxed);
        let Expansion { free, ratio, total } = self.expansion;
        let allowed = read.saturating_mul(ratio).saturating_add(free).min(total);
        if self.out > allowed {
            return Err(io::Error::other(Bomb { read, allowed }));
        }
        Ok(n)
    }
}

/// A writer that compresses; the same bytes give the same bytes, in whatever pieces they come.
pub struct Encoder<W: Write>(Inner<W>);

enum Inner<W: Write> {
    None(W),
    Gzip(Even<flate2::write::GzEncoder<W>>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Gzip at level 6 without name or time, zstd at level 3 with a checksum.
    pub fn new(out: W, compression: Compression) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::None => Inner::None(out),
            Compression::Gzip => {
                let encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(6));
                Inner::Gzip(Even::new(encoder))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(out, 3)?;
                encoder.include_checksum(true)?;
                Inner::Zstd(encoder)
            }
        }))
    }

    /// Writes what is left; without it the output is truncated.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::None(out) => Ok(out),
            Inner::Gzip(encoder) => encoder.finish()?.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::None(out) => out.write(bytes),
            Inner::Gzip(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::None(out) => out.flush(),
            Inner::Gzip(encoder) => encoder.flush(),
            Inner::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(bytes: &[u8], expansion: Expansion) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        reader(bytes, expansion)?.1.read_to_end(&mut out)?;
        Ok(out)
    }

    const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

    #[test]
    fn what_is_packed_comes_back_and_is_told_apart() {
        for compression in ALL {
            let packed = pack(b"some bytes", compression);
            assert_eq!(Compression::detect(&packed), compression);
            assert_eq!(unpack(&packed, Expansion::default()).unwrap(), b"some bytes");
            assert_eq!(packed, pack(b"some bytes", compression), "the same every time");
        }
    }

    // Seen with a layer that is packed when it is made, and again when its image is written from what a cache kept.
    #[test]
    fn pieces_of_any_size_are_packed_to_the_same_bytes() {
        let mut state = 7_u64;
        let mut dice = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        // Half noise, half words that come again: there is something to find, near and far.
        let words: Vec<Vec<u8>> =
            (0..200).map(|_| (0..dice(40)).map(|_| dice(256) as u8).collect()).collect();
        let mut bytes = Vec::new();
        while bytes.len() < 1 << 20 {
            bytes.extend(&words[dice(200) as usize]);
            bytes.push(dice(256) as u8);
        }
        for compression in ALL {
            let whole = pack(&bytes, compression);
            for most in [1_000, 10_000, 100_000, 300_000] {
                let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((1 + dice(most) as usize).min(rest.len()));
                    encoder.write_all(piece).unwrap();
                    rest = after;
                }
                assert!(encoder.finish().unwrap() == whole, "{compression:?} in pieces of up to {most}");
            }
        }
    }

    #[test]
    fn members_and_frames_in_a_row_are_one_stream() {
        for compression in ALL {
            let packed = [pack(b"one,", compression), pack(b"two", compression)].concat();
            assert_eq!(unpack(&packed, Expansion::default()).unwrap(), b"one,two", "{compression:?}");
        }
    }

    #[test]
    fn compressed_bytes_that_end_early_are_an_unexpected_end_at_every_byte() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let packed = pack(&[7; 3000], compression);
            for len in 4..packed.len() {
                let error = unpack(&packed[..len], Expansion::default()).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{compression:?} cut at {len}");
            }
        }
    }

    #[test]
    fn damaged_bytes_are_invalid_data() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut packed = pack(&[7; 3000], compression);
            let last = packed.len() - 1;
            packed[last] ^= 1;
            let error = unpack(&packed, Expansion::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{compression:?}");
        }
    }

    #[test]
    fn a_bomb_is_an_error_of_its_own() {
        let tight = Expansion { free: 1000, ratio: 10, total: 1 << 20 };
        for compression in [Compression::Gzip, Compression::Zstd] {
            let error = unpack(&pack(&vec![0; 1 << 20], compression), tight).unwrap_err();
            assert!(error.get_ref().is_some_and(|e| e.is::<Bomb>()), "{compression:?}: {error}");
        }
        assert_eq!(unpack(&[0; 5000], tight).unwrap().len(), 5000, "plain bytes do not expand");
    }
}
