//! A place to build in: a base, a cache, and builds with and without it, told by the digest of their manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use samebuild_builder::cache::{Backend, LayerCache, Local, Times, Used};
use samebuild_builder::fetch::Offline;
use samebuild_builder::snapshot::probe::Clear;
use samebuild_builder::{
    BuildError, Built, Dialect, Images, Network, NotFound, OwnIgnore, Pace, Request, Stamp, Trust, Wanted,
    build_into, own_platform,
};
use samebuild_image::layout::{self, LayoutOptions};
use samebuild_image::manifest::Media;
use samebuild_image::tree::ApplyError;
use samebuild_image::{
    At, Compression, Content, Digest, Entry, Image, Kind, Layer, Meta, Mtime, NewFiles, Source, Tree,
    layer_write, read,
};
use serde_json::json;

pub struct Yard {
    pub dir: tempfile::TempDir,
    base: Base,
    stamp: Stamp,
    /// What becomes the sandbox of a RUN.
    child: PathBuf,
    /// Names of what images were made of, where that stays: what is there is not written again.
    stored: Option<Mutex<BTreeSet<String>>>,
}

/// What was built.
pub struct Done {
    pub manifest: Digest,
    /// Every new layer's entries, a line each; nothing of those that nobody read.
    pub told: Vec<String>,
    pub used: Used,
}

impl Yard {
    pub fn new() -> Self {
        // In memory where that can be had: what is kept is flushed to the disk each time.
        Self::with_base(
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap(),
            Base::new(),
        )
    }

    /// Where images go into a store that has those of earlier builds.
    pub fn with_store() -> Self {
        Self { stored: Some(Mutex::default()), ..Self::new() }
    }

    /// Below a directory that is somebody else's to remove: for who is killed.
    pub fn within(dir: &Path) -> Self {
        Self::with_base(tempfile::tempdir_in(dir).unwrap(), Base::new())
    }

