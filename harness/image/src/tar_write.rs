//! One tar header, byte for byte as Go's `archive/tar` writes it for Docker and BuildKit: ustar where everything fits,
//! else PAX records before it. Which headers a layer has is [`crate::layer_write`]'s affair.

use crate::tar_header::{
    self, BLOCK, Block, CHECKSUM, FLAG, Field, GID, GNAME, LINK, MAGIC, MAJOR, MINOR, MODE, MTIME, NAME,
    PREFIX, SIZE, UID, UNAME,
};
use crate::tar_pax::{self, Records};

/// What a header says.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'e> {
    pub(crate) path: &'e [u8],
    pub(crate) link: &'e [u8],
    pub(crate) flag: u8,
    /// With or without the bits of the file type.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) size: u64,
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
    pub(crate) uname: &'e [u8],
    pub(crate) gname: &'e [u8],
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// Appends the header, and an extended header before it where needed, with `records` and whatever does not fit.
pub(crate) fn encode(fields: &Fields<'_>, mut records: Records, out: &mut Vec<u8>) -> Result<(), String> {
    needed_records(fields, &mut records)?;
    let split = split_path(fields.path);
    if records.keys().all(|key| key == b"path" && split.is_some()) {
        let (prefix, name) = split.unwrap_or((b"", fields.path));
        out.extend_from_slice(&finish(block(fields, name, fields.link, fields.uname, fields.gname, prefix)));
        return Ok(());
    }
    if let Some((key, _)) = records.iter().find(|(key, value)| !tar_pax::is_valid(key, value)) {
        return Err(format!("its {:?} holds a byte that a tar cannot", bstr::BStr::new(key)));
    }
    extended(fields.path, &records, out)?;
    let text = [fields.path, fields.link, fields.uname, fields.gname].map(ascii);
    out.extend_from_slice(&finish(block(fields, &text[0], &text[1], &text[2], &text[3], b"")));
    Ok(())
}

/// Adds a record for everything that does not fit its field, also a path that could be split: where there are records,
/// Go does not split.
fn needed_records(fields: &Fields<'_>, records: &mut Records) -> Result<(), String> {
    let texts: [(&[u8], &Field, &[u8]); 4] = [
        (fields.path, &NAME, b"path"),
        (fields.link, &LINK, b"linkpath"),
        (fields.uname, &UNAME, b"uname"),
        (fields.gname, &GNAME, b"gname"),
    ];
    for (text, field, key) in texts {
        if !is_ascii(text) || text.len() > field.len() {
            records.insert(key.to_vec(), text.to_vec());
        }
    }
    for (number, field, key) in
        [(fields.uid, &UID, "uid"), (fields.gid, &GID, "gid"), (fields.size, &SIZE, "size")]
    {
        if !fits_octal(field, number) {
            records.insert(key.into(), number.to_string().into_bytes());
        }
    }
    let whole = u64::try_from(fields.secs).is_ok_and(|secs| fits_octal(&MTIME, secs));
    if !whole || fields.nanos != 0 {
        records.insert(b"mtime".to_vec(), tar_pax::format_time(fields.secs, fields.nanos).into_bytes());
    }
    for (number, field) in [(fields.major, &MAJOR), (fields.minor, &MINOR), (fields.mode, &MODE)] {
        if !fits_octal(field, u64::from(number)) {
            return Err(format!("its device number or mode {number} does not fit a tar"));
        }
    }
    Ok(())
}

