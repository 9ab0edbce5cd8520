//! `samebuild build DIR`: one build by the reference builder, speaking a dialect, into an OCI layout or a docker-archive.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use samebuild_builder::snapshot::probe::Clear;
use samebuild_builder::stamp::VARIABLE;
use samebuild_builder::{
    BuildError, Dialect, Event, Failure, Images, Network, NotFound, Request, dialect, disk,
};
use samebuild_image::{At, Image, Tree};

use super::terminal::{Usage, say};
use super::verbs::{Build, Net};
use crate::bases::{self, BaseError};
use crate::conform::{Exit, scratch};
use crate::engines::cache_dir;
use crate::fetch::{Http, Limits};
use crate::files;
use crate::stored::{self, read_image};
use crate::tag::{BadTag, Tag};

pub(crate) fn run(args: &Build) -> Result<Exit> {
    let output = Output::parse(&args.output)?;
    output.check()?;
    let tag = args.tag.as_deref().map(str::parse).transpose();
    let tag: Option<Tag> = tag.map_err(|error: BadTag| Usage(error.to_string()))?;
    let dialect = &changed(dialect::find(&args.dialect)?, &args.sets)?;
    let file = args.file.clone().unwrap_or_else(|| args.dir.join("Dockerfile"));
    let dockerfile = std::fs::read(&file)
        .map_err(|error| Usage(format!("read {}: {error}; name it with -f", file.display())))?;
    let context = disk::scan(&args.dir).map_err(|error| Usage(error.to_string()))?;
    let context = as_sent(context);
    let mut build_args = build_args(&args.build_args);
    let stamp = args.times.stamp(&mut build_args, std::env::var(VARIABLE).ok())?;
    let cache = cache_dir()?;
    let images = Named::open(&args.build_contexts, cache.clone())?;
    let work = scratch(&cache)?;
    let http = Http::new(Limits::USUAL);
    let unpacked = cache.join("unpacked");
    std::fs::create_dir_all(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    let name = file.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
    let request = Request {
        dockerfile: &dockerfile,
        dockerfile_name: &name,
        context: &context,
        dialect,
        build_args,
        target: args.target.clone(),
        secrets: BTreeMap::new(),
        images: &images,
        fetch: &http,
        work: work.path(),
        unpacked: &unpacked,
        network: match args.network {
            Net::None => Network::None,
            Net::Host => Network::Host,
        },
        now: crate::builders::now(),
        stamp,
        child: PathBuf::from("/proc/self/exe"),
        snapshotter: None,
        lens: &Clear,
        progress: &tell,
    };
    let built = match samebuild_builder::build(&request) {
        Ok(built) => built,
        // What is not at hand says nothing about the Dockerfile.
        Err(BuildError::Failed(failure)) if failure.class == "image-not-found" => {
            return Err(anyhow::anyhow!("{}", failure.message));
        }
        Err(BuildError::Failed(failure)) => {
            show(&failure, &file, &dockerfile);
            return Ok(Exit::Different);
        }
        Err(error) => return Err(error).with_context(|| format!("build {}", args.dir.display())),
    };
    output.write(&built.image, tag.as_ref(), dialect)?;
    say(&format!(
        "{} written, {}, as {} builds it",
        args.output,
        match built.image.layers.len() {
            1 => "1 layer".to_owned(),
            layers => format!("{layers} layers"),
        },
        dialect.id
    ));
    Ok(Exit::Same)
}

/// The dialect with the decisions of `--set` changed.
fn changed(dialect: &Dialect, sets: &[String]) -> Result<Dialect> {
    let mut dialect = dialect.clone();
    for set in sets {
        let (name, variant) = set.split_once('=').ok_or_else(|| {
            Usage(format!("read --set `{set}`: write DECISION=VARIANT, such as copy.setuid=kept"))
        })?;
        dialect.set(name, variant).map_err(|error| Usage(error.to_string()))?;
    }
    Ok(dialect)
}

/// Where an image goes.
enum Output {
    Layout(PathBuf),
    Archive(PathBuf),
}

impl Output {
    fn parse(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("oci", path)) if !path.is_empty() => Ok(Self::Layout(path.into())),
            Some(("docker-archive", path)) if !path.is_empty() => Ok(Self::Archive(path.into())),
            _ => Err(Usage(format!("write to `{text}`; accepted: oci:DIR, docker-archive:FILE")).into()),
        }
    }

    /// Before anything is built: nobody's files are replaced.
    fn check(&self) -> Result<()> {
        let (path, is_free) = match self {
            Self::Layout(dir) => (dir, files::is_free(dir)),
            Self::Archive(file) => (file, !file.is_dir()),
        };
        if is_free {
            return Ok(());
        }
        let why = format!("write {}: it exists already; remove it, or name another place", path.display());
        Err(Usage(why).into())
    }

    fn write(&self, image: &Image, tag: Option<&Tag>, dialect: &Dialect) -> Result<()> {
        match self {
            Self::Layout(dir) => stored::write_layout(image, tag, dir, dialect.tar_style()),
            Self::Archive(file) => stored::write_archive(image, tag, file, dialect.tar_style()),
        }
    }
}

