//! `samebuild artifacts`: the images of a file of artifacts, built only where they are not there already. One line each on
//! stdout; of building nothing is said unless something is built.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgAction, Args, Subcommand};
use samebuild_builder::dialect;
use samebuild_builder::disk::index::Belief;
use samebuild_store::artifacts::Key;

use super::terminal::{Usage, out, say};
use super::verbs::Format;
use crate::artifacts::{self, Artifact, Asked, Disk, Ears, Line, NotBuilt, Way};
use crate::conform::Exit;
use crate::engines::cache_dir;
use crate::images::store::Store;

#[derive(Debug, Args)]
pub(crate) struct Artifacts {
    #[command(subcommand)]
    verb: Verb,
}

impl Artifacts {
    pub(crate) fn may_build(&self) -> bool {
        matches!(self.verb, Verb::Build(_))
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Have the image of every artifact of FILE: found, tagged, pushed, or built. Exits 1 where a Dockerfile fails.
    Build(Build),
    /// What is remembered, the newest first, and whether its image is still in our store.
    Ls(Ls),
    /// Remember an image as what the sources of an artifact make: a colleague's, from a registry, our store or a file.
    Add(Add),
    /// Forget entries; their images stay.
    Rm(Rm),
}

/// What makes another image of the same sources.
#[derive(Debug, Args)]
struct Means {
    /// A skaffold.yaml (its `build` section is read), or a .toml with the same keys.
    file: PathBuf,
    /// Whose behaviour to predict; `samebuild dialects` lists them.
    #[arg(long, default_value = "buildkit@26.1")]
    dialect: String,
    /// One decision of the dialect changed: `copy.setuid=kept`. May be repeated.
    #[arg(long = "set", value_name = "DECISION=VARIANT")]
    sets: Vec<String>,
    /// What the images are for: os/architecture[/variant]. What FILE says if left out, else this machine.
    #[arg(long)]
    platform: Option<String>,
    /// The tag of the images.
    #[arg(long, default_value = "latest")]
    tag: String,
    /// Read every file, whatever its stat says: for file systems whose times lag (`samebuild probe-fs`).
    #[arg(long)]
    rehash: bool,
}

#[derive(Debug, Args)]
struct Build {
    #[command(flatten)]
    means: Means,
    /// Only artifacts whose image contains this, and those they require. May be repeated.
    #[arg(short = 'b', long = "build-image", value_name = "TEXT")]
    only: Vec<String>,
    /// To the registries of their names: `build.local.push` of FILE if left out. Only then a registry is asked for an image.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    push: Option<bool>,
    /// With false, build everything, read no entry and write none.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    cache_artifacts: bool,
    /// With false, carry out every step of what is built, whatever earlier builds left in the layer cache.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    layer_cache: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Ls {
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    means: Means,
    /// The artifact, by its image.
    image: String,
    /// Where the image is: a name, or the path of an OCI layout or a docker-archive.
    source: String,
}

#[derive(Debug, Args)]
struct Rm {
    /// Keys, as `ls` prints them; the beginning is enough where it is no other's.
    #[arg(required_unless_present = "all")]
    keys: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with = "keys")]
    all: bool,
}

pub(crate) fn run(args: &Artifacts) -> Result<Exit> {
    match &args.verb {
        Verb::Build(args) => build(args),
        Verb::Ls(args) => ls(args),
        Verb::Add(args) => add(args),
        Verb::Rm(args) => rm(args),
    }
}

impl Means {
    fn way(&self) -> Result<Way> {
        let dialect = super::build::changed(dialect::find(&self.dialect)?, &self.sets)?;
        if let Some(text) = &self.platform {
            samebuild_builder::platform_of(text).map_err(Usage)?;
        }
        let (sets, platform) = (self.sets.clone(), self.platform.clone());
        let belief = if self.rehash { Belief::Nothing } else { Belief::Stat };
        Ok(Way { dialect, sets, platform, belief, layer_cache: true, cache: cache_dir()? })
    }
}

fn build(args: &Build) -> Result<Exit> {
    let file = artifacts::read(&args.means.file).map_err(|error| Usage(error.to_string()))?;
    let push = args.push.or(file.push).unwrap_or(false);
    let all = only(file.all, &args.only)?;
    let asked = Asked { tag: args.means.tag.clone(), push, cache_artifacts: args.cache_artifacts };
    let ears = Ears { steps: super::build::tell, lines: say };
    let mut lines = Vec::new();
    let mut each = |line: &Line| match args.format {
        Format::Text => show(line),
        Format::Json => lines.push(line.clone()),
    };
    let way = Way { layer_cache: args.layer_cache, ..args.means.way()? };
    let done = artifacts::run(all, way, &asked, ears, &mut each)?;
    if args.format == Format::Json {
        out!("{}", serde_json::to_string_pretty(&lines)?);
    }
    match done {
        Ok(done) => {
            let count = done.hits + done.built;
            let plural = if count == 1 { "artifact" } else { "artifacts" };
            say(&format!(
                "{count} {plural} looked for in {} ms, {} built",
                done.looked.as_millis(),
                done.built
            ));
            Ok(Exit::Same)
        }
        Err(failed) => match failed.why {
            NotBuilt::Failed { failure, file, text } => {
                super::build::show(&failure, &file, &text);
                Ok(Exit::Different)
            }
            NotBuilt::Broken(error) => Err(error.context(format!("have {}", failed.image))),
        },
    }
}

