//! Which places the flattened file systems can differ at, seeing what differs in the layers: only entries that bear on
//! those have to be applied. Too many is slow, too few is wrong; where a symbolic link makes it unclear, it is all of them.

use std::collections::BTreeSet;

use samebuild_image::entry::Whiteout;
use samebuild_image::{At, Entry, Kind};

use crate::sieve::{Odd, Sifted};

/// Places, and whole directories.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    places: BTreeSet<Box<[u8]>>,
    trees: BTreeSet<Box<[u8]>>,
}

impl Touched {
    /// What the entries that are not the same on both sides touch.
    pub(crate) fn by(sifted: &[Sifted]) -> Self {
        let mut touched = Self::default();
        for odd in sifted.iter().flat_map(|layer| layer.left.iter().chain(&layer.right)) {
            touched.odd(odd);
        }
        touched.follow_links(sifted);
        touched
    }

    /// Whether `entry` bears on any of it.
    pub(crate) fn by_entry(&self, entry: &Entry) -> bool {
        self.has(&entry.at)
            || matches!(&entry.kind, Kind::Hardlink(target) if self.has(target))
            || match entry.whiteout() {
                Some(Whiteout::Removed(at) | Whiteout::Opaque(at)) => self.has(&at),
                None => false,
            }
    }

    /// Whether any of the places is reached through one of these symbolic links, so that it has two names.
    pub(crate) fn crosses<'e>(&self, mut links: impl Iterator<Item = &'e At>) -> bool {
        links.any(|link| {
            let below = [link.as_bytes(), b"/"].concat();
            let first = |set: &BTreeSet<Box<[u8]>>| {
                set.range::<[u8], _>((std::ops::Bound::Included(&below[..]), std::ops::Bound::Unbounded))
                    .next()
                    .is_some_and(|place| place.starts_with(&below))
            };
            first(&self.places) || first(&self.trees)
        })
    }

    fn odd(&mut self, odd: &Odd) {
        let entry = &odd.entry;
        self.add(&entry.at);
        match &entry.kind {
            Kind::Hardlink(target) => self.add(target),
            // What another layer has below a directory stands or falls with it.
            Kind::Dir if odd.twin.is_some() => {}
            _ => self.add_tree(&entry.at),
        }
        match entry.whiteout() {
            Some(Whiteout::Removed(at) | Whiteout::Opaque(at)) => self.add_tree(&at),
            None => {}
        }
    }

    fn add(&mut self, at: &At) {
        let bytes = at.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for end in ends.chain([bytes.len()]) {
            if !self.places.contains(&bytes[..end]) {
                self.places.insert(bytes[..end].into());
            }
        }
    }

    fn add_tree(&mut self, at: &At) {
        self.add(at);
        self.trees.insert(at.as_bytes().into());
    }

    fn has(&self, at: &At) -> bool {
        let bytes = at.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        self.places.contains(bytes)
            || self.trees.contains(&b""[..])
            || ends.chain([bytes.len()]).any(|end| self.trees.contains(&bytes[..end]))
    }

    /// All names of a file are touched if one is.
    fn follow_links(&mut self, sifted: &[Sifted]) {
        let settled = sifted.iter().flat_map(|layer| &layer.settled).map(|settled| &settled.entry);
        let links: Vec<(&At, &At)> = settled
            .filter_map(|entry| match &entry.kind {
                Kind::Hardlink(target) => Some((&entry.at, target)),
                _ => None,
            })
            .collect();
        let mut grew = true;
        while grew {
            grew = false;
            for (at, target) in &links {
                let (one, other) = (self.has(at), self.has(target));
                if one != other {
                    self.add(if one { target } else { at });
                    grew = true;
                }
            }
        }
    }
}
