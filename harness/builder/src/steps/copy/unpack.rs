//! Puts an archive's entries into the destination, as Docker's unpacker does, which runs with the destination for its
//! root: names and links in the archive are seen from there and cannot leave it. Whether something is an archive is
//! `archive`.

use samebuild_image::{At, Entry, Kind, Layer, Meta, Mtime};

use super::place::{USUAL_MODE, make_dirs, resolve};
use super::{ArchiveOwner, Copy, Owner};
use crate::delta::Delta;
use crate::failure::StepFailure;

/// The only extended attribute that Docker's layers carry.
const KEPT_XATTR: &[u8] = b"security.capability";
/// What a file system can be told of the future, in seconds: Go counts nanoseconds in 63 bits.
const LATEST: i64 = i64::MAX / 1_000_000_000;
const SYMLINK_MODE: u32 = 0o777;

/// Unpacks an archive's entries into the destination directory.
pub(super) fn unpack(copy: &Copy<'_>, archive: &Layer, delta: &mut Delta) -> Result<(), StepFailure> {
    let dest = resolve(delta, &copy.absolute_dest())?;
    let (owner, of_destination) = match copy.rules.archive_owner {
        ArchiveOwner::Chown => (copy.owner, copy.owner),
        ArchiveOwner::Destination => (None, copy.owner),
        ArchiveOwner::FromArchive => (None, None),
    };
    make_dirs(delta, &dest, of_destination.unwrap_or_default(), USUAL_MODE)?;
    // Changing the root needs a directory made and removed in it.
    let now = delta.now();
    delta.change(&dest, |meta| meta.mtime = now);
    let mut unpacker = Unpacker { delta, dest, owner, times: Vec::new() };
    archive.entries.iter().try_for_each(|entry| unpacker.entry(entry))?;
    unpacker.directories_times()
}

