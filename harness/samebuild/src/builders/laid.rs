//! A case on disk, for builders that read a context there: the context, a Dockerfile outside of it, secrets; and which images
//! it names, for builders that have to have them beforehand.

use std::path::{Path, PathBuf};

use samebuild_builder::disk;
use samebuild_dockerfile::{Dockerfile, InstructionKind, Syntax};

use crate::cases::{self, Case};
use crate::images::names;

/// Gone when it drops.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) context: PathBuf,
    /// The Dockerfile, where it is not `Dockerfile` in the context.
    pub(super) file: Option<PathBuf>,
    /// Ids and the files that hold them.
    pub(super) secrets: Vec<(String, PathBuf)>,
    _room: tempfile::TempDir,
}

impl Laid {
    /// Writes it into a new directory in `work`.
    ///
    /// # Errors
    /// In words.
    pub(super) fn out(case: &Case, work: &Path) -> Result<Self, String> {
        let room = tempfile::Builder::new().prefix("context-").tempdir_in(work);
        let room = room.map_err(|error| format!("make room for a context in {}: {error}", work.display()))?;
        let context = room.path().join("context");
        disk::write_tree(&case.context_tree(), &context).map_err(|error| error.to_string())?;
        let file = match &case.outside {
            Some(outside) => Some(put_outside(case, outside, &room.path().join("dockerfile"))?),
            None => (case.dockerfile_name != "Dockerfile").then(|| context.join(&case.dockerfile_name)),
        };
        let dir = room.path().join("secrets");
        std::fs::create_dir(&dir).map_err(|error| format!("make room for secrets: {error}"))?;
        let mut secrets = Vec::new();
        for secret in &case.build.secrets {
            let path = dir.join(&secret.id);
            let written = std::fs::write(&path, &secret.text);
            written.map_err(|error| format!("write the secret {}: {error}", secret.id))?;
            secrets.push((secret.id.clone(), path));
        }
        Ok(Self { context, file, secrets, _room: room })
    }
}

/// Puts a Dockerfile that is no part of its context in a directory of its own, with its ignore file.
fn put_outside(case: &Case, outside: &cases::Outside, dir: &Path) -> Result<PathBuf, String> {
    let file = dir.join(&case.dockerfile_name);
    let write = || {
        std::fs::create_dir(dir)?;
        std::fs::write(&file, &case.dockerfile)?;
        match &outside.ignore {
            Some(text) => std::fs::write(dir.join(format!("{}.dockerignore", case.dockerfile_name)), text),
            None => Ok(()),
        }
    };
    write().map_err(|error| format!("write the Dockerfile of {}: {error}", case.id))?;
    Ok(file)
}

/// The images that FROM and `COPY --from` name without a variable, quotes taken off, as far as an image can be called so at
/// all.
pub(super) fn named_images(case: &Case, syntax: &Syntax) -> Vec<String> {
    let Ok(file) = Dockerfile::parse(&case.dockerfile, syntax) else { return Vec::new() };
    let mut named = Vec::new();
    for stage in &file.stages {
        named.push(stage.from().image.text.clone());
        named.extend(stage.instructions.iter().filter_map(|node| match &node.kind {
            InstructionKind::Copy(copy) => copy.from.as_ref().map(|from| from.text.clone()),
            _ => None,
        }));
    }
    let plain = |name: String| name.trim_matches(['"', '\'']).to_owned();
    named.into_iter().map(plain).filter(|name| names::parse(name).is_ok()).collect()
}
