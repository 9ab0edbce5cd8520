//! Two layers walked side by side: what is the same in both is settled on the spot, by comparing bytes, and only the rest
//! is kept for the rules. Nothing is hashed that a comparison of bytes can answer. Which layers to walk, and what the rest
//! means, is not asked here.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::sync::Arc;

use samebuild_image::digest::Hasher;
use samebuild_image::layer_walk::{Walk, WalkOptions, Walked};
use samebuild_image::read::ReadError;
use samebuild_image::{At, Compression, Content, Entry, Epochs, Kind, StoredLayer};

use crate::options::Options;

/// What is left when what both layers have has been taken out.
#[derive(Debug)]
pub(crate) struct Sifted {
    /// Entries that are the same in both, each once.
    pub(crate) settled: Vec<Settled>,
    pub(crate) left: Vec<Odd>,
    pub(crate) right: Vec<Odd>,
    /// What the layers are as wholes; one that was not walked has none.
    pub(crate) walked: (Option<Walked>, Option<Walked>),
}

/// An entry that both layers have, with its number in the left and the right tar.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) entry: Entry,
    pub(crate) numbers: (u32, u32),
}

/// An entry that is not the same in the other layer, or not there.
#[derive(Debug)]
pub(crate) struct Odd {
    pub(crate) entry: Arc<Entry>,
    /// Its number in the tar.
    pub(crate) number: u32,
    /// What it was held against; `None` where the other layer has no such place.
    pub(crate) twin: Option<Twin>,
}

/// Two entries that were held against each other carry the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Which pair it is, among all of a comparison.
    pub pair: u64,
    /// Whether both are files of the same content.
    pub same_content: bool,
}

/// Which side a layer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    Left,
    Right,
}

/// A layer of one side, and its number from 0.
pub(crate) type Numbered<'s> = (&'s StoredLayer, usize);

/// An error, and the side it is of.
pub(crate) type Failure = (Hand, ReadError);

/// Walks both layers at once. `pair` tells this pair of layers from others.
pub(crate) fn sift(
    left: Numbered<'_>,
    right: Numbered<'_>,
    pair: u32,
    options: &Options,
    walk: &WalkOptions,
) -> Result<Sifted, Failure> {
    let names = (&options.left, &options.right);
    let mut sieve = Sieve {
        left: Half::open(left, Hand::Left, walk)?,
        right: Half::open(right, Hand::Right, walk)?,
        names,
        settled: Vec::new(),
        odd: (Vec::new(), Vec::new()),
        pair: u64::from(pair) << 32,
    };
    sieve.left.step()?;
    sieve.right.step()?;
    while sieve.turn()? {}
    let Sieve { left, right, settled, odd, .. } = sieve;
    let (left, left_walked) = left.close(odd.0)?;
    let (right, right_walked) = right.close(odd.1)?;
    Ok(Sifted { settled, left, right, walked: (Some(left_walked), Some(right_walked)) })
}

/// Walks one layer that has no counterpart: every entry is odd.
pub(crate) fn alone(layer: Numbered<'_>, hand: Hand, walk: &WalkOptions) -> Result<Sifted, Failure> {
    let mut half = Half::open(layer, hand, walk)?;
    half.step()?;
    while half.head.is_some() {
        half.wait()?;
    }
    let (odd, walked) = half.close(Vec::new())?;
    Ok(match hand {
        Hand::Left => {
            Sifted { settled: Vec::new(), left: odd, right: Vec::new(), walked: (Some(walked), None) }
        }
        Hand::Right => {
            Sifted { settled: Vec::new(), left: Vec::new(), right: odd, walked: (None, Some(walked)) }
        }
    })
}

/// Walks one layer that both sides have: the entries that `wanted` says yes to are settled.
pub(crate) fn shared(
    layer: Numbered<'_>,
    walk: &WalkOptions,
    wanted: &dyn Fn(&Entry) -> bool,
) -> Result<Sifted, Failure> {
    let mut half = Half::open(layer, Hand::Left, walk)?;
    let mut settled = Vec::new();
    half.step()?;
    while let Some(entry) = half.head.take() {
        if wanted(&entry) {
            settled.push(Settled { entry, numbers: (half.number, half.number) });
        }
        half.step()?;
    }
    let (_, walked) = half.close(Vec::new())?;
    Ok(Sifted { settled, left: Vec::new(), right: Vec::new(), walked: (Some(walked), None) })
}

