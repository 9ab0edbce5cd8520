//! How an index is written: a row for each file in the order of a walk, and a digest of all of it at the end. It is read where
//! it lies, row by row as another walk goes past. What a row is worth is the index's affair.

use std::cmp::Ordering;
use std::ops::Range;

use samebuild_image::{At, Digest};

use super::{Attributes, Look};
use crate::framing::{array, put, take};

/// Beginning of the file; the number changes with the form.
const MAGIC: &[u8] = b"samebuild index 2\n";

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) look: Look,
    pub(super) xattrs: Attributes,
    pub(super) digest: Option<Digest>,
    /// Whether it was old enough, then, for its stat to tell.
    pub(super) settled: bool,
}

/// Rows as they were written, and how far a walk has come.
#[derive(Default)]
pub(super) struct Rows {
    /// Without the beginning and the digest.
    body: Vec<u8>,
    next: usize,
    /// Bytes of rows that were asked for.
    found: usize,
}

/// What is to be written.
pub(super) enum Line<'l> {
    /// A row as it stands in these places of what was read.
    Copied(Range<usize>),
    Row(&'l At, &'l Row),
}

impl Rows {
    /// Those in a file; none where it is damaged, or of another form.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { body: body(bytes).unwrap_or_default(), ..Self::default() }
    }

    /// In bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether most of it is of files that were not asked for.
    pub(super) fn is_mostly_stale(&self) -> bool {
        self.found < self.body.len() / 2
    }

    /// The row of a place, and where it stands. Places are asked for in the order of a walk; those that lie before one that
    /// was asked for are passed over.
    pub(super) fn find(&mut self, at: &At) -> Option<(Row, Range<usize>)> {
        while self.next < self.body.len() {
            let start = self.next;
            let mut from = self.body.get(start..)?;
            let place = take(&mut from)?;
            let order = match place == at.as_bytes() {
                true => Ordering::Equal,
                false => At::clean(place).cmp(at),
            };
            if order == Ordering::Greater {
                return None;
            }
            let row = Row::read(&mut from);
            // One that cannot be read ends it all.
            self.next = row.as_ref().map_or(self.body.len(), |_| self.body.len() - from.len());
            if order == Ordering::Equal {
                self.found += self.next - start;
                return Some((row?, start..self.next));
            }
        }
        None
    }

    /// The row that stands there.
    pub(super) fn row(&self, span: &Range<usize>) -> Option<(At, Row)> {
        let mut from = self.body.get(span.clone())?;
        Some((At::clean(take(&mut from)?), Row::read(&mut from)?))
    }

    /// A whole file of these lines.
    pub(super) fn rewritten<'l>(&self, lines: impl Iterator<Item = Line<'l>>) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAGIC.len() + self.body.len() + self.body.len() / 8 + 4096);
        out.extend(MAGIC);
        for line in lines {
            match line {
                Line::Copied(span) => out.extend(self.body.get(span).unwrap_or_default()),
                Line::Row(at, row) => row.write(at, &mut out),
            }
        }
        let digest = Digest::of(&out);
        out.extend(digest.hex().as_bytes());
        out
    }
}

fn body(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(64)?)?;
    // Half a file would be half as fast; a damaged one would be wrong.
    if Digest::of(body).hex().as_bytes() != digest || !body.starts_with(MAGIC) {
        return None;
    }
    bytes.truncate(body.len());
    bytes.drain(..MAGIC.len());
    Some(bytes)
}

impl Row {
    fn write(&self, at: &At, out: &mut Vec<u8>) {
        put(out, at.as_bytes());
        let look = &self.look;
        for number in [look.dev, look.ino, u64::from(look.mode), look.size] {
            out.extend(number.to_be_bytes());
        }
        for (secs, nanos) in [look.mtime, look.ctime] {
            out.extend(secs.to_be_bytes());
            out.extend(nanos.to_be_bytes());
        }
        out.push(u8::from(self.settled));
        match self.digest {
            Some(digest) => {
                out.push(1);
                out.extend(digest.bytes());
            }
            None => out.push(0),
        }
        out.extend(u32::try_from(self.xattrs.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (name, value) in &self.xattrs {
            put(out, name);
            put(out, value);
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let mut number = || Some(u64::from_be_bytes(array(from)?));
        let (dev, ino, mode, size) = (number()?, number()?, number()?, number()?);
        let mut time = || Some((i64::from_be_bytes(array(from)?), u32::from_be_bytes(array(from)?)));
        let (mtime, ctime) = (time()?, time()?);
        let [settled, has_digest] = array(from)?;
        let digest = match has_digest {
            0 => None,
            _ => Some(Digest::from_bytes(array(from)?)),
        };
        let mut xattrs = Attributes::new();
        for _ in 0..u32::from_be_bytes(array(from)?) {
            let name = take(from)?.to_vec();
            xattrs.insert(name, take(from)?.to_vec());
        }
        let look = Look { dev, ino, mode: u32::try_from(mode).ok()?, size, mtime, ctime };
        Some(Self { look, xattrs, digest, settled: settled != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(xattrs: &[&[u8]]) -> Row {
        let look = Look { dev: 1, ino: 2, mode: 0o100_644, size: 3, mtime: (4, 5), ctime: (6, 7) };
        let xattrs = xattrs.iter().map(|name| (name.to_vec(), vec![0xff])).collect();
        Row { look, xattrs, digest: Some(Digest::of(b"abc")), settled: true }
    }

    fn written(rows: &[(&str, Row)]) -> Vec<u8> {
        let rows: Vec<(At, &Row)> = rows.iter().map(|(at, row)| (At::from(*at), row)).collect();
        Rows::default().rewritten(rows.iter().map(|(at, row)| Line::Row(at, row)))
    }

    #[test]
    fn rows_are_found_in_the_order_of_a_walk_whatever_came_or_went() {
        let places = ["", "a", "a/b", "a/c", "a-b", "d"];
        let all: Vec<(&str, Row)> = places.iter().map(|at| (*at, row(&[at.as_bytes()]))).collect();
        let bytes = written(&all);
        for asked in [vec!["", "a", "a/b", "a/c", "a-b", "d"], vec!["a/a", "a/c", "a/d", "d", "e"], vec!["d"]]
        {
            let mut rows = Rows::of(bytes.clone());
            for at in asked {
                let found = rows.find(&At::from(at));
                let want = all.iter().find(|(place, _)| *place == at).map(|(_, row)| row.clone());
                assert_eq!(found.as_ref().map(|(row, _)| row.clone()), want, "{at}");
                if let Some((row, span)) = found {
                    assert_eq!(rows.row(&span), Some((At::from(at), row)));
                }
            }
        }
    }

    #[test]
    fn a_damaged_index_knows_nothing_and_harms_nothing() {
        let whole = written(&[("f", row(&[b"user.a"]))]);
        assert!(Rows::of(whole.clone()).find(&At::from("f")).is_some());
        for n in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[n] ^= 1;
            assert_eq!(Rows::of(damaged).len(), 0, "byte {n}");
            assert_eq!(Rows::of(whole[..n].to_vec()).len(), 0, "cut at {n}");
        }
    }
}
