//! Operands on disk: OCI layouts, archives of them, docker-archives old and new, each also compressed as a whole; a layer's
//! tar, compressed or not; a directory that is a root file system.

use std::collections::{BTreeMap, btree_map};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use samebuild_builder::disk::{self, FileSource};
use samebuild_image::archive::Archive;
use samebuild_image::compression::{self, Expansion};
use samebuild_image::layout::Offer;
use samebuild_image::read::ReadOptions;
use samebuild_image::{
    At, Compression, Digest, Entry, Kind, Layer, Source, Stored, StoredLayer, layer_read, layout,
};

use super::{Asked, Operand, What};
use crate::stored::{Dir, NotAnImage, NotThere};

pub(super) fn open(path: &Path, asked: &Asked<'_>) -> Result<Operand> {
    let place = || format!("read the image {}", path.display());
    let options = ReadOptions { platform: asked.platform.cloned(), ..ReadOptions::default() };
    let stat = std::fs::metadata(path).map_err(|source| NotThere::new(path, source))?;
    if stat.is_dir() {
        if !is_layout(path) {
            let what = What::Directory(directory(path)?);
            return Ok(Operand::of(asked.name, what));
        }
        let stored = layout::find(&Dir::new(path), &options).with_context(place)?;
        return Ok(Operand::of(asked.name, What::Image(stored)));
    }
    if !stat.is_file() {
        return Err(NotAnImage::new(path).into());
    }
    let source: Arc<dyn Source> = Arc::new(FileSource::new(path, stat.len()));
    let compression = Compression::of_source(&*source).with_context(place)?;
    let mut kept = Vec::new();
    // A docker-archive that was compressed afterwards is uncompressed beside us: what is in it is read from many places.
    let plain = match compression {
        Compression::None => Arc::clone(&source),
        _ => {
            let (file, plain) = uncompressed(&*source).with_context(place)?;
            kept.push(file);
            plain
        }
    };
    if !begins_a_tar(&*plain).with_context(place)? {
        return Err(NotAnImage::new(path).into());
    }
    let archive = Archive::open(plain).with_context(place)?;
    let what = if archive.contains("manifest.json") {
        What::Image(archive.find(&options).with_context(place)?)
    } else if archive.contains("index.json") && archive.contains("oci-layout") {
        What::Image(layout::find(&archive, &options).with_context(place)?)
    } else {
        What::Layer(alone(source))
    };
    Ok(Operand { _kept: kept, ..Operand::of(asked.name, what) })
}

/// What a layout, or an archive of one, offers.
pub(super) fn offer(path: &Path) -> Result<Offer> {
    let place = || format!("read the image {}", path.display());
    let stat = std::fs::metadata(path).map_err(|source| NotThere::new(path, source))?;
    if stat.is_dir() {
        return match is_layout(path) {
            true => layout::offer(&Dir::new(path)).with_context(place),
            false => Ok(Offer::default()),
        };
    }
    let source: Arc<dyn Source> = Arc::new(FileSource::new(path, stat.len()));
    if Compression::of_source(&*source).with_context(place)? != Compression::None {
        return Ok(Offer::default());
    }
    let archive = Archive::open(source).with_context(place)?;
    match archive.contains("index.json") && !archive.contains("manifest.json") {
        true => layout::offer(&archive).with_context(place),
        false => Ok(Offer::default()),
    }
}

fn is_layout(dir: &Path) -> bool {
    ["index.json", "oci-layout"].iter().any(|name| dir.join(name).is_file())
}

/// A layer of which nothing is stated.
fn alone(source: Arc<dyn Source>) -> Stored {
    Stored {
        config: serde_json::Map::new(),
        config_digest: Digest::of(b""),
        layers: vec![StoredLayer { source, stated: None, diff_id: None, media_type: None }],
        names: Vec::new(),
        manifest: None,
    }
}

/// Whether a tar begins here, or a layer with nothing in it.
fn begins_a_tar(source: &dyn Source) -> io::Result<bool> {
    let mut head = Vec::new();
    source.open(0, 1024)?.read_to_end(&mut head)?;
    let is_empty = head.len() >= 512 && head.iter().all(|byte| *byte == 0);
    Ok(is_empty || layer_read::begins(source.open(0, source.size()?)?))
}

/// The bytes in a file of our own, which has no name any more when the operand goes.
fn uncompressed(source: &dyn Source) -> Result<(tempfile::TempPath, Arc<dyn Source>)> {
    let mut file = tempfile::Builder::new().prefix("samebuild-diff-").tempfile()?;
    let (_, mut plain) = compression::reader(source.open(0, source.size()?)?, Expansion::default())?;
    io::copy(&mut plain, &mut file)?;
    file.flush()?;
    let size = file.stream_position()?;
    let path = file.into_temp_path();
    let source = FileSource::new(path.to_path_buf(), size);
    Ok((path, Arc::new(source)))
}

/// A directory as one layer: every place but the root, whose metadata is the directory's own and not the image's.
fn directory(path: &Path) -> Result<Layer> {
    let tree = disk::scan(path)?;
    let mut first: BTreeMap<_, At> = BTreeMap::new();
    let mut entries = Vec::new();
    for (at, ino, inode) in tree.iter().filter(|(at, ..)| !at.is_root()) {
        let kind = match first.entry(ino) {
            btree_map::Entry::Occupied(named) => Kind::Hardlink(named.get().clone()),
            btree_map::Entry::Vacant(free) => {
                free.insert(at.clone());
                inode.kind.clone()
            }
        };
        entries.push(Entry::new(at.clone(), kind, inode.meta.clone()));
    }
    Ok(Layer { entries, ..Layer::default() })
}