struct Unpacker<'d> {
    delta: &'d mut Delta,
    dest: At,
    owner: Option<Owner>,
    /// Directories and their times, set last: what is put into them moves them.
    times: Vec<(At, Mtime)>,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<(), StepFailure> {
        let written = entry.path();
        // Both the destination itself: `.` is passed over; `/` and `..` are not.
        if entry.at.is_root() && means_here(&written) {
            return Ok(());
        }
        let target = self.place(&entry.at)?;
        let is_dir = entry.kind.is_dir();
        if self.delta.tree().get(&target).is_some() && !(is_dir && self.delta.is_dir(&target)) {
            if entry.at.is_root() {
                return Err(self.failed(&entry.at, "the destination itself cannot be replaced"));
            }
            self.delta.remove(&target);
        }
        let mut meta = entry.meta.clone();
        meta.xattrs.retain(|name, _| name.as_slice() == KEPT_XATTR);
        if let Some(owner) = self.owner {
            (meta.uid, meta.gid) = (owner.uid, owner.gid);
        }
        meta.mtime = match &entry.kind {
            Kind::Symlink(_) => whole_seconds(meta.mtime),
            _ => possible(meta.mtime),
        };
        match &entry.kind {
            Kind::Hardlink(to) => self.link(entry, &target, to, &meta)?,
            Kind::Dir => {
                self.times.push((entry.at.clone(), meta.mtime));
                if self.delta.is_dir(&target) {
                    self.delta.change(&target, |old| *old = meta);
                } else {
                    self.delta.put(&target, Kind::Dir, meta);
                }
            }
            Kind::Symlink(text) if text.is_empty() => {
                return Err(self.failed(&entry.at, "it is a symbolic link to nothing"));
            }
            // An overlay keeps this number for its own whiteouts.
            Kind::Char { major: 0, minor: 0 } => {
                return Err(self.failed(&entry.at, "a device 0:0 cannot be made on an overlay"));
            }
            Kind::Symlink(_) => {
                self.delta.put(&target, entry.kind.clone(), Meta { mode: SYMLINK_MODE, ..meta })
            }
            kind => self.delta.put(&target, kind.clone(), meta),
        }
        Ok(())
    }

    /// Where an entry goes: directories that are missing above it are made, links there followed.
    fn place(&mut self, at: &At) -> Result<At, StepFailure> {
        let Some(above) = at.parent() else { return Ok(self.dest.clone()) };
        let written = self.resolve(&above, false)?;
        if self.delta.tree().get(&written).is_none() {
            let dir = self.resolve(&above, true)?;
            // A link that leads nowhere is in the way of a directory of its name.
            let blocked = above.parents().chain([above.clone()]).find(|dir| {
                let place = self.resolve(dir, false).ok();
                let leads = self.resolve(dir, true).ok();
                place.is_some_and(|place| {
                    matches!(self.delta.tree().get(&place).map(|inode| &inode.kind), Some(Kind::Symlink(_)))
                        && leads.is_none_or(|leads| self.delta.tree().get(&leads).is_none())
                })
            });
            if let Some(link) = blocked {
                return Err(self.failed(at, &format!("{link} is a symbolic link that leads nowhere")));
            }
            make_dirs(self.delta, &dir, Owner::default(), USUAL_MODE)
                .map_err(|_| self.failed(at, "something above it is not a directory"))?;
        }
        let dir = self.resolve(&above, true)?;
        if !self.delta.is_dir(&dir) {
            return Err(self.failed(at, "what it goes into is not a directory"));
        }
        Ok(dir.join(at.name()))
    }

    /// A hard link takes the owner, and unless it is of a symbolic link the mode and the time, to all names of its file.
    fn link(&mut self, entry: &Entry, target: &At, to: &At, meta: &Meta) -> Result<(), StepFailure> {
        let to = self.resolve(to, false)?;
        let is_symlink = match self.delta.tree().get(&to).map(|inode| &inode.kind) {
            None => {
                return Err(self.failed(&entry.at, &format!("it is a hard link to {to}, which is not there")));
            }
            Some(Kind::Dir) => {
                return Err(self.failed(&entry.at, &format!("it is a hard link to {to}, a directory")));
            }
            Some(kind) => matches!(kind, Kind::Symlink(_)),
        };
        self.delta.link(target, &to);
        self.delta.change(target, |old| {
            (old.uid, old.gid) = (meta.uid, meta.gid);
            if !is_symlink {
                (old.mode, old.mtime) = (meta.mode, meta.mtime);
            }
        });
        Ok(())
    }

    fn directories_times(self) -> Result<(), StepFailure> {
        for (at, time) in &self.times {
            let at = self.resolve(at, true)?;
            self.delta.change(&at, |meta| meta.mtime = *time);
        }
        Ok(())
    }

    fn resolve(&self, at: &At, follow_last: bool) -> Result<At, StepFailure> {
        let resolved = self.delta.tree().resolve_in(&self.dest, at.as_bytes(), follow_last);
        resolved.map_err(|error| self.failed(at, &error.to_string()))
    }

    fn failed(&self, at: &At, why: &str) -> StepFailure {
        StepFailure::new("bad-archive", format!("unpack {at} of the archive: {why}"))
    }
}

/// Whether a name, cleaned as Go does, is `.`.
fn means_here(name: &[u8]) -> bool {
    let mut depth = 0i32;
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !name.starts_with(b"/")
}

/// A layer's times are whole seconds.
fn whole_seconds(time: Mtime) -> Mtime {
    match time {
        Mtime::At { secs, .. } => Mtime::secs(secs),
        other => other,
    }
}

/// Before 1970 and beyond what Go can count is 1970.
fn possible(time: Mtime) -> Mtime {
    match time {
        Mtime::At { secs, .. } if !(0..=LATEST).contains(&secs) => Mtime::secs(0),
        other => whole_seconds(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dot_is_passed_over() {
        for (name, here) in [
            ("./", true),
            ("", true),
            ("a/..", true),
            ("/", false),
            ("..", false),
            ("../a", false),
            ("a", false),
        ] {
            assert_eq!(means_here(name.as_bytes()), here, "{name}");
        }
    }

    #[test]
    fn times_that_go_cannot_count_are_the_epoch() {
        assert_eq!(possible(Mtime::secs(-5)), Mtime::secs(0));
        assert_eq!(possible(Mtime::secs(9_999_999_999)), Mtime::secs(0));
        assert_eq!(possible(Mtime::At { secs: 5, nanos: 7 }), Mtime::secs(5));
    }
}
