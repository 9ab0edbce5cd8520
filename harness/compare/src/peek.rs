//! Two contents of one file, looked into: where they part, and small ones whole. What that means is the causes' affair;
//! nothing here is unpacked beyond a bound.

use std::io::{self, Read};

use samebuild_image::Content;

pub mod archive;
pub mod dates;
pub mod diff;

/// Up to this size a content is held whole; of a greater one the head is.
pub const WHOLE: u64 = 256 * 1024;
/// Of how many places where two contents part the surroundings are kept.
const SPOTS: usize = 64;
/// Bytes kept before and after such a place.
const AROUND: usize = 48;
const CHUNK: usize = 64 * 1024;
/// Contents are read this far, at most.
const FAR: u64 = 64 << 20;

/// Two contents that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// All of it, or its head.
    pub left: Vec<u8>,
    pub right: Vec<u8>,
    pub left_size: u64,
    pub right_size: u64,
    /// The offset of the first byte that differs, or the smaller size.
    pub first: u64,
    /// Of contents of one size: how many bytes differ, as far as they were read.
    pub differing: u64,
    /// Of contents of one size: the first places where they differ, with what is around.
    pub spots: Vec<Spot>,
}

/// A run of differing bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    pub offset: u64,
    pub len: u64,
    /// Both sides from a little before to a little after.
    pub left: Vec<u8>,
    pub right: Vec<u8>,
}

impl Peek {
    /// Reads both.
    ///
    /// # Errors
    /// One cannot be read, or ends before its size.
    pub fn of(left: &Content, right: &Content) -> io::Result<Self> {
        let mut peek = Self { left_size: left.size(), right_size: right.size(), ..Self::default() };
        let (mut left, mut right) = (left.open()?, right.open()?);
        let (mut left_chunk, mut right_chunk) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut parted = None;
        let mut offset = 0u64;
        let end = peek.left_size.max(peek.right_size).min(FAR);
        while offset < end {
            let l = fill(&mut left, &mut left_chunk, peek.left_size.saturating_sub(offset))?;
            let r = fill(&mut right, &mut right_chunk, peek.right_size.saturating_sub(offset))?;
            let (l, r) = (&left_chunk[..l], &right_chunk[..r]);
            keep(&mut peek.left, l, offset, peek.left_size);
            keep(&mut peek.right, r, offset, peek.right_size);
            if parted.is_none() && l != r {
                let same = l.iter().zip(r).take_while(|(l, r)| l == r).count();
                parted = Some(offset + same as u64);
            }
            if peek.left_size == peek.right_size {
                peek.note(l, r, offset);
            } else if parted.is_some() && offset >= WHOLE {
                break;
            }
            offset += CHUNK as u64;
        }
        peek.first = parted.unwrap_or(peek.left_size.min(peek.right_size));
        Ok(peek)
    }

    /// Of bytes at hand.
    pub fn of_bytes(left: &[u8], right: &[u8]) -> Self {
        Self::of(&Content::inline(left), &Content::inline(right)).unwrap_or_default()
    }

    fn note(&mut self, left: &[u8], right: &[u8], offset: u64) {
        if left == right {
            return;
        }
        let mut at = 0;
        while let Some(from) = (at..left.len()).find(|n| left[*n] != right[*n]) {
            let to = (from..left.len()).find(|n| left[*n] == right[*n]).unwrap_or(left.len());
            self.differing += (to - from) as u64;
            let start = offset + from as u64;
            let is_full = self.spots.len() >= SPOTS;
            match self.spots.last_mut() {
                // Runs that lie close together are one place.
                Some(spot) if spot.offset + spot.len + 8 >= start => {
                    spot.len = start + (to - from) as u64 - spot.offset;
                    let base = from.saturating_sub(AROUND);
                    let reach = (to + AROUND).min(left.len());
                    if spot.left.len() < 4 * AROUND && spot.offset >= offset {
                        let began = (spot.offset - offset) as usize;
                        let base = began.saturating_sub(AROUND).min(base);
                        spot.left = left[base..reach].to_vec();
                        spot.right = right[base..reach].to_vec();
                    }
                }
                _ if !is_full => {
                    let around = from.saturating_sub(AROUND)..(to + AROUND).min(left.len());
                    self.spots.push(Spot {
                        offset: start,
                        len: (to - from) as u64,
                        left: left[around.clone()].to_vec(),
                        right: right[around].to_vec(),
                    });
                }
                _ => {}
            }
            at = to;
        }
    }

    /// Whether both are held whole.
    pub fn is_whole(&self) -> bool {
        self.left_size <= WHOLE && self.right_size <= WHOLE
    }

    /// Whether [`Peek::spots`] has every place where they differ: both were read to their end, are of one size, and differ in
    /// few places.
    pub fn knows_all_spots(&self) -> bool {
        self.left_size == self.right_size
            && self.left_size <= FAR
            && !self.spots.is_empty()
            && self.spots.len() < SPOTS
    }

    /// Both as text, where both are held whole and are text.
    pub fn texts(&self) -> Option<(&str, &str)> {
        if !self.is_whole() {
            return None;
        }
        let text = |bytes| -> Option<&str> {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.contains('\0')).then_some(text)
        };
        Some((text(&self.left)?, text(&self.right)?))
    }

    /// Whether both begin with these bytes.
    pub fn begin_with(&self, magic: &[u8]) -> bool {
        self.left.starts_with(magic) && self.right.starts_with(magic)
    }

    /// Whether all that differs lies within these bytes of files of one size.
    pub fn differs_only_within(&self, range: std::ops::Range<u64>) -> bool {
        self.knows_all_spots()
            && self.spots.iter().all(|spot| spot.offset >= range.start && spot.offset + spot.len <= range.end)
    }
}

/// Fills `chunk` with as much as is left, which must be there.
fn fill(reader: &mut impl Read, chunk: &mut [u8], left: u64) -> io::Result<usize> {
    let n = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
    reader.read_exact(&mut chunk[..n])?;
    Ok(n)
}

fn keep(kept: &mut Vec<u8>, chunk: &[u8], offset: u64, size: u64) {
    let limit = if size <= WHOLE { WHOLE } else { CHUNK as u64 };
    if offset < limit {
        kept.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_where_contents_part_are_found_with_what_is_around() {
        let mut left = vec![b'a'; 200_000];
        let mut right = left.clone();
        (left[70_000], right[70_000]) = (b'x', b'y');
        (left[150_000], right[150_000]) = (b'x', b'y');
        let peek = Peek::of_bytes(&left, &right);
        assert_eq!((peek.first, peek.differing, peek.spots.len()), (70_000, 2, 2));
        assert!(peek.spots[1].left.contains(&b'x') && peek.spots[1].right.contains(&b'y'));
        assert!(peek.differs_only_within(70_000..150_001));
        assert!(!peek.differs_only_within(70_001..150_001));
    }

    #[test]
    fn of_what_is_longer_only_the_end_of_the_shorter_is_where_they_part() {
        let peek = Peek::of_bytes(b"abc", b"abcdef");
        assert_eq!((peek.first, peek.spots.len()), (3, 0));
        assert_eq!(peek.texts(), Some(("abc", "abcdef")));
    }

    #[test]
    fn a_content_that_ends_early_is_an_error() {
        let short = Content::lazy(std::sync::Arc::new(samebuild_image::source::Bytes::new(*b"ab")), 0, 9);
        assert!(Peek::of(&short, &Content::inline(*b"abcdefghi")).is_err());
    }
}
