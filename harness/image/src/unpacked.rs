//! The uncompressed bytes of a compressed source, from any offset. There is no way to an offset but through all before it,
//! so where one reader stops the next one goes on, and contents that are asked for in the order in which they lie cost one
//! pass in all. How far compressed bytes may expand is [`crate::compression`]'s affair.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::compression::{self, Expansion};
use crate::source::Source;

/// What is compressed in a source. It costs the memory of one decompressor when it has been read from.
pub struct Unpacked {
    source: Arc<dyn Source>,
    expansion: Expansion,
    /// Where the last reader stopped, if there may be more.
    stopped: Mutex<Option<Stream>>,
}

/// Uncompressed bytes, and how many have passed.
struct Stream {
    bytes: Box<dyn Read + Send>,
    at: u64,
}

impl Unpacked {
    /// What is compressed in `source`, however it is.
    pub fn new(source: Arc<dyn Source>, expansion: Expansion) -> Self {
        Self { source, expansion, stopped: Mutex::default() }
    }

    fn swap(&self, stream: Option<Stream>) -> Option<Stream> {
        std::mem::replace(&mut *self.stopped.lock().unwrap_or_else(PoisonError::into_inner), stream)
    }

    fn begin(&self) -> io::Result<Stream> {
        let size = self.source.size()?;
        let stored = Piecewise { source: Arc::clone(&self.source), at: 0, size };
        let (_, bytes) = compression::reader(stored, self.expansion)?;
        Ok(Stream { bytes, at: 0 })
    }
}

impl Source for Unpacked {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut stream = match self.swap(None) {
            Some(stream) if stream.at <= offset => stream,
            _ => self.begin()?,
        };
        stream.at += io::copy(&mut stream.bytes.by_ref().take(offset - stream.at), &mut io::sink())?;
        Ok(Box::new(Part { of: self, stream: Some(stream), left: len, goes_on: true }))
    }

    /// Known only by reading it all.
    fn size(&self) -> io::Result<u64> {
        io::copy(&mut self.open(0, u64::MAX)?, &mut io::sink())
    }

    fn name(&self) -> String {
        format!("{}, uncompressed", self.source.name())
    }

    fn seeks(&self) -> bool {
        false
    }
}

/// Some of the uncompressed bytes. When it goes, the stream is there for who reads what comes behind.
struct Part<'u> {
    of: &'u Unpacked,
    stream: Option<Stream>,
    left: u64,
    /// Whether it makes sense to read on: there was neither an end nor an error.
    goes_on: bool,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.left.min(buffer.len() as u64) as usize;
        let Some(stream) = self.stream.as_mut().filter(|_| len > 0) else { return Ok(0) };
        let read = stream.bytes.read(&mut buffer[..len]);
        match &read {
            Ok(n) => {
                stream.at += *n as u64;
                self.left -= *n as u64;
                self.goes_on &= *n > 0;
            }
            Err(e) => self.goes_on &= e.kind() == io::ErrorKind::Interrupted,
        }
        read
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if self.goes_on {
            self.of.swap(self.stream.take());
        }
    }
}

/// The bytes of a source that is asked anew for each piece, so that it need not be borrowed.
struct Piecewise {
    source: Arc<dyn Source>,
    at: u64,
    size: u64,
}

impl Read for Piecewise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.size.saturating_sub(self.at).min(buffer.len() as u64);
        if len == 0 {
            return Ok(0);
        }
        let n = self.source.open(self.at, len)?.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::compression::{Compression, Encoder};
    use crate::source::Bytes;

    /// Counts how many bytes are read from it.
    struct Counted(Bytes, AtomicU64);

    impl Source for Counted {
        fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
            self.1.fetch_add(len.min(self.0.size()? - offset), Relaxed);
            self.0.open(offset, len)
        }

        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn name(&self) -> String {
            self.0.name()
        }
    }

    /// 400,000 bytes that hardly compress, and a source of them that does count.
    fn packed(how: Compression) -> (Vec<u8>, Arc<Counted>) {
        let mut state = 1u32;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(400_000)
        .collect();
        let mut encoder = Encoder::new(Vec::new(), how).unwrap();
        encoder.write_all(&bytes).unwrap();
        (bytes, Arc::new(Counted(Bytes::new(encoder.finish().unwrap()), AtomicU64::new(0))))
    }

    fn read(from: &Unpacked, offset: u64, len: u64) -> Vec<u8> {
        let mut out = Vec::new();
        from.open(offset, len).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn any_part_is_what_it_is_in_the_whole_in_whatever_order_it_is_asked_for() {
        for how in [Compression::Gzip, Compression::Zstd] {
            let (bytes, source) = packed(how);
            let unpacked = Unpacked::new(source, Expansion::default());
            assert_eq!(unpacked.size().unwrap(), 400_000);
            for (offset, len) in
                [(3, 4), (7, 100_000), (350_000, 9), (0, 400_001), (10, 0), (400_000, 5), (9, 1)]
            {
                let expected = &bytes[offset..(offset + len).min(bytes.len())];
                assert_eq!(
                    read(&unpacked, offset as u64, len as u64),
                    expected,
                    "{len} bytes at {offset}, {how:?}"
                );
            }
            let (mut one, mut two) = (unpacked.open(5, 10).unwrap(), unpacked.open(5, 10).unwrap());
            let mut both = [[0; 10]; 2];
            one.read_exact(&mut both[0]).unwrap();
            two.read_exact(&mut both[1]).unwrap();
            assert_eq!(both, [&bytes[5..15]; 2], "two readers at once, {how:?}");
        }
    }

    #[test]
    fn parts_that_are_asked_for_in_order_cost_one_pass() {
        let (bytes, source) = packed(Compression::Gzip);
        let unpacked = Unpacked::new(Arc::clone(&source) as Arc<dyn Source>, Expansion::default());
        for offset in (0..400_000).step_by(1000) {
            assert_eq!(read(&unpacked, offset, 3), bytes[offset as usize..][..3]);
        }
        assert!(source.1.load(Relaxed) <= source.size().unwrap() + 4, "{:?} bytes were read", source.1);
    }

    #[test]
    fn a_stream_that_failed_is_not_read_on_from() {
        let (_, source) = packed(Compression::Gzip);
        let mut cut = source.0.0.to_vec();
        cut.truncate(200_000);
        let unpacked = Unpacked::new(Arc::new(Bytes::new(cut)), Expansion::default());
        for _ in 0..2 {
            let error = unpacked.open(0, 400_000).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(read(&unpacked, 0, 10).len(), 10, "what is before the damage can still be read");
    }
}
