//! Images around planted layers, as `docker save` stores them. OCI layouts are `oci.rs`'s affair.

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

/// Gzip at a level of its own.
pub(crate) fn gzip(tar: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(tar)?;
    encoder.finish()
}
