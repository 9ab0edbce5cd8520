//! Reading layers: what other tars look like, what is written comes back, and no broken tar passes for a shorter one.

use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;
use samebuild_image::layer_read::{End, LayerOptions, LayerRead, TarError, TarLimits, index, stream};
use samebuild_image::layer_write::{ModeField, OwnerNames, TarStyle, Times, write_tar};
use samebuild_image::{At, Bytes, Content, Entry, Kind, Layer, Meta, Mtime};

const EXACT: TarStyle =
    TarStyle { mode: ModeField::TypeAndPermissions, times: Times::Fractions, names: OwnerNames::AsGiven };

fn tar(entries: &[Entry], style: TarStyle) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tar(entries, style, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<LayerRead, TarError> {
    stream(bytes, &LayerOptions::default())
}

/// Everything an entry says, contents included.
fn text(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let kind = match &entry.kind {
            Kind::File(content) => format!("file {} {:?}", content.size(), content.digest().unwrap()),
            other => format!("{other:?}"),
        };
        let Entry { at, raw, meta, uname, gname, .. } = entry;
        format!("{at} {raw:?} {kind} {meta:?} {uname:?} {gname:?}")
    };
    entries.iter().map(line).collect()
}

fn file(path: &str, bytes: &[u8]) -> Entry {
    Entry::new(At::from(path), Kind::File(Content::inline(bytes)), Meta::new(0o644, Mtime::secs(1)))
}

fn small() -> Vec<Entry> {
    let meta = Meta::new(0o755, Mtime::At { secs: 5, nanos: 7 });
    let link = Kind::Hardlink(At::from("d/f"));
    vec![
        Entry::new(At::from("d"), Kind::Dir, meta.clone()),
        file("d/f", b"content"),
        Entry::new(At::from("d/ü"), link, meta),
        file(".wh.gone", b""),
    ]
}

#[test]
fn a_tar_cut_at_any_byte_is_truncated_or_whole_but_never_shorter() {
    let entries = small();
    let bytes = tar(&entries, EXACT);
    for len in 0..bytes.len() {
        for accept_missing_end in [false, true] {
            let options = LayerOptions { accept_missing_end, ..LayerOptions::default() };
            let source = Arc::new(Bytes::new(&bytes[..len]));
            for result in [stream(&bytes[..len], &options), index(source, &options)] {
                match result {
                    Err(error) => assert!(error.is_truncation(), "cut at {len}: {error}"),
                    Ok(read) => {
                        assert!(accept_missing_end && read.end == End::Missing, "cut at {len}");
                        assert_ne!(read.layer.diff_id, Some(samebuild_image::Digest::of(&bytes)));
                    }
                }
            }
        }
    }
}

#[test]
fn a_byte_flipped_anywhere_is_never_a_panic() {
    let bytes = tar(&small(), EXACT);
    for at in 0..bytes.len() {
        for mask in [1, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= mask;
            if let Ok(layer) = read(&broken) {
                assert_ne!(layer.layer.diff_id, Some(samebuild_image::Digest::of(&bytes)));
            }
        }
    }
}

#[test]
fn contents_are_found_again_in_the_source() {
    let big: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let bytes = tar(&[file("a", b"small"), file("b", &big)], TarStyle::PLAIN);
    for hash_contents in [false, true] {
        let options = LayerOptions { hash_contents, ..LayerOptions::default() };
        let layer = index(Arc::new(Bytes::new(bytes.clone())), &options).unwrap().layer;
        assert_eq!(text(&layer.entries), text(&[file("a", b"small"), file("b", &big)]));
        assert_eq!(layer.size, bytes.len() as u64);
        let Kind::File(content) = &layer.entries[1].kind else { panic!("not a file") };
        assert_eq!(content.read_up_to(1 << 20).unwrap().unwrap(), big);
    }
}

#[test]
fn a_stream_keeps_small_contents_and_the_digest_of_big_ones() {
    let bytes = tar(&[file("a", b"small"), file("b", &[7; 70_000]), file("c", b"late")], TarStyle::PLAIN);
    let options = LayerOptions { inline_total: 7, ..LayerOptions::default() };
    let layer = stream(&bytes[..], &options).unwrap().layer;
    let kept: Vec<bool> = layer
        .entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::File(content) => content.has_bytes(),
            _ => false,
        })
        .collect();
    assert_eq!(kept, [true, false, false]);
    assert_eq!(
        text(&layer.entries),
        text(&[file("a", b"small"), file("b", &[7; 70_000]), file("c", b"late")])
    );
}

