//! Planted images as OCI layouts in a tar, with what is around them: an index, descriptors, annotations.

use std::io;

use samebuild_image::Digest;
use serde_json::{Value, json};

use super::tape::{Member, end};

/// Media types of manifest, configuration and layer.
type Media = (&'static str, &'static str, &'static str);

const OCI: Media = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar",
);
pub(super) const DOCKER: Media = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar",
);
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(super) const OCI_LIST: &str = "application/vnd.oci.image.index.v1+json";

/// What is around an image; each is an object of fields beside the usual ones.
#[derive(Clone)]
pub(super) struct Oci {
    pub(super) media: Media,
    pub(super) manifest: Value,
    /// Of each layer's descriptor.
    pub(super) layer: Value,
    /// Of the index.
    pub(super) index: Value,
    /// What the index lists beside the image, whose bytes nobody has; with nothing, and nothing said of the index, there is none.
    pub(super) beside: Vec<Value>,
}

impl Default for Oci {
    fn default() -> Self {
        Self { media: OCI, manifest: json!({}), layer: json!({}), index: json!({}), beside: Vec::new() }
    }
}

impl Oci {
    /// A tar of a layout with one image in it.
    pub(super) fn write(&self, config: &Value, layers: &[Vec<u8>]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut put = |bytes: &[u8], media_type: &str, more: &Value| -> io::Result<Value> {
            let digest = Digest::of(bytes);
            let row = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
            Member::file(samebuild_image::layout::blob_name(&digest), bytes).write(&mut out)?;
            Ok(with(row, more))
        };
        let none = json!({});
        let config = put(&serde_json::to_vec(config)?, self.media.1, &none)?;
        let layers = layers.iter().map(|bytes| put(bytes, self.media.2, &self.layer));
        let layers = layers.collect::<io::Result<Vec<Value>>>()?;
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": self.media.0, "config": config, "layers": layers });
        let manifest = serde_json::to_vec(&with(manifest, &self.manifest))?;
        let platform = json!({ "platform": { "architecture": "amd64", "os": "linux" } });
        let mut entry = put(&manifest, self.media.0, if self.is_listed() { &platform } else { &none })?;
        if self.is_listed() {
            let absent = |more: &Value| {
                let digest = Digest::of(more.to_string().as_bytes());
                with(json!({ "mediaType": self.media.0, "digest": digest, "size": 1 }), more)
            };
            let entries: Vec<Value> = std::iter::once(entry).chain(self.beside.iter().map(absent)).collect();
            let index = json!({ "schemaVersion": 2, "mediaType": OCI_LIST, "manifests": entries });
            let index = with(index, &self.index);
            let media_type = index["mediaType"].as_str().unwrap_or_default().to_owned();
            entry = put(&serde_json::to_vec(&index)?, &media_type, &none)?;
        }
        let top = json!({ "schemaVersion": 2, "manifests": [entry] });
        Member::file("oci-layout", samebuild_image::layout::LAYOUT_VERSION).write(&mut out)?;
        Member::file("index.json", serde_json::to_vec(&top)?).write(&mut out)?;
        end(&mut out)?;
        Ok(out)
    }

    fn is_listed(&self) -> bool {
        self.index.as_object().is_some_and(|fields| !fields.is_empty()) || !self.beside.is_empty()
    }
}

/// The object with these fields too.
fn with(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    object
}
