//! The sources of artifacts, read: the context as a build sees it, after `.dockerignore`, and everything else a key is made
//! of. All artifacts of a file are read at once the first time; later, one is read anew with all it requires.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use samebuild_builder::dialect::rules::IgnoreFileName;
use samebuild_builder::disk;
use samebuild_builder::disk::index::Index;
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::{At, Digest, Kind, Tree};
use samebuild_store::artifacts::{self, Hashed, Key, Recipe, Sources, Trouble};
use samebuild_store::engine::Call;
use samebuild_store::names::Content;
use sha2::{Digest as _, Sha256};

use super::bases::{Bases, REQUIRED};
use super::building::Way;
use super::file::Artifact;
use crate::images::named;
use crate::images::store::Store;

/// The artifacts of a file; content n is artifact n.
pub(super) struct Workspaces {
    pub(super) all: Rc<Vec<Artifact>>,
    pub(super) way: Rc<Way>,
    /// What was read first, by artifact; taken when it is asked for.
    first: RefCell<BTreeMap<u16, Result<Hashed, Trouble>>>,
    /// How long each took to be read the first time.
    took: Vec<Duration>,
    /// Which artifact a key is of.
    keys: Rc<RefCell<BTreeMap<Key, String>>>,
}

impl Workspaces {
    /// Reads all of them, on as many threads as there are processors.
    pub(super) fn read(all: Rc<Vec<Artifact>>, way: Rc<Way>) -> Self {
        let reader = Reader { way: &way, bases: Bases::new(Store::in_cache(&way.cache)) };
        let artifacts = all.as_slice();
        let read: Mutex<BTreeMap<usize, (Own, Duration)>> = Mutex::default();
        let next = AtomicUsize::new(0);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(all.len());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let number = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(artifact) = artifacts.get(number)
                    {
                        let began = Instant::now();
                        let own = (reader.own(artifact), began.elapsed());
                        read.lock().unwrap_or_else(PoisonError::into_inner).insert(number, own);
                    }
                });
            }
        });
        let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let took = read.values().map(|(_, took)| *took).collect();
        let first = (0..all.len()).filter_map(|number| {
            let hashed = with_required(&all, number, &mut |number| {
                read.get(&number).map_or_else(|| Err("read it".to_owned()), |(own, _)| own.clone())
            });
            Some((u16::try_from(number).ok()?, hashed))
        });
        let first = RefCell::new(first.collect());
        let workspaces =
            Self { all: Rc::clone(&all), way: Rc::clone(&way), first, took, keys: Rc::default() };
        let known: Vec<(u16, Key)> = workspaces
            .first
            .borrow()
            .iter()
            .filter_map(|(number, hashed)| Some((*number, hashed.as_ref().ok()?.key)))
            .collect();
        let named = |(number, key): (u16, Key)| Some((key, all.get(usize::from(number))?.image.clone()));
        *workspaces.keys.borrow_mut() = known.into_iter().filter_map(named).collect();
        workspaces
    }

    /// The image of the artifact that had this key when all were read.
    pub(super) fn image_of(&self) -> Box<dyn Fn(Key) -> String> {
        let keys = Rc::clone(&self.keys);
        Box::new(move |key| keys.borrow().get(&key).cloned().unwrap_or_default())
    }

    /// How long it took to read an artifact's own sources.
    pub(super) fn took(&self, number: usize) -> Duration {
        self.took.get(number).copied().unwrap_or_default()
    }

    fn again(&self, number: usize) -> Result<Hashed, Trouble> {
        // The bases anew, too: a tag may have moved.
        let reader = Reader { way: &self.way, bases: Bases::new(Store::in_cache(&self.way.cache)) };
        let mut known: BTreeMap<usize, Own> = BTreeMap::new();
        with_required(&self.all, number, &mut |number| {
            known.entry(number).or_insert_with(|| reader.own(&self.all[number])).clone()
        })
    }
}