/// A content of a compressed layer is kept in memory if it is odd and no bigger, in bytes.
const KEEP: u64 = 64 * 1024;

/// But not more than this of all in a layer.
const KEEP_ALL: u64 = 8 << 20;

struct Sieve<'s, 'o> {
    left: Half<'s>,
    right: Half<'s>,
    names: (&'o Epochs, &'o Epochs),
    settled: Vec<Settled>,
    odd: (Vec<Odd>, Vec<Odd>),
    /// The next pair.
    pair: u64,
}

struct Half<'s> {
    walk: Walk<'s>,
    hand: Hand,
    /// The entry at which the walk is.
    head: Option<Entry>,
    number: u32,
    /// Entries that were passed before the other side had them, in the order in which they came.
    waiting: BTreeMap<At, VecDeque<(Entry, u32)>>,
    room: u64,
    begun: bool,
}

impl Sieve<'_, '_> {
    /// Takes one entry, or one on each side, out of the way; `false` at the end of both.
    fn turn(&mut self) -> Result<bool, Failure> {
        let waits = |half: &Half<'_>, head: &Option<Entry>| {
            head.as_ref().is_some_and(|entry| half.waiting.contains_key(&entry.at))
        };
        if waits(&self.right, &self.left.head) {
            self.meet(Hand::Left)?;
        } else if waits(&self.left, &self.right.head) {
            self.meet(Hand::Right)?;
        } else {
            match (&self.left.head, &self.right.head) {
                (None, None) => return Ok(false),
                (Some(left), Some(right)) => match left.at.cmp(&right.at) {
                    std::cmp::Ordering::Equal => self.lock_step()?,
                    // In a sorted tar the other side cannot have it any more; in any other it will be found waiting.
                    std::cmp::Ordering::Less => self.left.wait()?,
                    std::cmp::Ordering::Greater => self.right.wait()?,
                },
                (Some(_), None) => self.left.wait()?,
                (None, Some(_)) => self.right.wait()?,
            }
        }
        Ok(true)
    }

    /// Both sides are at the same place.
    fn lock_step(&mut self) -> Result<(), Failure> {
        let same = match (content(&self.left.head), content(&self.right.head)) {
            (Some(left), Some(right)) if left == right => self.compare_bytes(left)?,
            _ => {
                self.left.keep(Some(Vec::new()))?;
                self.right.keep(Some(Vec::new()))?;
                false
            }
        };
        let (left_number, right_number) = (self.left.number, self.right.number);
        if let (Some(left), Some(right)) = (self.left.head.take(), self.right.head.take()) {
            self.judge((left, left_number), (right, right_number), same);
        }
        self.left.step()?;
        self.right.step()
    }

    /// The contents at both heads, `size` bytes each.
    fn compare_bytes(&mut self, size: u64) -> Result<bool, Failure> {
        let far = |half: &Half<'_>| half.walk.compression() != Compression::None;
        let keeps = size <= KEEP && (far(&self.left) || far(&self.right));
        let mut before = Vec::new();
        let mut left_to_go = size;
        while left_to_go > 0 {
            let (left, right) = (self.left.peek()?, self.right.peek()?);
            let len = left.len().min(right.len());
            if left[..len] != right[..len] {
                let before = (keeps || left_to_go == size).then_some(before);
                self.left.keep(before.clone())?;
                self.right.keep(before)?;
                return Ok(false);
            }
            if keeps && (len as u64) < left_to_go {
                before.extend_from_slice(&left[..len]);
            }
            self.left.walk.advance(len);
            self.right.walk.advance(len);
            left_to_go -= len as u64;
        }
        Ok(true)
    }

    /// The side `hand` is at a place that waits on the other.
    fn meet(&mut self, hand: Hand) -> Result<(), Failure> {
        let (half, other) = match hand {
            Hand::Left => (&mut self.left, &mut self.right),
            Hand::Right => (&mut self.right, &mut self.left),
        };
        let Some(at) = half.head.as_ref().map(|entry| entry.at.clone()) else { return Ok(()) };
        let Some((waiting, waiting_number)) = other.take_waiting(&at) else { return Ok(()) };
        let same = match (content(&half.head), &waiting.kind) {
            (Some(size), Kind::File(content)) if content.size() == size => {
                half.same_as(content, other.hand)?
            }
            _ => {
                half.keep(Some(Vec::new()))?;
                false
            }
        };
        let number = half.number;
        if let Some(head) = half.head.take() {
            match hand {
                Hand::Left => self.judge((head, number), (waiting, waiting_number), same),
                Hand::Right => self.judge((waiting, waiting_number), (head, number), same),
            }
        }
        match hand {
            Hand::Left => self.left.step(),
            Hand::Right => self.right.step(),
        }
    }

    /// Settles two entries of the same place, or keeps both. `same`: whether they are files of the same content.
    fn judge(&mut self, left: (Entry, u32), right: (Entry, u32), same: bool) {
        if alike(&left.0, &right.0, same, self.names) {
            return self.settled.push(Settled { entry: left.0, numbers: (left.1, right.1) });
        }
        let twin = Some(Twin { pair: self.pair, same_content: same });
        self.pair += 1;
        self.odd.0.push(Odd { entry: Arc::new(left.0), number: left.1, twin });
        self.odd.1.push(Odd { entry: Arc::new(right.0), number: right.1, twin });
    }
}

