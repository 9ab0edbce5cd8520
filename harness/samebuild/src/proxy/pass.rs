//! Passing a body on, as it comes, to its end. The bytes are not changed; of chunks only the lengths are understood.

use std::io::{ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

use super::head::{Body, wrong};

/// The longest line between chunks, extensions and trailers included.
const MOST_LINE: usize = 16 << 10;

/// Where bytes go; counts them, stops at a limit, and can go on without a reader.
pub(super) struct Sink<W> {
    to: W,
    pub(super) bytes: u64,
    limit: Option<u64>,
    /// The byte of which one bit is turned.
    pub(super) flip_at: Option<u64>,
    /// No faster than so.
    pub(super) bytes_a_second: Option<u64>,
    /// The reader has gone away; what comes is counted and thrown away.
    pub(super) gone: bool,
}

impl<W: AsyncWrite + Unpin> Sink<W> {
    pub(super) fn new(to: W, limit: Option<u64>) -> Self {
        Self { to, bytes: 0, limit, flip_at: None, bytes_a_second: None, gone: false }
    }

    /// Whether the limit was reached.
    pub(super) fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes >= limit)
    }

    /// Passes bytes on.
    ///
    /// # Errors
    /// `WriteZero` at the limit, after what fits was passed on.
    pub(super) async fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.limit.map_or(u64::MAX, |limit| limit - self.bytes);
        let fits = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if !self.gone && self.write(&bytes[..fits]).await.is_err() {
            self.gone = true;
        }
        self.bytes += fits as u64;
        if self.is_full() { Err(ErrorKind::WriteZero.into()) } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut turned;
        let mut bytes = bytes;
        let at = self.flip_at.and_then(|at| usize::try_from(at.checked_sub(self.bytes)?).ok());
        if let Some(at) = at.filter(|at| *at < bytes.len()) {
            turned = bytes.to_vec();
            turned[at] ^= 1;
            bytes = &turned;
        }
        let Some(rate) = self.bytes_a_second else { return self.to.write_all(bytes).await };
        // Twenty pieces a second.
        for piece in bytes.chunks(usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1)) {
            self.to.write_all(piece).await?;
            self.to.flush().await?;
            let time = Duration::from_secs_f64(piece.len() as f64 / rate.max(1) as f64);
            tokio::time::sleep(time).await;
        }
        Ok(())
    }

    /// Everything to the end of `from`; an end of the connection in one direction is one in the other.
    pub(super) async fn stream(&mut self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<()> {
        while let count @ 1.. = self.piece(from, u64::MAX).await? {
            from.consume(count);
            if self.gone {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
        self.to.shutdown().await
    }

    /// A body, to its end. [`Body::Stream`] is nothing here: it has no end of its own.
    ///
    /// # Errors
    /// The connection ends early; what comes is no chunk. An endless body ends with its reader (`BrokenPipe`), one that
    /// has a length is read to its end.
    pub(super) async fn body(&mut self, from: &mut (impl AsyncBufRead + Unpin), body: Body) -> Result<()> {
        match body {
            Body::Stream => Ok(()),
            Body::Length(length) => self.length(from, length).await,
            Body::Chunked => self.chunks(from).await,
        }
    }

    async fn chunks(&mut self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<()> {
        loop {
            let line = self.line(from).await?;
            let text = String::from_utf8_lossy(&line);
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| wrong(format!("`{size}` is no length of a chunk")))?;
            if size == 0 {
                break;
            }
            self.length(from, size.saturating_add(2)).await?;
            if self.gone {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
        // Trailers, then an empty line.
        while self.line(from).await?.iter().any(|byte| !b"\r\n".contains(byte)) {}
        Ok(())
    }

    async fn length(&mut self, from: &mut (impl AsyncBufRead + Unpin), mut left: u64) -> Result<()> {
        while left > 0 {
            let count = self.piece(from, left).await?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            from.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// Passes on what there is, at most `most` bytes; how many, to be consumed by the caller.
    async fn piece(&mut self, from: &mut (impl AsyncBufRead + Unpin), most: u64) -> Result<usize> {
        let available = from.fill_buf().await?;
        let count = usize::try_from(most).map_or(available.len(), |most| most.min(available.len()));
        let piece = &available[..count];
        self.put(piece).await?;
        Ok(count)
    }

    async fn line(&mut self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let available = from.fill_buf().await?;
            if available.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(available.len(), |at| at + 1);
            line.extend_from_slice(&available[..count]);
            from.consume(count);
            if end.is_some() {
                self.put(&line).await?;
                return Ok(line);
            }
            if line.len() > MOST_LINE {
                return Err(wrong(format!("a line of more than {MOST_LINE} bytes between chunks")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    const CHUNKS: &[u8] = b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\ntrailer: t\r\n\r\nnext";

    #[tokio::test]
    async fn chunks_pass_unchanged_to_their_end_however_they_come() {
        for size in 1..CHUNKS.len() {
            let mut from = BufReader::with_capacity(size, CHUNKS);
            let mut sink = Sink::new(Vec::new(), None);
            sink.body(&mut from, Body::Chunked).await.unwrap();
            assert_eq!(sink.to, &CHUNKS[..CHUNKS.len() - 4], "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_is_no_chunk_is_an_error() {
        for text in ["zz\r\n", "5\r\nab", "ffffffffffffffffff\r\n"] {
            let mut sink = Sink::new(Vec::new(), None);
            assert!(sink.body(&mut text.as_bytes(), Body::Chunked).await.is_err(), "{text}");
        }
        let endless = "1".repeat(MOST_LINE + 2);
        assert!(Sink::new(Vec::new(), None).body(&mut endless.as_bytes(), Body::Chunked).await.is_err());
    }

    #[tokio::test]
    async fn one_bit_of_one_byte_is_turned_wherever_pieces_begin() {
        for size in [1, 3, 100] {
            let mut from = BufReader::with_capacity(size, &b"0123456789"[..]);
            let mut sink = Sink::new(Vec::new(), None);
            sink.flip_at = Some(6);
            sink.body(&mut from, Body::Length(10)).await.unwrap();
            assert_eq!(sink.to, b"0123457789", "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn a_slow_sink_takes_its_time_and_passes_everything() {
        let began = std::time::Instant::now();
        let mut sink = Sink::new(Vec::new(), None);
        sink.bytes_a_second = Some(100);
        let mut chunks = CHUNKS;
        sink.body(&mut chunks, Body::Chunked).await.unwrap();
        assert_eq!(sink.to, &CHUNKS[..CHUNKS.len() - 4]);
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_limit_lets_exactly_so_many_bytes_pass() {
        let mut sink = Sink::new(Vec::new(), Some(7));
        let mut chunks = CHUNKS;
        assert!(sink.body(&mut chunks, Body::Chunked).await.is_err());
        assert_eq!(sink.to, &CHUNKS[..7]);
        assert!(sink.is_full());
    }
}
