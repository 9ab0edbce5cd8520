//! A layer's bytes for whoever stores it: as they are stored already, or written from its entries. The order of files in
//! a stored image is [`crate::layout`]'s and [`crate::archive`]'s affair.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::compression::{self, Compression, Expansion};
use crate::digest::{Digest, HashReader, HashWriter};
use crate::image::Layer;
use crate::layer_write::{self, TarStyle, WriteError, Written};

/// Why an image cannot be written; `layer` counts from 0 at the bottom, its text from 1.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("write layer {}: {error}", layer + 1)]
    Layer { layer: usize, error: WriteError },
    #[error(
        "write layer {}: it became {got}, but its diff_id is {want}; the source or the tar style is not its own",
        layer + 1
    )]
    DiffId { layer: usize, want: Digest, got: Digest },
    #[error("write the configuration: its rootfs.diff_ids are not those of its {layers} layers")]
    ConfigDiffIds { layers: usize },
    #[error("write layer {}: it changed while it was read", layer + 1)]
    Changed { layer: usize },
    #[error("write the image: {0}")]
    Json(#[from] serde_json::Error),
    #[error("write the image: {0}")]
    Io(#[from] io::Error),
}

/// Writes a layer, its stored bytes as they are, or its entries with `compression`; says how it is compressed.
pub(crate) fn save(
    layer: &Layer,
    number: usize,
    style: TarStyle,
    compression: Compression,
    out: &mut (dyn Write + Send),
) -> Result<(Written, Compression), SaveError> {
    let at = |error: WriteError| SaveError::Layer { layer: number, error };
    let Some((source, stored)) = &layer.blob else {
        let written = layer_write::write(&layer.entries, style, compression, out).map_err(at)?;
        check(layer, number, written.diff_id)?;
        return Ok((written, compression));
    };
    let io = |error: io::Error| at(WriteError::Io(error));
    let reader = source.open(0, source.size().map_err(io)?).map_err(io)?;
    if *stored == Compression::None {
        let (_, written) = layer_write::pack(reader, Compression::None, out).map_err(io)?;
        check(layer, number, written.diff_id)?;
        return Ok((written, Compression::None));
    }
    // What is stored passes through unchanged, and is unpacked on the way to know its diff_id.
    let mut copy = HashWriter::new(out);
    let mut tee = HashReader::new(Tee { reader, copy: &mut copy });
    let (_, unpacked) = compression::reader(&mut tee, Expansion::default()).map_err(io)?;
    let (diff_id, size) = Digest::of_reader(unpacked).map_err(io)?;
    io::copy(&mut tee, &mut io::sink()).map_err(io)?;
    drop(tee);
    let (_, blob_digest, blob_size) = copy.finish();
    check(layer, number, diff_id)?;
    Ok((Written { diff_id, size, blob_digest, blob_size }, *stored))
}

/// What [`save`] would answer, where the layer's stored bytes are stated and need not be read for it.
pub(crate) fn stored(layer: &Layer) -> Option<(Written, Compression)> {
    let (source, compression) = layer.blob.as_ref()?;
    let (blob_digest, diff_id) = (source.stated()?, layer.diff_id?);
    let blob_size = source.size().ok()?;
    Some((Written { diff_id, size: layer.size, blob_digest, blob_size }, *compression))
}

/// Writes a layer's uncompressed tar; its digest and size.
pub(crate) fn save_tar(
    layer: &Layer,
    number: usize,
    style: TarStyle,
    out: impl Write,
) -> Result<(Digest, u64), SaveError> {
    let at = |error: WriteError| SaveError::Layer { layer: number, error };
    let mut out = HashWriter::new(out);
    match &layer.blob {
        None => layer_write::write_tar(&layer.entries, style, &mut out).map_err(at)?,
        Some((source, _)) => {
            let io = |error: io::Error| at(WriteError::Io(error));
            let reader = source.open(0, source.size().map_err(io)?).map_err(io)?;
            let (_, mut unpacked) = compression::reader(reader, Expansion::default()).map_err(io)?;
            io::copy(&mut unpacked, &mut out).map_err(io)?;
        }
    }
    let (_, diff_id, size) = out.finish();
    check(layer, number, diff_id)?;
    Ok((diff_id, size))
}

/// The size of a layer's uncompressed tar. What is stored compressed is unpacked to know it, unless that was done before.
pub(crate) fn tar_size(layer: &Layer, number: usize, style: TarStyle) -> Result<u64, SaveError> {
    let at = |error: WriteError| SaveError::Layer { layer: number, error };
    match &layer.blob {
        None => layer_write::tar_size(&layer.entries, style).map_err(at),
        Some((source, Compression::None)) => source.size().map_err(|error| at(WriteError::Io(error))),
        Some(_) if layer.size > 0 => Ok(layer.size),
        Some(_) => Ok(save_tar(layer, number, style, io::sink())?.1),
    }
}

/// `config` with these `diff_ids`: filled in where there are none, else they must be the same.
pub(crate) fn config_with(
    config: &Map<String, Value>,
    diff_ids: &[Digest],
) -> Result<Map<String, Value>, SaveError> {
    let mut config = config.clone();
    let ids = serde_json::to_value(diff_ids)?;
    match config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")) {
        Some(stated) if !stated.is_null() => {
            let is_right = *stated == ids;
            is_right.then_some(config).ok_or(SaveError::ConfigDiffIds { layers: diff_ids.len() })
        }
        _ => {
            config.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": ids }));
            Ok(config)
        }
    }
}

/// JSON as it is stored: on one line, without a line break at its end.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, SaveError> {
    Ok(serde_json::to_vec(value)?)
}

fn check(layer: &Layer, number: usize, got: Digest) -> Result<(), SaveError> {
    match layer.diff_id {
        Some(want) if want != got => Err(SaveError::DiffId { layer: number, want, got }),
        _ => Ok(()),
    }
}

/// Passes on what is read, and writes it besides.
struct Tee<R, W> {
    reader: R,
    copy: W,
}

impl<R: io::Read, W: Write> io::Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.copy.write_all(&buffer[..n])?;
        Ok(n)
    }
}