/// GNU tar's headers, as `tar --format=gnu` and the `tar` crate write them.
#[test]
fn gnu_long_names_numbers_and_odd_paths_are_read() {
    let long = "n".repeat(150);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(1 << 40);
    header.set_mtime(1);
    header.set_size(3);
    builder.append_data(&mut header, &long, &b"abc"[..]).unwrap();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, "lnk", &long).unwrap();
    header.set_uid(0);
    header.set_entry_type(tar::EntryType::Directory);
    header.as_mut_bytes()[..100].fill(0);
    raw_path(&mut header, b"./d");
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    let bytes = builder.into_inner().unwrap();

    let entries = read(&bytes).unwrap().layer.entries;
    assert_eq!(entries[0].at, At::from(&long[..]));
    assert_eq!(entries[0].meta.uid, 1 << 40);
    assert!(matches!(&entries[1].kind, Kind::Symlink(target) if target == long.as_bytes()));
    assert_eq!((entries[2].at.clone(), entries[2].raw.as_deref()), (At::from("d"), Some(&b"./d"[..])));
}

/// A tar made by hand: `set` changes the header before its checksum is taken.
fn by_hand(set: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_mode(0o644);
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Regular);
    set(&mut header);
    header.set_cksum();
    [&header.as_bytes()[..], &[0; 1024]].concat()
}

fn raw_path(header: &mut tar::Header, path: &[u8]) {
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
}

#[test]
fn paths_that_climb_are_cleaned_and_keep_how_they_were_written() {
    for path in ["../../etc/x", "/etc/x", "etc//./x", "a/../etc/x"] {
        let layer = read(&by_hand(|header| raw_path(header, path.as_bytes()))).unwrap().layer;
        assert_eq!(layer.entries[0].at, At::from("etc/x"));
        assert_eq!(layer.entries[0].raw.as_deref(), Some(path.as_bytes()));
    }
}

#[test]
fn names_that_are_not_utf_8_stay_bytes() {
    let layer = read(&by_hand(|header| raw_path(header, b"\xff\xfe"))).unwrap().layer;
    assert_eq!(layer.entries[0].at.as_bytes(), b"\xff\xfe");
    assert_eq!(text(&read(&tar(&layer.entries, EXACT)).unwrap().layer.entries), text(&layer.entries));
}

