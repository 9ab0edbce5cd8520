//! What a layer's files are, without their contents: places, kinds, modes, owners, times, links, attributes, sizes and digests,
//! as its tar says, and as the step left them where that is another thing (`fixes`). Kept beside the layer, so that a step which
//! stands on thousands of files and looks at none can be carried out without any of the layer's bytes. What is in a file is
//! in the layer, and read when somebody asks (`behind`).

use samebuild_image::{At, Content, Digest, Entry, Kind, Layer, Meta, Mtime};

use super::fixes::{Fixes, Left};
use super::meta;
use crate::framing::{array, put, take};

/// Beginning of it; the number changes with the form.
const MAGIC: &[u8] = b"samebuild listing 2\n";

/// No entry takes fewer bytes.
const SMALLEST: usize = 5 + meta::SMALLEST;

/// What most entries take.
const USUAL: usize = 128;

/// What an entry has besides what all have: its path as it is written, names of owners, other fractions of a second than the
/// tar's, quite other metadata.
const RAW: u8 = 1;
const NAMES: u8 = 2;
const NANOS: u8 = 4;
const OTHER: u8 = 8;

/// Whose word counts where the tar and the step say other things of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// For whoever writes the layer.
    Tar,
    /// For whoever stands on it.
    Left,
}

/// What was listed.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    pub entries: Vec<Entry>,
    /// What the step left at places that are none of these.
    pub outside: Fixes,
}

/// The list of a layer's entries, in their order; `None` where something in it has no digest yet, or no time of its own.
pub fn write(layer: &Layer, left: &Left) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(MAGIC.len() + USUAL * layer.entries.len());
    out.extend(MAGIC);
    let mut left_entries = left.entries.iter().peekable();
    for (number, entry) in layer.entries.iter().enumerate() {
        entry.meta.mtime.timestamp()?;
        put(&mut out, entry.at.as_bytes());
        let numbers = |letter: u8, out: &mut Vec<u8>, numbers: [u32; 2]| {
            out.push(letter);
            numbers.iter().for_each(|number| out.extend(number.to_be_bytes()));
        };
        match &entry.kind {
            Kind::File(content) => {
                out.push(b'f');
                out.extend(content.size().to_be_bytes());
                out.extend(content.known_digest()?.bytes());
            }
            Kind::Dir => out.push(b'd'),
            Kind::Symlink(target) => {
                out.push(b'l');
                put(&mut out, target);
            }
            Kind::Hardlink(target) => {
                out.push(b'h');
                put(&mut out, target.as_bytes());
            }
            Kind::Char { major, minor } => numbers(b'c', &mut out, [*major, *minor]),
            Kind::Block { major, minor } => numbers(b'b', &mut out, [*major, *minor]),
            Kind::Fifo => out.push(b'p'),
        }
        let left = left_entries.next_if(|(of, _)| *of == number).map(|(_, meta)| meta);
        let nanos = left.and_then(|left| nanos_of(&entry.meta, left));
        let other = left.filter(|_| nanos.is_none());
        let names = !(entry.uname.is_empty() && entry.gname.is_empty());
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        out.push(
            flag(entry.raw.is_some(), RAW)
                | flag(names, NAMES)
                | flag(nanos.is_some(), NANOS)
                | flag(other.is_some(), OTHER),
        );
        meta::write(&entry.meta, &mut out);
        entry.raw.iter().for_each(|raw| put(&mut out, raw));
        if names {
            put(&mut out, &entry.uname);
            put(&mut out, &entry.gname);
        }
        nanos.iter().for_each(|nanos| out.extend(nanos.to_be_bytes()));
        other.iter().for_each(|other| meta::write(other, &mut out));
    }
    for (at, written) in &left.outside {
        put(&mut out, at.as_bytes());
        out.push(b'=');
        meta::write(written, &mut out);
    }
    Some(out)
}

/// The fractions of a second, if nothing else is another.
fn nanos_of(tar: &Meta, left: &Meta) -> Option<u32> {
    let ((tar_secs, _), (secs, nanos)) = (tar.mtime.timestamp()?, left.mtime.timestamp()?);
    let same = tar_secs == secs
        && (tar.mode, tar.uid, tar.gid) == (left.mode, left.uid, left.gid)
        && tar.xattrs == left.xattrs;
    same.then_some(nanos)
}

/// The entries of a list as the tar has them; of what is in a file, its size and digest alone.
pub fn outline(bytes: &[u8]) -> Option<Vec<Entry>> {
    read(bytes, As::Tar, |size, digest| Some(Content::known(digest, size))).map(|listed| listed.entries)
}

