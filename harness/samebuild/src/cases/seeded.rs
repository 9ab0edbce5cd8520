//! Big files that no repository has to hold: bytes from a seed, the same on every machine, made while they are read.

use std::io::{self, Read};
use std::sync::Arc;

use samebuild_image::{Content, Source};

/// `size` bytes that follow from `seed`; zeros without one.
#[derive(Clone, Debug)]
pub(super) struct Seeded {
    pub(super) seed: Option<u64>,
    pub(super) size: u64,
}

impl Seeded {
    pub(super) fn content(self) -> Content {
        let size = self.size;
        Content::lazy(Arc::new(self), 0, size)
    }
}

impl Source for Seeded {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let end = offset.saturating_add(len).min(self.size);
        Ok(Box::new(Stream { seed: self.seed, at: offset.min(end), end }))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        format!("{} bytes from seed {:?}", self.size, self.seed)
    }
}

struct Stream {
    seed: Option<u64>,
    at: u64,
    end: u64,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(seed) = self.seed else {
            buffer[..n].fill(0);
            self.at += n as u64;
            return Ok(n);
        };
        let mut filled = 0;
        while filled < n {
            let word = splitmix64(seed.wrapping_add(self.at / 8)).to_le_bytes();
            let skip = (self.at % 8) as usize;
            let take = (8 - skip).min(n - filled);
            buffer[filled..filled + take].copy_from_slice(&word[skip..skip + take]);
            filled += take;
            self.at += take as u64;
        }
        Ok(n)
    }
}

/// Sebastiano Vigna's splitmix64, output function on a counter: any word can be had without those before it.
/// Well mixed bits that follow from `counter`.
pub(crate) fn splitmix64(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::Digest;

    #[test]
    fn the_bytes_of_a_seed_never_change() {
        let content = Seeded { seed: Some(7), size: 100_003 }.content();
        assert_eq!(
            content.digest().unwrap().hex(),
            "383df720e4e4a4b153002870c38a83d3e97cd0a5d97f134daaaf52e5d8624ed7"
        );
        let zeros = Seeded { seed: None, size: 4096 }.content();
        assert_eq!(zeros.digest().unwrap(), Digest::of(&[0; 4096]));
    }

    #[test]
    fn any_range_is_what_the_whole_has_there() {
        let source = Seeded { seed: Some(1), size: 1000 };
        let read = |offset, len| {
            let mut bytes = Vec::new();
            source.open(offset, len).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let whole = read(0, 1000);
        assert_eq!(whole.len(), 1000);
        for (offset, len) in [(0, 1), (3, 9), (8, 8), (991, 50), (1000, 1)] {
            let end = (offset + len).min(1000) as usize;
            assert_eq!(read(offset, len), whole[offset as usize..end], "{offset}+{len}");
        }
    }
}