#[test]
fn what_is_not_supported_says_so_with_its_path() {
    for (flag, word) in [(b'V', "several volumes"), (b'Z', "of type 'Z'")] {
        let error = read(&by_hand(|header| header.as_mut_bytes()[156] = flag)).unwrap_err();
        assert!(matches!(error, TarError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(word) && error.to_string().contains("`x`"), "{error}");
    }
}

#[test]
fn a_root_that_is_no_directory_is_damage() {
    let error = read(&by_hand(|header| raw_path(header, b"."))).unwrap_err();
    assert!(matches!(error, TarError::Damaged { .. }), "{error}");
}

#[test]
fn absurd_sizes_cost_nothing() {
    for size in [u64::MAX >> 1, (1 << 62) + 1, 1 << 40] {
        let bytes = by_hand(|header| header.set_size(size));
        let error = read(&bytes).unwrap_err();
        assert!(error.is_truncation() || matches!(error, TarError::Damaged { .. }), "{size}: {error}");
    }
    let bytes = by_hand(|header| {
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(1 << 30);
    });
    assert!(matches!(read(&bytes), Err(TarError::Limit { .. })));
}

#[test]
fn entries_and_names_are_counted_against_limits() {
    let bytes = tar(&[file("aaaa", b""), file("bbbb", b"")], TarStyle::PLAIN);
    for limits in
        [TarLimits { entries: 1, ..TarLimits::default() }, TarLimits { metadata: 7, ..TarLimits::default() }]
    {
        let options = LayerOptions { limits, ..LayerOptions::default() };
        let error = stream(&bytes[..], &options).unwrap_err();
        assert!(matches!(error, TarError::Limit { entry: 1, .. }), "{error}");
    }
}

#[test]
fn global_headers_and_trailing_bytes_are_ignored_but_told() {
    let mut bytes = by_hand(|header| header.set_entry_type(tar::EntryType::XGlobalHeader));
    bytes.truncate(512);
    bytes.extend(by_hand(|_| {}));
    bytes.write_all(b"junk").unwrap();
    let read = read(&bytes).unwrap();
    assert_eq!((read.global_headers, read.trailing_data, read.layer.entries.len()), (1, true, 1));
    assert_eq!(read.layer.size, bytes.len() as u64);
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[a-c.]{1,4}".prop_map(String::into_bytes),
        1 => "[a-z]{60,120}".prop_map(String::into_bytes),
        1 => prop::collection::vec(1u8..=255, 1..6),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(&b'/'))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..1200).prop_map(|bytes| Kind::File(Content::inline(bytes))),
        Just(Kind::Dir),
        Just(Kind::Fifo),
        name().prop_map(Kind::Symlink),
        name().prop_map(|target| Kind::Hardlink(At::clean(target))),
        (0u32..1 << 21, 0u32..1 << 21).prop_map(|(major, minor)| Kind::Char { major, minor }),
        (0u32..1 << 21, 0u32..1 << 21).prop_map(|(major, minor)| Kind::Block { major, minor }),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    let secs = prop_oneof![0i64..1 << 33, any::<i64>(), 0i64..1 << 40];
    let nanos = prop_oneof![Just(0u32), 0u32..1_000_000_000];
    let id = prop_oneof![0u64..70_000, 0u64..1 << 62];
    let xattr_name = "[a-z.]{1,12}".prop_map(String::into_bytes);
    let xattrs = prop::collection::btree_map(xattr_name, prop::collection::vec(any::<u8>(), 0..20), 0..3);
    (0u32..=0o7777, id.clone(), id, secs, nanos, xattrs).prop_map(|(mode, uid, gid, secs, nanos, xattrs)| {
        Meta { mode, uid, gid, mtime: Mtime::At { secs, nanos }, xattrs }
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (name(), kind(), meta(), "[a-zé]{0,40}").prop_map(|(path, kind, meta, uname)| {
        let mut entry = Entry::new(At::clean(&path), kind, meta);
        entry.uname = uname.into_bytes();
        entry
    });
    let is_possible = |entry: &Entry| !entry.at.is_root() || entry.kind.is_dir();
    prop::collection::vec(entry.prop_filter("the root is a directory", is_possible), 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries()) {
        let bytes = tar(&entries, EXACT);
        let layer = read(&bytes).unwrap().layer;
        prop_assert_eq!(text(&layer.entries), text(&entries));
        prop_assert_eq!(&tar(&layer.entries, EXACT), &bytes, "and written again as it was");
        let indexed: Layer = index(Arc::new(Bytes::new(bytes)), &LayerOptions::default()).unwrap().layer;
        prop_assert_eq!(text(&indexed.entries), text(&entries));
    }

    /// The `tar` crate is a second opinion: paths, sizes and modes, whatever the extended headers. It takes a line break
    /// within a PAX record for the record's end, so there are none.
    #[test]
    fn another_reader_sees_the_same(mut entries in entries()) {
        for entry in &mut entries {
            entry.meta.xattrs.values_mut().for_each(|value| value.retain(|byte| *byte != b'\n'));
        }
        let breaks = |entry: &Entry| match &entry.kind {
            Kind::Symlink(target) => [entry.path(), target.clone()].concat().contains(&b'\n'),
            Kind::Hardlink(target) => [entry.path(), target.as_bytes().to_vec()].concat().contains(&b'\n'),
            _ => entry.path().contains(&b'\n'),
        };
        prop_assume!(!entries.iter().any(breaks));
        let bytes = tar(&entries, EXACT);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut count = 0;
        for (other, entry) in archive.entries().unwrap().zip(&entries) {
            let other = other.unwrap();
            prop_assert_eq!(&*other.path_bytes(), entry.path());
            let size = match &entry.kind { Kind::File(content) => content.size(), _ => 0 };
            prop_assert_eq!(other.size(), size);
            prop_assert_eq!(other.header().mode().unwrap() & 0o7777, entry.meta.mode);
            count += 1;
        }
        prop_assert_eq!(count, entries.len());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = read(&bytes);
    }
}