fn show(line: &Line) {
    let digest = line.digest.get(..19).unwrap_or(&line.digest);
    out!("{}: {} in {}, {digest}: {}", line.name, line.how, time(line.took_ms), line.why);
    if let Some(warning) = &line.warning {
        say(&format!("warning: {}: {warning}", line.image));
    }
}

fn time(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms / 100 % 10) }
}

/// Those whose image contains one of `texts`, with all they require.
fn only(all: Vec<Artifact>, texts: &[String]) -> Result<Vec<Artifact>> {
    if texts.is_empty() {
        return Ok(all);
    }
    let mut wanted: Vec<usize> = (0..all.len())
        .filter(|number| texts.iter().any(|text| all[*number].image.contains(text.as_str())))
        .collect();
    if wanted.is_empty() {
        let images = all.iter().map(|artifact| artifact.image.as_str()).collect::<Vec<_>>();
        bail!(Usage(format!(
            "find an artifact with {} in its image; there are {}",
            texts.join(" or "),
            images.join(", ")
        )));
    }
    let mut next = 0;
    while let Some(number) = wanted.get(next).copied() {
        let required: Vec<usize> = all[number].requires.values().copied().collect();
        wanted.extend(required.into_iter().filter(|other| !wanted.contains(other)).collect::<Vec<_>>());
        next += 1;
    }
    wanted.sort_unstable();
    let place = |number: &usize| wanted.iter().position(|other| other == number);
    let renumbered = wanted.iter().map(|number| {
        let mut artifact = all[*number].clone();
        artifact.requires = artifact
            .requires
            .iter()
            .filter_map(|(alias, number)| Some((alias.clone(), place(number)?)))
            .collect();
        artifact
    });
    Ok(renumbered.collect())
}

fn ls(args: &Ls) -> Result<Exit> {
    let cache = cache_dir()?;
    let store = Store::in_cache(&cache);
    let mut rows = Vec::new();
    for (key, note, written) in Disk::in_cache(&cache).all()? {
        let there = match &note.id {
            Some(id) => store.holds(id)?.is_some(),
            None => false,
        };
        let age = written.elapsed().map_or(0, |age| age.as_secs());
        rows.push((key, note, there, age));
    }
    match args.format {
        Format::Json => {
            let rows: Vec<serde_json::Value> = rows
                .iter()
                .map(|(key, note, there, age)| {
                    serde_json::json!({ "key": key.to_string(), "image": note.image, "id": note.id,
                        "digest": note.digest, "in_store": there, "age_s": age })
                })
                .collect();
            out!("{}", serde_json::to_string_pretty(&rows)?);
        }
        Format::Text => {
            for (key, note, there, age) in &rows {
                let id = note.id.or(note.digest).map(|digest| digest.to_string()).unwrap_or_default();
                let place = match (there, note.digest) {
                    (true, None) => "in our store",
                    (true, Some(_)) => "in our store, pushed",
                    (false, Some(_)) => "pushed",
                    (false, None) => "gone",
                };
                let (key, id) = (key.to_string(), id.get(..19).unwrap_or(&id).to_owned());
                out!("{} {id} {}: {place}, {} ago", &key[..12], note.image, age_text(*age));
            }
            if rows.is_empty() {
                say("nothing is remembered; `samebuild artifacts build FILE` builds and remembers");
            }
        }
    }
    Ok(Exit::Same)
}

fn age_text(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

fn add(args: &Add) -> Result<Exit> {
    let file = artifacts::read(&args.means.file).map_err(|error| Usage(error.to_string()))?;
    let Some(number) = file.all.iter().position(|artifact| artifact.image == args.image) else {
        let images = file.all.iter().map(|artifact| artifact.image.as_str()).collect::<Vec<_>>().join(", ");
        bail!(Usage(format!(
            "find an artifact `{}` in {}; there are {images}",
            args.image,
            args.means.file.display()
        )));
    };
    let way = args.means.way()?;
    let added = artifacts::add(file.all, number, way, &args.source, &args.means.tag, say)?;
    let key = added.key.to_string();
    out!(
        "{}:{} added, {}: what sources {} make, on your word",
        args.image,
        args.means.tag,
        added.digest,
        &key[..12]
    );
    Ok(Exit::Same)
}

fn rm(args: &Rm) -> Result<Exit> {
    let disk = Disk::in_cache(&cache_dir()?);
    let all: Vec<Key> = disk.all()?.into_iter().map(|(key, ..)| key).collect();
    let mut gone: Vec<Key> = Vec::new();
    if args.all {
        gone = all;
    } else {
        for text in &args.keys {
            let mut found = all.iter().filter(|key| key.to_string().starts_with(text.as_str()));
            match (found.next(), found.next()) {
                (Some(key), None) => gone.push(*key),
                (None, _) => {
                    bail!(Usage(format!("find an entry `{text}`; `samebuild artifacts ls` lists them")))
                }
                (Some(_), Some(_)) => {
                    bail!(Usage(format!(
                        "choose between the entries that begin with `{text}`; write more of it"
                    )))
                }
            }
        }
    }
    for key in &gone {
        disk.remove(*key)?;
    }
    let plural = if gone.len() == 1 { "entry" } else { "entries" };
    say(&format!("{} {plural} forgotten", gone.len()));
    Ok(Exit::Same)
}