/// What [`write`] wrote; `content` makes what is in a file of that size and digest, which it is asked for in their order. `None`
/// for anything else.
pub fn read(
    bytes: &[u8],
    how: As,
    mut content: impl FnMut(u64, Digest) -> Option<Content>,
) -> Option<Listed> {
    let mut from = bytes.strip_prefix(MAGIC)?;
    let from = &mut from;
    let mut listed = Listed { entries: Vec::with_capacity(from.len() / SMALLEST), outside: Fixes::new() };
    while !from.is_empty() {
        let at = At::clean(take(from)?);
        let numbers =
            |from: &mut &[u8]| Some((u32::from_be_bytes(array(from)?), u32::from_be_bytes(array(from)?)));
        let [letter] = array(from)?;
        let kind = match letter {
            b'f' => {
                let size = u64::from_be_bytes(array(from)?);
                Kind::File(content(size, Digest::from_bytes(array(from)?))?)
            }
            b'd' => Kind::Dir,
            b'l' => Kind::Symlink(take(from)?.to_vec()),
            b'h' => Kind::Hardlink(At::clean(take(from)?)),
            b'c' => numbers(from).map(|(major, minor)| Kind::Char { major, minor })?,
            b'b' => numbers(from).map(|(major, minor)| Kind::Block { major, minor })?,
            b'p' => Kind::Fifo,
            b'=' => {
                listed.outside.push((at, meta::read(from)?));
                continue;
            }
            _ => return None,
        };
        let [flags] = array(from)?;
        let has = |flag: u8| flags & flag != 0;
        let mut meta = meta::read(from)?;
        let raw = if has(RAW) { Some(take(from)?.to_vec()) } else { None };
        let (uname, gname) = match has(NAMES) {
            true => (take(from)?.to_vec(), take(from)?.to_vec()),
            false => Default::default(),
        };
        if has(NANOS) {
            let nanos = u32::from_be_bytes(array(from)?);
            if let (As::Left, Some((secs, _))) = (how, meta.mtime.timestamp()) {
                meta.mtime = Mtime::At { secs, nanos };
            }
        }
        if has(OTHER) {
            let other = meta::read(from)?;
            if how == As::Left {
                meta = other;
            }
        }
        listed.entries.push(Entry { at, raw, kind, meta, uname, gname });
    }
    Some(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(size: u64, digest: Digest) -> Option<Content> {
        Some(Content::known(digest, size))
    }

    fn layer() -> Layer {
        let content = Content::inline(*b"abc");
        content.digest().unwrap();
        let kinds = [
            Kind::Dir,
            Kind::File(content),
            Kind::Symlink(b"/x y".to_vec()),
            Kind::Hardlink(At::from("a/1")),
            Kind::Char { major: 1, minor: 2 },
            Kind::Block { major: 3, minor: 4 },
            Kind::Fifo,
        ];
        let entry = |(n, kind): (usize, Kind)| {
            let mut meta = Meta::new(0o4711, Mtime::At { secs: -5, nanos: 7 });
            (meta.uid, meta.gid) = (n as u64, u64::MAX);
            meta.xattrs.insert(b"user.a".to_vec(), vec![0, 0xff]);
            let raw = (n % 2 == 0).then(|| format!("./a/{n}").into_bytes());
            let entry = Entry::new(At::clean(format!("a/{n}")), kind, meta);
            Entry { raw, uname: b"root".to_vec(), ..entry }
        };
        Layer { entries: kinds.into_iter().enumerate().map(entry).collect(), ..Layer::default() }
    }

    #[test]
    fn every_kind_of_entry_comes_back_with_all_that_is_known_of_it() {
        let layer = layer();
        let bytes = write(&layer, &Left::default()).unwrap();
        let entries = read(&bytes, As::Left, |size, digest| {
            assert_eq!(size, 3);
            known(size, digest)
        });
        let Listed { entries, outside } = entries.unwrap();
        assert!(outside.is_empty());
        // Kinds and contents have no equality; what is written of them tells.
        let again = Layer { entries: entries.clone(), ..Layer::default() };
        assert_eq!(write(&again, &Left::default()), Some(bytes));
        for (read, made) in entries.iter().zip(&layer.entries) {
            assert_eq!((&read.at, read.path(), &read.meta), (&made.at, made.path(), &made.meta));
            assert_eq!((&read.uname, &read.gname), (&made.uname, &made.gname));
        }
    }

    #[test]
    fn what_the_step_left_and_what_the_tar_says_come_back_each_to_who_asks() {
        let layer = layer();
        let mut nanos = layer.entries[0].meta.clone();
        nanos.mtime = Mtime::At { secs: -5, nanos: 123_456_789 };
        let other = Meta { mode: 0o600, ..layer.entries[6].meta.clone() };
        let outside = vec![(At::from("b"), other.clone())];
        let left = Left { entries: vec![(0, nanos.clone()), (6, other.clone())], outside: outside.clone() };
        let bytes = write(&layer, &left).unwrap();
        let metas = |how| {
            let listed = read(&bytes, how, known).unwrap();
            assert_eq!(listed.outside, outside);
            listed.entries.into_iter().map(|entry| entry.meta).collect::<Vec<Meta>>()
        };
        let mut wanted: Vec<Meta> = layer.entries.iter().map(|entry| entry.meta.clone()).collect();
        assert_eq!(metas(As::Tar), wanted);
        (wanted[0], wanted[6]) = (nanos, other);
        assert_eq!(metas(As::Left), wanted);
    }

    #[test]
    fn a_content_without_a_digest_and_a_time_of_a_golden_cannot_be_listed() {
        let mut unknown = layer();
        unknown.entries[1].kind = Kind::File(Content::inline(*b"abc"));
        assert_eq!(write(&unknown, &Left::default()), None);
        let mut named = layer();
        named.entries[0].meta.mtime = Mtime::Named(samebuild_image::Epoch::Now);
        assert_eq!(write(&named, &Left::default()), None);
    }

    #[test]
    fn bytes_that_are_no_list_are_nothing_and_never_a_panic() {
        let meta = layer().entries[0].meta.clone();
        let left = Left {
            entries: vec![(3, Meta { uid: 7, ..meta.clone() })],
            outside: vec![(At::from("b"), meta)],
        };
        let bytes = write(&layer(), &left).unwrap();
        for n in MAGIC.len() + 1..bytes.len() {
            if let Some(listed) = read(&bytes[..n], As::Left, known) {
                assert!(listed.entries.len() + listed.outside.len() < 8, "cut at {n}");
            }
            let mut damaged = bytes.clone();
            damaged[n] ^= 0xff;
            let _ = read(&damaged, As::Left, known);
        }
        assert!(read(b"samebuild listing 1\n", As::Left, known).is_none());
        assert!(read(b"", As::Left, known).is_none());
    }
}
