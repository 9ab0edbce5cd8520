//! Removing what the store no longer needs: images without a name that nobody has used for long, as those are that were pulled
//! for a build, or whose name a newer build took. What has a name, and what somebody says he refers to, stays whole.
//!
//! Nobody is hurt who is at it: an image that is looked up counts as used from then on, and while somebody adds to the store
//! nothing is removed at all.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use samebuild_image::Digest;
use serde::Deserialize;

use super::store::Store;

/// Files that somebody began to write are nobody's after this.
const GRACE: Duration = Duration::from_secs(3600);

/// No manifest is larger: registries take no larger ones.
const LARGEST_MANIFEST: u64 = 4 << 20;

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    pub blobs: usize,
    pub bytes: u64,
    /// Bytes that stay.
    pub left: u64,
}

/// Removes every blob that is of no image with a name, of none of `others` (manifests), and of none that was used within
/// `unused`. `None` where somebody is adding to the store.
///
/// # Errors
/// The index is damaged, something cannot be read or removed.
pub fn clean(
    store: &Store,
    others: impl IntoIterator<Item = Digest>,
    unused: Duration,
    now: SystemTime,
) -> Result<Option<Gone>> {
    let place = || format!("clean {}", store.root().display());
    if !store.root().is_dir() {
        return Ok(Some(Gone::default()));
    }
    let Some(_alone) = store.alone().with_context(place)? else { return Ok(None) };
    let is_young = |stat: &Metadata, than| {
        stat.modified().is_ok_and(|then| now.duration_since(then).unwrap_or_default() <= than)
    };
    let mut wanted: Vec<Digest> = store.manifests()?.into_iter().chain(others).collect();
    let (mut blobs, mut gone) = (Vec::new(), Gone::default());
    for (path, stat) in files(&store.root().join("blobs/sha256")).with_context(place)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match format!("sha256:{name}").parse::<Digest>() {
            Ok(digest) => {
                if is_young(&stat, unused) && !Parts::of(&path, &stat).is_nothing() {
                    wanted.push(digest);
                }
                blobs.push((digest, path, stat));
            }
            Err(_) if name.starts_with('.') && !is_young(&stat, GRACE) => {
                crate::files::remove_if_there(&path)?;
                gone.bytes += stat.len();
            }
            Err(_) => {}
        }
    }
    let wanted = whole(store, wanted, &blobs);
    for (digest, path, stat) in blobs {
        if wanted.contains(&digest) || is_young(&stat, unused) {
            gone.left += stat.len();
            continue;
        }
        crate::files::remove_if_there(&path)?;
        gone.blobs += 1;
        gone.bytes += stat.len();
    }
    Ok(Some(gone))
}

/// These with all that they refer to, and the indexes that list one of them: an image may be asked for by its index's digest.
fn whole(store: &Store, mut next: Vec<Digest>, blobs: &[(Digest, PathBuf, Metadata)]) -> BTreeSet<Digest> {
    let mut wanted = BTreeSet::new();
    loop {
        while let Some(digest) = next.pop() {
            if wanted.insert(digest) {
                let path = store.blob(&digest);
                next.extend(fs::metadata(&path).iter().flat_map(|stat| Parts::of(&path, stat).all()));
            }
        }
        let listing =
            blobs.iter().filter(|(digest, ..)| !wanted.contains(digest)).filter(|(_, path, stat)| {
                Parts::of(path, stat).manifests.iter().any(|part| wanted.contains(&part.digest))
            });
        // Such an index brings only itself: the other platforms' images are not here for its sake.
        let found: Vec<Digest> = listing.map(|(digest, ..)| *digest).collect();
        if found.is_empty() {
            return wanted;
        }
        wanted.extend(found);
    }
}

/// What a manifest or an index refers to.
#[derive(Default, Deserialize)]
struct Parts {
    config: Option<Part>,
    #[serde(default)]
    layers: Vec<Part>,
    #[serde(default)]
    manifests: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    digest: Digest,
}

impl Parts {
    /// Of a file that is neither, nothing.
    fn of(path: &Path, stat: &Metadata) -> Self {
        let read = || -> io::Result<Option<Self>> {
            let mut file = File::open(path)?;
            let mut bytes = vec![0];
            file.read_exact(&mut bytes)?;
            if bytes != b"{" {
                return Ok(None);
            }
            file.take(LARGEST_MANIFEST).read_to_end(&mut bytes)?;
            Ok(serde_json::from_slice(&bytes).ok())
        };
        let is_small = stat.len() <= LARGEST_MANIFEST;
        is_small.then(read).and_then(Result::ok).flatten().unwrap_or_default()
    }

    fn is_nothing(&self) -> bool {
        self.config.is_none() && self.layers.is_empty() && self.manifests.is_empty()
    }

    fn all(self) -> impl Iterator<Item = Digest> {
        self.config.into_iter().chain(self.layers).chain(self.manifests).map(|part| part.digest)
    }
}