/// The extended header: named after the entry, with everything else zero.
fn extended(path: &[u8], records: &Records, out: &mut Vec<u8>) -> Result<(), String> {
    let mut content = Vec::new();
    for (key, value) in records {
        tar_pax::push(&mut content, key, value);
    }
    if content.len() > 1 << 20 {
        return Err(
            "its names and attributes take more than 1048576 bytes, which Go does not write".to_owned()
        );
    }
    let slash = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let (dir, file) = path.split_at(slash);
    let name = ascii(&go_clean(&[dir, b"/PaxHeaders.0/", file].concat(), dir.starts_with(b"/")));
    let name = name[..name.len().min(NAME.len())].trim_suffix_slashes();
    let mut block: Block = [0; BLOCK];
    put_text(&NAME, &mut block, name);
    for field in [&MODE, &UID, &GID, &MTIME] {
        put_octal(field, &mut block, 0);
    }
    put_octal(&SIZE, &mut block, content.len() as u64);
    block[FLAG] = b'x';
    out.extend_from_slice(&finish(block));
    out.extend_from_slice(&content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

fn block(fields: &Fields<'_>, name: &[u8], link: &[u8], uname: &[u8], gname: &[u8], prefix: &[u8]) -> Block {
    let mut block: Block = [0; BLOCK];
    for (field, text) in [(&NAME, name), (&LINK, link), (&UNAME, uname), (&GNAME, gname), (&PREFIX, prefix)] {
        put_text(field, &mut block, text);
    }
    let mtime = u64::try_from(fields.secs).unwrap_or(0);
    let numbers = [
        (&MODE, u64::from(fields.mode)),
        (&UID, fields.uid),
        (&GID, fields.gid),
        (&SIZE, fields.size),
        (&MTIME, mtime),
        (&MAJOR, u64::from(fields.major)),
        (&MINOR, u64::from(fields.minor)),
    ];
    for (field, number) in numbers {
        put_octal(field, &mut block, number);
    }
    block[FLAG] = fields.flag;
    block
}

/// Magic and checksum, which ends in a NUL and a blank.
fn finish(mut block: Block) -> Block {
    MAGIC.of_mut(&mut block).copy_from_slice(b"ustar\x0000");
    let (sum, _) = tar_header::checksums(&block);
    CHECKSUM.of_mut(&mut block).copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// As much as there is room for. Cut text does not end in a slash, which would make a file look like a directory.
fn put_text(field: &Field, block: &mut Block, text: &[u8]) {
    let kept = &text[..text.len().min(field.len())];
    let kept =
        if kept.len() < text.len() && kept.ends_with(b"/") { kept.trim_suffix_slashes() } else { kept };
    field.of_mut(block)[..kept.len()].copy_from_slice(kept);
}

/// Octal digits with leading zeros and a NUL; what does not fit is 0 and has a record.
fn put_octal(field: &Field, block: &mut Block, number: u64) {
    let number = if fits_octal(field, number) { number } else { 0 };
    let width = field.len() - 1;
    field.of_mut(block)[..width].copy_from_slice(format!("{number:0width$o}").as_bytes());
}

fn fits_octal(field: &Field, number: u64) -> bool {
    number < 1 << (3 * (field.len() - 1))
}

/// Splits a long path at a slash, so that both halves fit a ustar header.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.len() || !is_ascii(path) {
        return None;
    }
    let searched = if path.len() > PREFIX.len() + 1 {
        PREFIX.len() + 1
    } else {
        path.len() - usize::from(path.ends_with(b"/"))
    };
    let slash = path[..searched].iter().rposition(|b| *b == b'/').filter(|slash| *slash > 0)?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!name.is_empty() && name.len() <= NAME.len() && prefix.len() <= PREFIX.len()).then_some((prefix, name))
}

fn is_ascii(text: &[u8]) -> bool {
    text.iter().all(|b| (1..0x80).contains(b))
}

fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| (1..0x80).contains(b)).collect()
}

/// Go's `path.Join`, which `archive/tar` puts the name of an extended header together with: `..` stays where nothing
/// is left to climb.
fn go_clean(path: &[u8], rooted: bool) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            name => parts.push(name),
        }
    }
    let joined = parts.join(&b'/');
    if rooted { [b"/", &joined[..]].concat() } else { joined }
}

trait TrimSlashes {
    fn trim_suffix_slashes(&self) -> &[u8];
}

impl TrimSlashes for [u8] {
    fn trim_suffix_slashes(&self) -> &[u8] {
        let end = self.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_split_where_go_splits_them() {
        // Rows of Go's TestSplitUSTARPath.
        let ok = |prefix: String, name: String| Some((prefix, name));
        let rows = [
            (String::new(), None),
            ("abc".to_owned(), None),
            ("用戶名".repeat(12), None),
            ("a".repeat(100), None),
            ("a".repeat(100) + "/", None),
            ("a".repeat(100) + "/b", ok("a".repeat(100), "b".to_owned())),
            ("a".repeat(155) + "/b", ok("a".repeat(155), "b".to_owned())),
            ("a".repeat(156) + "/b", None),
            ("a".repeat(155) + "/" + &"b".repeat(100), ok("a".repeat(155), "b".repeat(100))),
            ("a".repeat(155) + "/" + &"b".repeat(101), None),
            ("abc/".repeat(26), ok("abc/".repeat(25).trim_end_matches('/').to_owned(), "abc/".to_owned())),
            ("/".to_owned() + &"a".repeat(99), None),
        ];
        for (path, expected) in rows {
            let split = split_path(path.as_bytes());
            let expected = expected.as_ref().map(|(prefix, name)| (prefix.as_bytes(), name.as_bytes()));
            assert_eq!(split, expected, "{path}");
        }
    }

    #[test]
    fn an_extended_header_is_named_after_its_entry() {
        for (path, name) in [
            ("a/b/ü", "a/b/PaxHeaders.0/"),
            ("ü/", "/PaxHeaders.0"),
            ("x/ü/", "x//PaxHeaders.0"),
            ("/../a/./ü", "/a/PaxHeaders.0/"),
            ("../ü", "../PaxHeaders.0/"),
            ("fü", "PaxHeaders.0/f"),
        ] {
            let mut out = Vec::new();
            extended(path.as_bytes(), &Records::from([(b"path".to_vec(), path.into())]), &mut out).unwrap();
            let block: &Block = out.first_chunk().unwrap();
            let name = name.trim_end_matches('/');
            assert_eq!(tar_header::up_to_nul(NAME.of(block)), name.as_bytes(), "{path}");
        }
    }
}
