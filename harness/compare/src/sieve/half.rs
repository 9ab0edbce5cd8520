//! One of two layers that are walked side by side: the entry at which it is, those that wait for the other one, and what of
//! their contents is kept, because a compressed layer passes by but once. What is the same in both is not asked here.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::sync::Arc;

use samebuild_image::digest::Hasher;
use samebuild_image::layer_walk::{Walk, WalkOptions, Walked};
use samebuild_image::read::ReadError;
use samebuild_image::{At, Compression, Content, Entry, Kind};

use super::{Failure, Hand, Numbered, Odd};

/// A content of a compressed layer is kept in memory if it is odd and no bigger, in bytes. Of what is not kept, all before it
/// has to be read again when somebody asks what is in it.
const KEEP: u64 = 1 << 20;

/// But not more than this of all in a layer.
const KEEP_ALL: u64 = 4 << 20;

pub(super) struct Half<'s> {
    pub(super) walk: Walk<'s>,
    pub(super) hand: Hand,
    /// The entry at which the walk is.
    pub(super) head: Option<Entry>,
    pub(super) number: u32,
    /// Whether every entry came behind the one before it, as builders walk a tree.
    pub(super) in_order: bool,
    /// The place of the last head.
    last: Option<At>,
    /// Entries that were passed before the other side had them, in the order in which they came.
    waiting: BTreeMap<At, VecDeque<(Entry, u32)>>,
    room: u64,
}

impl<'s> Half<'s> {
    pub(super) fn open(layer: Numbered<'s>, hand: Hand, options: &WalkOptions) -> Result<Self, Failure> {
        let walk = Walk::open(layer.0, layer.1, options).map_err(|error| (hand, error))?;
        let (waiting, room) = (BTreeMap::new(), KEEP_ALL);
        Ok(Self { walk, hand, head: None, number: 0, in_order: true, last: None, waiting, room })
    }

    /// Goes on to the next entry.
    pub(super) fn step(&mut self) -> Result<(), Failure> {
        self.head = self.walk.next_entry().map_err(|error| (self.hand, error))?;
        let at = self.head.as_ref().map(|entry| entry.at.clone());
        if let Some(last) = &self.last {
            self.number += 1;
            self.in_order &= at.as_ref().is_none_or(|at| last <= at);
        }
        self.last = at;
        Ok(())
    }

    pub(super) fn peek(&mut self) -> Result<&[u8], Failure> {
        let hand = self.hand;
        self.walk.peek().map_err(|error| (hand, error))
    }

    /// Puts the head aside until the other side has it, and goes on.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        self.keep(Some(Vec::new()))?;
        if let Some(entry) = self.head.take() {
            self.waiting.entry(entry.at.clone()).or_default().push_back((entry, self.number));
        }
        self.step()
    }

    /// Whether an entry of the place of `head` waits here.
    pub(super) fn awaits(&self, head: &Option<Entry>) -> bool {
        head.as_ref().is_some_and(|entry| self.waiting.contains_key(&entry.at))
    }

    /// How many entries wait here.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether the head's content is to be kept if it turns out to be odd.
    pub(super) fn keeps(&self, size: u64) -> bool {
        size <= KEEP.min(self.room) && self.walk.compression() != Compression::None
    }

    pub(super) fn take_waiting(&mut self, at: &At) -> Option<(Entry, u32)> {
        let queue = self.waiting.get_mut(at)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(at);
        }
        first
    }

    /// Sees to it that the head's content can be looked at later: in a compressed layer it passes by but once, so a
    /// small one is kept and the digest of a bigger one taken. `before` is what has passed of it already, `None` where that
    /// is gone.
    pub(super) fn keep(&mut self, before: Option<Vec<u8>>) -> Result<(), Failure> {
        let (Some(size), Some(mut before)) = (content(&self.head), before) else { return Ok(()) };
        if self.walk.compression() == Compression::None {
            return Ok(());
        }
        let kept = if self.keeps(size) {
            self.each(|bytes| before.extend_from_slice(bytes))?;
            self.room -= size;
            Some(Content::inline(before))
        } else {
            let mut hasher = Hasher::default();
            hasher.update(&before);
            self.each(|bytes| hasher.update(bytes))?;
            self.head_content().map(|content| content.clone().with_digest(hasher.finish().0))
        };
        if let (Some(content), Some(kept)) = (self.head_content(), kept) {
            *content = kept;
        }
        Ok(())
    }

    fn head_content(&mut self) -> Option<&mut Content> {
        match &mut self.head.as_mut()?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    /// Calls `take` with all that is left of the head's content.
    fn each(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        loop {
            let bytes = self.peek()?;
            if bytes.is_empty() {
                return Ok(());
            }
            take(bytes);
            let len = bytes.len();
            self.walk.advance(len);
        }
    }

    /// Whether the head's content is that of an entry that waited, of the same size.
    pub(super) fn same_as(&mut self, other: &Content, of: Hand) -> Result<bool, Failure> {
        let io = |error| (of, ReadError::Io { what: "a file of a layer".to_owned(), error });
        let mut before = Vec::new();
        if !other.is_near() {
            let mut hasher = Hasher::default();
            self.each(|bytes| hasher.update(bytes))?;
            let digest = hasher.finish().0;
            if let Some(content) = self.head_content() {
                *content = content.clone().with_digest(digest);
            }
            return Ok(other.digest().map_err(io)? == digest);
        }
        let keeps = self.keeps(other.size());
        let mut reader = other.open().map_err(io)?;
        let mut passed = false;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let bytes = self.peek()?;
            let len = bytes.len().min(buffer.len());
            if len == 0 {
                return Ok(true);
            }
            reader.read_exact(&mut buffer[..len]).map_err(io)?;
            if bytes[..len] != buffer[..len] {
                self.keep((keeps || !passed).then_some(before))?;
                return Ok(false);
            }
            passed = true;
            if keeps {
                before.extend_from_slice(&bytes[..len]);
            }
            self.walk.advance(len);
        }
    }

    /// The rest of the layer is verified; who still waits is alone.
    pub(super) fn close(self, mut odd: Vec<Odd>) -> Result<(Vec<Odd>, Walked), Failure> {
        let walked = self.walk.finish().map_err(|error| (self.hand, error))?;
        for (entry, number) in self.waiting.into_values().flatten() {
            odd.push(Odd { entry: Arc::new(entry), number, twin: None });
        }
        odd.sort_by_key(|odd| odd.number);
        Ok((odd, walked))
    }
}

/// The size of the content, of a file.
pub(super) fn content(head: &Option<Entry>) -> Option<u64> {
    match head.as_ref()?.kind {
        Kind::File(ref content) => Some(content.size()),
        _ => None,
    }
}
