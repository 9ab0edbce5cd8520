//! OCI image layouts: `oci-layout`, `index.json`, `blobs/sha256/…`, read and written, every digest verified. Where the
//! files are is behind [`Files`]; a tar of a layout is read through [`crate::archive::Archive`].

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::envelope::{Envelope, Listing};
use crate::files::{Files, NewFiles};
use crate::image::{Compression, Image, Layer};
use crate::in_order::in_order;
use crate::layer_blob::check_size;
use crate::layer_tar::{self, SaveError};
use crate::layer_write::{TarStyle, Written};
use crate::manifest::{Descriptor, Index, Manifest, Media, Platform, Role};
use crate::read::{self, Loaded, ReadError, ReadOptions};
use crate::source::{Source, Stated};
use crate::stored::{Stored, StoredLayer};

/// The annotations that name an image in an index; the first is what is written.
pub(crate) const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// What the file `oci-layout` says.
pub const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// How many indexes may be nested.
const DEPTH: usize = 4;

/// Reads the image that is wanted.
pub fn read(files: &dyn Files, options: &ReadOptions) -> Result<Loaded, ReadError> {
    find(files, options)?.load(options)
}

/// Finds the image that is wanted; its layers are not opened.
pub fn find(files: &dyn Files, options: &ReadOptions) -> Result<Stored, ReadError> {
    let mut bytes = read::small(files, "index.json", "index.json")?;
    let mut index: Index = read::json(&bytes, "index.json")?;
    if let Some(wanted) = &options.name {
        index = named(index, wanted, files)?;
    }
    let mut names = Vec::new();
    for depth in 0..DEPTH {
        let chosen = choose(&index, options, &files.name())?;
        names.extend(NAMES.iter().filter_map(|key| chosen.annotations.get(*key).cloned()));
        let listing = Listing::read(&bytes, &chosen.digest)?;
        bytes = blob(files, &chosen, "the manifest")?;
        match role(&chosen, &bytes)? {
            Role::Index => index = read::json(&bytes, &format!("index {}", chosen.digest))?,
            _ => {
                let listing = if depth == 0 { listing.of_place() } else { listing };
                let stored = image(files, &chosen, &bytes)?;
                let manifest = stored.manifest.map(|envelope| Envelope { listing, ..envelope });
                return Ok(Stored { names, manifest, ..stored });
            }
        }
    }
    let why = format!("more than {DEPTH} indexes are nested in each other");
    Err(ReadError::Unsupported { what: "index.json".to_owned(), why })
}

/// What an image is without its layers' bytes: the configuration, and each layer's `diff_id`, size and blob, verified when
/// somebody reads it. No layer has entries. For who may not need them.
///
/// # Errors
/// As [`read`], of the manifest and the configuration.
pub fn outline(files: &dyn Files, entry: &Descriptor) -> Result<Image, ReadError> {
    let manifest: Manifest =
        read::json(&blob(files, entry, "the manifest")?, &format!("manifest {}", entry.digest))?;
    let config: Map<String, Value> =
        read::json(&blob(files, &manifest.config, "the configuration")?, "the configuration")?;
    let diff_ids = diff_ids(&config)?;
    if diff_ids.len() != manifest.layers.len() {
        return Err(ReadError::LayerCount { layers: manifest.layers.len(), diff_ids: diff_ids.len() });
    }
    let layers = manifest.layers.iter().zip(diff_ids).enumerate().map(|(number, (layer, diff_id))| {
        let what = read::nth_layer(number);
        let compression = match Role::of(&layer.media_type) {
            Some(Role::Layer(compression)) => compression,
            _ => {
                let why = format!("`{}` is no layer", layer.media_type);
                return Err(ReadError::Unsupported { what, why });
            }
        };
        let source = read::open(files, &blob_name(&layer.digest), &what)?;
        let size = source.size().map_err(|error| ReadError::Io { what: what.clone(), error })?;
        check_size(&what, layer.size, size)?;
        let blob: Arc<dyn Source> = Arc::new(Stated::new(source, layer.digest));
        Ok(Layer { diff_id: Some(diff_id), blob: Some((blob, compression)), ..Layer::default() })
    });
    let layers = layers.collect::<Result<_, _>>()?;
    Ok(Image { config, layers, annotations: manifest.annotations })
}

