//! `ci/bases.toml`, read. It is compiled in: a samebuild without its checkout still has its bases.

use std::collections::BTreeMap;

use samebuild_image::{Digest, Mtime};
use serde::Deserialize;

use super::BaseError;
use crate::cases::{EntryToml, Problem, Stamp, Text};
use crate::engines::PackagePin;

const TEXT: &str = include_str!("../../../../ci/bases.toml");

/// The whole file.
#[derive(Debug)]
pub struct Policy(BTreeMap<String, BasePolicy>);

/// One base image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BasePolicy {
    /// The name a Dockerfile says.
    pub image: String,
    pub(crate) time: Stamp,
    pub(super) env: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) created_by: String,
    pub(super) binary: String,
    /// Names of the links to the binary, without its own.
    pub applets: Vec<String>,
    /// Where a busybox can be fetched from.
    pub package: PackagePin,
    pub(super) entries: Vec<EntryToml>,
    /// What comes out with one particular busybox.
    pub known: KnownDigests,
}

/// Digests that belong together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownDigests {
    #[serde(deserialize_with = "digest")]
    pub busybox: Digest,
    #[serde(deserialize_with = "digest")]
    pub layer: Digest,
    #[serde(deserialize_with = "digest")]
    pub config: Digest,
    #[serde(deserialize_with = "digest")]
    pub manifest: Digest,
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Policy {
    /// The file as it was when samebuild was compiled.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub fn compiled_in() -> Result<Self, BaseError> {
        Self::read(TEXT)
    }

    fn read(text: &str) -> Result<Self, BaseError> {
        toml::from_str(text).map(Self).map_err(|error| {
            let text = Text { path: "ci/bases.toml".into(), content: text.into() };
            BaseError::Policy(Problem::from_toml(&error).within(&text).to_string())
        })
    }

    /// The row `name`.
    ///
    /// # Errors
    /// [`BaseError::Unknown`] lists the rows there are.
    pub fn base(&self, name: &str) -> Result<&BasePolicy, BaseError> {
        self.0.get(name).ok_or_else(|| BaseError::Unknown {
            name: name.to_owned(),
            known: self.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        })
    }

    /// All rows, by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Stands for everything the policy says, so that a cache made under another one is not used.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(TEXT.as_bytes())
    }
}

impl BasePolicy {
    pub(super) fn mtime(&self) -> Mtime {
        Mtime::At { secs: self.time.secs, nanos: self.time.nanos }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_policy_can_be_read_and_an_unknown_base_lists_its_rows() {
        let policy = Policy::compiled_in().unwrap();
        assert_eq!(policy.base("busybox").unwrap().applets.len(), 268);
        let error = policy.base("alpine").unwrap_err().to_string();
        assert!(error.contains("`alpine`") && error.contains("`busybox`"), "{error}");
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused_with_its_line() {
        let error = Policy::read(&TEXT.replacen("cmd ", "command ", 1)).unwrap_err().to_string();
        assert!(error.contains("unknown key `command`") && error.contains("ci/bases.toml:"), "{error}");
    }
}
