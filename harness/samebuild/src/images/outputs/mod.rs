//! Where a build puts its image. A family: a trait and the table [`OUTPUTS`]. A place is looked at before anything is built,
//! and what is written appears whole or not at all.

mod engine;
mod files;
mod registry;
mod spelling;
mod store;

use std::path::{Path, PathBuf};

use anyhow::Result;
use oci_client::Reference;
use samebuild_image::{Image, TarStyle};

use crate::engines::Progress;
use crate::tag::Tag;

/// One place for an image.
pub trait Output {
    /// Before anything is built: whether it could be written.
    ///
    /// # Errors
    /// It could not; the text says why and what to do.
    fn check(&self) -> Result<(), String>;

    /// The names under which it goes into registries.
    fn pushed(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes it; what comes back is a line that says where it is.
    ///
    /// # Errors
    /// The disk is full, a registry or engine refuses it.
    fn write(&self, image: &Image, how: &How<'_>) -> Result<String>;
}

/// What all outputs of a build share.
pub struct How<'a> {
    pub style: TarStyle,
    /// Repositories that may have blobs of the image already: those of its base and of the cache.
    pub beside: &'a [Reference],
    /// Scratch space.
    pub work: &'a Path,
    pub progress: Progress<'a>,
}

/// What outputs are made from.
pub struct Asked<'a> {
    /// What stands after the kind: a path or a name; may be empty.
    pub place: &'a str,
    /// `--tag`.
    pub names: &'a [String],
    pub cache: PathBuf,
}

/// A kind of output.
pub struct Row {
    pub kind: &'static str,
    /// What stands after it.
    pub place: &'static str,
    pub about: &'static str,
    /// Makes one, or says what it lacks.
    pub open: fn(&Asked<'_>) -> Result<Box<dyn Output>, String>,
}

/// Every kind.
pub const OUTPUTS: &[Row] = &[
    Row {
        kind: "oci",
        place: "DIR",
        about: "an OCI layout in a new directory",
        open: |asked| Ok(Box::new(files::Layout::new(asked)?)),
    },
    Row {
        kind: "oci-archive",
        place: "FILE",
        about: "a tar of an OCI layout",
        open: |asked| Ok(Box::new(files::LayoutArchive::new(asked)?)),
    },
    Row {
        kind: "docker-archive",
        place: "FILE",
        about: "what `docker load` takes",
        open: |asked| Ok(Box::new(files::DockerArchive::new(asked)?)),
    },
    Row {
        kind: "store",
        place: "NAME",
        about: "our store in the cache, for the FROM of later builds",
        open: |asked| Ok(Box::new(store::InStore::new(asked)?)),
    },
    Row {
        kind: "registry",
        place: "NAME",
        about: "pushed, with the credentials of ~/.docker/config.json",
        open: |asked| Ok(Box::new(registry::InRegistry::new(asked)?)),
    },
    Row {
        kind: "engine",
        place: "NAME",
        about: "loaded into this machine's engine, under samebuild.test/ only",
        open: |asked| Ok(Box::new(engine::InEngine::new(asked)?)),
    },
];

/// The outputs that are asked for: `--output` as written, `--push`, `--load`; with nothing but names, the store.
///
/// # Errors
/// One makes no sense, or nothing is asked for; the text says what is accepted.
pub fn asked_for(
    outputs: &[String],
    names: &[String],
    push: bool,
    load: bool,
    cache: &Path,
) -> Result<Vec<Box<dyn Output>>, String> {
    let mut asked: Vec<(String, String)> =
        outputs.iter().map(|text| spelling::read(text)).collect::<Result<_, _>>()?;
    for (flag, wanted, kind) in [("--push", push, "registry"), ("--load", load, "engine")] {
        if wanted && names.is_empty() {
            return Err(format!("understand {flag}: the image has no name; give it one with --tag NAME"));
        }
        asked.extend(wanted.then(|| (kind.to_owned(), String::new())));
    }
    if asked.is_empty() && !names.is_empty() {
        asked.push(("store".to_owned(), String::new()));
    }
    if asked.is_empty() {
        return Err(format!(
            "know where the image is to go: name it with --tag, or use --output {}",
            accepted()
        ));
    }
    let open = |(kind, place): &(String, String)| {
        let row = OUTPUTS.iter().find(|row| row.kind == kind);
        let row = row.ok_or_else(|| format!("write to `{kind}:{place}`; accepted: {}", accepted()))?;
        (row.open)(&Asked { place, names, cache: cache.to_owned() })
    };
    asked.iter().map(open).collect()
}

/// Every kind with its place, for messages.
#[must_use]
pub fn accepted() -> String {
    OUTPUTS.iter().map(|row| format!("{}:{}", row.kind, row.place)).collect::<Vec<_>>().join(", ")
}

impl Asked<'_> {
    /// The place as a path.
    fn path(&self, kind: &str) -> Result<PathBuf, String> {
        if self.place.is_empty() {
            return Err(format!("write to `{kind}:`: name a path after it; accepted: {}", accepted()));
        }
        Ok(self.place.into())
    }

    /// `--tag`, understood.
    fn tags(&self) -> Result<Vec<Tag>, String> {
        self.names.iter().map(|name| name.parse::<Tag>().map_err(|error| error.to_string())).collect()
    }

    /// The name that stands after the kind, else those of `--tag`.
    fn all_names(&self, kind: &str) -> Result<Vec<Tag>, String> {
        let placed = self.place.parse::<Tag>().map_err(|error| error.to_string());
        let names = if self.place.is_empty() { self.tags()? } else { vec![placed?] };
        if names.is_empty() {
            return Err(format!("write to `{kind}:`: the image has no name; add one, or use --tag"));
        }
        Ok(names)
    }
}