impl Sources for Workspaces {
    fn hash(&self, content: Content) -> Call<'_, Result<Hashed, Trouble>> {
        let first = self.first.borrow_mut().remove(&content.0);
        let hashed = first.unwrap_or_else(|| self.again(usize::from(content.0)));
        Box::pin(std::future::ready(hashed))
    }
}

/// One workspace without what it requires; or why it cannot be known.
type Own = Result<Hashed, String>;

/// The key of artifact `number`, with those of all it requires. `own` tells each without.
fn with_required(
    all: &[Artifact],
    number: usize,
    own: &mut dyn FnMut(usize) -> Own,
) -> Result<Hashed, Trouble> {
    let hashed = own(number).map_err(Trouble)?;
    let mut keys = BTreeMap::new();
    let mut witness = hashed.witness;
    for (alias, required) in &all[number].requires {
        let required = with_required(all, *required, own)?;
        keys.insert(alias.clone(), required.key);
        witness = witness.rotate_left(7) ^ required.witness;
    }
    Ok(Hashed { key: artifacts::required(hashed.key, &keys), witness })
}

struct Reader<'a> {
    way: &'a Way,
    bases: Bases,
}

impl Reader<'_> {
    fn own(&self, artifact: &Artifact) -> Own {
        let text = std::fs::read(&artifact.dockerfile)
            .map_err(|error| format!("read {}: {error}", artifact.dockerfile.display()))?;
        let platform = self.way.platform(artifact)?;
        let mut args = artifact.args.clone();
        let required = artifact.requires.keys().map(|alias| (alias.clone(), format!("{REQUIRED}{alias}")));
        args.extend(required);
        if let Some(unknown) = named::fetches(&text, &self.way.dialect) {
            return Err(unknown);
        }
        let mut bases = BTreeMap::new();
        for image in named::images(&text, &self.way.dialect, &args, &platform)? {
            if !image.name.starts_with(REQUIRED) {
                let digest = self.bases.digest(&image.name)?;
                bases.insert(image.name, digest);
            }
        }
        let known = known(artifact, self.way);
        let mut index = Index::read(&known, crate::builders::now(), self.way.belief);
        let tree = context(artifact, self.way, &mut index)?;
        let witness = witness(artifact, &tree);
        let builder = format!("{}, network {}", self.way.words(), artifact.host_network);
        let recipe = Recipe {
            builder: &builder,
            platform: &platform.to_string(),
            target: artifact.target.as_deref(),
            args: &args,
            dockerfile: &text,
            bases: &bases,
        };
        let key = key(&recipe, &tree)
            .map_err(|error| format!("read the context {}: {error}", artifact.context.display()))?;
        // What cannot be noted is read again the next time.
        let _ = index.write(&known);
        Ok(Hashed { key, witness })
    }
}

fn key(recipe: &Recipe<'_>, tree: &Tree) -> std::io::Result<Key> {
    let mut firsts: BTreeMap<_, &At> = BTreeMap::new();
    let mut digests: BTreeMap<&At, [u8; 32]> = BTreeMap::new();
    let mut later: BTreeSet<&At> = BTreeSet::new();
    for (at, ino, inode) in tree.iter() {
        if firsts.contains_key(&ino) && !inode.kind.is_dir() {
            later.insert(at);
            continue;
        }
        firsts.insert(ino, at);
        if let Kind::File(content) = &inode.kind {
            digests.insert(at, *content.digest()?.bytes());
        }
    }
    let files = tree.iter().filter(|(at, _, _)| !at.is_root()).map(|(at, ino, inode)| artifacts::File {
        path: at.as_bytes(),
        mode: inode.meta.mode,
        xattrs: &inode.meta.xattrs,
        kind: match (&inode.kind, firsts.get(&ino)) {
            (_, Some(first)) if later.contains(at) => artifacts::Kind::HardLink(first.as_bytes()),
            (Kind::File(_), _) => artifacts::Kind::Regular(digests.get(at).copied().unwrap_or_default()),
            (Kind::Hardlink(first), _) => artifacts::Kind::HardLink(first.as_bytes()),
            (Kind::Dir, _) => artifacts::Kind::Dir,
            (Kind::Symlink(text), _) => artifacts::Kind::Symlink(text),
            (Kind::Fifo, _) => artifacts::Kind::Fifo,
            (Kind::Char { major, minor }, _) => artifacts::Kind::Device(false, *major, *minor),
            (Kind::Block { major, minor }, _) => artifacts::Kind::Device(true, *major, *minor),
        },
    });
    Ok(artifacts::workspace(recipe, files))
}