    /// With another base, in which something can be run: `child` becomes the sandbox. What it writes is of the time at which it
    /// ran, so that no file is later than contexts are.
    pub fn on(image: Image, child: &str) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let base = Base { image, blob: Arc::default(), trees: AtomicUsize::new(0) };
        let (stamp, child) = (Stamp::Clamped(1_500_000_001), PathBuf::from(child));
        Self { stamp, child, ..Self::with_base(dir, base) }
    }

    fn with_base(dir: tempfile::TempDir, base: Base) -> Self {
        let (stamp, child) = (Stamp::Epoch(1_500_000_000), PathBuf::from("/proc/self/exe"));
        Self { dir, base, stored: None, stamp, child }
    }

    pub fn local(&self) -> Local {
        Local::new(&self.dir.path().join("cache"))
    }

    /// How often all files of the base were asked for.
    pub fn trees_asked(&self) -> usize {
        self.base.trees.load(Ordering::Relaxed)
    }

    /// How many bytes of the base's layer were asked for.
    pub fn base_bytes_asked(&self) -> u64 {
        self.base.blob.asked.load(Ordering::Relaxed)
    }

    /// Changes one byte in the middle of the base's layer.
    pub fn damage_base(&self) {
        let mut bytes = self.base.blob.bytes.lock().unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }

    /// Puts it there again.
    pub fn mend_base(&self) {
        self.base.blob.bytes.lock().unwrap().clone_from(&self.base.blob.whole);
    }

    pub fn build(
        &self,
        dialect: &Dialect,
        dockerfile: &str,
        context: &Tree,
        args: &[(&str, &str)],
        cached: bool,
    ) -> Done {
        let cache =
            cached.then(|| LayerCache { now: 1_600_000_000, ..LayerCache::at(Arc::new(self.local())) });
        self.with(dialect, dockerfile, context, args, cache.as_ref()).unwrap()
    }

    /// Builds with the cache what may fail; why it did.
    pub fn try_build(&self, dialect: &Dialect, dockerfile: &str, context: &Tree) -> Result<Done, String> {
        let cache = LayerCache { now: 1_600_000_000, ..LayerCache::at(Arc::new(self.local())) };
        self.with(dialect, dockerfile, context, &[], Some(&cache))
    }

    pub fn build_later(
        &self,
        dialect: &Dialect,
        dockerfile: &str,
        context: &Tree,
        later: i64,
        ttl: u64,
    ) -> Done {
        let cache = LayerCache::at(Arc::new(self.local()));
        let cache = LayerCache { now: 1_600_000_000 + later, ttl: Some(ttl), to: Vec::new(), ..cache };
        self.with(dialect, dockerfile, context, &[], Some(&cache)).unwrap()
    }

    pub fn build_at(
        &self,
        dialect: &Dialect,
        dockerfile: &str,
        context: &Tree,
        places: &[Arc<dyn Backend>],
    ) -> Done {
        let cache = LayerCache {
            from: places.to_vec(),
            to: places.to_vec(),
            times: Times::Kept,
            ..LayerCache::at(Arc::new(self.local()))
        };
        self.with(dialect, dockerfile, context, &[], Some(&cache)).unwrap()
    }

    pub fn with(
        &self,
        dialect: &Dialect,
        dockerfile: &str,
        context: &Tree,
        args: &[(&str, &str)],
        cache: Option<&LayerCache>,
    ) -> Result<Done, String> {
        let work = tempfile::tempdir_in(self.dir.path()).unwrap();
        let request = Request {
            dockerfile: dockerfile.as_bytes(),
            dockerfile_name: "Dockerfile",
            own_ignore: OwnIgnore::InContext,
            context,
            dialect,
            build_args: args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            target: None,
            secrets: BTreeMap::new(),
            platform: own_platform(),
            images: &self.base,
            fetch: &Offline,
            work: work.path(),
            unpacked: work.path(),
            network: Network::None,
            now: (1_600_000_000, 5),
            pace: Pace::Still,
            stamp: self.stamp,
            child: self.child.clone(),
            snapshotter: None,
            trust: Trust::Dialect,
            witness: false,
            lens: &Clear,
            cache,
            progress: &|_| {},
        };
        let options = LayoutOptions {
            name: None,
            style: dialect.tar_style(),
            compression: Compression::Gzip,
            media: Media::Oci,
        };
        let write = |built: &Built| {
            layout::write(&built.image, &Nowhere(self.stored.as_ref()), &options)
                .map_err(|error| Ended(error.to_string()))
        };
        let (built, written) = build_into(&request, write).map_err(|ended| ended.0)?;
        let told = built.image.layers.iter().enumerate().skip(built.base_layers).flat_map(|(n, layer)| {
            let tell = move |entry: &Entry| {
                let (meta, path) = (&entry.meta, String::from_utf8_lossy(&entry.path()).into_owned());
                let kind = entry.kind.word();
                format!(
                    "{n} {path} {kind} {:o} {}:{} {} {:?}",
                    meta.mode,
                    meta.uid,
                    meta.gid,
                    meta.mtime.timestamp().unwrap().0,
                    meta.xattrs
                )
            };
            layer.entries.iter().map(tell)
        });
        Ok(Done { manifest: written.manifest, told: told.collect(), used: built.cache })
    }
}

/// Why there is no image.
struct Ended(String);

impl From<BuildError> for Ended {
    fn from(error: BuildError) -> Self {
        Self(error.to_string())
    }
}

/// Keeps nothing, or nothing but names.
struct Nowhere<'n>(Option<&'n Mutex<BTreeSet<String>>>);

impl NewFiles for Nowhere<'_> {
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<String>) -> io::Result<()> {
        let name = fill(&mut io::sink())?;
        if let Some(stored) = self.0 {
            stored.lock().unwrap().insert(name);
        }
        Ok(())
    }

    fn has(&self, name: &str, _: u64) -> bool {
        self.0.is_some_and(|stored| stored.lock().unwrap().contains(name))
    }
}

/// One base image, of one layer, for whoever asks for `base`; read and verified each time, as out of a store.
struct Base {
    image: Image,
    blob: Arc<Blob>,
    trees: AtomicUsize,
}

/// A layer's stored bytes.
#[derive(Default)]
struct Blob {
    bytes: Mutex<Vec<u8>>,
    /// As they should be.
    whole: Vec<u8>,
    stated: Option<Digest>,
    asked: AtomicU64,
}

