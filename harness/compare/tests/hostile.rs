//! Layers that somebody made to hurt, or that were hurt: each is an error of its own, or a difference; never a panic, never a
//! file that is said to be missing.

use std::io::Write as _;
use std::sync::Arc;

use samebuild_compare::{CompareError, Difference, Options, compare_stored};
use samebuild_image::compression::{Encoder, Expansion};
use samebuild_image::layer_read::TarLimits;
use samebuild_image::{Bytes, Compression, Digest, Stored, StoredLayer};

/// A header block, and its content.
fn member(name: &[u8], flag: u8, link: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name);
    for (at, text) in [(100, "0000644"), (108, "0000000"), (116, "0000000"), (136, "00000000000")] {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[148..156].fill(b' ');
    block[156] = flag;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let padding = data.len().next_multiple_of(512) - data.len();
    [&block[..], data, &vec![0; padding]].concat()
}

fn long(name: &[u8]) -> Vec<u8> {
    let record = |len: usize| [format!("{len} path=").as_bytes(), name, b"\n"].concat();
    let len = (0..).find(|len| record(*len).len() == *len).unwrap();
    [member(b"x", b'x', b"", &record(len)), member(b"short", b'0', b"", b"!")].concat()
}

fn layer(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn stored(bytes: impl Into<Arc<[u8]>>) -> Stored {
    Stored {
        config: serde_json::Map::new(),
        config_digest: Digest::of(b""),
        layers: vec![StoredLayer {
            source: Arc::new(Bytes::new(bytes)),
            stated: None,
            diff_id: None,
            media_type: None,
        }],
        names: Vec::new(),
        manifest: None,
    }
}

fn packed(bytes: &[u8], how: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), how).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn options() -> Options {
    let mut options = Options::strict();
    options.walk.expansion = Expansion { free: 1 << 20, ratio: 50, total: 1 << 24 };
    options.walk.limits = TarLimits { entries: 5000, ..TarLimits::default() };
    options
}

fn compare(left: Vec<u8>, right: Vec<u8>) -> Result<Vec<Difference>, CompareError> {
    compare_stored(&stored(left), &stored(right), &options()).map(|found| found.differences)
}