/// What an index has to offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Sorted by name, each once.
    pub platforms: Vec<Platform>,
    /// Manifests that attest to others; they are no images.
    pub attestations: usize,
}

/// What index.json, and the indexes in it, offer.
pub fn offer(files: &dyn Files) -> Result<Offer, ReadError> {
    let mut found = Offer::default();
    let mut left = vec![(read::small(files, "index.json", "index.json")?, 0)];
    while let Some((bytes, depth)) = left.pop() {
        let index: Index = read::json(&bytes, "an index")?;
        found.add(&index);
        for entry in index.manifests.iter().filter(is_image) {
            if matches!(Role::of(&entry.media_type), Some(Role::Index)) && depth < DEPTH {
                left.push((blob(files, entry, "an index")?, depth + 1));
            }
        }
    }
    Ok(found)
}

impl Offer {
    /// And what this index offers itself.
    pub fn add(&mut self, index: &Index) {
        let (images, others): (Vec<&Descriptor>, Vec<&Descriptor>) =
            index.manifests.iter().partition(is_image);
        self.attestations += others.len();
        self.platforms.extend(images.iter().filter_map(|entry| entry.platform.clone()));
        self.platforms.sort_by_key(ToString::to_string);
        self.platforms.dedup();
    }
}

/// Whether an entry of an index is an image, and not what attests one.
pub(crate) fn is_image(entry: &&Descriptor) -> bool {
    !entry.annotations.contains_key("vnd.docker.reference.type")
        && entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

/// What to write, and how.
#[derive(Debug, Clone)]
pub struct LayoutOptions {
    /// The tag that index.json gives the image.
    pub name: Option<String>,
    pub style: TarStyle,
    /// Of layers that are not stored yet; stored ones stay as they are.
    pub compression: Compression,
    pub media: Media,
}

/// Digests of what was written.
#[derive(Debug, Clone)]
pub struct WrittenImage {
    /// The image's row in an index: the manifest, the platform, the name.
    pub entry: Descriptor,
    pub manifest: Digest,
    pub config: Digest,
    pub layers: Vec<Written>,
}

/// Writes `image` as a layout of its own; the same image gives the same bytes. `rootfs` is filled in where the
/// configuration has none, and checked where it has one.
pub fn write(
    image: &Image,
    files: &dyn NewFiles,
    options: &LayoutOptions,
) -> Result<WrittenImage, SaveError> {
    let written = write_blobs(image, files, options)?;
    let media_type = Role::Index.media_type(Media::Oci).to_owned();
    let index = Index { schema_version: 2, media_type, manifests: vec![written.entry.clone()] };
    put_named(files, "oci-layout", LAYOUT_VERSION)?;
    put_named(files, "index.json", &layer_tar::to_json(&index)?)?;
    Ok(written)
}

/// Writes what a layout of `image` has in `blobs/`, for whoever keeps an index of several images, or none.
pub fn write_blobs(
    image: &Image,
    files: &dyn NewFiles,
    options: &LayoutOptions,
) -> Result<WrittenImage, SaveError> {
    let mut layers = Vec::new();
    let mut descriptors = Vec::new();
    let put = |number: usize| put_layer(&image.layers[number], number, files, options);
    for result in in_order(image.layers.len(), put) {
        let (written, compression) = result?;
        let media_type = Role::Layer(compression).media_type(options.media);
        descriptors.push(descriptor(media_type, written.blob_digest, written.blob_size));
        layers.push(written);
    }
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    let config = layer_tar::config_with(&image.config, &diff_ids)?;
    let platform = platform(&config);
    let config = put_json(files, &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Role::Manifest.media_type(options.media).to_owned(),
        config: descriptor(Role::Config.media_type(options.media), config.0, config.1),
        layers: descriptors,
        annotations: image.annotations.clone(),
    };
    let manifest_at = put_json(files, &manifest)?;
    let mut entry = descriptor(&manifest.media_type, manifest_at.0, manifest_at.1);
    entry.platform = platform;
    entry.annotations.extend(options.name.iter().map(|name| (NAMES[0].to_owned(), name.clone())));
    Ok(WrittenImage { entry, manifest: manifest_at.0, config: config.0, layers })
}

/// Where a blob is.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The entries of `index` that go by `wanted`.
fn named(index: Index, wanted: &str, files: &dyn Files) -> Result<Index, ReadError> {
    let names_of = |entry: &Descriptor| -> Vec<String> {
        NAMES.iter().filter_map(|key| entry.annotations.get(*key).cloned()).collect()
    };
    let have: Vec<String> = index.manifests.iter().flat_map(names_of).collect();
    let is_it = |entry: &Descriptor| names_of(entry).iter().any(|name| is_named(name, wanted));
    let manifests: Vec<Descriptor> = index.manifests.into_iter().filter(is_it).collect();
    if manifests.is_empty() {
        return Err(ReadError::NoSuchImage { wanted: wanted.to_owned(), set: files.name(), have });
    }
    Ok(Index { manifests, ..index })
}

/// Whether an image called `name` is the one that is `wanted`: in full, or by its tag alone as layouts name them.
pub(crate) fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name == format!("{wanted}:latest") || wanted.ends_with(&format!(":{name}"))
}

