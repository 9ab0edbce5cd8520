//! One `[[context]]` entry on its own: which thing it describes, and that it does not contradict itself. Where it goes
//! is `context`'s question.

use std::collections::BTreeMap;
use std::ops::Range;

use samebuild_image::{Content, Kind, Meta, Mtime};

use super::archive;
use super::format::{EntryToml, KindWord};
use super::problem::Problem;
use super::seeded::Seeded;

/// What an entry puts at its path.
#[derive(Debug)]
pub(super) enum Shape {
    /// Nothing: it changes what is there.
    Keep,
    /// Another name of what is at this path; with the place of that word.
    Hardlink(String, Range<usize>),
    /// Never [`Kind::Hardlink`].
    New(Kind),
}

/// The keys that say what an entry is; at most one may be given.
const WHAT: &str = "at most one of text, hex, link, hardlink, kind, size, archive";

/// What `entry` describes.
///
/// # Errors
/// Two descriptions at once, or one that another key contradicts.
pub(super) fn shape(entry: &EntryToml, epoch: Mtime) -> Result<Shape, Problem> {
    let given = given(entry);
    if let [_, (second, span), ..] = &given[..] {
        let names: Vec<String> = given.iter().map(|(name, _)| format!("`{name}`")).collect();
        let found = format!("`{}` is given {} at once", entry.path.get_ref(), names.join(" and "));
        return Err(Problem::at(
            span.clone(),
            found,
            format!("accepted: {WHAT}; take away `{second}` or the other"),
        ));
    }
    partners(entry)?;
    Ok(match given.first().map(|(name, _)| *name) {
        None => Shape::Keep,
        Some("hardlink") => {
            let target = entry.hardlink.as_ref().map(|t| (t.get_ref().clone(), t.span())).unwrap_or_default();
            Shape::Hardlink(target.0, target.1)
        }
        Some(_) => Shape::New(kind(entry, epoch)?),
    })
}

/// Owner, mode and times: as said, else root's, `mode`, `epoch`.
pub(super) fn meta(entry: &EntryToml, mode: u32, epoch: Mtime) -> Meta {
    let mut meta = Meta::new(mode, epoch);
    change(entry, &mut meta);
    meta
}

/// Changes `meta` in what the entry says.
pub(super) fn change(entry: &EntryToml, meta: &mut Meta) {
    if let Some(mode) = &entry.mode {
        meta.mode = mode.get_ref().0;
    }
    if let Some(uid) = &entry.uid {
        meta.uid = u64::from(*uid.get_ref());
    }
    if let Some(gid) = &entry.gid {
        meta.gid = u64::from(*gid.get_ref());
    }
    if let Some(stamp) = &entry.mtime {
        meta.mtime = Mtime::At { secs: stamp.get_ref().secs, nanos: stamp.get_ref().nanos };
    }
    meta.xattrs.extend(xattrs(entry));
}

/// The mode of something new that says none.
pub(super) fn usual_mode(kind: &Kind) -> u32 {
    match kind {
        Kind::Dir => 0o755,
        Kind::Symlink(_) => 0o777,
        _ => 0o644,
    }
}

fn given(entry: &EntryToml) -> Vec<(&'static str, Range<usize>)> {
    let all = [
        ("text", entry.text.as_ref().map(toml::Spanned::span)),
        ("hex", entry.hex.as_ref().map(toml::Spanned::span)),
        ("link", entry.link.as_ref().map(toml::Spanned::span)),
        ("hardlink", entry.hardlink.as_ref().map(toml::Spanned::span)),
        ("kind", entry.kind.as_ref().map(toml::Spanned::span)),
        ("size", entry.size.as_ref().map(toml::Spanned::span)),
        ("archive", entry.archive.as_ref().map(toml::Spanned::span)),
    ];
    let mut given: Vec<_> = all.into_iter().filter_map(|(name, span)| Some((name, span?))).collect();
    given.sort_by_key(|(_, span)| span.start);
    given
}