/// Compared with a layer of one file, both ways round: what is said, or the error.
fn said(bytes: &[u8]) -> String {
    let plain = layer(&[member(b"a", b'0', b"", b"1")]);
    assert_eq!(
        compare(bytes.to_vec(), bytes.to_vec()).map_or(0, |found| found.len()),
        0,
        "it differs from itself"
    );
    let there = compare(plain.clone(), bytes.to_vec());
    let back = compare(bytes.to_vec(), plain);
    assert_eq!(there.is_err(), back.is_err());
    match there {
        Ok(found) => found.iter().map(|row| format!("{row}\n")).collect(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_decompression_bomb_is_told_as_one() {
    for how in [Compression::Gzip, Compression::Zstd] {
        let bomb = packed(&layer(&[member(b"a", b'0', b"", &vec![0; 8 << 20])]), how);
        let said = said(&bomb);
        assert!(said.contains("decompression bomb") && said.starts_with("right image"), "{how:?}: {said}");
    }
}

#[test]
fn more_entries_than_anybody_needs_are_a_limit_that_is_told() {
    let many: Vec<Vec<u8>> = (0..5001).map(|n| member(format!("f{n}").as_bytes(), b'0', b"", b"")).collect();
    let said = said(&layer(&many));
    assert!(said.contains("5000") && said.contains("entries"), "{said}");
}

#[test]
fn damaged_and_truncated_layers_are_errors_on_the_side_that_has_them() {
    let good = layer(&[member(b"a", b'0', b"", b"1"), member(b"b", b'0', b"", &[7; 3000])]);
    let mut flipped = good.clone();
    flipped[1024 + 3] ^= 1;
    assert!(said(&flipped).contains("checksum"), "{}", said(&flipped));
    assert!(said(&good[..2000]).contains("truncated"), "{}", said(&good[..2000]));
    let mut corrupt = packed(&good, Compression::Gzip);
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    assert!(said(&corrupt).starts_with("right image: failed to read layer 1"), "{}", said(&corrupt));
    assert!(
        said(b"no tar at all, but long enough to be looked at as one".repeat(20).as_slice())
            .contains("layer 1")
    );
}

/// A file stored with its holes, in GNU's old form: eight bytes, of which two pieces are there.
fn sparse(pieces: &[(u32, u32)], size: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = member(b"a", b'S', b"", data);
    bytes[257..265].copy_from_slice(b"ustar  \0");
    for (n, (offset, len)) in pieces.iter().enumerate() {
        let text = format!("{offset:011o}\0{len:011o}\0");
        bytes[386 + 24 * n..][..24].copy_from_slice(text.as_bytes());
    }
    bytes[483..494].copy_from_slice(format!("{size:011o}").as_bytes());
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

#[test]
fn a_file_stored_sparse_is_the_file_and_only_its_form_differs() {
    let plain = layer(&[member(b"a", b'0', b"", b"\0ab\0\0cd\0")]);
    let holes = layer(&[sparse(&[(1, 2), (5, 2)], 8, b"abcd")]);
    for (left, right) in [(&plain, &holes), (&holes, &plain)] {
        let packed = packed(right, Compression::Gzip);
        for right in [right.clone(), packed] {
            let found = compare(left.clone(), right).unwrap();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let form = found.iter().find(|row| row.contains("tar_form")).unwrap();
            assert!(form.contains("1 stored sparse"), "{found:?}");
            assert!(!found.iter().any(|row| row.contains("/a")), "{found:?}");
        }
    }
    let other = layer(&[sparse(&[(1, 2), (6, 2)], 8, b"abcd")]);
    let found = compare(plain, other).unwrap();
    assert!(found.iter().any(|row| row.rule == "content"), "the same bytes elsewhere: {found:?}");
}

#[test]
fn a_map_that_makes_no_sense_is_damage_of_its_entry() {
    for (pieces, size, why) in [
        (&[(1, 4), (2, 0)][..], 8, "inside the one before"),
        (&[(6, 4)], 8, "beyond its size"),
        (&[], 8, "4 are stored"),
    ] {
        let said = said(&layer(&[sparse(pieces, size, b"abcd")]));
        assert!(said.contains("entry 0") && said.contains(why), "{said}");
    }
    let said = said(&layer(&[member(b"s", b'S', b"", b"")]));
    assert!(said.contains("its header is not GNU's"), "{said}");
}

#[test]
fn errors_and_rows_call_a_layer_by_the_same_number() {
    let (one, other) = (member(b"a", b'0', b"", b"1"), member(b"a", b'0', b"", b"2"));
    let image = |second: &[u8]| {
        let (first, second) = (stored(layer(std::slice::from_ref(&one))), stored(second));
        Stored { layers: [first.layers, second.layers].concat(), ..first }
    };
    let (left, right) = (layer(std::slice::from_ref(&one)), layer(&[other]));
    let found = compare_stored(&image(&left), &image(&right), &options()).unwrap();
    assert!(found.differences.iter().any(|row| row.to_string().starts_with("layer 2 · /a · content")));
    let error = compare_stored(&image(&left), &image(&right[..700]), &options()).unwrap_err().to_string();
    assert!(error.starts_with("right image: failed to read layer 2: "), "{error}");
}

#[test]
fn absurd_paths_are_places_inside_the_image() {
    let up = said(&layer(&[member(b"../../a", b'0', b"", b"1")]));
    assert!(up.contains("/a · path_form: a → ../../a") && !up.contains("paths"), "{up}");
    let absolute = said(&layer(&[member(b"/a", b'0', b"", b"1")]));
    assert!(absolute.contains("/a · path_form: a → /a"), "{absolute}");
    let odd = said(&layer(&[member(b"a", b'0', b"", b"1"), member(b"\xff\n", b'0', b"", b"")]));
    assert!(odd.contains(r#""/\xff\n" · paths: absent"#), "{odd}");
    let far = said(&layer(&[member(b"a", b'0', b"", b"1"), long(&[b'p'; 4000])]));
    assert!(far.contains(&format!("/{} · paths: absent", "p".repeat(4000))), "{} bytes", far.len());
    let deep = said(&layer(&[member(b"a", b'0', b"", b"1"), long(&b"d/".repeat(300))]));
    assert!(deep.contains("· paths: absent"), "{} bytes", deep.len());
    let abyss = said(&layer(&[member(b"a", b'0', b"", b"1"), long(&b"d/".repeat(500_000))]));
    assert!(abyss.contains("bytes of names"), "{} bytes", abyss.len());
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_differences() {
    let nowhere = said(&layer(&[member(b"a", b'0', b"", b"1"), member(b"h", b'1', b"missing", b"")]));
    assert!(nowhere.contains("/h · paths: absent → hardlink"), "{nowhere}");
    let own = said(&layer(&[member(b"a", b'1', b"a", b"")]));
    assert!(own.contains("/a · link: a file of its own → hard link to itself"), "{own}");
    let circle = [
        member(b"a", b'0', b"", b"1"),
        member(b"x", b'2', b"y", b""),
        member(b"y", b'2', b"x", b""),
        member(b"x/f", b'0', b"", b"!"),
        member(b"y/.wh.f", b'0', b"", b""),
    ];
    let circle = said(&layer(&circle));
    assert!(circle.contains("/x · paths: absent → symlink"), "{circle}");
    let below_a_file = said(&layer(&[member(b"a", b'0', b"", b"1"), member(b"a/b", b'0', b"", b"1")]));
    assert!(below_a_file.contains("/a/b · paths: absent"), "{below_a_file}");
}

#[test]
fn a_device_number_or_an_owner_beyond_all_numbers_is_damage() {
    let mut device = member(b"d", b'3', b"", b"");
    device[329..337].copy_from_slice(b"\x80\0\0\x01\0\0\0\0");
    device[148..156].fill(b' ');
    let sum: u32 = device.iter().map(|byte| u32::from(*byte)).sum();
    device[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let said = said(&layer(&[device]));
    assert!(said.contains("out of range"), "{said}");
}
