//! The maps of sparse files, read from where they stand in a tar, within bounds. How they are spelt is [`crate::sparse_map`]'s
//! affair, what they mean [`crate::sparse`]'s.

use std::sync::Arc;

use crate::sparse::Map;
use crate::sparse_map::{self, Ahead, Segment};
use crate::tar_error::{Part, TarError};
use crate::tar_header::{BLOCK, Block, Header};
use crate::tar_input::Input;
use crate::tar_read::Members;

impl<I: Input> Members<I> {
    /// The map that GNU's old header begins, and the size of the file.
    pub(crate) fn old_sparse(
        &mut self,
        header: &Header,
        block: &Block,
        start: u64,
    ) -> Result<Option<(Vec<Segment>, i64)>, TarError> {
        if header.format != "gnu" {
            return Err(self.damaged(start, "it is a sparse file, but its header is not GNU's"));
        }
        let (mut segments, size, mut more) =
            sparse_map::of_header(block).map_err(|why| self.damaged(start, why))?;
        while more {
            let block = self.block()?.ok_or_else(|| self.truncated(Part::Header))?;
            more = sparse_map::of_block(&block, &mut segments).map_err(|why| self.damaged(start, why))?;
            if segments.len() as u64 > self.limits.pieces {
                return Err(self.limit(start, "pieces of a sparse file", self.limits.pieces));
            }
        }
        Ok(Some((segments, size)))
    }

    /// The map before the content, which begins after it.
    pub(crate) fn map_ahead(&mut self, start: u64) -> Result<Vec<Segment>, TarError> {
        let mut ahead = Ahead::default();
        loop {
            if self.content_left < BLOCK as u64 {
                return Err(self.damaged(start, "the map of a sparse file does not end"));
            }
            let block = self.block()?.ok_or_else(|| self.truncated(Part::ExtendedHeader))?;
            self.content_left -= BLOCK as u64;
            let taken = ahead.take(&block, self.limits.pieces).map_err(|why| self.damaged(start, why))?;
            if let Some(segments) = taken {
                return Ok(segments);
            }
        }
    }

    /// A map whose stored bytes come next.
    pub(crate) fn sparse(
        &mut self,
        segments: &[Segment],
        size: i64,
        start: u64,
    ) -> Result<Arc<Map>, TarError> {
        let map = Map::new(size, segments, self.content_left).map_err(|why| self.damaged(start, why))?;
        self.metadata += 16 * segments.len() as u64;
        if self.metadata > self.limits.metadata {
            return Err(self.limit(start, "bytes of names and maps in all", self.limits.metadata));
        }
        self.holes = self.holes.saturating_add(map.holes());
        if self.holes > self.limits.holes {
            return Err(self.limit(start, "bytes in the holes of sparse files", self.limits.holes));
        }
        Ok(Arc::new(map))
    }
}
