//! Which images a Dockerfile names, and what digests they stand for now. All of them count, those of stages that are not
//! built too: a build more than needed is cheaper than an old base (GoogleContainerTools/skaffold#5063).
//!
//! A name that is kept here, or says its digest, is asked of nobody; another's registry is asked for its digest, once.
//! Not seen: images that only an ONBUILD of a base names.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use samebuild_builder::{Dialect, own_platform};
use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::remote::{self, Remote};
use samebuild_dockerfile::{Dockerfile, InstructionKind};
use samebuild_image::Digest;
use samebuild_image::manifest::Platform;

use crate::bases::Policy;
use crate::images::store::Store;
use crate::images::{names, registry};

/// Begins what stands for an image that is required and perhaps not there yet; no image can be called so.
pub(super) const REQUIRED: &str = "REQUIRED:";

/// The images `dockerfile` names, sorted; [`REQUIRED`] ones are left out.
///
/// # Errors
/// It cannot be parsed or expanded, or takes something whose content cannot be known before.
pub(super) fn named(
    dockerfile: &[u8],
    dialect: &Dialect,
    args: &BTreeMap<String, String>,
    platform: &Platform,
) -> Result<Vec<String>, String> {
    let syntax = &dialect.syntax;
    let file = Dockerfile::parse(dockerfile, syntax).map_err(|error| error.to_string())?;
    let expander = Expander::new(syntax, file.escape);
    let mut globals = platform_args(platform);
    for node in &file.meta_args {
        for definition in &node.kind.args {
            let name = expander.word(&definition.name.text, &globals).map_err(|error| error.message)?;
            let default =
                definition.value.as_ref().and_then(|value| expander.word(&value.text, &globals).ok());
            match args.get(&name).cloned().or(default) {
                Some(value) => globals.push((name, value)),
                None => globals.retain(|(known, _)| *known != name),
            }
        }
    }
    let mut found = Vec::new();
    for stage in &file.stages {
        let base = expander.word(&stage.from().image.text, &globals).map_err(|error| error.message)?;
        if let Origin::Image(name) = file.base_of(stage.index, &base, syntax) {
            found.push(name);
        }
        for instruction in &stage.instructions {
            match &instruction.kind {
                InstructionKind::Copy(copy) => {
                    let from = copy.from.as_ref().map(|from| file.copy_origin(stage.index, from, syntax));
                    if let Some(Ok(Origin::Image(name))) = from {
                        found.push(name);
                    }
                }
                InstructionKind::Run(run) => {
                    let from = run.mounts.iter().filter_map(|mount| mount.from.as_ref());
                    found.extend(from.filter(|name| file.stage_index(name).is_none()).cloned());
                }
                InstructionKind::Add(add) if add.checksum.is_none() => {
                    let is_remote =
                        |text: &str| remote::kind(text, syntax) != Remote::No || text.starts_with('$');
                    if let Some(word) = add.transfer.paths().find(|word| is_remote(&word.text)) {
                        return Err(format!(
                            "know what `ADD {}` in line {} fetches; a --checksum would say it",
                            word.text, instruction.line
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    found.retain(|name| !name.starts_with(REQUIRED) && name != "scratch");
    found.sort();
    found.dedup();
    Ok(found)
}

fn platform_args(platform: &Platform) -> Vec<(String, String)> {
    let of = |kind: &str, platform: &Platform| {
        let variant = platform.variant.clone().unwrap_or_default();
        [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", variant),
        ]
        .map(|(name, value)| (format!("{kind}{name}"), value))
    };
    of("TARGET", platform).into_iter().chain(of("BUILD", &own_platform())).collect()
}

/// Digests of bases, each asked for once.
pub(super) struct Bases {
    store: Store,
    /// Of the bases of our own cases.
    own: BTreeMap<String, Digest>,
    known: Mutex<BTreeMap<String, Result<String, String>>>,
}

impl Bases {
    pub(super) fn new(store: Store) -> Self {
        let own = Policy::compiled_in().map(|policy| {
            let all = policy.names().filter_map(|id| policy.base(id).ok());
            all.map(|base| (names::whole(&base.image), base.known.manifest)).collect()
        });
        Self { store, own: own.unwrap_or_default(), known: Mutex::default() }
    }

    /// What `name` stands for now.
    ///
    /// # Errors
    /// Nobody knows.
    pub(super) fn digest(&self, name: &str) -> Result<String, String> {
        let whole = names::whole(name);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&whole) {
            return known.clone();
        }
        let found = self.find(name, &whole);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(whole).or_insert(found).clone()
    }

    fn find(&self, name: &str, whole: &str) -> Result<String, String> {
        let kept = self.store.named(name).map_err(|error| format!("{error:#}"))?;
        if !kept.is_empty() {
            // One for each platform: which of them is taken is the platform's affair, which is in the key.
            let mut digests: Vec<String> = kept.iter().map(|entry| entry.digest.to_string()).collect();
            digests.sort();
            return Ok(digests.join(","));
        }
        if let Some(digest) = self.own.get(whole) {
            return Ok(format!("ours {digest}"));
        }
        let reference = names::parse(name)?;
        if let Some(digest) = reference.digest() {
            return Ok(digest.to_owned());
        }
        match registry::digest(&reference) {
            Ok(Some(digest)) => Ok(digest.to_string()),
            Ok(None) => Err(format!("find the base image {name}: {} has none", reference.registry())),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::dialect;

    fn names(dockerfile: &str, args: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        named(dockerfile.as_bytes(), dialect::find("buildkit@26.1").unwrap(), &args, &Platform::linux_amd64())
    }

    #[test]
    fn every_image_that_a_dockerfile_names_is_found_and_no_stage() {
        let text = "ARG V=3\nARG BASE\nFROM alpine:$V AS one\nFROM one AS two\nFROM $BASE\nCOPY --from=one /a /\nCOPY --from=busybox /b /\nCOPY --from=0 /c /\nRUN --mount=type=bind,from=tools,target=/t true\nRUN --mount=type=bind,from=two,target=/t true\nFROM scratch\n";
        assert_eq!(names(text, &[("BASE", "debian")]).unwrap(), ["alpine:3", "busybox", "debian", "tools"]);
        assert_eq!(
            names(text, &[("BASE", "REQUIRED:x"), ("V", "4")]).unwrap(),
            ["alpine:4", "busybox", "tools"]
        );
        assert_eq!(names("FROM --platform=$BUILDPLATFORM a-$TARGETARCH\n", &[]).unwrap(), ["a-amd64"]);
    }

    #[test]
    fn what_is_fetched_without_a_checksum_has_no_key() {
        let why = names("FROM a\nADD https://x.test/f /\n", &[]).unwrap_err();
        assert!(why.contains("line 2") && why.contains("--checksum"), "{why}");
        assert!(names("FROM a\nADD $SRC /\n", &[]).is_err(), "nobody knows what it is");
        assert!(names("FROM a\nADD f.tar /\n", &[]).is_ok());
        let sum = Digest::of(b"x");
        assert!(names(&format!("FROM a\nADD --checksum={sum} https://x.test/f /\n"), &[]).is_ok());
    }

    #[test]
    fn a_dockerfile_that_is_none_has_no_bases() {
        assert!(names("FRM a\n", &[]).is_err());
    }
}
