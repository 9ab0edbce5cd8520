//! A file of artifacts: the `build` section of a `skaffold.yaml`, or the same in TOML. What stands elsewhere in such a file
//! is not ours; what stands in an artifact and changes the image, but is not understood, is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One image to have, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// `registry.example/team/app`, without a tag.
    pub image: String,
    pub context: PathBuf,
    pub dockerfile: PathBuf,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    pub platform: Option<String>,
    pub host_network: bool,
    /// Numbers of artifacts of the same file, by the build argument that names their image.
    pub requires: BTreeMap<String, usize>,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifacts {
    pub all: Vec<Artifact>,
    /// `build.local.push`.
    pub push: Option<bool>,
}

/// Why a file is no file of artifacts. Fits after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("read {}: {why}", path.display())]
pub struct FileError {
    path: PathBuf,
    why: String,
}

/// Reads the file at `path`; what it names is beside it.
///
/// # Errors
/// There is none, or it makes no sense; the text says where and what is accepted.
pub fn read(path: &Path) -> Result<Artifacts, FileError> {
    let wrong = |why: String| FileError { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("{error}; name a skaffold.yaml, or a .toml of the same keys")))?;
    let documents: Vec<Document> = if path.extension().is_some_and(|end| end == "toml") {
        vec![toml::from_str(&text).map_err(|error| wrong(error.to_string()))?]
    } else {
        serde_saphyr::from_multiple(&text).map_err(|error| wrong(error.to_string()))?
    };
    let push = documents.iter().find_map(|document| document.build.local.as_ref()?.push);
    let platforms: Vec<&Vec<String>> = documents.iter().map(|document| &document.build.platforms).collect();
    let platform = one_platform(platforms.into_iter().flatten()).map_err(wrong)?;
    let rows: Vec<Row> = documents.into_iter().flat_map(|document| document.build.artifacts).collect();
    if rows.is_empty() {
        return Err(wrong("it has no build.artifacts; each has an `image` and a `context`".to_owned()));
    }
    let images: Vec<String> = rows.iter().map(|row| row.image.clone()).collect();
    let base = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let all = rows.into_iter().enumerate().map(|(number, row)| {
        let image = row.image.clone();
        row.artifact(number, base, &images, platform.clone())
            .map_err(|why| format!("artifact `{image}`: {why}"))
    });
    Ok(Artifacts { all: all.collect::<Result<_, String>>().map_err(wrong)?, push })
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    build: Build,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    #[serde(default)]
    artifacts: Vec<Row>,
    local: Option<Local>,
    #[serde(default)]
    platforms: Vec<String>,
}

#[derive(Deserialize)]
struct Local {
    push: Option<bool>,
}