/// The one entry of `index`, which is called `set` in errors, that is wanted; what attests others is none.
pub fn choose(index: &Index, options: &ReadOptions, set: &str) -> Result<Descriptor, ReadError> {
    let set = set.to_owned();
    let mut images: Vec<&Descriptor> = index.manifests.iter().filter(is_image).collect();
    let have: Vec<String> = images.iter().map(|entry| describe(entry)).collect();
    images.sort_by_key(|entry| entry.digest);
    images.dedup_by_key(|entry| entry.digest);
    let default = Platform::linux_amd64();
    let wanted = options.platform.as_ref().unwrap_or(&default);
    if options.platform.is_some() || images.len() > 1 {
        images.retain(|entry| entry.platform.as_ref().is_none_or(|platform| wanted.takes(platform)));
    }
    match images[..] {
        [] => Err(ReadError::NoSuchImage { wanted: wanted.to_string(), set, have }),
        [only] => Ok(only.clone()),
        _ => Err(ReadError::Ambiguous { set, have }),
    }
}

fn describe(entry: &Descriptor) -> String {
    let name = NAMES.iter().find_map(|key| entry.annotations.get(*key));
    let name = name.cloned().unwrap_or_else(|| entry.digest.to_string());
    entry.platform.as_ref().map_or_else(|| name.clone(), |platform| format!("{name} ({platform})"))
}

/// What a manifest is; some are without a media type, then their fields tell.
fn role(entry: &Descriptor, bytes: &[u8]) -> Result<Role, ReadError> {
    let what = format!("manifest {}", entry.digest);
    match Role::of(&entry.media_type) {
        Some(role @ (Role::Index | Role::Manifest)) => return Ok(role),
        None if entry.media_type.is_empty() => {}
        _ => {
            let why = format!("`{}` is neither a manifest nor an index of images", entry.media_type);
            return Err(ReadError::Unsupported { what, why });
        }
    }
    let fields: Map<String, Value> = read::json(bytes, &what)?;
    Ok(if fields.contains_key("manifests") { Role::Index } else { Role::Manifest })
}

