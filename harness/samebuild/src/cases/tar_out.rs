//! A context as a tar, the way an engine's API takes it: everything a tree knows, whole. Leaving out what
//! `.dockerignore` names is done on the tree, before.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use samebuild_image::tree::{Ino, Inode};
use samebuild_image::{At, Kind, Meta, Tree};
use tar::{Builder, EntryType, Header};

use super::seeded::splitmix64;

/// The tar in memory; see [`write_context_tar`].
///
/// # Errors
/// As [`write_context_tar`].
pub fn context_tar(tree: &Tree) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_context_tar(tree, &mut bytes)?;
    Ok(bytes)
}

/// Writes `tree` without its root: paths relative, directories ending in `/`, the first name of a hard-linked file its
/// content and the others links to it. Times to the nanosecond, extended attributes and long names are pax records.
///
/// # Errors
/// A content that cannot be read (or only its digest is known), or a writer that fails.
pub fn write_context_tar(tree: &Tree, out: impl Write) -> io::Result<()> {
    write_in_order(tree.iter(), out)
}

/// The same in memory, the members in an order that follows from `seed`, each directory still before what is in it.
///
/// # Errors
/// As [`write_context_tar`].
pub fn shuffled_context_tar(tree: &Tree, seed: u64) -> io::Result<Vec<u8>> {
    let drawn = |at: &At| {
        at.as_bytes().iter().fold(seed, |mixed, byte| splitmix64(mixed.wrapping_add(u64::from(*byte))))
    };
    let mut members: Vec<(Vec<u64>, _)> = tree
        .iter()
        .map(|member| {
            let way = member.0.parents().chain([member.0.clone()]);
            (way.map(|at| drawn(&at)).collect(), member)
        })
        .collect();
    members.sort_by(|left, right| left.0.cmp(&right.0));
    let mut bytes = Vec::new();
    write_in_order(members.into_iter().map(|(_, member)| member), &mut bytes)?;
    Ok(bytes)
}

fn write_in_order<'t>(
    members: impl Iterator<Item = (&'t At, Ino, &'t Inode)>,
    out: impl Write,
) -> io::Result<()> {
    let mut builder = Builder::new(out);
    let mut first_names: BTreeMap<_, &At> = BTreeMap::new();
    for (at, ino, inode) in members.filter(|(at, _, _)| !at.is_root()) {
        let first = *first_names.entry(ino).or_insert(at);
        let mut path = at.as_bytes().to_vec();
        if inode.kind.is_dir() {
            path.push(b'/');
        }
        let target = (first != at).then(|| first.as_bytes().to_vec());
        append(&mut builder, &path, target, &inode.kind, &inode.meta)
            .map_err(|e| io::Error::new(e.kind(), format!("write {at} into the context's tar: {e}")))?;
    }
    builder.into_inner()?.flush()
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    path: &[u8],
    hardlink: Option<Vec<u8>>,
    kind: &Kind,
    meta: &Meta,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    let mut pax: Vec<(String, Vec<u8>)> = Vec::new();
    metadata(&mut header, &mut pax, meta);
    let is_file_body = hardlink.is_none();
    let (entry_type, link) = match (hardlink, kind) {
        (Some(target), _) => (EntryType::Link, target),
        (None, Kind::Hardlink(target)) => (EntryType::Link, target.as_bytes().to_vec()),
        (None, Kind::Symlink(target)) => (EntryType::Symlink, target.clone()),
        (None, Kind::File(_)) => (EntryType::Regular, Vec::new()),
        (None, Kind::Char { .. }) => (EntryType::Char, Vec::new()),
        (None, Kind::Block { .. }) => (EntryType::Block, Vec::new()),
        (None, Kind::Fifo) => (EntryType::Fifo, Vec::new()),
        (None, Kind::Dir) => (EntryType::Directory, Vec::new()),
    };
    header.set_entry_type(entry_type);
    if let Kind::Char { major, minor } | Kind::Block { major, minor } = kind {
        header.set_device_major(*major)?;
        header.set_device_minor(*minor)?;
    }
    name(&mut header, &mut pax, "path", path);
    name(&mut header, &mut pax, "linkpath", &link);
    let content = match kind {
        Kind::File(content) if is_file_body => Some(content),
        _ => None,
    };
    header.set_size(content.map_or(0, samebuild_image::Content::size));
    header.set_cksum();
    if !pax.is_empty() {
        builder.append_pax_extensions(pax.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
    }
    let Some(content) = content else { return builder.append(&header, io::empty()) };
    let mut counted = content.open()?.take(content.size());
    builder.append(&header, &mut counted)?;
    if counted.limit() > 0 {
        let missing = format!("the content ended {} bytes too early", counted.limit());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing));
    }
    Ok(())
}

