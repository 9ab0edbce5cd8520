//! What lies around an image: how its manifest describes it and its parts, how an index lists it and what else that lists.
//! Fields that mean something to nobody here are kept as written, so that whoever compares images misses none.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::layout::{NAMES, is_image};
use crate::manifest::{Descriptor, Index};
use crate::read::{self, ReadError};

/// What a manifest says of itself, and an index of the manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub digest: Digest,
    pub media_type: String,
    pub config_media_type: String,
    pub manifest: Described,
    /// How the manifest describes the configuration.
    pub config: Described,
    /// How it describes the layers, bottom first.
    pub layers: Vec<Described>,
    pub listing: Listing,
}

/// What is said of something beside its media type, digest and size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    pub annotations: BTreeMap<String, String>,
    /// The other fields, as written: `platform`, `urls`, `artifactType`, `subject`, …
    pub fields: Map<String, Value>,
}

/// How an image is listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// How the index describes the manifest. The names it gives are none of it.
    pub entry: Described,
    /// The index; `None` for an image that is in none.
    pub index: Option<Around>,
}

/// An index around an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    pub media_type: String,
    pub own: Described,
    /// The platforms it has images for, sorted; one that says none is `unnamed`.
    pub platforms: Vec<String>,
    /// How many of its manifests attest to others, as provenance and lists of contents do.
    pub attestations: usize,
}

impl Envelope {
    /// Of a manifest's bytes, listed as `entry`.
    pub(crate) fn read(entry: &Descriptor, bytes: &[u8]) -> Result<Self, ReadError> {
        let all: Map<String, Value> = read::json(bytes, &format!("manifest {}", entry.digest))?;
        let text = |value: Option<&Value>| {
            value
                .and_then(|value| value.get("mediaType"))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let layers = all.get("layers").and_then(Value::as_array).into_iter().flatten();
        let layers = layers.map(|layer| Described::of(layer.as_object())).collect();
        Ok(Self {
            digest: entry.digest,
            media_type: all.get("mediaType").and_then(Value::as_str).unwrap_or_default().to_owned(),
            config_media_type: text(all.get("config")),
            config: Described::of(all.get("config").and_then(Value::as_object)),
            layers,
            manifest: Described::of(Some(&all)),
            listing: Listing::default(),
        })
    }
}

impl Listing {
    /// Of an index's bytes, which lists the image as that of digest `chosen`.
    pub fn read(bytes: &[u8], chosen: &Digest) -> Result<Self, ReadError> {
        let all: Map<String, Value> = read::json(bytes, "an index")?;
        let index: Index = read::json(bytes, "an index")?;
        let entries = all.get("manifests").and_then(Value::as_array).into_iter().flatten();
        let is_it = |entry: &&Map<String, Value>| {
            entry.get("digest").and_then(Value::as_str) == Some(&*chosen.to_string())
        };
        let mut entry = Described::of(entries.filter_map(Value::as_object).find(is_it));
        entry.annotations.retain(|key, _| !NAMES.contains(&key.as_str()));
        let (images, others): (Vec<&Descriptor>, Vec<&Descriptor>) =
            index.manifests.iter().partition(is_image);
        let name =
            |entry: &Descriptor| entry.platform.as_ref().map_or("unnamed".to_owned(), ToString::to_string);
        let mut platforms: Vec<(String, Digest)> =
            images.iter().map(|entry| (name(entry), entry.digest)).collect();
        platforms.sort();
        platforms.dedup();
        let around = Around {
            media_type: index.media_type.clone(),
            own: Described::of(Some(&all)),
            platforms: platforms.into_iter().map(|(name, _)| name).collect(),
            attestations: others.len(),
        };
        Ok(Self { entry, index: Some(around) })
    }

    /// As it is where the index is no more than the list of what a directory holds: if the image is all there is, no index
    /// says anything of it.
    pub(crate) fn of_place(mut self) -> Self {
        self.index = self.index.filter(|index| index.platforms.len() > 1 || index.attestations > 0);
        self
    }
}

impl Described {
    /// Of the fields of a descriptor, a manifest or an index, without those that have a meaning of their own.
    fn of(fields: Option<&Map<String, Value>>) -> Self {
        const ELSEWHERE: [&str; 8] =
            ["mediaType", "digest", "size", "annotations", "schemaVersion", "config", "layers", "manifests"];
        let fields = fields.into_iter().flatten();
        let mut described = Self::default();
        for (key, value) in fields {
            match value {
                Value::Object(annotations) if key == "annotations" => {
                    let text =
                        |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    described.annotations =
                        annotations.iter().map(|(key, value)| (key.clone(), text(value))).collect();
                }
                _ if ELSEWHERE.contains(&key.as_str()) || value.is_null() => {}
                _ => drop(described.fields.insert(key.clone(), value.clone())),
            }
        }
        described
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_told_from_the_list_of_what_a_directory_holds() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let entry = |digest: &Digest, more: &str| format!(r#"{{"digest":"{digest}","size":1{more}}}"#);
        let list = |entries: &[String]| {
            let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
            Listing::read(text.as_bytes(), &one).unwrap()
        };
        let named =
            entry(&one, r#","urls":["u"],"annotations":{"org.opencontainers.image.ref.name":"n","a":"b"}"#);
        let alone = list(std::slice::from_ref(&named)).of_place();
        assert_eq!(alone.index, None);
        assert_eq!(alone.entry.annotations, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(alone.entry.fields["urls"], serde_json::json!(["u"]));
        let attests = entry(&two, r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#);
        let listed = list(&[named, attests]).of_place().index.unwrap();
        assert_eq!((listed.platforms, listed.attestations), (vec!["unnamed".to_owned()], 1));
    }
}
