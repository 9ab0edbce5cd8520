//! Puts a source into the destination: files, directories' contents. Which sources there are is `sources`, what becomes of
//! archives `unpack`.

use std::collections::BTreeMap;

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::tree::{Ino, ResolveError};
use samebuild_image::{At, Content, Inode, Kind, Meta, Mtime};

use super::sources::Source;
use super::{
    ChmodOfMade, ChmodSpecial, Copy, Devices, DirectoryOverOther, DirectoryParents, DirectoryTime, Fifos,
    FileOverDirectory, HardLinks, Owner, Setuid, matches,
};
use crate::delta::Delta;
use crate::failure::StepFailure;

/// Copies one file (or a device, a FIFO) to the destination, or into it if it is a directory.
pub(super) fn file(copy: &Copy<'_>, source: &Source, delta: &mut Delta) -> Result<(), StepFailure> {
    let dest = resolve(delta, &copy.absolute_dest())?;
    let into_directory = !copy.nameless && (copy.names_directory() || delta.is_dir(&dest));
    let target = if into_directory { dest.join(&source.name) } else { dest };
    if let Some(parent) = target.parent() {
        make_dirs(delta, &parent, copy.new_owner().unwrap_or_default(), mode_of_made(copy))?;
    }
    let Some(inode) = copy.from.get(&source.at) else { return Ok(()) };
    put(copy, delta, &target, inode)
}

/// Copies what is in a directory into the destination, which becomes a directory if it is nothing yet. With `take` only
/// what matches, and the directories above it.
pub(super) fn directory(
    copy: &Copy<'_>,
    source: &Source,
    take: Option<&IgnoreFile>,
    delta: &mut Delta,
) -> Result<(), StepFailure> {
    let dest = resolve(delta, &copy.absolute_dest())?;
    let owner = copy.owner.unwrap_or_default();
    let parents = match copy.rules.directory_parents {
        DirectoryParents::Root => Owner::default(),
        DirectoryParents::Owner => owner,
    };
    let made = make_dirs(delta, &dest, parents, mode_of_made(copy))?;
    if made.last() == Some(&dest) {
        delta.change(&dest, |meta| (meta.uid, meta.gid) = (owner.uid, owner.gid));
    }
    let walk = Walk { copy, take, root: &source.at, above: Vec::new(), links: BTreeMap::new() };
    walk.run(&dest, delta)?;
    let time = match copy.rules.directory_time {
        DirectoryTime::Source => directory_time(copy, &source.at, delta.now()),
        DirectoryTime::Now => delta.now(),
        DirectoryTime::WhenChanged => return Ok(()),
    };
    delta.change(&dest, |meta| meta.mtime = time);
    Ok(())
}

/// The root of a context or of another stage's file system is made for this build, so it is from now.
fn directory_time(copy: &Copy<'_>, at: &At, now: Mtime) -> Mtime {
    match copy.from.get(at) {
        Some(inode) if !at.is_root() => inode.meta.mtime,
        _ => now,
    }
}

/// The contents of a directory on their way to the destination.
struct Walk<'a> {
    copy: &'a Copy<'a>,
    /// What is taken; everything without it.
    take: Option<&'a IgnoreFile>,
    root: &'a At,
    /// Directories that were entered though they are not taken themselves, with their places: made when something below
    /// them is taken.
    above: Vec<(At, At)>,
    /// Where each inode with several names went first.
    links: BTreeMap<Ino, At>,
}

impl Walk<'_> {
    fn run(mut self, dest: &At, delta: &mut Delta) -> Result<(), StepFailure> {
        let root = self.root;
        self.contents(root, dest, delta)
    }

    fn contents(&mut self, from: &At, to: &At, delta: &mut Delta) -> Result<(), StepFailure> {
        let children: Vec<At> = self.copy.from.children(from).map(|(at, _)| at.clone()).collect();
        for child in children {
            let tree = self.copy.from;
            let (Some(inode), Some(ino)) = (tree.get(&child), tree.ino(&child)) else { continue };
            let target = to.join(child.name());
            let taken = self.take.is_none_or(|take| matches(take, self.root, &child));
            if !taken || self.copy.leaves_out(self.root, &child) {
                if inode.kind.is_dir() && self.may_take_below() {
                    self.above.push((child.clone(), target.clone()));
                    self.contents(&child, &target, delta)?;
                    // It is gone already if something below it was taken.
                    self.above.retain(|(at, _)| *at != child);
                }
                continue;
            }
            self.make_above(delta)?;
            if inode.kind.is_dir() {
                subdirectory(self.copy, inode, &target, delta)?;
                self.contents(&child, &target, delta)?;
                let time = inode.meta.mtime;
                delta.change(&target, |meta| meta.mtime = time);
            } else if let Some(first) = self.links.get(&ino) {
                delta.link(&target, first);
            } else {
                put(self.copy, delta, &target, inode)?;
                let is_file = matches!(inode.kind, Kind::File(_));
                if is_file || self.copy.rules.hard_links == HardLinks::OfEverything {
                    self.links.insert(ino, target);
                }
            }
        }
        Ok(())
    }

    /// Whether something below a directory may be taken that is not taken itself.
    fn may_take_below(&self) -> bool {
        self.take.is_some() || self.copy.exclude.patterns().iter().any(|pattern| pattern.negated)
    }

    /// Makes the directories above what is taken. Of one that is there already only the mode changes.
    fn make_above(&mut self, delta: &mut Delta) -> Result<(), StepFailure> {
        for (from, to) in std::mem::take(&mut self.above) {
            let Some(inode) = self.copy.from.get(&from) else { continue };
            if delta.is_dir(&to) {
                let mode = inode.meta.mode;
                delta.change(&to, |meta| meta.mode = mode);
            } else {
                subdirectory(self.copy, inode, &to, delta)?;
            }
        }
        Ok(())
    }
}

