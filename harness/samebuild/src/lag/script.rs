//! Random edits of a few files on a real file system, in the ways that leave a time or a size as it was: what a RUN may do.
//! Who finds the changes afterwards is [`super::ways`]'s.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use samebuild_builder::disk;
use samebuild_image::{At, Content, Kind, Tree};

use super::mapped::Mapped;

/// The files that edits are about; one of them in a directory.
const NAMES: [&str; 4] = ["a", "b", "d/c", "d/e"];

/// One edit of one file, or a look at everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// As many bytes, in place; the file is made if it is not there.
    Rewrite {
        name: usize,
        byte: u8,
    },
    /// The same, and then its modification time is put back to the nanosecond.
    PutBack {
        name: usize,
        byte: u8,
    },
    /// Through a mapping that stays, so that a later store finds the page dirty.
    Store {
        name: usize,
        byte: u8,
    },
    /// Another file of the same size renamed over it.
    Replace {
        name: usize,
        byte: u8,
    },
    /// The same with the old file's modification time, as `cp -p` and `tar` have it.
    ReplaceAlike {
        name: usize,
        byte: u8,
    },
    /// A byte more.
    Append {
        name: usize,
        byte: u8,
    },
    Remove {
        name: usize,
    },
    Mode {
        name: usize,
        byte: u8,
    },
    /// A second name of another file.
    Link {
        name: usize,
        to: usize,
    },
    /// A symbolic link, to one of two places with names of one length.
    Symlink {
        name: usize,
        byte: u8,
    },
    /// A directory where a file may have been.
    Dir {
        name: usize,
    },
    /// Time passes, but not a tick.
    Wait,
    /// All that is dirty reaches the disk.
    Sync,
    /// A step ends: whoever looks for changes looks now.
    Look,
}

impl Edit {
    /// An edit from three bytes, every three of which are one.
    pub fn of([kind, name, byte]: [u8; 3]) -> Self {
        let (to, name) = (usize::from(byte) % NAMES.len(), usize::from(name) % NAMES.len());
        match kind % 20 {
            0 | 1 => Self::Rewrite { name, byte },
            2 | 3 => Self::PutBack { name, byte },
            4..=6 => Self::Store { name, byte },
            7 => Self::Replace { name, byte },
            8 => Self::ReplaceAlike { name, byte },
            9 => Self::Append { name, byte },
            10 => Self::Remove { name },
            11 => Self::Mode { name, byte },
            12 => Self::Link { name, to },
            13 => Self::Symlink { name, byte },
            14 => Self::Dir { name },
            15 => Self::Wait,
            16 => Self::Sync,
            _ => Self::Look,
        }
    }

    /// The edits of a seed; the same ones each time.
    pub fn script(seed: u64) -> Vec<Self> {
        let mut state = seed;
        let mut next = || {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let length = 3 + next() % 18;
        (0..length)
            .map(|_| {
                let [kind, name, byte, ..] = next().to_le_bytes();
                Self::of([kind, name, byte])
            })
            .collect()
    }
}

/// A root on disk that edits change.
#[derive(Debug)]
pub struct Root {
    dir: tempfile::TempDir,
    mapped: BTreeMap<usize, Mapped>,
}

impl Root {
    /// With every file in it, below `dir`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("root-").tempdir_in(dir)?;
        fs::create_dir(dir.path().join("d"))?;
        for name in NAMES {
            fs::write(dir.path().join(name), "aaaa")?;
        }
        Ok(Self { dir, mapped: BTreeMap::new() })
    }

