//! The archives of ADD cases, made from their entries with the same bytes everywhere. Paths are taken verbatim: an
//! archive that climbs out is something a case may want to show a builder.

use std::collections::BTreeMap;
use std::io::Write;

use samebuild_image::{Kind, Meta, Mtime};

use super::entry::{Shape, change, meta, shape, usual_mode};
use super::format::{ArchiveFormat, ArchiveToml, EntryToml};
use super::gnu_tar::{Member, What, Writer};
use super::problem::Problem;

/// The archive.
///
/// # Errors
/// An entry that contradicts itself or that a tar of the GNU format cannot hold.
pub(super) fn bytes(archive: &ArchiveToml, epoch: Mtime) -> Result<Vec<u8>, Problem> {
    let mut writer = Writer::default();
    let mut metas: BTreeMap<&str, Meta> = BTreeMap::new();
    for entry in &archive.entries {
        let path = entry.path.get_ref().as_str();
        let at = |found: String| {
            Problem::at(
                entry.path.span(),
                format!("archive entry `{path}`: {found}"),
                "give it a simpler shape",
            )
        };
        refuse_xattrs(entry)?;
        let (kind, link) = match shape(entry, epoch)? {
            Shape::Keep => {
                let help = "accepted: one of text, hex, link, hardlink, kind, size, archive";
                return Err(Problem::at(
                    entry.path.span(),
                    format!("archive entry `{path}` says not what it is"),
                    help,
                ));
            }
            Shape::Hardlink(target, _) => (None, target),
            Shape::New(kind) => (Some(kind), String::new()),
        };
        // GNU tar writes a hard link with the metadata of what it names; others need not.
        let meta = match (&kind, metas.get(link.as_str())) {
            (Some(kind), _) => meta(entry, usual_mode(kind), epoch),
            (None, None) => meta(entry, 0o644, epoch),
            (None, Some(named)) => {
                let mut meta = named.clone();
                change(entry, &mut meta);
                meta
            }
        };
        let content = match &kind {
            Some(Kind::File(content)) => content
                .read_up_to(1 << 30)
                .map_err(|e| at(e.to_string()))?
                .ok_or_else(|| at("over 1 GiB".to_owned()))?,
            _ => Vec::new(),
        };
        let what = match &kind {
            None | Some(Kind::Hardlink(_)) => What::Hardlink(link.as_bytes()),
            Some(Kind::File(_)) => What::File(&content),
            Some(Kind::Dir) => What::Dir,
            Some(Kind::Symlink(target)) => What::Symlink(target),
            Some(Kind::Fifo) => What::Fifo,
            Some(Kind::Char { major, minor }) => What::Char(*major, *minor),
            Some(Kind::Block { major, minor }) => What::Block(*major, *minor),
        };
        let mtime = meta.mtime.timestamp().map_or(0, |(secs, _)| secs);
        let member =
            Member { path: path.as_bytes(), what, mode: meta.mode, uid: meta.uid, gid: meta.gid, mtime };
        writer.append(&member).map_err(at)?;
        metas.insert(path, meta);
    }
    let tar = writer.finish();
    // Writing to memory cannot fail; if it ever does, the case says so instead of panicking.
    compress(tar, archive.format).map_err(|e| Problem {
        span: archive.entries.first().map(|entry| entry.path.span()),
        found: format!("the archive cannot be compressed: {e}"),
        help: "accepted formats: tar, tar.gz, tar.xz".to_owned(),
    })
}

fn refuse_xattrs(entry: &EntryToml) -> Result<(), Problem> {
    match entry.xattrs.keys().next() {
        Some(name) => Err(Problem::at(
            name.span(),
            format!("archive entry `{}` has extended attributes", entry.path.get_ref()),
            "take them away: archives are written in the GNU format, which has none",
        )),
        None => Ok(()),
    }
}

fn compress(tar: Vec<u8>, format: ArchiveFormat) -> std::io::Result<Vec<u8>> {
    match format {
        ArchiveFormat::Tar => Ok(tar),
        ArchiveFormat::TarGz => {
            let mut gzip = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(6));
            gzip.write_all(&tar)?;
            gzip.finish()
        }
        ArchiveFormat::TarXz => {
            let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
            xz.write_all(&tar)?;
            xz.finish()
        }
    }
}