/// A directory below the source: merged into one that is there, with the source's mode and owner.
fn subdirectory(copy: &Copy<'_>, inode: &Inode, target: &At, delta: &mut Delta) -> Result<(), StepFailure> {
    let meta = meta_for(copy, inode);
    if delta.is_dir(target) {
        delta.change(target, |old| {
            (old.mode, old.uid, old.gid) = (meta.mode, meta.uid, meta.gid);
        });
        return Ok(());
    }
    if delta.tree().get(target).is_some() && copy.rules.directory_over_other == DirectoryOverOther::Fails {
        return Err(not_a_directory(target));
    }
    delta.put(target, Kind::Dir, meta);
    Ok(())
}

/// Nobody writes into it.
pub(super) fn never_ends(target: &At) -> StepFailure {
    let message = format!("copy to {target}: reading a FIFO never ends; leave it out of the context");
    StepFailure::new("hangs", message)
}

fn put(copy: &Copy<'_>, delta: &mut Delta, target: &At, inode: &Inode) -> Result<(), StepFailure> {
    if delta.is_dir(target) && copy.rules.file_over_directory == FileOverDirectory::Fails {
        let message = format!(
            "copy a file to {target}: there is a directory; name a file in it, or end the destination with /"
        );
        return Err(StepFailure::new("copy-file-over-directory", message));
    }
    if matches!(inode.kind, Kind::Fifo) && copy.rules.fifos == Fifos::Hangs {
        return Err(never_ends(target));
    }
    if matches!(inode.kind, Kind::Fifo) && copy.rules.fifos == Fifos::LeftOut {
        // What is in the way goes all the same.
        delta.remove(target);
        return Ok(());
    }
    let is_device = matches!(inode.kind, Kind::Char { .. } | Kind::Block { .. });
    let kind = match (&inode.kind, copy.rules.devices) {
        (_, Devices::EmptyFiles) if is_device => Kind::File(Content::inline(*b"")),
        (&Kind::Block { major, minor }, Devices::AsCharacters) => Kind::Char { major, minor },
        (kind, _) => kind.clone(),
    };
    delta.put(target, kind, meta_for(copy, inode));
    Ok(())
}

/// What a copied entry carries.
fn meta_for(copy: &Copy<'_>, inode: &Inode) -> Meta {
    let mut meta = inode.meta.clone();
    if let Some(owner) = copy.new_owner() {
        (meta.uid, meta.gid) = (owner.uid, owner.gid);
        if copy.rules.setuid == Setuid::Lost && matches!(inode.kind, Kind::File(_)) {
            meta.mode &= !setuid_lost_by_chown(meta.mode);
        }
    }
    if copy.from_context {
        meta.xattrs.clear();
    }
    if let (Some(mode), false) = (&copy.mode, matches!(inode.kind, Kind::Symlink(_))) {
        meta.mode = mode.apply(meta.mode, inode.kind.is_dir());
        if copy.rules.chmod_special == ChmodSpecial::Lost {
            meta.mode &= 0o777;
        }
    }
    meta
}

/// What chown(2) takes from a file: setuid, and setgid where the group may execute it.
fn setuid_lost_by_chown(mode: u32) -> u32 {
    if mode & 0o010 != 0 { 0o6000 } else { 0o4000 }
}

/// Of directories that are made on the way.
pub(super) const USUAL_MODE: u32 = 0o755;

fn mode_of_made(copy: &Copy<'_>) -> u32 {
    match (&copy.mode, copy.rules.chmod_of_made) {
        (Some(mode), ChmodOfMade::Applied) => mode.apply(USUAL_MODE, true),
        _ => USUAL_MODE,
    }
}

pub(super) fn make_dirs(delta: &mut Delta, at: &At, owner: Owner, mode: u32) -> Result<Vec<At>, StepFailure> {
    let meta = Meta { uid: owner.uid, gid: owner.gid, ..Meta::new(mode, delta.now()) };
    delta.make_dirs(at, &meta).map_err(|in_the_way| not_a_directory(&in_the_way))
}

fn not_a_directory(at: &At) -> StepFailure {
    StepFailure::new("not-a-directory", format!("copy a directory to {at}: something else is there"))
}

pub(super) fn resolve(delta: &Delta, path: &str) -> Result<At, StepFailure> {
    delta.resolve(path, true).map_err(loops)
}

fn loops(error: ResolveError) -> StepFailure {
    StepFailure::new("symlink-loop", error.to_string())
}