fn files(dir: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    // What has gone meanwhile need not go.
    let files = entries.into_iter().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    Ok(files.filter(|(_, stat)| stat.is_file()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use samebuild_image::layout::WrittenImage;
    use samebuild_image::manifest::Platform;
    use samebuild_image::{Content, Entry, Image, Kind, Layer, Meta, Mtime};
    use serde_json::json;

    const HOUR: Duration = Duration::from_secs(3600);

    /// One of a layer of its own.
    fn put(store: &Store, text: &str, names: &[&str]) -> WrittenImage {
        let content = Content::inline(text.as_bytes());
        let file = Entry::new("f".into(), Kind::File(content), Meta::new(0o644, Mtime::secs(1)));
        let config = json!({ "architecture": "amd64", "os": "linux", "author": text });
        let layers = vec![Layer { entries: vec![file], ..Layer::default() }];
        let image = Image { layers, config: config.as_object().unwrap().clone(), ..Image::default() };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        store.put(&image, &names, samebuild_builder::DIALECTS[0].tar_style()).unwrap()
    }

    fn after(store: &Store, others: &[Digest], hours: u32) -> Option<Gone> {
        clean(store, others.iter().copied(), 2 * HOUR, SystemTime::now() + hours * HOUR).unwrap()
    }

    fn is_whole(store: &Store, image: &WrittenImage) -> bool {
        let stat = |digest: &Digest| store.blob(digest).is_file();
        stat(&image.entry.digest)
            && stat(&image.config)
            && image.layers.iter().all(|layer| stat(&layer.blob_digest))
    }

    #[test]
    fn an_image_whose_name_another_took_goes_when_it_was_not_used_for_long() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        let (old, known) = (put(&store, "old", &["a"]), put(&store, "known", &["b"]));
        let new = put(&store, "new", &["a", "b"]);
        assert_eq!(after(&store, &[], 1).unwrap().blobs, 0);
        assert!(is_whole(&store, &old));
        let gone = after(&store, &[known.entry.digest], 3).unwrap();
        assert_eq!(gone.blobs, 3, "a manifest, a configuration and a layer");
        assert!(gone.bytes > 0 && gone.left > 0);
        assert!(!is_whole(&store, &old) && is_whole(&store, &new) && is_whole(&store, &known));
        assert!(store.find("a", &Platform::linux_amd64()).unwrap().is_some());
    }

    #[test]
    fn an_image_that_is_looked_up_stays_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        let pulled = put(&store, "pulled", &[]);
        let long_ago = SystemTime::now() - 100 * HOUR;
        for (path, _) in files(&dir.path().join("images/blobs/sha256")).unwrap() {
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        assert!(store.holds(&pulled.entry.digest).unwrap().is_some());
        assert_eq!(after(&store, &[], 1).unwrap().blobs, 0);
        assert!(is_whole(&store, &pulled));
        assert_eq!(after(&store, &[], 3).unwrap().blobs, 3);
    }

    #[test]
    fn an_index_stays_as_long_as_an_image_that_it_lists() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        let (named, other) = (put(&store, "named", &["a"]), put(&store, "other", &[]));
        let list = |digests: &[Digest]| {
            let rows: Vec<_> = digests.iter().map(|digest| json!({ "digest": digest })).collect();
            let bytes = json!({ "schemaVersion": 2, "manifests": rows }).to_string().into_bytes();
            store.put_blob(&Digest::of(&bytes), &bytes).unwrap();
            Digest::of(&bytes)
        };
        let of_both = list(&[named.entry.digest, other.entry.digest]);
        let (of_it, of_other) = (list(&[of_both]), list(&[other.entry.digest]));
        assert_eq!(after(&store, &[], 3).unwrap().blobs, 4);
        assert!(store.blob(&of_both).is_file() && store.blob(&of_it).is_file() && is_whole(&store, &named));
        assert!(!store.blob(&of_other).exists() && !store.blob(&other.config).exists());
    }

    #[test]
    fn nothing_goes_while_somebody_adds() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        let image = put(&store, "text", &[]);
        let adding = store.prepare().unwrap();
        assert_eq!(after(&store, &[], 3), None);
        assert!(is_whole(&store, &image));
        drop(adding);
        assert_eq!(after(&store, &[], 3).unwrap().blobs, 3);
        assert!(store.give_names(&image.entry, &["a".to_owned()]).is_err(), "what went gets no name");
    }

    #[test]
    fn who_gives_a_name_finds_all_of_the_image_however_much_is_removed_beside() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        let removed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let adding = ["a", "b"].map(|name| {
                let (store, removed) = (&store, &removed);
                scope.spawn(move || {
                    // Each image comes up again, and has lost its name meanwhile.
                    for round in 0.. {
                        put(store, &format!("{}", round % 3), &[name]);
                        let found = store.find(name, &Platform::linux_amd64());
                        assert!(found.is_ok_and(|found| found.is_some()), "{name}, round {round}");
                        std::thread::sleep(Duration::from_millis(1));
                        if round > 100 && removed.load(Ordering::Relaxed) > 100 {
                            break;
                        }
                    }
                })
            });
            while adding.iter().any(|thread| !thread.is_finished()) {
                let later = SystemTime::now() + HOUR;
                let gone = clean(&store, [], Duration::ZERO, later).unwrap();
                removed.fetch_add(gone.map_or(0, |gone| gone.blobs), Ordering::Relaxed);
            }
        });
    }

    #[test]
    fn what_a_killed_process_left_goes_and_no_store_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::in_cache(dir.path());
        assert_eq!(after(&store, &[], 3), Some(Gone::default()));
        put(&store, "text", &["a"]);
        let half = dir.path().join("images/blobs/sha256/.new-x");
        std::fs::write(&half, "half").unwrap();
        after(&store, &[], 0).unwrap();
        assert!(half.exists(), "it may be being written");
        after(&store, &[], 3).unwrap();
        assert!(!half.exists());
    }
}