/// Where it is kept what is known of an artifact's context from the last time.
fn known(artifact: &Artifact, way: &Way) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // Whose Dockerfile is another may leave out other files.
    let parts = [whole(&artifact.context), whole(&artifact.dockerfile)];
    let name = Digest::of(&parts.map(|path| path.as_os_str().as_bytes().to_vec()).join(&0));
    way.cache.join("artifact-contexts").join(name.hex())
}

/// The context without what is ignored. What lies in an ignored directory is not even looked at.
fn context(artifact: &Artifact, way: &Way, index: &mut Index) -> Result<Tree, String> {
    let Some(text) = ignore_file(artifact, way)? else {
        return disk::scan_with(&artifact.context, index, &|time| time).map_err(|error| error.to_string());
    };
    let ignore = IgnoreFile::parse(&text, &way.dialect.syntax).map_err(|error| error.to_string())?;
    let word = |at: &At| std::str::from_utf8(at.as_bytes()).map(str::to_owned).ok();
    let skip = |at: &At, is_dir: bool| {
        word(at).is_some_and(|path| if is_dir { ignore.skips(&path) } else { ignore.excludes(&path) })
    };
    let mut tree =
        disk::scan_without_with(&artifact.context, &skip, index).map_err(|error| error.to_string())?;
    // A directory that is ignored and was entered for what may be taken in again counts if something was.
    let needed: BTreeSet<At> = tree
        .iter()
        .filter(|(at, _, inode)| !inode.kind.is_dir() || !word(at).is_some_and(|path| ignore.excludes(&path)))
        .flat_map(|(at, _, _)| at.parents().chain([at.clone()]).collect::<Vec<_>>())
        .collect();
    let empty: Vec<At> = tree.iter().map(|(at, _, _)| at.clone()).filter(|at| !needed.contains(at)).collect();
    for at in empty.iter().filter(|at| !at.is_root()) {
        tree.remove(at);
    }
    Ok(tree)
}

fn ignore_file(artifact: &Artifact, way: &Way) -> Result<Option<Vec<u8>>, String> {
    let mut beside = artifact.dockerfile.as_os_str().to_owned();
    beside.push(".dockerignore");
    let own =
        (way.dialect.image.ignore_file == IgnoreFileName::BesideDockerfile).then(|| PathBuf::from(beside));
    for path in own.into_iter().chain([artifact.context.join(".dockerignore")]) {
        match std::fs::read(&path) {
            Ok(text) => return Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("read {}: {error}", path.display())),
        }
    }
    Ok(None)
}

/// What changes when a file is touched, even if its content and mode come out as they were: inode, change time, size.
fn witness(artifact: &Artifact, tree: &Tree) -> u64 {
    let mut sum = Sha256::new();
    let mut add = |path: &Path| {
        if let Ok(meta) = std::fs::symlink_metadata(path) {
            for number in [meta.ino(), meta.size(), meta.ctime() as u64, meta.ctime_nsec() as u64] {
                sum.update(number.to_le_bytes());
            }
        }
    };
    add(&artifact.dockerfile);
    for (at, _, inode) in tree.iter() {
        // A directory changes with every editor's swap file.
        if !inode.kind.is_dir() {
            use std::os::unix::ffi::OsStrExt as _;
            add(&artifact.context.join(std::ffi::OsStr::from_bytes(at.as_bytes())));
        }
    }
    let digest: [u8; 32] = sum.finalize().into();
    u64::from_le_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ])
}
