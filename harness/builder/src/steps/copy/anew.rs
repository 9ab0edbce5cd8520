//! Puts a source into the destination by opening and writing every file anew, as a plain program does that knows of no
//! layers: everything is from now, hard links come apart, extended attributes stay behind, what stands at a file's place is
//! written through where it is a symbolic link. [`super::place`] is the other way.

use samebuild_image::{At, Content, Inode, Kind, Layer, Meta};

use super::place::never_ends;
use super::sources::Source;
use super::{ArchiveOwner, ChmodSpecial, Copy, Devices, Fifos, FileOverDirectory, Owner};
use crate::delta::Delta;
use crate::failure::StepFailure;
use crate::unpacked::ignore::mounted_file;

/// What permissions of a directory that mkdir(2) makes lose.
const UMASK: u32 = 0o022;

/// Copies one file, device or symbolic link.
pub(super) fn file(copy: &Copy<'_>, source: &Source, delta: &mut Delta) -> Result<(), StepFailure> {
    let (dest, into_directory) = destination(copy, false, delta)?;
    let into_directory = into_directory && !copy.nameless;
    let target = if into_directory { resolve(delta, &dest.join(&source.name))? } else { dest };
    let Some(inode) = copy.from.get(&source.at) else { return Ok(()) };
    let owner = copy.owner.unwrap_or(owner_of(inode));
    write(copy, delta, &target, inode, owner)?;
    delta.name(&target);
    Ok(())
}

/// Copies what is in a directory. The destination, there or not, takes the directory's mode and owner; all of it belongs to
/// one owner, the directory's own if none is given.
pub(super) fn directory(copy: &Copy<'_>, source: &Source, delta: &mut Delta) -> Result<(), StepFailure> {
    let (dest, _) = destination(copy, true, delta)?;
    let Some(top) = copy.from.get(&source.at) else { return Ok(()) };
    let owner = copy.owner.unwrap_or(owner_of(top));
    let below: Vec<At> = copy.from.within(&source.at).map(|(at, _, _)| at.clone()).collect();
    for at in below {
        let Some(inode) = copy.from.get(&at) else { continue };
        let target = dest.join(at.below(&source.at).unwrap_or_default());
        if inode.kind.is_dir() {
            make_dir(copy, delta, &target, inode, owner)?;
        } else {
            write(copy, delta, &target, inode, owner)?;
        }
        delta.name(&target);
    }
    Ok(())
}

/// Unpacks an archive. Of what is in it only files keep their times, and its own root counts for the destination.
pub(super) fn archive(copy: &Copy<'_>, archive: &Layer, delta: &mut Delta) -> Result<(), StepFailure> {
    let dest = At::clean(copy.absolute_dest());
    let owner = match copy.rules.archive_owner {
        ArchiveOwner::Chown => copy.owner,
        ArchiveOwner::Destination | ArchiveOwner::FromArchive => None,
    };
    for entry in &archive.entries {
        // A name that climbs out of the destination does; an absolute one is below it.
        let named = match entry.raw.as_deref() {
            Some(raw) if !raw.starts_with(b"/") => At::clean([dest.as_bytes(), b"/", raw].concat()),
            _ => dest.join(entry.at.as_bytes()),
        };
        let mut meta = entry.meta.clone();
        meta.xattrs.clear();
        if let Some(owner) = owner {
            (meta.uid, meta.gid) = (owner.uid, owner.gid);
        }
        if !matches!(entry.kind, Kind::File(_) | Kind::Hardlink(_)) {
            meta.mtime = delta.now();
        }
        if matches!(entry.kind, Kind::Symlink(_)) {
            (meta.mode, meta.uid, meta.gid) = (0o777, 0, 0);
        }
        let target = place_of(delta, &named)?;
        match &entry.kind {
            Kind::Dir => {
                let target = resolve(delta, &target)?;
                make_parents(delta, &target, meta.mode & !UMASK)?;
                if delta.is_dir(&target) {
                    delta.change(&target, |old| *old = meta);
                } else {
                    delta.put(&target, Kind::Dir, meta);
                }
            }
            Kind::Hardlink(to) => {
                make_parents(delta, &target, 0o755)?;
                let to = place_of(delta, &dest.join(to.as_bytes()))?;
                if delta.ino(&to).is_none() {
                    let message = format!(
                        "unpack the archive: {} is a hard link to {to}, which is not there",
                        entry.at
                    );
                    return Err(StepFailure::new("bad-archive", message));
                }
                delta.link(&target, &to);
            }
            kind => {
                make_parents(delta, &target, 0o755)?;
                delta.put(&target, kind.clone(), meta);
            }
        }
        delta.name(&named);
    }
    Ok(())
}

fn mode_of(copy: &Copy<'_>, inode: &Inode, is_dir: bool) -> u32 {
    match &copy.mode {
        Some(mode) if copy.rules.chmod_special == ChmodSpecial::Lost => {
            mode.apply(inode.meta.mode, is_dir) & 0o777
        }
        Some(mode) => mode.apply(inode.meta.mode, is_dir),
        None => inode.meta.mode,
    }
}

