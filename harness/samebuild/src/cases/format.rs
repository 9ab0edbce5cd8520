//! `case.toml` as it is written: one field for each accepted key, nothing else. What the values mean together is `check`.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::case::{Need, Network};
use super::values::{Device, Hex, Octal, Stamp};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseToml {
    pub(crate) about: Spanned<String>,
    pub(crate) origin: Option<Spanned<String>>,
    pub(crate) base: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) needs: Vec<Spanned<Need>>,
    #[serde(default)]
    pub(crate) outcome: BTreeMap<Spanned<String>, Spanned<OutcomeToml>>,
    #[serde(default)]
    pub(crate) build: BuildToml,
    #[serde(default)]
    pub(crate) context: Vec<EntryToml>,
    #[serde(default)]
    pub(crate) known: Vec<KnownToml>,
    #[serde(default)]
    pub(crate) under: Vec<UnderToml>,
    #[serde(default)]
    pub(crate) volatile: Vec<VolatileToml>,
}

/// What a builder is expected to do where it does not build.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeToml {
    pub(crate) fails: Option<u32>,
    pub(crate) class: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) hangs: bool,
    #[serde(default)]
    pub(crate) builds: bool,
}

/// How the build is called.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildToml {
    pub(crate) target: Option<String>,
    #[serde(default)]
    pub(crate) args: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) platform: Option<Spanned<String>>,
    pub(crate) network: Option<Network>,
    /// Builder → options of its command line.
    #[serde(default)]
    pub(crate) flags: BTreeMap<Spanned<String>, Vec<String>>,
}

/// One thing in the context that git cannot keep, or what is different about one that it can.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryToml {
    pub(crate) path: Spanned<String>,
    pub(crate) text: Option<Spanned<String>>,
    pub(crate) hex: Option<Spanned<Hex>>,
    pub(crate) link: Option<Spanned<String>>,
    pub(crate) hardlink: Option<Spanned<String>>,
    pub(crate) kind: Option<Spanned<KindWord>>,
    pub(crate) size: Option<Spanned<u64>>,
    pub(crate) archive: Option<Spanned<ArchiveToml>>,
    pub(crate) seed: Option<Spanned<u64>>,
    pub(crate) device: Option<Spanned<Device>>,
    pub(crate) mode: Option<Spanned<Octal>>,
    pub(crate) uid: Option<Spanned<u32>>,
    pub(crate) gid: Option<Spanned<u32>>,
    pub(crate) mtime: Option<Spanned<Stamp>>,
    #[serde(default)]
    pub(crate) xattrs: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindWord {
    Dir,
    Fifo,
    Char,
    Block,
}

/// A tar archive whose bytes are the same everywhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveToml {
    pub(crate) format: ArchiveFormat,
    pub(crate) entries: Vec<EntryToml>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum ArchiveFormat {
    #[serde(rename = "tar")]
    Tar,
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "tar.xz")]
    TarXz,
}

/// A documented difference between a real builder and the reference speaking its dialect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownToml {
    pub(crate) dialect: Spanned<String>,
    pub(crate) rule: Spanned<String>,
    pub(crate) at: Option<Spanned<String>>,
    pub(crate) why: Spanned<String>,
}

/// The same case with a fault installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnderToml {
    pub(crate) fault: Spanned<String>,
    #[serde(default)]
    pub(crate) with: toml::Table,
    pub(crate) expect: super::case::Expect,
}

/// Content that depends on the run or the host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolatileToml {
    pub(crate) at: Spanned<String>,
    pub(crate) why: Spanned<String>,
}
