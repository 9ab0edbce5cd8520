//! A stored layer: verified against the digest of its blob and its `diff_id` in the one pass that reads it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::compression::{self, Compression};
use crate::digest::{Digest, HashReader};
use crate::image::Layer;
use crate::in_order::in_order;
use crate::layer_read::{self, End, Keeper, LayerOptions, LayerRead};
use crate::manifest::Role;
use crate::read::{ReadError, ReadOptions, Warning, nth_layer};
use crate::source::{Source, Stated};
use crate::stored::StoredLayer;
use crate::tar_error::TarError;
use crate::unpacked::Unpacked;

/// Reads layers, bottom first, several at a time; equal ones once. The first error from the bottom is the one returned.
pub(crate) fn read_all(
    blobs: &[StoredLayer],
    options: &ReadOptions,
) -> Result<(Vec<Layer>, Vec<Warning>), ReadError> {
    let mut seen = BTreeMap::new();
    let first: Vec<usize> = (0..blobs.len())
        .map(|number| *seen.entry((blobs[number].diff_id, blobs[number].stated)).or_insert(number))
        .collect();
    let mut read = in_order(blobs.len(), |number| {
        (first[number] == number).then(|| read_one(&blobs[number], number, options))
    });
    let mut layers: Vec<Layer> = Vec::new();
    let mut warnings = Vec::new();
    let mut entries = 0;
    for (number, result) in read.iter_mut().enumerate() {
        match result.take() {
            Some(result) => {
                let (layer, odd) = result?;
                layers.push(layer);
                warnings.extend(odd);
            }
            None => layers.push(layers[first[number]].clone()),
        }
        entries += layers.last().map_or(0, |layer| layer.entries.len() as u64);
        let limit = options.layers.limits.entries;
        if entries > limit {
            return Err(ReadError::TooMany { what: nth_layer(number), limit });
        }
    }
    Ok((layers, warnings))
}

fn read_one(
    blob: &StoredLayer,
    number: usize,
    options: &ReadOptions,
) -> Result<(Layer, Vec<Warning>), ReadError> {
    let what = nth_layer(number);
    let io = |error| ReadError::Io { what: what.clone(), error };
    let size = blob.source.size().map_err(io)?;
    if let Some((_, want)) = blob.stated {
        check_size(&what, want, size)?;
    }
    // A tar without its end is told by its digest, so it may pass here.
    let layers = LayerOptions { accept_missing_end: true, ..options.layers };
    let compression = Compression::of_source(&*blob.source).map_err(io)?;
    let (result, got) = match compression {
        Compression::None => {
            let result = layer_read::index(Arc::clone(&blob.source), &layers);
            let got = result.as_ref().ok().and_then(|read| read.layer.diff_id);
            (result, got.map_or_else(|| digest_of(&*blob.source), Ok).map_err(io)?)
        }
        _ => unpack(blob, compression, &layers, options).map_err(io)?,
    };
    if let Some((want, _)) = blob.stated
        && want != got
    {
        return Err(ReadError::DigestMismatch { what, want, got });
    }
    let LayerRead { mut layer, end, global_headers, trailing_data } =
        result.map_err(|error| ReadError::Layer { layer: number, error })?;
    // Whoever stores it where it is already need not read it for that.
    if let Some((source, _)) = &mut layer.blob {
        *source = Arc::new(Stated::new(Arc::clone(source), got));
    }
    if let (Some(got), Some(want)) = (layer.diff_id, blob.diff_id)
        && got != want
    {
        let what = format!("{what}, uncompressed");
        return Err(ReadError::DigestMismatch { what, want, got });
    }
    let mut warnings = Vec::new();
    if end == End::Missing {
        warnings.push(Warning::NoEnd { layer: number });
    }
    if global_headers > 0 {
        warnings.push(Warning::GlobalHeaders { layer: number, count: global_headers });
    }
    if trailing_data {
        warnings.push(Warning::TrailingData { layer: number });
    }
    if let Some(media_type) = &blob.media_type
        && let Some(Role::Layer(stated)) = Role::of(media_type)
        && stated != compression
    {
        warnings.push(Warning::MediaType { layer: number, media_type: media_type.clone() });
    }
    Ok((layer, warnings))
}

/// Whether something has the size that is stated.
pub(crate) fn check_size(what: &str, want: u64, got: u64) -> Result<(), ReadError> {
    let what = what.to_owned();
    match got.cmp(&want) {
        std::cmp::Ordering::Less => Err(ReadError::Truncated { what, want, got }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(ReadError::TooLong { what, want, got }),
    }
}

/// Reads a compressed layer, and the digest of its stored bytes, to their end whatever the tar is like.
fn unpack(
    blob: &StoredLayer,
    compression: Compression,
    layers: &LayerOptions,
    options: &ReadOptions,
) -> io::Result<(Result<LayerRead, TarError>, Digest)> {
    let unpacked: Arc<dyn Source> = Arc::new(Unpacked::new(Arc::clone(&blob.source), options.expansion));
    let mut stored = HashReader::new(blob.source.open(0, blob.source.size()?)?);
    let (_, reader) = compression::reader(&mut stored, options.expansion)?;
    let mut keeper = Keeper::new(layers);
    let mut result = layer_read::read(reader, layers, |file, bytes| {
        keeper.take(file, bytes, |digest, _| file.content(Arc::clone(&unpacked)).with_digest(digest))
    });
    if let Ok(read) = &mut result {
        read.layer.blob = Some((Arc::clone(&blob.source), compression));
    }
    io::copy(&mut stored, &mut io::sink())?;
    Ok((result, stored.finish().1))
}

fn digest_of(source: &dyn Source) -> io::Result<Digest> {
    Ok(Digest::of_reader(source.open(0, source.size()?)?)?.0)
}
