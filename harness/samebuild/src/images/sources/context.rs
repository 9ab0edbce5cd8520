//! `--build-context NAME=SOURCE`: what the command line calls an image, as `docker buildx build` spells it. A name goes
//! before a stage of that name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use samebuild_builder::{Wanted, disk};
use samebuild_dockerfile::Syntax;
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::read::{self, ReadOptions};
use samebuild_image::{At, Image, Kind, Tree};
use serde_json::{Map, json};

use super::{Answer, Means, Source};
use crate::images::names;
use crate::stored::{Dir, read_image};

pub(super) struct Contexts {
    /// By the name in full, and as it was given.
    named: BTreeMap<String, (String, Place)>,
}

/// What a name stands for.
enum Place {
    /// An OCI layout, and the tag or digest in it.
    Layout(PathBuf, Option<String>),
    Archive(PathBuf),
    /// Another image.
    Image(String),
    /// Files, as if they were an image of one layer.
    Dir(PathBuf),
}

const ACCEPTED: &str =
    "NAME=DIR, NAME=oci-layout://DIR[:TAG|@DIGEST], NAME=docker-archive://FILE, NAME=docker-image://IMAGE";

impl Contexts {
    pub(super) fn open(means: &Means<'_>) -> Result<Self, String> {
        let mut named = BTreeMap::new();
        for text in means.contexts {
            let split = text.split_once('=').filter(|(name, source)| !name.is_empty() && !source.is_empty());
            let place = split.and_then(|(name, source)| Some((name, place(source)?)));
            let Some((name, place)) = place else {
                return Err(format!("understand --build-context {text}; accepted: {ACCEPTED}"));
            };
            place.check(name)?;
            named.insert(names::whole(name), (name.to_owned(), place));
        }
        Ok(Self { named })
    }
}

fn place(source: &str) -> Option<Place> {
    if let Some(path) = source.strip_prefix("oci-layout://") {
        let (path, which) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => match path.rsplit_once(':') {
                // A colon may as well be the directory's.
                Some((dir, tag)) if !tag.contains('/') && !Path::new(path).exists() => (dir, Some(tag)),
                _ => (path, None),
            },
        };
        return Some(Place::Layout(path.into(), which.map(str::to_owned)));
    }
    if let Some(path) = source.strip_prefix("docker-archive://") {
        return Some(Place::Archive(path.into()));
    }
    if let Some(name) = source.strip_prefix("docker-image://") {
        return Some(Place::Image(name.to_owned()));
    }
    let has_scheme = source.contains("://") || source.starts_with("git@") || source.starts_with("target:");
    (!has_scheme).then(|| Place::Dir(source.into()))
}

impl Place {
    /// What can be said before anything is built.
    fn check(&self, name: &str) -> Result<(), String> {
        let (path, is_there, what) = match self {
            Self::Layout(path, _) => (path, path.join("index.json").is_file(), "an OCI layout"),
            Self::Archive(path) => (path, path.is_file(), "a file of `docker save`"),
            Self::Dir(path) => (path, path.is_dir(), "a directory"),
            Self::Image(image) => return names::parse(image).map(drop),
        };
        if is_there {
            return Ok(());
        }
        Err(format!("read the build context {name}: {} is not {what}; accepted: {ACCEPTED}", path.display()))
    }

    fn read(&self, wanted: &Wanted<'_>) -> Result<Image, String> {
        match self {
            Self::Layout(path, which) => {
                let options =
                    |platform| ReadOptions { name: which.clone(), platform, ..ReadOptions::default() };
                let dir = Dir::new(path);
                // One image alone is taken whatever it is for.
                let read = read::layout(&dir, &options(Some(wanted.platform.clone())))
                    .or_else(|error| read::layout(&dir, &options(None)).map_err(|_| error));
                read.map(|loaded| loaded.image).map_err(|error| error.to_string())
            }
            Self::Archive(path) => {
                read_image(path).map(|loaded| loaded.image).map_err(|error| format!("{error:#}"))
            }
            Self::Dir(path) => directory(path, wanted),
            Self::Image(name) => Err(format!("read {name} here")),
        }
    }
}

impl Source for Contexts {
    fn find(&self, wanted: &Wanted<'_>) -> Answer {
        match self.named.get(&names::whole(wanted.name)) {
            Some((_, Place::Image(name))) => Answer::IsCalled(name.clone()),
            Some((_, place)) => match place.read(wanted) {
                Ok(image) => Answer::Has(Box::new(image)),
                Err(why) => Answer::Broken(why),
            },
            None if self.named.is_empty() => Answer::Lacks("none was given".to_owned()),
            None => {
                let given: Vec<&str> = self.named.values().map(|(name, _)| name.as_str()).collect();
                Answer::Lacks(format!("given are {}", given.join(", ")))
            }
        }
    }

    fn replaces_stage(&self, name: &str) -> bool {
        self.named.values().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

/// A directory as an image: what it holds belongs to root, as when a client sends it, and its `.dockerignore` counts.
fn directory(path: &Path, wanted: &Wanted<'_>) -> Result<Image, String> {
    let tree = disk::scan(path).map_err(|error| error.to_string())?;
    let ignore = match tree.get(&At::from(".dockerignore")).map(|inode| &inode.kind) {
        Some(Kind::File(content)) => {
            let text = content.read_up_to(1 << 20).map_err(|error| error.to_string())?.unwrap_or_default();
            Some(IgnoreFile::parse(&text, &Syntax::BUILDKIT_HEAD).map_err(|error| error.to_string())?)
        }
        _ => None,
    };
    let mut kept = Tree::new();
    let mut names = BTreeMap::new();
    for (at, number, inode) in tree.iter() {
        let text = String::from_utf8_lossy(at.as_bytes()).into_owned();
        if at.is_root() || ignore.as_ref().is_some_and(|ignore| ignore.excludes(&text)) {
            continue;
        }
        if let Some(first) = names.get(&number).filter(|_| !inode.kind.is_dir()) {
            let _ = kept.link(at, first);
            continue;
        }
        let mut meta = inode.meta.clone();
        (meta.uid, meta.gid) = (0, 0);
        for parent in at.parents().filter(|parent| kept.get(parent).is_none()).collect::<Vec<_>>() {
            if let Some(dir) = tree.get(&parent) {
                kept.insert(&parent, Kind::Dir, dir.meta.clone());
            }
        }
        kept.insert(at, inode.kind.clone(), meta);
        names.insert(number, at.clone());
    }
    let entries = samebuild_builder::delta::double_walk(&Tree::new(), &kept);
    let layer = samebuild_image::Layer { entries, ..Default::default() };
    let mut config = Map::new();
    config.insert("architecture".into(), wanted.platform.architecture.clone().into());
    config.insert("os".into(), wanted.platform.os.clone().into());
    if let Some(variant) = &wanted.platform.variant {
        config.insert("variant".into(), variant.clone().into());
    }
    config.insert("config".into(), json!({}));
    config.insert("history".into(), json!([{ "created_by": format!("[context {}]", wanted.name) }]));
    let layers = if layer.entries.is_empty() { Vec::new() } else { vec![layer] };
    Ok(Image { config, layers, ..Image::default() })
}
