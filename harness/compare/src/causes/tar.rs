//! The same entries, spelt otherwise in the tar: paths, encodings of names, headers.

use std::collections::BTreeMap;

use super::{Cause, Claim, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Spelling;
pub(super) struct Encoding;
pub(super) struct Bytes;
pub(super) struct Form;
pub(super) struct Sparse;

impl Cause for Spelling {
    fn page(&self) -> &'static Page {
        &Page {
            id: "path-spelling",
            title: "The tars spell the same paths in different ways",
            severity: Severity::Cosmetic,
            what: "`./srv/app`, `/srv/app` and `srv/app` are one place, and so is a directory with and without its slash; only the bytes of the tar differ.",
            how: "`tar -C DIR .` writes `./`, other programs do not.",
            fix: "Write paths without a prefix, as Docker does: `tar --transform 's,^\\./,,'`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "path_form").then(String::new)
    }
}

impl Cause for Encoding {
    fn page(&self) -> &'static Page {
        &Page {
            id: "name-encoding",
            title: "The same name is encoded in two ways",
            severity: Severity::Behaviour,
            what: "Two names that look alike are different bytes: an accent as a character of its own or joined to its letter (NFD, NFC), or Latin-1 beside UTF-8. For a program they are two files.",
            how: "The context was checked out on macOS, which decomposes names, or packed under another locale.",
            fix: "Name files in ASCII, or normalise them before the build (`convmv -f utf8 -t utf8 --nfc`).",
        }
    }

    fn groups(&self, _: &Scene<'_>, open: &[Row<'_>]) -> Vec<Claim> {
        let mut alike: BTreeMap<(_, String), [Vec<usize>; 2]> = BTreeMap::new();
        for row in open {
            let (Some(lone), Some(at)) = (row.lone(), row.at()) else { continue };
            if at.as_bytes().is_ascii() {
                continue;
            }
            let key = (row.layer(), skeleton(at.as_bytes()));
            alike.entry(key).or_default()[usize::from(lone.is_left)].push(row.number);
        }
        let pairs = alike.into_values().filter(|[right, left]| right.len() == 1 && left.len() == 1);
        let rows: Vec<usize> = pairs.flat_map(|[right, left]| [left[0], right[0]]).collect();
        if rows.is_empty() { Vec::new() } else { vec![Claim { rows, ..Claim::default() }] }
    }
}

/// What a name looks like: every character beyond ASCII is `?`, and so is a letter with marks joined to it.
fn skeleton(name: &[u8]) -> String {
    let mut out = String::new();
    let mut put = |c: char| match c {
        '\u{300}'..='\u{36f}' => {
            if !out.ends_with('?') {
                out.pop();
                out.push('?');
            }
        }
        c if c.is_ascii() => out.push(c),
        _ => out.push('?'),
    };
    match std::str::from_utf8(name) {
        Ok(text) => text.chars().for_each(&mut put),
        // Latin-1 has one byte a character.
        Err(_) => name.iter().for_each(|byte| put(char::from(*byte))),
    }
    out
}

impl Cause for Bytes {
    fn page(&self) -> &'static Page {
        &Page {
            id: "tar-headers",
            title: "The tars differ in bytes although no entry differs",
            severity: Severity::Cosmetic,
            what: "Every entry is the same, but the tars are not: their format (ustar, PAX, GNU), names of owners, extra records (access times, `LIBARCHIVE.*`), padding.",
            how: "Another program or another version of it wrote the layer.",
            fix: "Write both with one program; `tar --format=posix --pax-option=delete=atime,delete=ctime --numeric-owner`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "diff_id").then(String::new)
    }
}

impl Cause for Sparse {
    fn page(&self) -> &'static Page {
        &Page {
            id: "stored-sparse",
            title: "One tar stores files with their holes, the other writes out the zeros",
            severity: Severity::Cosmetic,
            what: "Of a sparse file a tar may hold only what is not zero, and where it belongs. Unpacked, the files are the same; the layers are other bytes, and of other sizes.",
            how: "GNU tar with `-S`; Docker and BuildKit write every zero. `/var/log/lastlog` and `faillog` of a user with a great number are sparse, and grow to gigabytes there.",
            fix: "Pack both with one program, without `-S`; `rm -f /var/log/lastlog /var/log/faillog` in the RUN that adds the user, or `useradd --no-log-init`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let is_sparse = |side: &str| side.contains("stored sparse");
        let (left, right) = row.sides();
        (row.rule() == "tar_form" && is_sparse(left) != is_sparse(right)).then(String::new)
    }
}

impl Cause for Form {
    fn page(&self) -> &'static Page {
        &Page {
            id: "tar-records",
            title: "The tars have other formats of headers, or records that no engine reads",
            severity: Severity::Cosmetic,
            what: "ustar, PAX and GNU headers say the same in other bytes; PAX records may hold times of access and change, comments, or what an archiver wants to remember (`LIBARCHIVE.*`).",
            how: "Another archiver, or another of its options; times of access are the host's.",
            fix: "`tar --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime`, or one program for both.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "tar_form").then(String::new)
    }
}