/// Mode, owner and time; what a ustar header cannot hold goes into a record.
fn metadata(header: &mut Header, pax: &mut Vec<(String, Vec<u8>)>, meta: &Meta) {
    const OWNERS: u64 = 1 << 21;
    const TIMES: u64 = 1 << 33;
    let mut record = |key: &str, value: String| pax.push((key.to_owned(), value.into_bytes()));
    header.set_mode(meta.mode);
    header.set_uid(if meta.uid < OWNERS { meta.uid } else { 0 });
    header.set_gid(if meta.gid < OWNERS { meta.gid } else { 0 });
    if meta.uid >= OWNERS {
        record("uid", meta.uid.to_string());
    }
    if meta.gid >= OWNERS {
        record("gid", meta.gid.to_string());
    }
    let (secs, nanos) = meta.mtime.timestamp().unwrap_or_default();
    let whole = u64::try_from(secs).ok().filter(|secs| *secs < TIMES);
    header.set_mtime(whole.unwrap_or(0));
    if whole.is_none() || nanos != 0 {
        record("mtime", decimal(secs, nanos));
    }
    for (name, value) in &meta.xattrs {
        pax.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value.clone()));
    }
}

/// A path or a link's target: in the header where it fits and is plain, else in a record.
fn name(header: &mut Header, pax: &mut Vec<(String, Vec<u8>)>, key: &str, value: &[u8]) {
    let Some(ustar) = header.as_ustar_mut() else { return };
    let field = if key == "path" { &mut ustar.name } else { &mut ustar.linkname };
    let fits = value.len().min(field.len());
    field[..fits].copy_from_slice(&value[..fits]);
    if fits < value.len() {
        pax.push((key.to_owned(), value.to_vec()));
    }
}

/// Seconds as pax writes them; before 1970 the fraction counts backwards too.
fn decimal(secs: i64, nanos: u32) -> String {
    match (secs, nanos) {
        (secs, 0) => secs.to_string(),
        (secs, nanos) if secs < 0 => {
            let whole = secs.unsigned_abs() - 1;
            format!("-{whole}.{:09}", 1_000_000_000 - nanos)
        }
        (secs, nanos) => format!("{secs}.{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::{Content, Mtime};

    fn seen(tree: &Tree) -> Vec<String> {
        let bytes = context_tar(tree).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let pax: Vec<String> = entry
                .pax_extensions()
                .unwrap()
                .into_iter()
                .flatten()
                .map(|record| record.unwrap())
                .filter(|record| !record.key().unwrap().ends_with("path"))
                .map(|record| {
                    format!(" {}={}", record.key().unwrap(), String::from_utf8_lossy(record.value_bytes()))
                })
                .collect();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let link = entry.link_name_bytes().map(|link| String::from_utf8_lossy(&link).into_owned());
            seen.push(format!(
                "{} {:?} {:o} {}:{} {}{} {:?} {text}",
                String::from_utf8_lossy(&entry.path_bytes()),
                entry.header().entry_type(),
                entry.header().mode().unwrap(),
                entry.header().uid().unwrap(),
                entry.header().gid().unwrap(),
                entry.header().mtime().unwrap(),
                pax.concat(),
                link.unwrap_or_default(),
            ));
        }
        seen
    }

    #[test]
    fn everything_a_tree_knows_is_in_the_tar() {
        let mut tree = Tree::new();
        let mut put =
            |path: &str, kind, mode, mtime| tree.insert(&At::from(path), kind, Meta::new(mode, mtime));
        put("d", Kind::Dir, 0o2755, Mtime::secs(5));
        put("d/f", Kind::File(Content::inline(*b"hi")), 0o4711, Mtime::At { secs: 5, nanos: 7 });
        put("l", Kind::Symlink(b"/etc".to_vec()), 0o777, Mtime::secs(-3));
        put("n", Kind::Char { major: 1, minor: 3 }, 0o600, Mtime::secs(1));
        put("p", Kind::Fifo, 0o644, Mtime::secs(1));
        tree.link(&At::from("h"), &At::from("d/f"));
        let meta = tree.meta_mut(&At::from("p")).unwrap();
        (meta.uid, meta.gid) = (3_000_000, 5);
        meta.xattrs.insert(b"user.a".to_vec(), b"v".to_vec());
        assert_eq!(
            seen(&tree),
            [
                "d/ Directory 2755 0:0 5 \"\" ",
                "d/f Regular 4711 0:0 5 mtime=5.000000007 \"\" hi",
                "h Link 4711 0:0 5 mtime=5.000000007 \"d/f\" ",
                "l Symlink 777 0:0 0 mtime=-3 \"/etc\" ",
                "n Char 600 0:0 1 \"\" ",
                "p Fifo 644 3000000:5 1 uid=3000000 SCHILY.xattr.user.a=v \"\" ",
            ]
        );
    }

    #[test]
    fn names_of_any_length_and_bytes_survive() {
        let mut tree = Tree::new();
        let long = "n".repeat(150);
        tree.insert(
            &At::from(long.as_str()),
            Kind::Symlink("t".repeat(200).into()),
            Meta::new(0o777, Mtime::secs(1)),
        );
        tree.insert(
            &At::clean(b"sp\xff"),
            Kind::File(Content::inline(*b"")),
            Meta::new(0o644, Mtime::secs(1)),
        );
        let bytes = context_tar(&tree).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<Vec<u8>> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
        assert_eq!(names, [long.into_bytes(), b"sp\xff".to_vec()]);
    }

    #[test]
    fn a_moment_before_1970_counts_backwards() {
        assert_eq!(decimal(-1, 500_000_000), "-0.500000000");
        assert_eq!(decimal(-3, 0), "-3");
        assert_eq!(decimal(3, 1), "3.000000001");
    }
}
