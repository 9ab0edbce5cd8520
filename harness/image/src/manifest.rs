//! The JSON around an image: descriptors, manifests, indexes, in OCI's and in Docker's words. The configuration stays a
//! map, because its every field and their order are something we compare.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::image::Compression;

/// A reference to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// One image: its configuration and its layers, bottom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    pub config: Descriptor,
    #[serde(default, deserialize_with = "nullable")]
    pub layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Several images, or other indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    #[serde(default, deserialize_with = "nullable")]
    pub manifests: Vec<Descriptor>,
}

/// One row of a docker-archive's `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchiveRow {
    pub config: String,
    #[serde(default, deserialize_with = "nullable")]
    pub repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub layers: Vec<String>,
}

/// What an image runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// `linux/amd64`.
    pub fn linux_amd64() -> Self {
        Self { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
    }

    /// Whether an image for `other` is what is asked for here: a variant counts only if it is asked for.
    pub fn takes(&self, other: &Self) -> bool {
        let (wanted, other) = (self.normal(), other.normal());
        let variant = wanted.variant.is_none() || wanted.variant == other.variant;
        wanted.os == other.os && wanted.architecture == other.architecture && variant
    }

    /// The name Docker's tools give it, of the several it may go by: `linux/aarch64/v8` is `linux/arm64`, and an `arm`
    /// without a variant is `v7`.
    pub fn normal(&self) -> Self {
        let (os, mut architecture) = (self.os.to_lowercase(), self.architecture.to_lowercase());
        let mut variant = self.variant.as_ref().map(|variant| variant.to_lowercase());
        let other = ALIASES.iter().find(|(name, _, _)| *name == architecture);
        if let Some((_, name, implied)) = other {
            architecture = (*name).to_owned();
            variant = implied.map(str::to_owned).or(variant);
        }
        if let Some((_, plain)) = ARM.iter().find(|(spelled, _)| variant.as_deref() == Some(*spelled))
            && architecture.starts_with("arm")
        {
            variant = Some((*plain).to_owned());
        }
        let variant = match (architecture.as_str(), variant.as_deref()) {
            ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
            ("arm", None | Some("")) => Some("v7".to_owned()),
            _ => variant.filter(|variant| !variant.is_empty()),
        };
        Self { os, architecture, variant }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => ("", "", None),
        };
        if os.is_empty() || architecture.is_empty() {
            return Err(format!(
                "`{text}` is not a platform; accepted: os/architecture[/variant], as linux/amd64"
            ));
        }
        Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
    }
}

/// Other names of architectures, what Docker calls them, and the variant that a name implies.
const ALIASES: [(&str, &str, Option<&str>); 9] = [
    ("x86_64", "amd64", None),
    ("x86-64", "amd64", None),
    ("i386", "386", None),
    ("i486", "386", None),
    ("i586", "386", None),
    ("i686", "386", None),
    ("aarch64", "arm64", None),
    ("armhf", "arm", Some("v7")),
    ("armel", "arm", Some("v6")),
];

/// Variants of ARM without their `v`.
const ARM: [(&str, &str); 4] = [("5", "v5"), ("6", "v6"), ("7", "v7"), ("8", "v8")];

/// Whose words the media types are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Media {
    Oci,
    Docker,
}

/// What a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Index,
    Manifest,
    Config,
    Layer(Compression),
}

const LAYER: Role = Role::Layer(Compression::None);
const GZIP: Role = Role::Layer(Compression::Gzip);
const ZSTD: Role = Role::Layer(Compression::Zstd);

/// Every media type that is understood. The first of a role and family is the one that is written.
const TYPES: [(Role, Media, &str); 17] = [
    (Role::Index, Media::Oci, "application/vnd.oci.image.index.v1+json"),
    (Role::Index, Media::Docker, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (Role::Manifest, Media::Oci, "application/vnd.oci.image.manifest.v1+json"),
    (Role::Manifest, Media::Docker, "application/vnd.docker.distribution.manifest.v2+json"),
    (Role::Config, Media::Oci, "application/vnd.oci.image.config.v1+json"),
    (Role::Config, Media::Docker, "application/vnd.docker.container.image.v1+json"),
    (LAYER, Media::Oci, "application/vnd.oci.image.layer.v1.tar"),
    (GZIP, Media::Oci, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (ZSTD, Media::Oci, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (LAYER, Media::Docker, "application/vnd.docker.image.rootfs.diff.tar"),
    (GZIP, Media::Docker, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (ZSTD, Media::Docker, "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    (LAYER, Media::Oci, "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    (GZIP, Media::Oci, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    (ZSTD, Media::Oci, "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
    (LAYER, Media::Docker, "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    (GZIP, Media::Docker, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
];

impl Role {
    /// What a media type says; `None` where it is none of an image's.
    pub fn of(media_type: &str) -> Option<Self> {
        TYPES.iter().find(|(_, _, name)| *name == media_type).map(|(role, _, _)| *role)
    }

    /// The media type to write.
    pub fn media_type(self, media: Media) -> &'static str {
        let row = TYPES.iter().find(|(role, family, _)| (*role, *family) == (self, media));
        row.map_or("application/octet-stream", |(_, _, name)| name)
    }
}

/// `null` is what Go writes for an empty list or map.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_media_type_in_both_families() {
        for role in [Role::Index, Role::Manifest, Role::Config, LAYER, GZIP, ZSTD] {
            for media in [Media::Oci, Media::Docker] {
                assert_eq!(Role::of(role.media_type(media)), Some(role));
            }
        }
    }

    #[test]
    fn a_platform_survives_being_printed_and_read() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["linux", "", "a/b/c/d", "/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_platform_of_several_names_is_one_platform() {
        for (text, normal) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().normal().to_string(), normal);
        }
        let wanted: Platform = "linux/arm64".parse().unwrap();
        assert!(wanted.takes(&"linux/arm64/v8".parse().unwrap()));
        assert!(!wanted.takes(&"linux/arm/v7".parse().unwrap()));
    }
}
