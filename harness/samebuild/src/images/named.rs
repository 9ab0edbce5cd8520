//! Which images a Dockerfile names: FROM, `COPY --from` and `RUN --mount from=`, of all its stages. And whether it takes
//! something whose content nobody knows before it is fetched. Not seen: images that only an ONBUILD of a base names.

use std::collections::BTreeMap;

use samebuild_builder::{Dialect, own_platform};
use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::remote::{self, Remote};
use samebuild_dockerfile::{Dockerfile, InstructionKind};
use samebuild_image::manifest::Platform;

/// An image that a Dockerfile names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub name: String,
    /// What FROM says it is to be for.
    pub platform: Option<String>,
}

/// The images `dockerfile` names, sorted.
///
/// # Errors
/// It cannot be parsed or expanded.
pub fn images(
    dockerfile: &[u8],
    dialect: &Dialect,
    args: &BTreeMap<String, String>,
    platform: &Platform,
) -> Result<Vec<Named>, String> {
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
        let from = stage.from();
        let base = expander.word(&from.image.text, &globals).map_err(|error| error.message)?;
        if let Origin::Image(name) = file.base_of(stage.index, &base, syntax) {
            let platform = from.platform.as_ref().map(|word| expander.word(&word.text, &globals));
            let platform = platform.transpose().map_err(|error| error.message)?;
            found.push(Named { name, platform: platform.filter(|text| !text.is_empty()) });
        }
        let mut add = |name: String| found.push(Named { name, platform: None });
        for instruction in &stage.instructions {
            match &instruction.kind {
                InstructionKind::Copy(copy) => {
                    let from = copy.from.as_ref().map(|from| file.copy_origin(stage.index, from, syntax));
                    if let Some(Ok(Origin::Image(name))) = from {
                        add(name);
                    }
                }
                InstructionKind::Run(run) => {
                    let from = run.mounts.iter().filter_map(|mount| mount.from.as_ref());
                    from.filter(|name| file.stage_index(name).is_none()).cloned().for_each(&mut add);
                }
                _ => {}
            }
        }
    }
    found.retain(|image| image.name != "scratch");
    found.sort();
    found.dedup();
    Ok(found)
}

/// The first ADD of something that is fetched without a checksum, in words that fit after "failed to".
pub fn fetches(dockerfile: &[u8], dialect: &Dialect) -> Option<String> {
    let syntax = &dialect.syntax;
    let file = Dockerfile::parse(dockerfile, syntax).ok()?;
    // What a variable stands for is not known here.
    let is_remote = |text: &str| remote::kind(text, syntax) != Remote::No || text.starts_with('$');
    file.stages.iter().flat_map(|stage| &stage.instructions).find_map(|instruction| {
        let InstructionKind::Add(add) = &instruction.kind else { return None };
        let word = add.transfer.paths().find(|word| add.checksum.is_none() && is_remote(&word.text))?;
        let line = instruction.line;
        Some(format!("know what `ADD {}` in line {line} fetches; a --checksum would say it", word.text))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::dialect;

    fn speaks() -> &'static Dialect {
        dialect::find("buildkit@26.1").unwrap()
    }

    fn names(dockerfile: &str, args: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = images(dockerfile.as_bytes(), speaks(), &args, &Platform::linux_amd64())?;
        Ok(found
            .into_iter()
            .map(|image| image.name + &image.platform.map(|p| format!(" for {p}")).unwrap_or_default())
            .collect())
    }

    #[test]
    fn every_image_that_a_dockerfile_names_is_found_and_no_stage() {
        let text = "ARG V=3\nARG BASE\nFROM alpine:$V AS one\nFROM one AS two\nFROM $BASE\nCOPY --from=one /a /\nCOPY --from=busybox /b /\nCOPY --from=0 /c /\nRUN --mount=type=bind,from=tools,target=/t true\nRUN --mount=type=bind,from=two,target=/t true\nFROM scratch\n";
        assert_eq!(names(text, &[("BASE", "debian")]).unwrap(), ["alpine:3", "busybox", "debian", "tools"]);
        assert_eq!(names(text, &[("BASE", "one"), ("V", "4")]).unwrap(), ["alpine:4", "busybox", "tools"]);
        assert_eq!(
            names("FROM --platform=$BUILDPLATFORM a-$TARGETARCH\n", &[]).unwrap(),
            ["a-amd64 for linux/amd64"]
        );
    }

    #[test]
    fn what_is_fetched_without_a_checksum_is_not_known_before() {
        let fetched = |text: &str| fetches(text.as_bytes(), speaks());
        let why = fetched("FROM a\nADD https://x.test/f /\n").unwrap();
        assert!(why.contains("line 2") && why.contains("--checksum"), "{why}");
        assert!(fetched("FROM a\nADD $SRC /\n").is_some(), "nobody knows what it is");
        assert!(fetched("FROM a\nADD f.tar /\n").is_none());
        let sum = samebuild_image::Digest::of(b"x");
        assert!(fetched(&format!("FROM a\nADD --checksum={sum} https://x.test/f /\n")).is_none());
    }

    #[test]
    fn a_dockerfile_that_is_none_has_no_bases() {
        assert!(names("FRM a\n", &[]).is_err());
    }
}