#[derive(Deserialize)]
struct Row {
    image: String,
    context: Option<PathBuf>,
    docker: Option<Docker>,
    #[serde(default)]
    requires: Vec<Required>,
    #[serde(default)]
    platforms: Vec<String>,
    // Other builders: their artifacts are not for us.
    bazel: Option<serde::de::IgnoredAny>,
    buildpacks: Option<serde::de::IgnoredAny>,
    custom: Option<serde::de::IgnoredAny>,
    jib: Option<serde::de::IgnoredAny>,
    kaniko: Option<serde::de::IgnoredAny>,
    ko: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Docker {
    dockerfile: Option<PathBuf>,
    target: Option<String>,
    #[serde(default)]
    build_args: BTreeMap<String, Option<String>>,
    network: Option<String>,
    secrets: Option<serde::de::IgnoredAny>,
    ssh: Option<serde::de::IgnoredAny>,
    add_host: Option<serde::de::IgnoredAny>,
    cli_flags: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Required {
    image: String,
    alias: Option<String>,
}

impl Row {
    fn artifact(
        self,
        own: usize,
        base: &Path,
        images: &[String],
        platform: Option<String>,
    ) -> Result<Artifact, String> {
        let is_name = crate::images::names::parse(&self.image).map(drop);
        is_name?;
        let last = self.image.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            return Err("its image has a tag; leave it to --tag".to_owned());
        }
        if images[..own].contains(&self.image) {
            return Err("an artifact of that image stands above; give one of them another name".to_owned());
        }
        let others = [
            ("bazel", self.bazel.is_some()),
            ("buildpacks", self.buildpacks.is_some()),
            ("custom", self.custom.is_some()),
            ("jib", self.jib.is_some()),
            ("kaniko", self.kaniko.is_some()),
            ("ko", self.ko.is_some()),
        ];
        if let Some((name, _)) = others.iter().find(|(_, said)| *said) {
            return Err(format!("it is built by `{name}`; accepted: docker"));
        }
        let docker = self.docker.unwrap_or_default();
        let unknown = [
            ("secrets", docker.secrets.is_some()),
            ("ssh", docker.ssh.is_some()),
            ("addHost", docker.add_host.is_some()),
            ("cliFlags", docker.cli_flags.is_some()),
        ];
        if let Some((name, _)) = unknown.iter().find(|(_, said)| *said) {
            return Err(format!(
                "docker.{name} is not understood; accepted: dockerfile, target, buildArgs, network"
            ));
        }
        let host_network = match docker.network.as_deref() {
            None => false,
            Some(network) if network.eq_ignore_ascii_case("none") => false,
            Some(network) if network.eq_ignore_ascii_case("host") => true,
            Some(other) => return Err(format!("docker.network is `{other}`; accepted: none, host")),
        };
        let mut args = BTreeMap::new();
        for (name, value) in docker.build_args {
            let from_outside = || std::env::var(&name).ok();
            let Some(value) = value.or_else(from_outside) else { continue };
            if value.contains("{{") {
                return Err(format!(
                    "docker.buildArgs.{name} is a template, which is not understood; write the value"
                ));
            }
            args.insert(name, value);
        }
        let mut requires = BTreeMap::new();
        for required in self.requires {
            let number = images.iter().position(|image| *image == required.image).ok_or_else(|| {
                format!(
                    "it requires `{}`, which is not in the file; there are {}",
                    required.image,
                    images.join(", ")
                )
            })?;
            requires.insert(required.alias.unwrap_or(required.image), number);
        }
        let context = base.join(self.context.unwrap_or_else(|| ".".into()));
        let platform = one_platform(self.platforms.iter())?.or(platform);
        Ok(Artifact {
            dockerfile: context.join(docker.dockerfile.unwrap_or_else(|| "Dockerfile".into())),
            context,
            image: self.image,
            target: docker.target.filter(|target| !target.is_empty()),
            args,
            platform,
            host_network,
            requires,
        })
    }
}

fn one_platform<'a>(mut platforms: impl Iterator<Item = &'a String>) -> Result<Option<String>, String> {
    match (platforms.next(), platforms.next()) {
        (one, None) => Ok(one.cloned()),
        _ => Err("several platforms are listed; accepted: one at a time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Artifacts, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let strip = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().to_owned();
        let mut artifacts = read(&path).map_err(|error| error.to_string())?;
        for artifact in &mut artifacts.all {
            artifact.context = strip(std::mem::take(&mut artifact.context));
            artifact.dockerfile = strip(std::mem::take(&mut artifact.dockerfile));
        }
        Ok(artifacts)
    }

    /// As in Skaffold's examples.
    const SKAFFOLD: &str = r#"
apiVersion: skaffold/v4beta13
kind: Config
metadata: { name: shop }
build:
  tagPolicy: { sha256: {} }
  local: { push: false, useBuildkit: true }
  artifacts:
    - image: base
      context: base
      sync: { infer: ['**/*.txt'] }
    - image: registry.example/team/app
      context: app
      hooks: { before: [] }
      docker:
        dockerfile: build/Dockerfile
        target: prod
        buildArgs: { VERSION: "1", EMPTY: "" }
        cacheFrom: [registry.example/team/app]
      requires:
        - { image: base, alias: BASE }
deploy: { kubectl: {} }
profiles: [{ name: dev, build: { artifacts: [] } }]
"#;

    #[test]
    fn a_skaffold_file_is_read_unchanged() {
        let read = read_text("skaffold.yaml", SKAFFOLD).unwrap();
        assert_eq!(read.push, Some(false));
        let [base, app] = read.all.as_slice() else { panic!("{read:?}") };
        assert_eq!(
            (base.context.to_str(), base.dockerfile.to_str()),
            (Some("base"), Some("base/Dockerfile"))
        );
        assert_eq!(app.dockerfile, Path::new("app/build/Dockerfile"));
        assert_eq!(app.target.as_deref(), Some("prod"));
        let args: Vec<(&str, &str)> =
            app.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(args, [("EMPTY", ""), ("VERSION", "1")]);
        assert_eq!(app.requires, BTreeMap::from([("BASE".to_owned(), 0)]));
    }

    #[test]
    fn the_same_in_toml_is_the_same() {
        let toml = r#"
            [[build.artifacts]]
            image = "a"
            [[build.artifacts]]
            image = "b"
            context = "b"
            docker = { target = "t", buildArgs = { A = "1" } }
            requires = [{ image = "a" }]
        "#;
        let yaml = "build: { artifacts: [{ image: a }, { image: b, context: b, docker: { target: t, buildArgs: { A: '1' } }, requires: [{ image: a }] }] }";
        let read = read_text("artifacts.toml", toml).unwrap();
        assert_eq!(read, read_text("a.yaml", yaml).unwrap());
        assert_eq!(
            read.all[1].requires,
            BTreeMap::from([("a".to_owned(), 0)]),
            "without an alias by its image"
        );
    }

    #[test]
    fn several_documents_are_one_list() {
        let two = "build: { artifacts: [{ image: a }] }\n---\nbuild: { artifacts: [{ image: b }] }\n";
        assert_eq!(read_text("s.yaml", two).unwrap().all.len(), 2);
    }

    #[test]
    fn what_would_make_another_image_and_is_not_understood_is_an_error_with_what_is_accepted() {
        for (artifact, words) in [
            ("{ image: a, jib: {} }", "built by `jib`; accepted: docker"),
            ("{ image: a, docker: { secrets: [] } }", "docker.secrets is not understood"),
            ("{ image: a, docker: { buildArgs: { A: '{{.X}}' } } }", "a template"),
            ("{ image: a, docker: { network: container } }", "accepted: none, host"),
            ("{ image: a, requires: [{ image: b }] }", "which is not in the file; there are a"),
            ("{ image: 'a:1' }", "leave it to --tag"),
            ("{ image: A }", "is no name of an image"),
            ("{ image: a, platforms: [linux/amd64, linux/arm64] }", "one at a time"),
            ("{ context: a }", "image"),
            ("{ image: a }, { image: a }", "stands above"),
            ("", "no build.artifacts"),
        ] {
            let why = read_text("s.yaml", &format!("build: {{ artifacts: [{artifact}] }}")).unwrap_err();
            assert!(why.contains(words), "{artifact}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = read_text("s.yaml", &text);
            let _ = read_text("s.toml", &format!("build = {text}"));
        }
    }
}
