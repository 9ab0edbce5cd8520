//! Cleaning up the local store, and looking whether everything in it is what it says. Safe beside builds that write: what
//! nobody refers to goes only when it is old enough that nobody is about to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use samebuild_image::Digest;

use super::backend::{Backend as _, BackendError};
use super::blobs::{TEMPORARY, remove};
use super::entry::Entry;
use super::journal::Journal;
use super::key::Key;
use super::local::Local;
use super::unread::Damaged;
use super::{check, turn};

/// As long as this somebody may be about to refer to what he wrote.
const GRACE: Duration = Duration::from_secs(3600);

/// What is to go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Entries that were not used for longer.
    pub unused: Option<Duration>,
    /// When there are more bytes than this, what was not used for longest.
    pub bytes: Option<u64>,
    /// Whether what nobody refers to goes at once: for who knows that nobody builds.
    pub at_once: bool,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    pub entries: usize,
    pub blobs: usize,
    pub bytes: u64,
    /// Bytes that stay.
    pub left: u64,
}

/// Entries that stay: when each was used, and its blobs with their sizes.
type Kept = BTreeMap<Key, (SystemTime, Vec<(Digest, u64)>)>;

/// One entry, as it is listed.
#[derive(Clone, Debug)]
pub struct Row {
    pub key: Key,
    pub entry: Result<Entry, BackendError>,
    pub used: SystemTime,
    pub bytes: u64,
}

/// Every entry, the one used last first.
///
/// # Errors
/// The directory cannot be read.
pub fn list(store: &Local) -> io::Result<Vec<Row>> {
    let mut rows: Vec<Row> = store
        .keys()?
        .into_iter()
        .map(|(key, used)| {
            let read = read_entry(store, &key);
            let bytes = read.as_ref().map_or(0, |(_, blobs)| blobs.iter().map(|(_, size)| size).sum());
            Row { key, entry: read.map(|(entry, _)| entry), used, bytes }
        })
        .collect();
    rows.sort_by(|a, b| b.used.cmp(&a.used).then(a.key.cmp(&b.key)));
    Ok(rows)
}

/// An entry and all blobs it refers to, with their sizes.
fn read_entry(store: &Local, key: &Key) -> Result<(Entry, Vec<(Digest, u64)>), BackendError> {
    let gone = || BackendError::new(format!("read the entry {key}"), "it is gone");
    let manifest = store.manifest(key)?.ok_or_else(gone)?;
    let (entry, config) = turn::read(key, &manifest, store)?;
    let size = |digest: &Digest| fs::metadata(store.blobs().path(digest)).map_or(0, |stat| stat.len());
    let mut blobs = vec![(Digest::of(&manifest), manifest.len() as u64), (config, size(&config))];
    blobs.extend(entry.layer.map(|kept| (kept.digest, kept.size)));
    blobs.extend(entry.fixes);
    blobs.extend(entry.listing);
    Ok((entry, blobs))
}

/// Removes what is to go.
///
/// # Errors
/// Something cannot be read or removed.
pub fn clean(store: &Local, limits: &Limits, now: SystemTime) -> io::Result<Gone> {
    let mut gone = Gone::default();
    let mut kept = Kept::new();
    let age = |then: SystemTime| now.duration_since(then).unwrap_or_default();
    for (key, used) in store.keys()? {
        let read = read_entry(store, &key);
        let is_old = limits.unused.is_some_and(|limit| age(used) > limit);
        match read {
            Ok((_, blobs)) if !is_old => drop(kept.insert(key, (used, blobs))),
            // One that cannot be read is none.
            _ => forget(store, &key, &mut gone)?,
        }
    }
    if let Some(most) = limits.bytes {
        let mut oldest: Vec<(SystemTime, Key)> = kept.iter().map(|(key, (used, _))| (*used, *key)).collect();
        oldest.sort();
        for (_, key) in oldest {
            if size(&kept) <= most {
                break;
            }
            kept.remove(&key);
            forget(store, &key, &mut gone)?;
        }
    }
    let wanted: BTreeSet<PathBuf> = kept
        .values()
        .flat_map(|(_, blobs)| blobs.iter().map(|(digest, _)| store.blobs().path(digest)))
        .collect();
    let grace = if limits.at_once { Duration::ZERO } else { GRACE };
    let blobs = store.root().join("blobs/sha256");
    for (path, stat) in files(&blobs)? {
        let is_young = stat.modified().is_ok_and(|then| age(then) < grace);
        if wanted.contains(&path) || is_young {
            gone.left += stat.len();
            continue;
        }
        remove(&path)?;
        gone.blobs += 1;
        gone.bytes += stat.len();
    }
    let parts = Journal::new(store.root()).keys_dir();
    let known = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        name.is_some_and(|key: Key| kept.contains_key(&key))
    };
    for dir in [store.root().join("entries"), parts, store.root().join("builds")] {
        let is_parts = dir.ends_with("parts");
        for (path, stat) in files(&dir)? {
            let is_young = stat.modified().is_ok_and(|then| age(then) < grace);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_left_over = name.starts_with(TEMPORARY) || is_parts && !known(&path);
            if is_left_over && !is_young {
                remove(&path)?;
                gone.bytes += stat.len();
            }
        }
    }
    Ok(gone)
}

fn forget(store: &Local, key: &Key, gone: &mut Gone) -> io::Result<()> {
    store.forget(key, &[]).map_err(io::Error::other)?;
    gone.entries += 1;
    Ok(())
}

/// What all entries take together; what several share counts once.
fn size(kept: &Kept) -> u64 {
    let all: BTreeMap<Digest, u64> = kept.values().flat_map(|(_, blobs)| blobs.iter().copied()).collect();
    all.values().sum()
}

fn files(dir: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry?;
        // What has gone meanwhile need not go.
        if let Ok(stat) = entry.metadata()
            && stat.is_file()
        {
            out.push((entry.path(), stat));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// Reads every entry and every byte it refers to; what is not what it says, and how many there are.
///
/// # Errors
/// The directory cannot be read.
pub fn verify(store: &Local) -> io::Result<(usize, Vec<Damaged>)> {
    let keys = store.keys()?;
    let problems = keys.iter().filter_map(|(key, _)| check::entry(store, key).err());
    Ok((keys.len(), problems.collect()))
}
