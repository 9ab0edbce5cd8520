//! Hands a writer pieces of one size, whatever pieces come. What a deflater makes of a byte may depend on how many it has at
//! hand by then, so that a content read in other pieces would be packed to other bytes.

use std::io::{self, Write};

const PIECE: usize = 64 << 10;

/// A writer in front of another; dropped without [`Even::finish`], the last piece is lost.
pub(crate) struct Even<W: Write> {
    out: W,
    /// Less than a piece.
    begun: Vec<u8>,
}

impl<W: Write> Even<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }

    /// Writes the last piece, which may be smaller.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.begun)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Even<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let (true, Some(piece)) = (self.begun.is_empty(), bytes.get(..PIECE)) {
            self.out.write_all(piece)?;
            return Ok(PIECE);
        }
        let taken = bytes.len().min(PIECE - self.begun.len());
        self.begun.extend_from_slice(&bytes[..taken]);
        if self.begun.len() == PIECE {
            self.out.write_all(&self.begun)?;
            self.begun.clear();
        }
        Ok(taken)
    }

    /// Ends a piece before its time: who flushes elsewhere has other pieces.
    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.begun)?;
        self.begun.clear();
        self.out.flush()
    }
}
