//! `samebuild cache`: what is in the layer cache's own directory, why a step was not found in it, and cleaning it up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use samebuild_builder::cache::gc::{self, Row};
use samebuild_builder::cache::journal::{Build, Step, Why};
use samebuild_builder::cache::{Backend as _, Journal, Key, Local, Part};
use samebuild_image::{Digest, Mtime};
use serde_json::json;

use super::caching::directory;
use super::cleaning::{self, Gc};
use super::terminal::{Usage, out, say};
use super::verbs::Format;
use crate::conform::Exit;
use crate::engines::cache_dir;

#[derive(Debug, Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    what: What,
    /// The directory of the cache, instead of `layers` in our own.
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    #[arg(long, global = true, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every entry, the one used last first.
    Ls,
    /// Forget entries, by their keys or how these begin.
    Rm {
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Remove what was not used for long, what is too much, and what nobody refers to any more. Safe beside builds.
    Gc(Gc),
    /// Read everything: is it what it says? 1 where something is not.
    Verify {
        /// Forget what is not.
        #[arg(long)]
        forget: bool,
    },
    /// What the keys of the last build of DIR were made of, and the first part of each that was another the time before.
    Why {
        /// The build context, as it was given to `build`.
        dir: PathBuf,
        /// Its Dockerfile, if it was named with -f.
        #[arg(short = 'f', long)]
        file: Option<PathBuf>,
        /// The stage that was built, if it was named.
        #[arg(long)]
        target: Option<String>,
        /// Only this line of the Dockerfile; all parts of its key are shown.
        #[arg(long)]
        line: Option<usize>,
    },
}

impl Cache {
    /// What builds without root have unpacked belongs to subordinate ids.
    pub(crate) fn may_remove_unpacked(&self) -> bool {
        matches!(self.what, What::Gc(_)) && self.cache_dir.is_none()
    }
}

/// How a build is called in the journal.
pub(crate) fn what(dir: &std::path::Path, file: Option<&std::path::Path>, target: Option<&str>) -> String {
    let whole = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = file.map_or_else(|| whole(dir).join("Dockerfile"), whole);
    format!("{} of {}, target {}", whole(dir).display(), file.display(), target.unwrap_or("the last"))
}

pub(crate) fn run(args: &Cache) -> Result<Exit> {
    let root = directory(args.cache_dir.as_deref(), &cache_dir()?);
    let store = Local::new(&root);
    let read = || format!("read {}", root.display());
    let is_json = args.format == Format::Json;
    match &args.what {
        What::Ls => ls(&gc::list(&store).with_context(read)?, is_json)?,
        What::Rm { keys } => rm(&store, keys)?,
        What::Gc(how) => {
            let cache = cache_dir()?;
            cleaning::run(how, &root, args.cache_dir.is_none().then_some(cache.as_path()), is_json)?;
        }
        What::Verify { forget } => return verify(&store, *forget),
        What::Why { dir, file, target, line } => {
            let name = what(dir, file.as_deref(), target.as_deref());
            return why(&Journal::new(&root), &name, *line, is_json);
        }
    }
    Ok(Exit::Same)
}

fn ls(rows: &[Row], is_json: bool) -> Result<()> {
    for row in rows {
        let (text, created, layer) = match &row.entry {
            Ok(entry) => {
                let text = entry.instruction.lines().next().unwrap_or_default().to_owned();
                let layer = entry.layer.map(|kept| kept.diff_id.to_string());
                (text, Mtime::secs(entry.created).to_string(), layer)
            }
            Err(error) => (format!("damaged: {error}"), String::new(), None),
        };
        if is_json {
            let row = json!({
                "key": row.key.hex(), "created": created, "bytes": row.bytes, "layer": layer, "instruction": text,
                "isDamaged": row.entry.is_err(),
            });
            out!("{}", serde_json::to_string(&row)?);
        } else {
            out!("{}  {created}  {:>11}  {text}", &row.key.hex()[..12], row.bytes);
        }
    }
    if rows.is_empty() {
        say("nothing is in the cache; `samebuild build --cache` puts something there");
    }
    Ok(())
}