/// Keys that only make sense beside, or not beside, another.
fn partners(entry: &EntryToml) -> Result<(), Problem> {
    let path = entry.path.get_ref();
    if let (Some(seed), None) = (&entry.seed, &entry.size) {
        return Err(Problem::at(
            seed.span(),
            format!("`{path}` has a `seed` but no `size`"),
            "add `size`, the number of bytes to make from the seed",
        ));
    }
    let is_device = |kind: &KindWord| matches!(kind, KindWord::Char | KindWord::Block);
    match (&entry.device, &entry.kind) {
        (None, Some(kind)) if is_device(kind.get_ref()) => Err(Problem::at(
            kind.span(),
            format!("the device `{path}` has no numbers"),
            "add `device = \"MAJOR:MINOR\"`, such as device = \"1:3\"",
        )),
        (Some(device), kind) if !kind.as_ref().is_some_and(|kind| is_device(kind.get_ref())) => {
            Err(Problem::at(
                device.span(),
                format!("`{path}` has device numbers but is no device"),
                "add `kind = \"char\"` or `kind = \"block\"`, or take away `device`",
            ))
        }
        _ => Ok(()),
    }
}

/// In a file system a symbolic link has no mode of its own, a hard link nothing. An archive can say what it likes.
pub(super) fn no_metadata(entry: &EntryToml) -> Result<(), Problem> {
    let path = entry.path.get_ref();
    if let (Some(mode), Some(_)) = (&entry.mode, &entry.link) {
        return Err(Problem::at(
            mode.span(),
            format!("the symbolic link `{path}` has a mode"),
            "take away `mode`: Linux gives every symbolic link 0777",
        ));
    }
    if entry.hardlink.is_some() {
        let said = [
            entry.mode.as_ref().map(|s| ("mode", s.span())),
            entry.uid.as_ref().map(|s| ("uid", s.span())),
            entry.gid.as_ref().map(|s| ("gid", s.span())),
            entry.mtime.as_ref().map(|s| ("mtime", s.span())),
            entry.xattrs.keys().next().map(|s| ("xattrs", s.span())),
        ];
        if let Some((name, span)) = said.into_iter().flatten().next() {
            return Err(Problem::at(
                span,
                format!("the hard link `{path}` has a `{name}` of its own"),
                format!("give `{name}` to the file it links to: all names of a file share it"),
            ));
        }
    }
    Ok(())
}

fn kind(entry: &EntryToml, epoch: Mtime) -> Result<Kind, Problem> {
    if let Some(text) = &entry.text {
        return Ok(Kind::File(Content::inline(text.get_ref().as_bytes())));
    }
    if let Some(hex) = &entry.hex {
        return Ok(Kind::File(Content::inline(&hex.get_ref().0[..])));
    }
    if let Some(link) = &entry.link {
        return Ok(Kind::Symlink(link.get_ref().as_bytes().to_vec()));
    }
    if let Some(size) = &entry.size {
        let seed = entry.seed.as_ref().map(|seed| *seed.get_ref());
        return Ok(Kind::File(Seeded { seed, size: *size.get_ref() }.content()));
    }
    if let Some(archive) = &entry.archive {
        return Ok(Kind::File(Content::inline(archive::bytes(archive.get_ref(), epoch)?)));
    }
    let device = entry.device.as_ref().map(|device| *device.get_ref());
    let (major, minor) = device.map_or((0, 0), |device| (device.major, device.minor));
    Ok(match entry.kind.as_ref().map(|kind| *kind.get_ref()) {
        Some(KindWord::Fifo) => Kind::Fifo,
        Some(KindWord::Char) => Kind::Char { major, minor },
        Some(KindWord::Block) => Kind::Block { major, minor },
        Some(KindWord::Dir) | None => Kind::Dir,
    })
}

/// Values as text, or in hexadecimal after `0x`, as setfattr takes them.
fn xattrs(entry: &EntryToml) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let value = |text: &str| {
        let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        bytes.unwrap_or_else(|| text.as_bytes().to_vec())
    };
    entry
        .xattrs
        .iter()
        .map(|(name, text)| (name.get_ref().as_bytes().to_vec(), value(text.get_ref())))
        .collect()
}