impl Source for Blob {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.asked.fetch_add(len, Ordering::Relaxed);
        let bytes = self.bytes.lock().unwrap().clone();
        let skipped = bytes.into_iter().skip(usize::try_from(offset).unwrap());
        let part: Vec<u8> = skipped.take(usize::try_from(len).unwrap()).collect();
        Ok(Box::new(io::Cursor::new(part)))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn name(&self) -> String {
        "the base's layer".to_owned()
    }

    fn stated(&self) -> Option<Digest> {
        self.stated
    }
}

impl Base {
    fn new() -> Self {
        let entries: Vec<Entry> = [("etc", None), ("etc/passwd", Some("app:x:7:8::/:/bin/sh\n"))]
            .into_iter()
            .map(|(at, text)| {
                let kind = text.map_or(Kind::Dir, |text| Kind::File(Content::inline(text.as_bytes())));
                Entry::new(At::from(at), kind, Meta::new(0o755, Mtime::secs(1)))
            })
            .collect();
        let style = layer_write::TarStyle::PLAIN;
        let mut packed = Vec::new();
        let written = layer_write::write(&entries, style, Compression::Gzip, &mut packed).unwrap();
        let blob = Arc::new(Blob {
            bytes: Mutex::new(packed.clone()),
            whole: packed,
            stated: Some(written.blob_digest),
            asked: AtomicU64::new(0),
        });
        let layer = Layer {
            diff_id: Some(written.diff_id),
            size: written.size,
            entries,
            blob: Some((Arc::clone(&blob) as Arc<dyn Source>, Compression::Gzip)),
        };
        let platform = own_platform();
        let config = json!({
            "architecture": platform.architecture,
            "os": platform.os,
            "config": { "Env": ["PATH=/bin"] },
            "history": [{ "created": "2001-01-01T00:00:00Z", "created_by": "base" }],
        });
        let image = Image {
            config: config.as_object().cloned().unwrap(),
            layers: vec![layer],
            annotations: BTreeMap::new(),
        };
        Self { image, blob, trees: AtomicUsize::new(0) }
    }
}

impl Images for Base {
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound> {
        let not_found = |tried: Vec<String>| NotFound { name: wanted.name.to_owned(), tried };
        if wanted.name != "base" {
            return Err(not_found(Vec::new()));
        }
        let mut image = self.image.clone();
        if let Some(digest) = self.blob.stated {
            let blob: Arc<dyn Source> = Arc::clone(&self.blob) as _;
            let (size, diff_id) = (blob.size().unwrap(), image.layers[0].diff_id.unwrap());
            let read = read::layer(blob, (digest, size), diff_id);
            image.layers = vec![read.map_err(|error| not_found(vec![error.to_string()]))?];
        }
        Ok(image)
    }

    fn outline(&self, wanted: &Wanted<'_>) -> Option<Result<Image, NotFound>> {
        if wanted.name != "base" {
            return Some(self.find(wanted));
        }
        let mut image = self.image.clone();
        image.layers.iter_mut().for_each(|layer| layer.entries.clear());
        Some(Ok(image))
    }

    fn tree(&self, _: &str, image: &Image) -> Result<Tree, ApplyError> {
        self.trees.fetch_add(1, Ordering::Relaxed);
        image.tree()
    }
}

/// A file as it stands in a context.
pub fn file(text: &str, mode: u32, nanos: u32) -> (Kind, Meta) {
    (Kind::File(Content::inline(text.as_bytes())), Meta::new(mode, Mtime::At { secs: 9, nanos }))
}

/// A context of these files, directories made around them.
pub fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (n, (path, text)) in files.iter().enumerate() {
        let at = At::from(*path);
        for dir in at.parents().filter(|dir| !dir.is_root()) {
            if tree.get(&dir).is_none() {
                tree.insert(&dir, Kind::Dir, Meta::new(0o755, Mtime::secs(8)));
            }
        }
        let (kind, meta) = file(text, 0o644, n as u32);
        tree.insert(&at, kind, meta);
    }
    tree
}

/// Every file below a directory, and its bytes.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            out.extend(
                files(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)),
            );
        } else {
            out.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    out
}