fn owner_of(inode: &Inode) -> Owner {
    Owner { uid: inode.meta.uid, gid: inode.meta.gid }
}

/// Where a name is, symbolic links above it followed.
fn place_of(delta: &Delta, at: &At) -> Result<At, StepFailure> {
    match at.parent() {
        Some(parent) => Ok(resolve(delta, &parent)?.join(at.name())),
        None => Ok(At::root()),
    }
}

/// Where the destination really is, and whether something is copied into it.
fn destination(copy: &Copy<'_>, is_dir: bool, delta: &Delta) -> Result<(At, bool), StepFailure> {
    let dest = resolve(delta, &At::clean(copy.absolute_dest()))?;
    if let Some(file) = mounted_file(&dest)
        && (is_dir || copy.names_directory() || dest != file)
    {
        return Err(not_a_directory(&file));
    }
    let in_the_way =
        dest.parents().find(|dir| delta.tree().get(dir).is_some_and(|inode| !inode.kind.is_dir()));
    if let Some(dir) = in_the_way {
        return Err(not_a_directory(&dir));
    }
    let into = copy.names_directory() || delta.is_dir(&dest);
    Ok((dest, into))
}

/// A directory at `target`, new or there: mode and owner of the source either way. Those missing above it take its mode.
fn make_dir(
    copy: &Copy<'_>,
    delta: &mut Delta,
    target: &At,
    inode: &Inode,
    owner: Owner,
) -> Result<(), StepFailure> {
    let real = resolve(delta, target)?;
    let mode = mode_of(copy, inode, true);
    make_parents(delta, &real, mode & !UMASK & 0o777)?;
    let meta = Meta { uid: owner.uid, gid: owner.gid, ..Meta::new(mode, delta.now()) };
    match delta.tree().get(&real).map(|old| old.kind.is_dir()) {
        Some(true) => delta.change(&real, |old| {
            (old.mode, old.uid, old.gid) = (meta.mode, meta.uid, meta.gid);
        }),
        Some(false) => return Err(not_a_directory(&real)),
        None => delta.put(&real, Kind::Dir, meta),
    }
    Ok(())
}

/// The file, link or device of `inode` at `target`.
fn write(
    copy: &Copy<'_>,
    delta: &mut Delta,
    target: &At,
    inode: &Inode,
    owner: Owner,
) -> Result<(), StepFailure> {
    let parent = target.parent().unwrap_or_default();
    if resolve(delta, &parent)? != parent {
        let message = format!(
            "copy to {target}: {parent} is, or lies below, a symbolic link; name the directory it leads to"
        );
        return Err(StepFailure::new("not-a-directory", message));
    }
    let meta = Meta { uid: owner.uid, gid: owner.gid, ..Meta::new(0o755, delta.now()) };
    delta.make_dirs(&parent, &meta).map_err(|in_the_way| not_a_directory(&in_the_way))?;
    let content = match &inode.kind {
        Kind::Symlink(_) => {
            delta.remove(target);
            delta.put(target, inode.kind.clone(), Meta::new(0o777, delta.now()));
            return Ok(());
        }
        Kind::Fifo if copy.rules.fifos == Fifos::Hangs => {
            return Err(never_ends(target));
        }
        Kind::Fifo if copy.rules.fifos == Fifos::LeftOut => return Ok(()),
        Kind::File(_) | Kind::Fifo => inode.kind.clone(),
        _ if copy.rules.devices == Devices::EmptyFiles => Kind::File(Content::inline(*b"")),
        other => other.clone(),
    };
    let real = resolve(delta, target)?;
    if delta.is_dir(&real) && copy.rules.file_over_directory == FileOverDirectory::Fails {
        let message = format!(
            "copy a file to {real}: there is a directory; name a file in it, or end the destination with /"
        );
        return Err(StepFailure::new("copy-file-over-directory", message));
    }
    let mode = mode_of(copy, inode, false);
    // What was fetched is as old as its server says.
    let mtime = if copy.literal { inode.meta.mtime } else { meta.mtime };
    let meta = Meta { mode, mtime, ..meta };
    // A file that is there is written into: its other names see it too.
    if delta.ino(&real).is_some() && !delta.is_dir(&real) {
        delta.rewrite(&real, content, meta);
    } else {
        delta.put(&real, content, meta);
    }
    Ok(())
}

fn make_parents(delta: &mut Delta, at: &At, mode: u32) -> Result<(), StepFailure> {
    let Some(parent) = at.parent() else { return Ok(()) };
    let meta = Meta::new(mode, delta.now());
    delta.make_dirs(&parent, &meta).map(drop).map_err(|in_the_way| not_a_directory(&in_the_way))
}

fn not_a_directory(at: &At) -> StepFailure {
    StepFailure::new("not-a-directory", format!("copy to {at}: it is not a directory"))
}

fn resolve(delta: &Delta, at: &At) -> Result<At, StepFailure> {
    delta.resolve(at.as_bytes(), true).map_err(|error| StepFailure::new("symlink-loop", error.to_string()))
}
