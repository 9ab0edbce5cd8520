//! `samebuild cache gc`: what may go of all that builds have kept. Each room knows itself what nobody needs; here is the
//! order they are asked in, and what is told.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use samebuild_builder::cache::Local;
use samebuild_builder::cache::gc::{self, Limits};
use samebuild_builder::roots;
use serde_json::{Map, Value, json};

use super::caching::{bytes, duration};
use super::terminal::{out, say};
use crate::artifacts::Disk;
use crate::images::clean;
use crate::images::store::Store;

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// What was not used for longer: 36h, 14d. Steps; of our own cache also artifacts, images without a name, and unpacked bases.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    unused: Option<Duration>,
    /// Steps down to this size, what was not used for longest first: 500MB, 10GB.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    limit: Option<u64>,
    /// What nobody refers to goes even if it was written just now: only where no build is running.
    #[arg(long)]
    now: bool,
}

/// As long as this somebody may be about to read an image that he looked up.
const GRACE: Duration = Duration::from_secs(3600);

/// Cleans the layer cache at `layers`, and `cache` around it if it is our own.
pub(super) fn run(args: &Gc, layers: &Path, cache: Option<&Path>, is_json: bool) -> Result<()> {
    let now = SystemTime::now();
    let limits = Limits { unused: args.unused, bytes: args.limit, at_once: args.now };
    let gone = gc::clean(&Local::new(layers), &limits, now)
        .with_context(|| format!("clean {}", layers.display()))?;
    let mut told = Told { is_json, all: Map::new() };
    told.room(
        "steps",
        json!({ "entries": gone.entries, "blobs": gone.blobs, "bytes": gone.bytes, "left": gone.left }),
        &format!(
            "{} entries and {} blobs removed, {} bytes; {} bytes stay",
            gone.entries, gone.blobs, gone.bytes, gone.left
        ),
    );
    if args.limit.is_some_and(|limit| gone.left > limit) && !args.now {
        say(
            "what was written within the hour stays, because somebody may be about to refer to it; --now removes it too, where nobody builds",
        );
    }
    if let Some(cache) = cache {
        around(args, cache, now, &mut told)?;
    }
    told.end();
    Ok(())
}

fn around(args: &Gc, cache: &Path, now: SystemTime, told: &mut Told) -> Result<()> {
    if let Some(unused) = args.unused {
        let artifacts = Disk::in_cache(cache);
        let forgotten = artifacts.clean(unused, now)?;
        told.room("artifacts", json!({ "entries": forgotten }), &format!("{forgotten} entries forgotten"));
        let known: Vec<_> = artifacts.all()?.into_iter().filter_map(|(_, note, _)| note.id).collect();
        let unused = if args.now { unused } else { unused.max(GRACE) };
        match clean::clean(&Store::in_cache(cache), known, unused, now)? {
            Some(gone) => told.room(
                "images",
                json!({ "blobs": gone.blobs, "bytes": gone.bytes, "left": gone.left }),
                &format!(
                    "{} blobs removed that no image with a name has, {} bytes; {} bytes stay",
                    gone.blobs, gone.bytes, gone.left
                ),
            ),
            None => say("images are left as they are: somebody is adding one; once more when that is done"),
        }
    }
    let unpacked = cache.join("unpacked");
    let gone =
        roots::clean(&unpacked, args.unused, now).with_context(|| format!("clean {}", unpacked.display()))?;
    let text = format!("{} unpacked ones removed, {} bytes", gone.roots, gone.bytes);
    told.room("bases", json!({ "roots": gone.roots, "bytes": gone.bytes }), &text);
    Ok(())
}

/// A line for each room as it is done, or an object of all at the end.
struct Told {
    is_json: bool,
    all: Map<String, Value>,
}

impl Told {
    fn room(&mut self, name: &str, fields: Value, line: &str) {
        match self.is_json {
            true => drop(self.all.insert(name.to_owned(), fields)),
            false => out!("{name:<10} {line}"),
        }
    }

    fn end(self) {
        if self.is_json {
            out!("{}", Value::Object(self.all));
        }
    }
}