/// Base images by the name FROM gives them, and the one we can make ourselves.
struct Named {
    given: BTreeMap<String, Image>,
    cache: PathBuf,
}

impl Named {
    fn open(contexts: &[String], cache: PathBuf) -> Result<Self> {
        let mut images = BTreeMap::new();
        for context in contexts {
            let place = context.split_once('=').and_then(|(name, source)| {
                let schemes = ["oci-layout://", "docker-archive://"];
                Some((name, schemes.iter().find_map(|scheme| source.strip_prefix(scheme))?))
            });
            let Some((name, path)) = place.filter(|(name, _)| !name.is_empty()) else {
                let accepted = "NAME=oci-layout://DIR, NAME=docker-archive://FILE";
                return Err(
                    Usage(format!("understand --build-context {context}; accepted: {accepted}")).into()
                );
            };
            images.insert(name.to_owned(), read_image(Path::new(path))?.image);
        }
        Ok(Self { given: images, cache })
    }

    /// The base of our own cases that has this name, made now: a row of ci/bases.toml.
    fn ours(&self, name: &str) -> Option<Result<Image, BaseError>> {
        let policy = match bases::Policy::compiled_in() {
            Ok(policy) => policy,
            Err(error) => return Some(Err(error)),
        };
        let base = policy.names().find(|id| policy.base(id).is_ok_and(|base| base.image == name))?;
        Some(bases::provide(base, &self.cache, &say).map(|base| base.image))
    }
}

impl Images for Named {
    fn find(&self, name: &str) -> Result<Image, NotFound> {
        if let Some(image) = self.given.get(name) {
            return Ok(image.clone());
        }
        match self.ours(name) {
            Some(Ok(image)) => return Ok(image),
            Some(Err(error)) => {
                return Err(NotFound { name: name.to_owned(), tried: vec![error.to_string()] });
            }
            None => {}
        }
        let given: Vec<&str> = self.given.keys().map(String::as_str).collect();
        let given = if given.is_empty() {
            "none was given".to_owned()
        } else {
            format!("given are {}", given.join(", "))
        };
        let tried = vec![
            format!("nothing is pulled, and of --build-context {given}"),
            format!("give it with --build-context {name}=oci-layout://DIR or docker-archive://FILE"),
        ];
        Err(NotFound { name: name.to_owned(), tried })
    }
}

/// A context as Docker's client sends it: everything belongs to root.
fn as_sent(mut context: Tree) -> Tree {
    let all: Vec<At> = context.iter().map(|(at, _, _)| at.clone()).collect();
    for at in &all {
        if let Some(meta) = context.meta_mut(at) {
            (meta.uid, meta.gid) = (0, 0);
        }
    }
    context
}

/// `NAME=VALUE`, or `NAME` alone, which takes its value from the environment and is nothing where there is none.
fn build_args(args: &[String]) -> BTreeMap<String, String> {
    args.iter()
        .filter_map(|arg| match arg.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => {
                let value = std::env::var(arg).ok();
                if value.is_none() {
                    say(&format!(
                        "warning: --build-arg {arg}: there is no {arg} in the environment; the default counts"
                    ));
                }
                value.map(|value| (arg.clone(), value))
            }
        })
        .collect()
}

fn tell(event: Event<'_>) {
    match event {
        Event::Step { number, text, .. } => {
            eprintln!("step {number}: {}", text.lines().next().unwrap_or(text))
        }
        // What cannot be shown is no reason not to build.
        Event::Output(bytes) => drop(std::io::stderr().write_all(bytes)),
    }
}

/// The failure with its place and the line it speaks of.
fn show(failure: &Failure, file: &Path, dockerfile: &[u8]) {
    let text = String::from_utf8_lossy(dockerfile);
    let place = match (failure.line, failure.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
        (Some(line), None) => format!("{}:{line}", file.display()),
        _ => file.display().to_string(),
    };
    eprintln!("failed to build {place}: {} ({})", failure.message, failure.class);
    if let Some((line, content)) =
        failure.line.and_then(|line| Some((line, text.lines().nth(line.checked_sub(1)?)?)))
    {
        eprintln!("  {line} │ {content}");
        let before = failure.column.map_or(0, |column| column.saturating_sub(1));
        let width = content.chars().count().saturating_sub(before).max(1);
        eprintln!("  {:pad$} │ {:before$}{}", "", "", "─".repeat(width), pad = line.to_string().len());
    }
    if let Some(said) = &failure.builder_message {
        eprintln!("  the builder itself says: {said}");
    }
}