    /// Everything as it is now, contents read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look(&self) -> io::Result<Tree> {
        let scanned = disk::scan(self.dir.path()).map_err(io::Error::other)?;
        let mut now = Tree::new();
        let mut first = BTreeMap::new();
        for (at, ino, inode) in scanned.iter() {
            if let Some(first) = first.get(&ino) {
                now.link(at, first);
                continue;
            }
            let kind = match &inode.kind {
                Kind::File(content) => {
                    let mut bytes = Vec::new();
                    io::Read::read_to_end(&mut content.open()?, &mut bytes)?;
                    Kind::File(Content::inline(bytes))
                }
                kind => kind.clone(),
            };
            now.insert(at, kind, inode.meta.clone());
            if !at.is_root() {
                first.insert(ino, at.clone());
            }
        }
        Ok(now)
    }

    /// Makes one edit. What cannot be (a store into a directory) is passed over.
    ///
    /// # Errors
    /// The file system refuses what it should not.
    pub fn edit(&mut self, edit: Edit) -> io::Result<()> {
        match edit {
            Edit::Rewrite { name, byte } => self.rewrite(name, byte).map(drop),
            Edit::PutBack { name, byte } => {
                let before = self.time(name);
                let file = self.rewrite(name, byte)?;
                file.zip(before).map_or(Ok(()), |(_, before)| set(&self.path(name), before))
            }
            Edit::Store { name, byte } => self.store(name, byte),
            Edit::Replace { name, byte } => self.replace(name, byte, None),
            Edit::ReplaceAlike { name, byte } => self.replace(name, byte, self.time(name)),
            Edit::Append { name, byte } => {
                let Some(file) = self.open(name)? else { return Ok(()) };
                let end = file.metadata()?.len();
                file.write_all_at(&[byte], end)
            }
            Edit::Remove { name } => self.clear(name),
            Edit::Mode { name, byte } => match self.is_file(name) {
                true => {
                    let mode = if byte.is_multiple_of(2) { 0o644 } else { 0o755 };
                    fs::set_permissions(self.path(name), Permissions::from_mode(mode))
                }
                false => Ok(()),
            },
            Edit::Link { name, to } => {
                if name == to || !self.is_file(to) {
                    return Ok(());
                }
                self.clear(name)?;
                fs::hard_link(self.path(to), self.path(name))
            }
            Edit::Symlink { name, byte } => {
                self.clear(name)?;
                symlink(if byte.is_multiple_of(2) { "/one" } else { "/two" }, self.path(name))
            }
            Edit::Dir { name } => {
                self.clear(name)?;
                fs::create_dir(self.path(name))
            }
            Edit::Wait => {
                sleep(Duration::from_micros(300));
                Ok(())
            }
            Edit::Sync => self.mapped.values().try_for_each(Mapped::sync),
            Edit::Look => Ok(()),
        }
    }

    fn path(&self, name: usize) -> PathBuf {
        self.dir.path().join(NAMES[name % NAMES.len()])
    }

    fn is_file(&self, name: usize) -> bool {
        self.path(name).symlink_metadata().is_ok_and(|found| found.is_file())
    }

    /// The file, made if nothing is there; nothing if something else is.
    fn open(&mut self, name: usize) -> io::Result<Option<File>> {
        let path = self.path(name);
        match path.symlink_metadata() {
            Ok(found) if !found.is_file() => return Ok(None),
            Ok(_) => {}
            Err(_) => fs::write(&path, "aaaa")?,
        }
        File::options().read(true).write(true).open(&path).map(Some)
    }

    fn rewrite(&mut self, name: usize, byte: u8) -> io::Result<Option<File>> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        file.write_all_at(&[byte; 4], 0)?;
        Ok(Some(file))
    }

    fn store(&mut self, name: usize, byte: u8) -> io::Result<()> {
        let Some(file) = self.open(name)? else { return Ok(()) };
        let mapped = match self.mapped.entry(name) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert(Mapped::new(&file, 4)?),
        };
        mapped.store(&[byte; 4]);
        Ok(())
    }

    fn replace(&mut self, name: usize, byte: u8, time: Option<(i64, u32)>) -> io::Result<()> {
        if self.path(name).symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Ok(());
        }
        let other = self.dir.path().join("new");
        fs::write(&other, [byte; 4])?;
        if let Some(time) = time {
            set(&other, time)?;
        }
        // The mapping is of the file that goes.
        self.mapped.remove(&name);
        fs::rename(&other, self.path(name))
    }

    fn clear(&mut self, name: usize) -> io::Result<()> {
        self.mapped.remove(&name);
        let path = self.path(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(_) => Ok(()),
        }
    }

    fn time(&self, name: usize) -> Option<(i64, u32)> {
        use std::os::unix::fs::MetadataExt as _;
        let found = self.path(name).symlink_metadata().ok().filter(|found| found.is_file())?;
        Some((found.mtime(), u32::try_from(found.mtime_nsec()).ok()?))
    }
}

fn set(path: &Path, (secs, nanos): (i64, u32)) -> io::Result<()> {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The place of a file, as trees have it.
pub fn place(name: usize) -> At {
    At::from(NAMES[name % NAMES.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(root: &Root, name: usize) -> Vec<u8> {
        let tree = root.look().unwrap();
        match &tree.get(&place(name)).unwrap().kind {
            Kind::File(content) => content.read_up_to(9).unwrap().unwrap(),
            kind => kind.word().as_bytes().to_vec(),
        }
    }

    #[test]
    fn each_edit_does_what_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        let mut root = Root::new(dir.path()).unwrap();
        let mut edit = |edit, name| {
            root.edit(edit).unwrap();
            (String::from_utf8(content(&root, name)).unwrap(), root.time(name))
        };
        let (_, before) = edit(Edit::Look, 0);
        assert_eq!(edit(Edit::PutBack { name: 0, byte: b'b' }, 0), ("bbbb".to_owned(), before));
        assert_eq!(edit(Edit::ReplaceAlike { name: 0, byte: b'c' }, 0), ("cccc".to_owned(), before));
        let (_, stored) = edit(Edit::Store { name: 2, byte: b'd' }, 2);
        let again = edit(Edit::Store { name: 2, byte: b'e' }, 2);
        assert_eq!(again, ("eeee".to_owned(), stored), "a dirty page moves no time");
        assert_eq!(edit(Edit::Append { name: 1, byte: b'x' }, 1).0, "aaaax");
        assert_eq!(edit(Edit::Link { name: 3, to: 1 }, 3).0, "aaaax");
        assert_eq!(edit(Edit::Symlink { name: 3, byte: 0 }, 3).0, "symlink");
        assert_eq!(edit(Edit::Dir { name: 3 }, 3).0, "dir");
    }

    #[test]
    fn a_seed_is_a_script_and_another_seed_another() {
        assert_eq!(Edit::script(7), Edit::script(7));
        assert_ne!(Edit::script(7), Edit::script(8));
    }
}
