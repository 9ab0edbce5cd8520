//! What is around an image: manifest, annotations, how layers and configuration are stored.

use super::{Cause, Page};
use crate::rules::Severity;
use crate::scene::{Row, Scene};

pub(super) struct Annotation;
pub(super) struct MediaType;
pub(super) struct Packing;
pub(super) struct Digest;
pub(super) struct Referrer;
pub(super) struct Described;

impl Cause for Annotation {
    fn page(&self) -> &'static Page {
        &Page {
            id: "annotation",
            title: "The manifests are annotated otherwise",
            severity: Severity::Reproducibility,
            what: "Annotations stand beside an image, for registries and tools; no program in a container sees them.",
            how: "An exporter adds when it was made, the name, the base; CI templates add a revision.",
            fix: "Leave annotations out that change from build to build; `org.opencontainers.image.created` from SOURCE_DATE_EPOCH.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "annotations").then(String::new)
    }
}

impl Cause for Referrer {
    fn page(&self) -> &'static Page {
        &Page {
            id: "referrer",
            title: "A manifest is of another kind, or refers to another image",
            severity: Severity::Cosmetic,
            what: "`artifactType` says that a manifest is no image but something about one (a signature, a list of contents), `subject` which one it is about; a registry finds it there.",
            how: "A tool that signs or attests wrote one of them, or attached one image to another.",
            fix: "Compare the images, not what refers to them: name them by digest (`NAME@sha256:…`), or leave referrers out when copying (`oras copy` without `-r`).",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        let speaks = |side: &str| ["artifactType", "subject"].contains(&field(side));
        (row.rule() == "listing" && speaks(row.sides().0) && speaks(row.sides().1)).then(String::new)
    }
}

impl Cause for Described {
    fn page(&self) -> &'static Page {
        &Page {
            id: "descriptor",
            title: "The image or its parts are described otherwise",
            severity: Severity::Reproducibility,
            what: "Beside media type, digest and size a descriptor may say where else a blob is (`urls`), hold the blob itself (`data`), or name the platform more exactly. What is in the image is the same.",
            how: "Another exporter; layers that may not be handed on (`foreign`, of Windows) are fetched from their `urls`.",
            fix: "Export both with the same tool; for `urls`, push the layers themselves (`allow-nondistributable-artifacts`, `oras copy`).",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "listing").then(|| field(row.sides().0).to_owned())
    }
}

/// The field that a side of the rule `listing` speaks of: `manifest: no urls`.
fn field(side: &str) -> &str {
    let of = ["manifest: ", "config: ", "index: ", "in the index: "];
    let said = of.iter().find_map(|of| side.strip_prefix(of)).unwrap_or(side);
    said.strip_prefix("no ").unwrap_or(said).split(' ').next().unwrap_or_default()
}

impl Cause for MediaType {
    fn page(&self) -> &'static Page {
        &Page {
            id: "media-type",
            title: "One image is described in OCI's words, the other in Docker's",
            severity: Severity::Cosmetic,
            what: "Manifest, configuration and layers have other media types; what they hold is the same.",
            how: "Each exporter has its own default.",
            fix: "BuildKit: `--output type=image,oci-mediatypes=true`; buildah: `--format oci` or `docker`; skopeo: `--format`.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "media_type").then(String::new)
    }
}

impl Cause for Packing {
    fn page(&self) -> &'static Page {
        &Page {
            id: "layer-packing",
            title: "Layers are compressed otherwise",
            severity: Severity::Cosmetic,
            what: "Unpacked they may be the same tar (the same diff_id); as stored they are other bytes, and the manifest names another digest.",
            how: "Another implementation, level or version of gzip, a time or a system in its header, zstd.",
            fix: "Say how: `--output type=image,compression=gzip,compression-level=6,force-compression=true`; compare images by diff_id, not by the digest of the manifest.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "packing").then(|| format!("{} and {}", row.sides().0, row.sides().1))
    }
}

impl Cause for Digest {
    fn page(&self) -> &'static Page {
        &Page {
            id: "config-spelling",
            title: "The configurations differ in bytes only",
            severity: Severity::Cosmetic,
            what: "Nothing in the images differs, but their ids do: keys of the configuration stand in another order, or with other white space.",
            how: "Another program wrote the JSON.",
            fix: "None is needed for whoever runs the image.",
        }
    }

    fn row(&self, _: &Scene<'_>, row: Row<'_>) -> Option<String> {
        (row.rule() == "config_digest").then(String::new)
    }
}
