//! Two layers walked side by side: what is the same in both is settled on the spot, by comparing bytes, and only the rest
//! is kept for the rules. Nothing is hashed that a comparison of bytes can answer. Which layers to walk, and what the rest
//! means, is not asked here.

mod half;

use std::cmp::Ordering;
use std::sync::Arc;

use samebuild_image::layer_walk::{WalkOptions, Walked};
use samebuild_image::read::ReadError;
use samebuild_image::{Entry, Epochs, Kind, StoredLayer};

use self::half::{Half, content};
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
    let mut sieve = Sieve::open(left, right, pair, options, walk)?;
    while sieve.turn()? {}
    sieve.close()
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

/// How often in a row one side may wait because of the order, until an entry of the other side shows whether that has one.
const BELIEVED: u32 = 16;

struct Sieve<'s, 'o> {
    left: Half<'s>,
    right: Half<'s>,
    names: (&'o Epochs, &'o Epochs),
    settled: Vec<Settled>,
    odd: (Vec<Odd>, Vec<Odd>),
    /// The next pair.
    pair: u64,
    /// Who waits next where no order says who should: not who waited last, as often as this.
    waits_next: Hand,
    in_a_row: u32,
    /// What has passed of the contents at both heads, where it may have to be kept.
    passed: Vec<u8>,
}

impl<'s, 'o> Sieve<'s, 'o> {
    /// At the first entries.
    fn open(
        left: Numbered<'s>,
        right: Numbered<'s>,
        pair: u32,
        options: &'o Options,
        walk: &WalkOptions,
    ) -> Result<Self, Failure> {
        let mut sieve = Self {
            left: Half::open(left, Hand::Left, walk)?,
            right: Half::open(right, Hand::Right, walk)?,
            names: (&options.left, &options.right),
            settled: Vec::new(),
            odd: (Vec::new(), Vec::new()),
            pair: u64::from(pair) << 32,
            waits_next: Hand::Left,
            in_a_row: 0,
            passed: Vec::new(),
        };
        sieve.left.step()?;
        sieve.right.step()?;
        Ok(sieve)
    }

    /// At the end of both.
    fn close(self) -> Result<Sifted, Failure> {
        let (left, left_walked) = self.left.close(self.odd.0)?;
        let (right, right_walked) = self.right.close(self.odd.1)?;
        Ok(Sifted { settled: self.settled, left, right, walked: (Some(left_walked), Some(right_walked)) })
    }

    /// Takes one entry, or one on each side, out of the way; `false` at the end of both.
    fn turn(&mut self) -> Result<bool, Failure> {
        if self.right.awaits(&self.left.head) {
            self.meet(Hand::Left)?;
        } else if self.left.awaits(&self.right.head) {
            self.meet(Hand::Right)?;
        } else {
            match (&self.left.head, &self.right.head) {
                (None, None) => return Ok(false),
                (Some(left), Some(right)) => match left.at.cmp(&right.at) {
                    Ordering::Equal => self.lock_step()?,
                    order => self.part(order)?,
                },
                (Some(_), None) => self.left.wait()?,
                (None, Some(_)) => self.right.wait()?,
            }
        }
        Ok(true)
    }

    /// The sides are at different places, the left one at one that is `order` than the right one's: one of them waits.
    fn part(&mut self, order: Ordering) -> Result<(), Failure> {
        // Where builders walk a tree, the other side cannot have the lesser place any more. Elsewhere they take turns: what
        // one side has more is made up for by as many entries of the other, which are then found waiting.
        let is_believed = self.left.in_order && self.right.in_order && self.in_a_row < BELIEVED;
        let by_order = if order == Ordering::Less { Hand::Left } else { Hand::Right };
        let who = if is_believed { by_order } else { self.waits_next };
        self.in_a_row = if who == self.waits_next { 1 } else { self.in_a_row + 1 };
        match who {
            Hand::Left => {
                self.waits_next = Hand::Right;
                self.left.wait()
            }
            Hand::Right => {
                self.waits_next = Hand::Left;
                self.right.wait()
            }
        }
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
        let keeps = self.left.keeps(size) || self.right.keeps(size);
        self.passed.clear();
        let mut left_to_go = size;
        while left_to_go > 0 {
            let (left, right) = (self.left.peek()?, self.right.peek()?);
            let len = left.len().min(right.len());
            if left[..len] != right[..len] {
                let before = (keeps || left_to_go == size).then_some(&self.passed[..]);
                self.left.keep(before.map(<[u8]>::to_vec))?;
                self.right.keep(before.map(<[u8]>::to_vec))?;
                return Ok(false);
            }
            if keeps && (len as u64) < left_to_go {
                self.passed.extend_from_slice(&left[..len]);
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

#[cfg(test)]
mod tests {
    use samebuild_image::layer_write::write_tar;
    use samebuild_image::{At, Bytes, Content, Meta, Mtime, TarStyle};

    use super::*;

    fn layer(names: &[String]) -> StoredLayer {
        let entry = |name: &String| {
            let content = Content::inline(name.as_bytes());
            Entry::new(At::clean(name), Kind::File(content), Meta::new(0o644, Mtime::secs(1)))
        };
        let entries: Vec<Entry> = names.iter().map(entry).collect();
        let mut tar = Vec::new();
        write_tar(&entries, TarStyle::PLAIN, &mut tar).unwrap();
        StoredLayer { source: Arc::new(Bytes::new(tar)), stated: None, diff_id: None, media_type: None }
    }

    /// How many entries wait at once, at most, and how many are odd in the end.
    fn waiting(left: &[String], right: &[String]) -> (usize, (usize, usize)) {
        let (left, right) = (layer(left), layer(right));
        let options = Options::strict();
        let mut sieve = Sieve::open((&left, 0), (&right, 0), 0, &options, &options.walk).unwrap();
        let mut most = 0;
        while sieve.turn().unwrap() {
            most = most.max(sieve.left.waiting() + sieve.right.waiting());
        }
        let sifted = sieve.close().unwrap();
        (most, (sifted.left.len(), sifted.right.len()))
    }

    #[test]
    fn what_one_side_has_more_makes_no_other_wait_for_long_in_whatever_order_they_come() {
        let sorted: Vec<String> = (0..400).map(|n| format!("d{n:03}/f")).collect();
        let shuffled: Vec<String> = (0..400).map(|n| format!("d{:03}/f", n * 173 % 400)).collect();
        // In order, and not; one more, and many.
        for (names, dir, many) in
            [(&sorted, "d", 1), (&sorted, "e", 1), (&shuffled, "d", 1), (&sorted, "d", 100)]
        {
            let mut more = names.clone();
            for at in [350, 200, 3] {
                let new = (0..many).map(|n| format!("{dir}{:03}/g{n:03}", at - 1));
                more.splice(at..at, new);
            }
            let most = 3 * many + BELIEVED as usize;
            for (left, right, odd) in [(&more, names, (3 * many, 0)), (names, &more, (0, 3 * many))] {
                let (wait, are_odd) = waiting(left, right);
                assert_eq!(are_odd, odd);
                assert!(wait <= most, "{wait} wait at once, {many} more in {dir}");
            }
        }
    }
}
