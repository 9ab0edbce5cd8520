//! The store in the cache: an OCI layout to which every build can add, and whose blobs pulled images share. Nothing goes by
//! itself; `clean` removes what has no name and was not used for long.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use samebuild_image::files::Files;
use samebuild_image::layout::{self, LayoutOptions, WrittenImage};
use samebuild_image::manifest::{Descriptor, Index, Manifest, Media, Platform, Role};
use samebuild_image::read::{Loaded, ReadError, ReadOptions};
use samebuild_image::{Bytes, Compression, Digest, Image, Source, TarStyle};

use super::names;
use crate::stored::Dir;

/// The annotation that names an image in the index.
const NAME: &str = "org.opencontainers.image.ref.name";
const INDEX: &str = "index.json";

/// A layout that grows.
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The one in `cache`; nothing is made yet.
    #[must_use]
    pub fn in_cache(cache: &Path) -> Self {
        Self { root: cache.join("images") }
    }

    /// The one at `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its names, each with the platform it is for.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn names(&self) -> Result<Vec<String>> {
        let index = self.index()?;
        let name = |entry: &Descriptor| entry.annotations.get(NAME).cloned();
        Ok(index.manifests.iter().filter_map(name).collect())
    }

    /// The image of that name, the one for `platform` if there is one, else any; `None` if nothing has the name.
    ///
    /// # Errors
    /// It is there, but damaged.
    pub fn find(&self, name: &str, platform: &Platform) -> Result<Option<Loaded>> {
        let chosen = self.choose(name, platform)?;
        let read = chosen.map(|entry| self.read(entry, &ReadOptions::default()));
        read.transpose().with_context(|| format!("read {name} in {}", self.root.display()))
    }

    /// The same without the entries of its layers, whose bytes nobody looks at.
    ///
    /// # Errors
    /// Its manifest or its configuration is damaged, or a layer is not there.
    pub fn outline(&self, name: &str, platform: &Platform) -> Result<Option<Image>> {
        let chosen = self.choose(name, platform)?;
        let read = chosen.map(|entry| layout::outline(&Dir::new(&self.root), &entry));
        read.transpose().with_context(|| format!("read {name} in {}", self.root.display()))
    }

    fn choose(&self, name: &str, platform: &Platform) -> Result<Option<Descriptor>> {
        let mut found = self.named(name)?;
        let fits = |entry: &Descriptor| entry.platform.as_ref().is_none_or(|p| platform.takes(p));
        let chosen = found.iter().position(fits).unwrap_or(0);
        Ok((chosen < found.len()).then(|| found.swap_remove(chosen)))
    }

    /// Adds an image under these names, each of which it takes from whatever had it for the same platform.
    ///
    /// # Errors
    /// The disk is full, a content cannot be read, the index is damaged.
    pub fn put(&self, image: &Image, names: &[String], style: TarStyle) -> Result<WrittenImage> {
        let place = || format!("keep the image in {}", self.root.display());
        let _adding = self.prepare().with_context(place)?;
        let options = LayoutOptions { name: None, style, compression: Compression::Gzip, media: Media::Oci };
        let written = layout::write_blobs(image, &Dir::new(&self.root), &options).with_context(place)?;
        self.give_names(&written.entry, names)?;
        Ok(written)
    }

    /// Every image of that name: one for each platform.
    ///
    /// # Errors
    /// The index is damaged.
    pub fn named(&self, name: &str) -> Result<Vec<Descriptor>> {
        let wanted = names::whole(name);
        let mut found = self.index()?.manifests;
        found.retain(|entry| entry.annotations.get(NAME) == Some(&wanted));
        found.iter().for_each(|entry| self.note_use(&entry.digest));
        Ok(found)
    }

    /// The image of that manifest, if all of it is here: the manifest with the right digest, and every blob with the size
    /// it should have. Contents are not read; whoever reads them sees damage.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn holds(&self, manifest: &Digest) -> Result<Option<Descriptor>> {
        let there = |digest: &Digest| -> Result<Option<Vec<u8>>> {
            match std::fs::read(self.blob(digest)) {
                Ok(bytes) => Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == *digest)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("read {}", self.blob(digest).display())),
            }
        };
        self.note_use(manifest);
        let Some(bytes) = there(manifest)? else { return Ok(None) };
        let Ok(read) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(None) };
        let is_whole = |part: &Descriptor| {
            std::fs::metadata(self.blob(&part.digest))
                .is_ok_and(|stat| stat.is_file() && stat.len() == part.size)
        };
        let Some(config) = there(&read.config.digest)? else { return Ok(None) };
        if !read.layers.iter().all(is_whole) {
            return Ok(None);
        }
        let media_type = if read.media_type.is_empty() {
            Role::Manifest.media_type(Media::Oci).to_owned()
        } else {
            read.media_type
        };
        Ok(Some(Descriptor {
            media_type,
            digest: *manifest,
            size: bytes.len() as u64,
            platform: serde_json::from_slice(&config).ok(),
            annotations: Default::default(),
        }))
    }

    /// The bytes of an image's layers, as they are stored.
    ///
    /// # Errors
    /// Its manifest cannot be read.
    pub fn bytes(&self, manifest: &Digest) -> Result<u64> {
        let place = || format!("read {}", self.blob(manifest).display());
        let bytes = std::fs::read(self.blob(manifest)).with_context(place)?;
        let read: Manifest = serde_json::from_slice(&bytes).with_context(place)?;
        Ok(read.layers.iter().map(|layer| layer.size).sum())
    }

    /// Gives an image that is here these names, each of which it takes from whatever had it for the same platform.
    ///
    /// # Errors
    /// The image is not there, or not whole; the disk is full, the index is damaged.
    pub fn give_names(&self, entry: &Descriptor, names: &[String]) -> Result<()> {
        let place = || format!("keep the image in {}", self.root.display());
        let _adding = self.prepare().with_context(place)?;
        if self.holds(&entry.digest)?.is_none() {
            bail!("{}: parts of it are not there, or no longer", place());
        }
        let _lock = self.lock().with_context(place)?;
        let mut all = self.index()?;
        for name in names {
            let mut entry = entry.clone();
            let name = names::whole(name);
            let is_it =
                |old: &Descriptor| old.annotations.get(NAME) == Some(&name) && old.platform == entry.platform;
            all.manifests.retain(|old| !is_it(old));
            entry.annotations.insert(NAME.to_owned(), name);
            all.manifests.push(entry);
        }
        crate::files::write(&self.root.join("oci-layout"), layout::LAYOUT_VERSION)?;
        let bytes = serde_json::to_vec(&all).with_context(place)?;
        crate::files::write(&self.root.join(INDEX), &bytes)
    }

    /// The image whose manifest is `entry`, its blobs being here.
    ///
    /// # Errors
    /// One is missing or damaged.
    pub fn read(&self, entry: Descriptor, options: &ReadOptions) -> Result<Loaded, ReadError> {
        let read = self.stored(entry, options).and_then(|stored| stored.load(options));
        read.inspect_err(|error| self.remove_damaged(error))
    }

    /// Removes a blob that turned out not to be what it is called: by its size it would be taken for what it should be, and
    /// whoever builds or pulls that again would leave it there.
    fn remove_damaged(&self, error: &ReadError) {
        let ReadError::DigestMismatch { want, .. } = error else { return };
        let path = self.blob(want);
        // Somebody may have put the right one there meanwhile.
        let is_damaged =
            File::open(&path).and_then(Digest::of_reader).is_ok_and(|(digest, _)| digest != *want);
        if is_damaged {
            // What cannot be removed is told of by the same error next time.
            let _ = std::fs::remove_file(&path);
        }
    }

    /// As [`Self::read`], its layers not opened.
    ///
    /// # Errors
    /// The manifest or the configuration is missing or damaged.
    pub fn stored(
        &self,
        entry: Descriptor,
        options: &ReadOptions,
    ) -> Result<samebuild_image::Stored, ReadError> {
        let media_type = Role::Index.media_type(Media::Oci).to_owned();
        let index = Index { schema_version: 2, media_type, manifests: vec![entry] };
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| ReadError::BadJson { what: INDEX.to_owned(), error })?;
        layout::find(&Picked { index: Bytes::new(bytes), dir: Dir::new(&self.root) }, options)
    }

    /// Where a blob is, or would be.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join(layout::blob_name(digest))
    }

    /// Adds a blob that is in memory; its bytes are its digest's.
    ///
    /// # Errors
    /// The disk is full.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        crate::files::write(&self.blob(digest), bytes)
    }

    /// Makes the directories of a layout. Held until what is added has a name, or is known by its manifest: nothing is removed
    /// meanwhile.
    pub(crate) fn prepare(&self) -> io::Result<File> {
        std::fs::create_dir_all(self.root.join("blobs/sha256"))?;
        let file = self.adding()?;
        file.lock_shared()?;
        Ok(file)
    }

    /// Held while something is removed; `None` where somebody is adding.
    pub(super) fn alone(&self) -> io::Result<Option<File>> {
        let file = self.adding()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn adding(&self) -> io::Result<File> {
        File::create(self.root.join(".adding"))
    }

    /// The manifests of all that has a name.
    ///
    /// # Errors
    /// The index is damaged.
    pub(super) fn manifests(&self) -> Result<Vec<Digest>> {
        Ok(self.index()?.manifests.iter().map(|entry| entry.digest).collect())
    }

    /// Whoever looks an image up is about to read it. Where its file is somebody else's, that one knows what he does.
    fn note_use(&self, manifest: &Digest) {
        let _ = File::open(self.blob(manifest)).and_then(|file| file.set_modified(SystemTime::now()));
    }

    fn index(&self) -> Result<Index> {
        let path = self.root.join(INDEX);
        let empty = || Index {
            schema_version: 2,
            media_type: Role::Index.media_type(Media::Oci).to_owned(),
            manifests: Vec::new(),
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("read {}; remove it, and what is in the store is forgotten", path.display())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(empty()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Held while the index is read and written.
    fn lock(&self) -> io::Result<File> {
        let file = File::create(self.root.join(".lock"))?;
        file.lock()?;
        Ok(file)
    }
}

/// A layout of one image, its blobs in a directory of many.
struct Picked {
    index: Bytes,
    dir: Dir,
}

impl Files for Picked {
    fn source(&self, name: &str) -> io::Result<Arc<dyn Source>> {
        if name == INDEX {
            return Ok(Arc::new(self.index.clone()));
        }
        self.dir.source(name)
    }

    fn name(&self) -> String {
        self.dir.name()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use samebuild_image::{Content, Entry, Kind, Layer, Meta, Mtime};
    use serde_json::json;

    fn image(architecture: &str) -> Image {
        let config = json!({ "architecture": architecture, "os": "linux" });
        Image { config: config.as_object().unwrap().clone(), ..Image::default() }
    }

    fn with_a_file() -> Image {
        let content = Content::inline(vec![b'x'; 5000]);
        let file = Entry::new("f".into(), Kind::File(content), Meta::new(0o644, Mtime::secs(1)));
        Image { layers: vec![Layer { entries: vec![file], ..Layer::default() }], ..image("amd64") }
    }

    fn style() -> TarStyle {
        samebuild_builder::DIALECTS[0].tar_style()
    }

    #[test]
    fn a_name_moves_to_the_image_that_got_it_last_for_its_platform() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::in_cache(cache.path());
        let linux = |architecture: &str| format!("linux/{architecture}").parse::<Platform>().unwrap();
        assert!(store.find("a", &linux("amd64")).unwrap().is_none());
        let names = ["a".to_owned(), "docker.io/library/a:latest".to_owned(), "b:1".to_owned()];
        store.put(&image("amd64"), &names, style()).unwrap();
        store.put(&image("arm64"), &names[..1], style()).unwrap();
        let mut newer = image("amd64");
        newer.config.insert("author".into(), "me".into());
        store.put(&newer, &names[..1], style()).unwrap();
        let author = |name: &str, architecture: &str| {
            let found = store.find(name, &linux(architecture)).unwrap().unwrap().image.config;
            (found["architecture"].clone(), found.contains_key("author"))
        };
        assert_eq!(author("a:latest", "amd64"), ("amd64".into(), true));
        assert_eq!(author("a", "arm64"), ("arm64".into(), false));
        assert_eq!(author("b:1", "arm64"), ("amd64".into(), false), "better another platform's than none");
        assert_eq!(store.names().unwrap().len(), 3);
    }

    #[test]
    fn a_layer_that_is_damaged_at_its_right_size_is_an_error_once_and_then_put_there_again() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::in_cache(cache.path());
        let image = with_a_file();
        let put = || store.put(&image, &["a".to_owned()], style()).unwrap();
        let path = store.blob(&put().layers[0].blob_digest);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = format!("{:#}", store.find("a", &Platform::linux_amd64()).unwrap_err());
        assert!(error.contains("it is damaged"), "{error}");
        put();
        assert!(store.find("a", &Platform::linux_amd64()).unwrap().is_some());
    }

    // Each image on a base used to unpack the base's layers once more, to write what was there.
    #[test]
    fn a_layer_that_was_read_out_of_the_store_is_not_written_into_it_again() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::in_cache(cache.path());
        let written = store.put(&with_a_file(), &["base".to_owned()], style()).unwrap();
        let blob = store.blob(&written.layers[0].blob_digest);
        let inode = || std::fs::metadata(&blob).unwrap().ino();
        let before = inode();
        let mut read = store.find("base", &Platform::linux_amd64()).unwrap().unwrap().image;
        read.config.insert("author".into(), "me".into());
        let again = store.put(&read, &["a".to_owned()], style()).unwrap();
        assert_eq!((again.layers[0].blob_digest, inode()), (written.layers[0].blob_digest, before));
        store.put(&with_a_file(), &["b".to_owned()], style()).unwrap();
        assert_ne!(inode(), before, "what was not read there is");
    }

    #[test]
    fn a_damaged_blob_is_an_error_and_not_an_image() {
        let cache = tempfile::tempdir().unwrap();
        let store = Store::in_cache(cache.path());
        let written = store.put(&image("amd64"), &["a".to_owned()], style()).unwrap();
        std::fs::write(store.blob(&written.config), "{}").unwrap();
        let error = format!("{:#}", store.find("a", &Platform::linux_amd64()).unwrap_err());
        assert!(error.contains("truncated"), "{error}");
    }
}
