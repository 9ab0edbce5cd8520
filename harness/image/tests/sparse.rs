//! Sparse files: what GNU tar stores in each of its four forms reads as the file was, and a map that was made to hurt is an error.
#![expect(
    clippy::disallowed_methods,
    reason = "GNU tar writes the tars; the crate itself starts and reads nothing"
)]

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use samebuild_image::layer_read::{LayerOptions, TarError, TarLimits, index, stream};
use samebuild_image::layer_walk::{Walk, WalkOptions};
use samebuild_image::{Bytes, Digest, Entry, Kind, StoredLayer};

/// What `tar` is told, form by form.
const FORMS: &[&[&str]] = &[
    &["--format=gnu"],
    &["--format=posix", "--sparse-version=0.0"],
    &["--format=posix", "--sparse-version=0.1"],
    &["--format=posix", "--sparse-version=1.0"],
];

/// A file of so many bytes, every other piece of 64 KiB a hole; more than any header has room for.
fn holey(path: &Path, pieces: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    for piece in 0..pieces {
        file.seek(SeekFrom::Start(piece * 128 * 1024)).unwrap();
        file.write_all(&[b'a' + (piece % 26) as u8; 5000]).unwrap();
    }
    file.set_len(pieces * 128 * 1024 + 7).unwrap();
}

/// The tar of a directory with a sparse file between two others; `None`, with a word, where there is no GNU tar, or the
/// file system keeps no holes.
fn tar(form: &[&str]) -> Option<(Vec<u8>, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "before\n").unwrap();
    holey(&dir.path().join("b"), 60);
    std::fs::write(dir.path().join("c"), "after\n").unwrap();
    let mut command = Command::new("tar");
    command.args(["-S", "-c", "-C"]).arg(dir.path()).args(form).args(["a", "b", "c"]);
    let Ok(output) = command.output() else {
        println!("not exercised: there is no tar");
        return None;
    };
    let whole = std::fs::read(dir.path().join("b")).unwrap();
    if !output.status.success() || output.stdout.len() > whole.len() {
        println!("not exercised: {form:?}: no holes, or no GNU tar: {output:?}");
        return None;
    }
    Some((output.stdout, whole))
}

fn files(entries: &[Entry]) -> Vec<(String, u64, Digest)> {
    let file = |entry: &Entry| match &entry.kind {
        Kind::File(content) => (entry.at.to_string(), content.size(), content.digest().unwrap()),
        other => panic!("{other:?}"),
    };
    entries.iter().map(file).collect()
}

#[test]
fn what_gnu_tar_stores_of_a_sparse_file_reads_as_the_file_was() {
    for form in FORMS {
        let Some((tar, whole)) = tar(form) else { return };
        let expected: Vec<(String, u64, Digest)> =
            [("/a", &b"before\n"[..]), ("/b", &whole), ("/c", b"after\n")]
                .map(|(at, bytes)| (at.to_owned(), bytes.len() as u64, Digest::of(bytes)))
                .to_vec();
        let source = Arc::new(Bytes::new(tar.clone()));
        let hashed = LayerOptions { hash_contents: true, ..LayerOptions::default() };
        for read in [
            stream(&tar[..], &LayerOptions::default()).unwrap(),
            index(source.clone(), &LayerOptions::default()).unwrap(),
            index(source.clone(), &hashed).unwrap(),
        ] {
            assert_eq!(files(&read.layer.entries), expected, "{form:?}");
        }
        let layer = StoredLayer { source, stated: None, diff_id: None, media_type: None };
        let mut walk = Walk::open(&layer, 0, &WalkOptions::default()).unwrap();
        while let Some(entry) = walk.next_entry().unwrap() {
            let Kind::File(content) = &entry.kind else { panic!() };
            let mut passed = Vec::new();
            // Half of one file, and all of the others: what is left is skipped.
            let stop = if entry.at.to_string() == "/b" { whole.len() / 2 } else { usize::MAX };
            loop {
                let bytes = walk.peek().unwrap();
                let len = bytes.len().min(999);
                if len == 0 || passed.len() >= stop {
                    break;
                }
                passed.extend_from_slice(&bytes[..len]);
                walk.advance(len);
            }
            let mut all = Vec::new();
            content.open().unwrap().read_to_end(&mut all).unwrap();
            assert!(
                all.starts_with(&passed) && (passed.len() >= stop || passed.len() == all.len()),
                "{form:?}"
            );
        }
        let walked = walk.finish().unwrap();
        assert_eq!(walked.forms.sparse, 1, "{form:?}");
        let few = LayerOptions { limits: TarLimits { holes: 1 << 20, ..TarLimits::default() }, ..hashed };
        let error = stream(&tar[..], &few).unwrap_err().to_string();
        assert!(error.contains("bytes in the holes of sparse files"), "{form:?}: {error}");
        for cut in [tar.len() / 3, tar.len() / 2] {
            assert!(stream(&tar[..cut], &LayerOptions::default()).unwrap_err().is_truncation(), "{form:?}");
        }
    }
}

/// A member with this content, stored sparse by these PAX records.
fn posix(records: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let records: Vec<(&str, &[u8])> = records.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
    builder.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "GNUSparseFile.1/x", data).unwrap();
    builder.into_inner().unwrap()
}

fn error(tar: &[u8]) -> String {
    let limits = TarLimits { pieces: 1000, ..TarLimits::default() };
    match stream(tar, &LayerOptions { limits, ..LayerOptions::default() }) {
        Err(error @ (TarError::Damaged { .. } | TarError::Limit { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_map_that_was_made_to_hurt_is_an_error_that_says_so() {
    let old = |map: &str, size: &str| posix(&[("GNU.sparse.map", map), ("GNU.sparse.size", size)], b"abcd");
    let new = |map: &str| {
        let padded =
            [map.as_bytes(), &vec![0; map.len().next_multiple_of(512) - map.len()], b"abcd"].concat();
        let records = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "1000000000000000"),
        ];
        posix(&records, &padded)
    };
    for (tar, why) in [
        (old("0,2,1,2", "9"), "inside the one before"),
        (old("0,2,8,2", "9"), "beyond its size of 9"),
        (old("0,2", "9"), "but 4 are stored"),
        (old("0,4", "9223372036854775807"), "bytes in the holes"),
        (old("0,4,5", "9"), "as many numbers as it says"),
        (old("0,-4", "9"), "no number"),
        (old("0,9223372036854775808", "9"), "no number"),
        (new("1\n0\n4\n"), "bytes in the holes"),
        (new("9999999\n"), "more than 1000 pieces"),
        (new(&format!("200\n{}", "0\n".repeat(254))), "does not end"),
        (new("99999999999999999999999\n"), "no number"),
        (posix(&[("GNU.sparse.major", "7"), ("GNU.sparse.minor", "0")], b""), "unknown version"),
    ] {
        assert!(error(&tar).contains(why), "{why}: {}", error(&tar));
    }
    let good = stream(&old("1,2,5,2", "9")[..], &LayerOptions::default()).unwrap().layer.entries;
    assert_eq!(files(&good), [("/GNUSparseFile.1/x".to_owned(), 9, Digest::of(b"\0ab\0\0cd\0\0"))]);
}