impl<'s> Half<'s> {
    fn open(layer: Numbered<'s>, hand: Hand, options: &WalkOptions) -> Result<Self, Failure> {
        let walk = Walk::open(layer.0, layer.1, options).map_err(|error| (hand, error))?;
        let waiting = BTreeMap::new();
        Ok(Self { walk, hand, head: None, number: 0, waiting, room: KEEP_ALL, begun: false })
    }

    /// Goes on to the next entry.
    fn step(&mut self) -> Result<(), Failure> {
        self.number += u32::from(self.begun);
        self.begun = true;
        self.head = self.walk.next_entry().map_err(|error| (self.hand, error))?;
        Ok(())
    }

    fn peek(&mut self) -> Result<&[u8], Failure> {
        let hand = self.hand;
        self.walk.peek().map_err(|error| (hand, error))
    }

    /// Puts the head aside until the other side has it, and goes on.
    fn wait(&mut self) -> Result<(), Failure> {
        self.keep(Some(Vec::new()))?;
        if let Some(entry) = self.head.take() {
            self.waiting.entry(entry.at.clone()).or_default().push_back((entry, self.number));
        }
        self.step()
    }

    fn take_waiting(&mut self, at: &At) -> Option<(Entry, u32)> {
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
    fn keep(&mut self, before: Option<Vec<u8>>) -> Result<(), Failure> {
        let (Some(size), Some(mut before)) = (content(&self.head), before) else { return Ok(()) };
        if self.walk.compression() == Compression::None {
            return Ok(());
        }
        let kept = if size <= KEEP.min(self.room) {
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
    fn same_as(&mut self, other: &Content, of: Hand) -> Result<bool, Failure> {
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
        let keeps = other.size() <= KEEP && self.walk.compression() != Compression::None;
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
    fn close(self, mut odd: Vec<Odd>) -> Result<(Vec<Odd>, Walked), Failure> {
        let walked = self.walk.finish().map_err(|error| (self.hand, error))?;
        for (entry, number) in self.waiting.into_values().flatten() {
            odd.push(Odd { entry: Arc::new(entry), number, twin: None });
        }
        odd.sort_by_key(|odd| odd.number);
        Ok((odd, walked))
    }
}

/// The size of the content, of a file.
fn content(head: &Option<Entry>) -> Option<u64> {
    match head.as_ref()?.kind {
        Kind::File(ref content) => Some(content.size()),
        _ => None,
    }
}

/// Whether no rule could tell the two apart.
fn alike(left: &Entry, right: &Entry, same_content: bool, names: (&Epochs, &Epochs)) -> bool {
    let kind = match (&left.kind, &right.kind) {
        (Kind::File(_), Kind::File(_)) => same_content,
        (Kind::Dir, Kind::Dir) | (Kind::Fifo, Kind::Fifo) => true,
        (Kind::Symlink(left), Kind::Symlink(right)) => left == right,
        (Kind::Hardlink(left), Kind::Hardlink(right)) => left == right,
        (Kind::Char { major, minor }, Kind::Char { major: other_major, minor: other_minor })
        | (Kind::Block { major, minor }, Kind::Block { major: other_major, minor: other_minor }) => {
            (major, minor) == (other_major, other_minor)
        }
        _ => false,
    };
    let (l, r) = (&left.meta, &right.meta);
    kind && (l.mode, l.uid, l.gid) == (r.mode, r.uid, r.gid)
        && names.0.name(l.mtime) == names.1.name(r.mtime)
        && l.xattrs == r.xattrs
        && left.raw == right.raw
        && (&left.uname, &left.gname) == (&right.uname, &right.gname)
}