fn rm(store: &Local, wanted: &[String]) -> Result<()> {
    let keys = store.keys()?;
    for wanted in wanted {
        let alike: Vec<Key> =
            keys.iter().map(|(key, _)| *key).filter(|key| key.hex().starts_with(wanted.as_str())).collect();
        match alike[..] {
            [key] => {
                store.forget(&key, &[])?;
                out!("{key} forgotten");
            }
            [] => {
                return Err(
                    Usage(format!("find an entry `{wanted}`; `samebuild cache ls` lists them")).into()
                );
            }
            _ => {
                let why =
                    format!("choose an entry: {} begin with `{wanted}`; write more of the key", alike.len());
                return Err(Usage(why).into());
            }
        }
    }
    Ok(())
}

fn verify(store: &Local, forget: bool) -> Result<Exit> {
    let (all, problems) = gc::verify(store).with_context(|| format!("read {}", store.root().display()))?;
    for problem in &problems {
        out!("{}: {}", problem.key, problem.why);
        if forget {
            store.forget(&problem.key, &problem.blobs)?;
        }
    }
    out!("{all} entries, {} damaged{}", problems.len(), if forget { ", and forgotten" } else { "" });
    Ok(if problems.is_empty() || forget { Exit::Same } else { Exit::Different })
}

fn why(journal: &Journal, name: &str, line: Option<usize>, is_json: bool) -> Result<Exit> {
    let Some(last) = journal.last(name, 0) else {
        let why = format!("tell of {name}: no build of it used this cache; `samebuild build --cache` first");
        return Err(Usage(why).into());
    };
    let before = journal.last(name, 1).unwrap_or_default();
    let mut alike: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &last.steps {
        let nth = alike.entry(&step.text).or_default();
        let told = journal.why(step, *nth, &before);
        *nth += 1;
        if line.is_none_or(|line| line == step.line) {
            match is_json {
                true => out!("{}", serde_json::to_string(&as_json(journal, step, &told))?),
                false => show(journal, step, &told, &before, line.is_some()),
            }
        }
    }
    Ok(Exit::Same)
}

fn show(journal: &Journal, step: &Step, told: &Why, before: &Build, whole: bool) {
    let fate = match (&step.found, &step.unkept) {
        (Some(place), _) => format!("found in {place}"),
        (None, Some(why)) => format!("carried out, and not kept: {why}"),
        (None, None) => "carried out".to_owned(),
    };
    let key = step.key.as_ref().map_or("no key", |key| &key[..key.len().min(12)]);
    out!("line {}: {}", step.line, step.text.lines().next().unwrap_or_default());
    out!("  {key}, {fate}");
    match told {
        Why::Same => out!("  its key is the same as the time before"),
        Why::New if before.steps.is_empty() => out!("  nothing was built before it"),
        Why::New => out!("  the time before there was nothing like it"),
        Why::Unknown => out!("  its key is another, and what one of them was made of is no longer known"),
        Why::Changed { part, before, after } => {
            out!("  first part that changed: {part}");
            before.iter().for_each(|line| out!("    - {line}"));
            after.iter().for_each(|line| out!("    + {line}"));
        }
    }
    let parts = step.key.as_deref().and_then(|key| journal.parts_of(key));
    for part in parts.iter().flat_map(|parts| parts.all()) {
        let value = said(part);
        match (part.lines.len(), whole) {
            (0, _) => out!("    {}: {}", part.name, shortened(&value)),
            (n, false) => out!("    {}: {n} of them, {}", part.name, shortened(&value)),
            (_, true) => {
                out!("    {}:", part.name);
                part.lines.iter().for_each(|line| out!("      {line}"));
            }
        }
    }
}

/// What a part says, for people.
fn said(part: &Part) -> String {
    // The digest of a list on which there is nothing.
    let is_nothing = part.value.is_empty() || part.value == Digest::of(b"").to_string().as_bytes();
    if is_nothing { "-".to_owned() } else { String::from_utf8_lossy(&part.value).into_owned() }
}

fn shortened(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().take(72).collect();
    if line.len() < text.len() { format!("{line}…") } else { line }
}

fn as_json(journal: &Journal, step: &Step, told: &Why) -> serde_json::Value {
    let parts = step.key.as_deref().and_then(|key| journal.parts_of(key));
    let told = match told {
        Why::Same => json!({ "is": "same" }),
        Why::New => json!({ "is": "new" }),
        Why::Unknown => json!({ "is": "unknown" }),
        Why::Changed { part, before, after } => {
            json!({ "is": "changed", "part": part, "before": before, "after": after })
        }
    };
    json!({
        "line": step.line, "text": step.text, "key": step.key, "found": step.found, "unkept": step.unkept,
        "why": told, "parts": parts.map(|parts| json!(parts.all())),
    })
}
