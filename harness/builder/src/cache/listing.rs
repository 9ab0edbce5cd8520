//! What a layer's tar says of its files, without their contents: places, kinds, modes, owners, times, links, attributes, sizes
//! and digests. Kept beside the layer, so that a step which stands on thousands of files and looks at none can be carried out
//! without any of the layer's bytes. What is in a file is in the layer, and read when somebody asks (`behind`).

use samebuild_image::{At, Content, Digest, Entry, Kind, Layer};

use super::meta;
use crate::framing::{array, put, take};

/// Beginning of it; the number changes with the form.
const MAGIC: &[u8] = b"samebuild listing 1\n";

/// No entry takes fewer bytes.
const SMALLEST: usize = 18 + meta::SMALLEST;

/// The list of a layer's entries, in their order; `None` where something in it has no digest yet, or no time of its own.
pub fn write(layer: &Layer) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    for entry in &layer.entries {
        entry.meta.mtime.timestamp()?;
        put(&mut out, entry.at.as_bytes());
        let number = |letter: u8, out: &mut Vec<u8>, numbers: [u32; 2]| {
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
            Kind::Char { major, minor } => number(b'c', &mut out, [*major, *minor]),
            Kind::Block { major, minor } => number(b'b', &mut out, [*major, *minor]),
            Kind::Fifo => out.push(b'p'),
        }
        meta::write(&entry.meta, &mut out);
        out.push(u8::from(entry.raw.is_some()));
        put(&mut out, entry.raw.as_deref().unwrap_or_default());
        put(&mut out, &entry.uname);
        put(&mut out, &entry.gname);
    }
    Some(out)
}

/// The entries of a list that [`write`] wrote; `content` makes what is in the file of that number (from 0, of all entries), size
/// and digest. `None` for anything else.
pub fn read(bytes: &[u8], mut content: impl FnMut(usize, u64, Digest) -> Content) -> Option<Vec<Entry>> {
    let mut from = bytes.strip_prefix(MAGIC)?;
    let from = &mut from;
    let mut entries = Vec::with_capacity(from.len() / SMALLEST);
    while !from.is_empty() {
        let at = At::clean(take(from)?);
        let numbers =
            |from: &mut &[u8]| Some((u32::from_be_bytes(array(from)?), u32::from_be_bytes(array(from)?)));
        let [letter] = array(from)?;
        let kind = match letter {
            b'f' => {
                let size = u64::from_be_bytes(array(from)?);
                Kind::File(content(entries.len(), size, Digest::from_bytes(array(from)?)))
            }
            b'd' => Kind::Dir,
            b'l' => Kind::Symlink(take(from)?.to_vec()),
            b'h' => Kind::Hardlink(At::clean(take(from)?)),
            b'c' => numbers(from).map(|(major, minor)| Kind::Char { major, minor })?,
            b'b' => numbers(from).map(|(major, minor)| Kind::Block { major, minor })?,
            b'p' => Kind::Fifo,
            _ => return None,
        };
        let meta = meta::read(from)?;
        let [has_raw] = array(from)?;
        let raw = take(from)?.to_vec();
        let raw = (has_raw != 0).then_some(raw);
        let (uname, gname) = (take(from)?.to_vec(), take(from)?.to_vec());
        entries.push(Entry { at, raw, kind, meta, uname, gname });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{Meta, Mtime};

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
        let bytes = write(&layer).unwrap();
        let entries = read(&bytes, |number, size, digest| {
            assert_eq!((number, size), (1, 3));
            Content::known(digest, size)
        });
        let entries = entries.unwrap();
        // Kinds and contents have no equality; what is written of them tells.
        assert_eq!(write(&Layer { entries: entries.clone(), ..Layer::default() }), Some(bytes));
        for (read, made) in entries.iter().zip(&layer.entries) {
            assert_eq!((&read.at, read.path(), &read.meta), (&made.at, made.path(), &made.meta));
            assert_eq!((&read.uname, &read.gname), (&made.uname, &made.gname));
        }
    }

    #[test]
    fn a_content_without_a_digest_and_a_time_of_a_golden_cannot_be_listed() {
        let mut unknown = layer();
        unknown.entries[1].kind = Kind::File(Content::inline(*b"abc"));
        assert_eq!(write(&unknown), None);
        let mut named = layer();
        named.entries[0].meta.mtime = Mtime::Named(samebuild_image::Epoch::Now);
        assert_eq!(write(&named), None);
    }

    #[test]
    fn bytes_that_are_no_list_are_nothing_and_never_a_panic() {
        let bytes = write(&layer()).unwrap();
        let known = |_, size, digest| Content::known(digest, size);
        for n in MAGIC.len() + 1..bytes.len() {
            if let Some(entries) = read(&bytes[..n], known) {
                assert!(entries.len() < 7, "cut at {n}");
            }
            let mut damaged = bytes.clone();
            damaged[n] ^= 0xff;
            let _ = read(&damaged, known);
        }
        assert!(read(b"samebuild listing 2\n", known).is_none());
        assert!(read(b"", known).is_none());
    }
}
