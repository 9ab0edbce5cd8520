//! The entries of the artifact cache on disk: one file each, called as its key, in `artifacts/` of the cache.
//!
//! Each is written beside its place and renamed, so whoever reads sees all of it or nothing, however many processes write,
//! and one that is killed loses at most what it was writing. There is no file of all entries that could be lost, half
//! written, or written back without somebody else's (Skaffold keeps one, read at the start and rewritten at the end).

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use samebuild_image::Digest;
use samebuild_store::artifacts::{Book, Entry, Key, ManifestId, Trouble};
use samebuild_store::engine::Call;
use samebuild_store::names::ImageId;
use serde::{Deserialize, Serialize};

use crate::races::Spelling;

/// What an entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose sources these were, when it was written; for people.
    #[serde(default)]
    pub image: String,
    /// What the engine calls the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Digest>,
    /// What a registry calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// The entries in one directory.
#[derive(Clone, Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Those in `cache`; nothing is made yet.
    #[must_use]
    pub fn in_cache(cache: &Path) -> Self {
        Self { dir: cache.join("artifacts") }
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is known of `key`; a file that is damaged knows nothing.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(&self, key: Key) -> Result<Option<Note>> {
        let path = self.place(key);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let note: Option<Note> = serde_json::from_slice(&bytes).ok();
                Ok(note.filter(|note| note.id.is_some() || note.digest.is_some()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Remembers.
    ///
    /// # Errors
    /// The disk is full.
    pub fn write(&self, key: Key, note: &Note) -> Result<()> {
        crate::files::write(&self.place(key), &serde_json::to_vec(note)?)
    }

    /// Forgets; whether there was something.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, key: Key) -> Result<bool> {
        crate::files::remove_if_there(&self.place(key))
    }

    /// Every entry with its key and when it was used last, the newest first; and what a killed process left is removed.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<(Key, Note, SystemTime)>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("read {}", self.dir.display())),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", self.dir.display()))?;
            let written = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            let Some(key) = entry.file_name().to_str().and_then(|name| name.parse::<Key>().ok()) else {
                // Whoever is writing has it for milliseconds.
                if written.elapsed().is_ok_and(|age| age.as_secs() > 60) {
                    let _ = std::fs::remove_file(entry.path());
                }
                continue;
            };
            all.extend(self.read(key)?.map(|note| (key, note, written)));
        }
        all.sort_by_key(|(key, _, written)| (std::cmp::Reverse(*written), *key));
        Ok(all)
    }

    /// Forgets what was not used within `unused`; how many entries that were.
    ///
    /// # Errors
    /// The directory cannot be read, an entry not removed.
    pub fn clean(&self, unused: Duration, now: SystemTime) -> Result<usize> {
        let mut gone = 0;
        for (key, _, used) in self.all()? {
            if now.duration_since(used).unwrap_or_default() > unused {
                gone += usize::from(self.remove(key)?);
            }
        }
        Ok(gone)
    }

    /// One that is found is used.
    fn note_use(&self, key: Key) {
        let _ = std::fs::File::open(self.place(key)).and_then(|file| file.set_modified(SystemTime::now()));
    }

    fn place(&self, key: Key) -> PathBuf {
        self.dir.join(key.to_string())
    }
}

/// The same for a run, whose images are symbols.
pub(super) struct Noted {
    pub(super) disk: Disk,
    pub(super) spelling: Rc<RefCell<Spelling>>,
    /// Of the artifact a key is of.
    pub(super) image: Box<dyn Fn(Key) -> String>,
}

impl Noted {
    fn entry(&self, note: &Note) -> Entry {
        let mut spelling = self.spelling.borrow_mut();
        let mut symbol = |digest: &Digest| spelling.image(&digest.to_string());
        Entry {
            id: note.id.as_ref().map(&mut symbol),
            digest: note.digest.as_ref().map(|digest| ManifestId(symbol(digest).0)),
        }
    }

    fn note(&self, key: Key, entry: Entry) -> Note {
        let digest = |id: ImageId| self.spelling.borrow().spell_image(id).parse().ok();
        let pushed = entry.digest.and_then(|manifest| digest(ImageId(manifest.0)));
        Note { image: (self.image)(key), id: entry.id.and_then(digest), digest: pushed }
    }
}

impl Book for Noted {
    fn read(&self, key: Key) -> Call<'_, Result<Option<Entry>, Trouble>> {
        let read = self.disk.read(key).map(|note| note.map(|note| self.entry(&note)));
        if matches!(read, Ok(Some(_))) {
            self.disk.note_use(key);
        }
        Box::pin(std::future::ready(read.map_err(trouble)))
    }

    fn write(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>> {
        let written = self.disk.write(key, &self.note(key, entry));
        Box::pin(std::future::ready(written.map_err(trouble)))
    }

    fn forget(&self, key: Key, entry: Entry) -> Call<'_, Result<(), Trouble>> {
        let forgotten = self.disk.read(key).and_then(|note| match note {
            Some(note) if self.entry(&note) == entry => self.disk.remove(key).map(drop),
            _ => Ok(()),
        });
        Box::pin(std::future::ready(forgotten.map_err(trouble)))
    }
}

pub(super) fn trouble(error: anyhow::Error) -> Trouble {
    Trouble(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note { image: text.to_owned(), id: Some(Digest::of(text.as_bytes())), digest: None }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::in_cache(dir.path());
        assert!(disk.all().unwrap().is_empty());
        let (one, two) = (Key::symbol(1), Key::symbol(2));
        disk.write(one, &note("a")).unwrap();
        disk.write(two, &note("b")).unwrap();
        disk.write(two, &note("c")).unwrap();
        assert_eq!(disk.read(two).unwrap(), Some(note("c")));
        assert_eq!(disk.all().unwrap().len(), 2);
        for damage in ["", "{", "[]", "{\"id\":\"sha256:12\"}", "{\"id\":7}"] {
            std::fs::write(disk.place(one), damage).unwrap();
            assert_eq!(disk.read(one).unwrap(), None, "{damage}");
        }
        assert!(disk.remove(one).unwrap() && !disk.remove(one).unwrap());
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::in_cache(dir.path());
        let (used, left) = (Key::symbol(1), Key::symbol(2));
        for key in [used, left] {
            disk.write(key, &note("a")).unwrap();
            let file = std::fs::File::open(disk.place(key)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(100)).unwrap();
        }
        disk.note_use(used);
        assert_eq!(disk.clean(Duration::from_secs(50), SystemTime::now()).unwrap(), 1);
        assert!(disk.read(used).unwrap().is_some() && disk.read(left).unwrap().is_none());
    }
}
