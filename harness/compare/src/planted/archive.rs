//! Images around planted layers, as `docker save` and as OCI layouts in a tar store them.

use std::io::{self, Write};

use samebuild_image::{Compression, Digest};
use serde_json::{Value, json};

use super::tape::{Member, end, pad};

/// A layer as it will be stored: its tar's digest, and its bytes.
pub(crate) struct Stored {
    pub(crate) diff_id: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// Compresses a layer; the same bytes give the same bytes.
pub(crate) fn compress(tar: &[u8], how: Compression) -> io::Result<Vec<u8>> {
    let mut encoder = samebuild_image::compression::Encoder::new(Vec::new(), how)?;
    encoder.write_all(tar)?;
    encoder.finish()
}

/// `config` with the layers' digests in it.
pub(crate) fn with_layers(mut config: Value, layers: &[Digest]) -> Value {
    config["rootfs"] = json!({ "type": "layers", "diff_ids": layers });
    config
}

/// A docker-archive; layers are written by `layer`, which is told their number, and have these sizes.
pub(crate) fn docker(
    out: &mut dyn Write,
    name: &str,
    config: &Value,
    sizes: &[u64],
    layer: &mut dyn FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let config = serde_json::to_vec(config)?;
    let config_name = format!("{}.json", Digest::of(&config).hex());
    Member::file(config_name.clone(), config).write(out)?;
    let mut names = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        let name = format!("{number}/layer.tar");
        let header = Member::file(name.clone(), Vec::new());
        header.write_header(out, *size)?;
        layer(number, out)?;
        pad(out, *size)?;
        names.push(name);
    }
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": names }]);
    Member::file("manifest.json", serde_json::to_vec(&manifest)?).write(out)?;
    end(out)
}

/// A tar of an OCI layout with one image in it. `media` says how its parts are called, `annotations` are the manifest's.
pub(crate) fn oci(
    config: &Value,
    layers: &[(Vec<u8>, &str)],
    media: (&str, &str),
    annotations: &Value,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut put = |bytes: Vec<u8>, media_type: &str| -> io::Result<Value> {
        let digest = Digest::of(&bytes);
        let row = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        Member::file(samebuild_image::layout::blob_name(&digest), bytes).write(&mut out)?;
        Ok(row)
    };
    let config = put(serde_json::to_vec(config)?, media.1)?;
    let layers = layers.iter().map(|(bytes, media_type)| put(bytes.clone(), media_type));
    let layers = layers.collect::<io::Result<Vec<Value>>>()?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media.0,
        "config": config,
        "layers": layers,
        "annotations": annotations,
    });
    let manifest = put(serde_json::to_vec(&manifest)?, media.0)?;
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    Member::file("oci-layout", samebuild_image::layout::LAYOUT_VERSION).write(&mut out)?;
    Member::file("index.json", serde_json::to_vec(&index)?).write(&mut out)?;
    end(&mut out)?;
    Ok(out)
}

/// Gzip at a level of its own.
pub(crate) fn gzip(tar: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(tar)?;
    encoder.finish()
}
