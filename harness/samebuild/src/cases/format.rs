//! `case.toml` as it is written: one field for each accepted key, nothing else. What the values mean together is `check`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
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
    pub(crate) serve: Vec<Spanned<ServeToml>>,
    #[serde(default)]
    pub(crate) known: Vec<KnownToml>,
    #[serde(default)]
    pub(crate) under: Vec<UnderToml>,
    #[serde(default)]
    pub(crate) causes: Vec<CauseToml>,
    pub(crate) volatile: Option<Spanned<VolatileKey>>,
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

/// What the server of a case answers to a path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeToml {
    pub(crate) path: Spanned<String>,
    pub(crate) text: Option<String>,
    pub(crate) hex: Option<Hex>,
    pub(crate) archive: Option<ArchiveToml>,
    pub(crate) status: Option<Spanned<u16>>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<Spanned<String>, Spanned<String>>,
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
    #[serde(default)]
    pub(crate) dialects: Vec<Spanned<String>>,
    pub(crate) expect: super::case::Expect,
}

/// What makes the image another one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CauseToml {
    pub(crate) factor: Spanned<String>,
    #[serde(default)]
    pub(crate) dialects: Vec<Spanned<String>>,
    pub(crate) at: Option<Spanned<String>>,
    pub(crate) why: Spanned<String>,
    pub(crate) cause: Option<Spanned<String>>,
}

/// What is not the same twice: the case as a whole, for this reason, or the content of some files.
#[derive(Debug)]
pub(crate) enum VolatileKey {
    Case(String),
    Files(Vec<VolatileToml>),
}

impl<'de> Deserialize<'de> for VolatileKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = VolatileKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "volatile = \"why\" for the whole case, or [[volatile]] with `at` and `why` for a file",
                )
            }

            fn visit_str<E: Error>(self, why: &str) -> Result<VolatileKey, E> {
                Ok(VolatileKey::Case(why.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut files: A) -> Result<VolatileKey, A::Error> {
                let mut all = Vec::new();
                while let Some(file) = files.next_element()? {
                    all.push(file);
                }
                Ok(VolatileKey::Files(all))
            }
        }
        deserializer.deserialize_any(Key)
    }
}

/// Content that depends on the run or the host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolatileToml {
    pub(crate) at: Spanned<String>,
    pub(crate) why: Spanned<String>,
    pub(crate) cause: Option<Spanned<String>>,
}