fn image(files: &dyn Files, entry: &Descriptor, bytes: &[u8]) -> Result<Stored, ReadError> {
    let manifest: Manifest = read::json(bytes, &format!("manifest {}", entry.digest))?;
    let config: Map<String, Value> =
        read::json(&blob(files, &manifest.config, "the configuration")?, "the configuration")?;
    let diff_ids = diff_ids(&config)?;
    if diff_ids.len() != manifest.layers.len() {
        return Err(ReadError::LayerCount { layers: manifest.layers.len(), diff_ids: diff_ids.len() });
    }
    let mut layers = Vec::new();
    for (number, (layer, diff_id)) in manifest.layers.iter().zip(diff_ids).enumerate() {
        let source = read::open(files, &blob_name(&layer.digest), &read::nth_layer(number))?;
        let stated = Some((layer.digest, layer.size));
        let media_type = Some(layer.media_type.clone());
        layers.push(StoredLayer { source, stated, diff_id: Some(diff_id), media_type });
    }
    Ok(Stored {
        config,
        config_digest: manifest.config.digest,
        layers,
        names: Vec::new(),
        manifest: Some(Envelope::read(entry, bytes)?),
    })
}

/// The configuration's `rootfs.diff_ids`.
pub(crate) fn diff_ids(config: &Map<String, Value>) -> Result<Vec<Digest>, ReadError> {
    let what = "the configuration's rootfs.diff_ids";
    match config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(ids) => serde_json::from_value(ids.clone())
            .map_err(|error| ReadError::BadJson { what: what.to_owned(), error }),
    }
}

/// A small blob, verified.
fn blob(files: &dyn Files, entry: &Descriptor, what: &str) -> Result<Vec<u8>, ReadError> {
    let bytes = read::small(files, &blob_name(&entry.digest), what)?;
    check_size(what, entry.size, bytes.len() as u64)?;
    let got = Digest::of(&bytes);
    if got != entry.digest {
        return Err(ReadError::DigestMismatch { what: what.to_owned(), want: entry.digest, got });
    }
    Ok(bytes)
}

fn platform(config: &Map<String, Value>) -> Option<Platform> {
    let text = |key: &str| config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let variant = text("variant").map(str::to_owned);
    Some(Platform { os: text("os")?.to_owned(), architecture: text("architecture")?.to_owned(), variant })
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        platform: None,
        annotations: Default::default(),
    }
}

fn put_layer(
    layer: &Layer,
    number: usize,
    files: &dyn NewFiles,
    options: &LayoutOptions,
) -> Result<(Written, Compression), SaveError> {
    if let Some(there) = layer_tar::stored(layer)
        && files.has(&blob_name(&there.0.blob_digest), there.0.blob_size)
    {
        return Ok(there);
    }
    let mut result = None;
    let put = files.put(&mut |out: &mut (dyn Write + Send)| match layer_tar::save(
        layer,
        number,
        options.style,
        options.compression,
        out,
    ) {
        Ok(written) => {
            let name = blob_name(&written.0.blob_digest);
            result = Some(Ok(written));
            Ok(name)
        }
        Err(error) => {
            result = Some(Err(error));
            Err(io::Error::other("the layer could not be written"))
        }
    });
    match result {
        Some(Err(error)) => Err(error),
        Some(Ok(written)) => put.map(|()| written).map_err(SaveError::Io),
        None => Err(SaveError::Io(put.err().unwrap_or_else(|| io::Error::other("nothing was written")))),
    }
}

fn put_json(files: &dyn NewFiles, value: &impl serde::Serialize) -> Result<(Digest, u64), SaveError> {
    let bytes = layer_tar::to_json(value)?;
    let digest = Digest::of(&bytes);
    put_named(files, &blob_name(&digest), &bytes)?;
    Ok((digest, bytes.len() as u64))
}

fn put_named(files: &dyn NewFiles, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
    let put = files.put(&mut |out: &mut (dyn Write + Send)| {
        out.write_all(bytes)?;
        Ok(name.to_owned())
    });
    put.map_err(SaveError::Io)
}
