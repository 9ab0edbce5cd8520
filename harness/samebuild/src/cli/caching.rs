//! Options of `build` about the layer cache: where results of steps are looked for and kept, and by which rules.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use oci_client::Reference;
use samebuild_builder::cache::gc::{self, Limits};
use samebuild_builder::cache::keys::KEYS;
use samebuild_builder::cache::{Backend, Journal, LayerCache, Local, OciLayout, Times, Used};
use samebuild_builder::disk::index::{Belief, Index};
use samebuild_builder::disk::scan_with;
use samebuild_image::{Digest, Tree};

use super::terminal::{Usage, say};
use crate::images::names;
use crate::images::registry::layers::InRegistry;

/// Whether a change of a file's time alone is a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CacheTimes {
    /// It is: the image shows it, and so may a command.
    #[default]
    Kept,
    /// It is not, as with Docker: a fresh checkout finds what another left, with that one's times.
    Ignored,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Caching {
    /// Look for the results of steps among those of earlier builds, and keep new ones; where the image is pushed, also in the
    /// repository NAME/cache beside it.
    #[arg(long)]
    cache: bool,
    /// The directory of the cache, instead of `layers` in our own. Implies --cache, as do all of these.
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Look here too: a repository (registry:NAME, or NAME alone), or an OCI layout (oci:DIR). May be repeated.
    #[arg(long, value_name = "PLACE")]
    cache_from: Vec<String>,
    /// Keep new results here too; spelled alike. May be repeated.
    #[arg(long, value_name = "PLACE")]
    cache_to: Vec<String>,
    /// What is older counts as not there: 36h, 14d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    cache_ttl: Option<Duration>,
    /// After the build, the directory is brought down to this size, what was not used for longest first: 500MB, 10GB.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    cache_limit: Option<u64>,
    /// Whether a file of which only the time changed is another one.
    #[arg(long, value_enum, default_value_t)]
    cache_times: CacheTimes,
    /// What a step is known by. Others than `ours` show how builders have been wrong; they keep to a directory of their own.
    #[arg(long, value_name = "RULES", default_value = "ours", value_parser = keys)]
    cache_keys: String,
}

/// The cache of one build.
pub(crate) struct Open {
    pub(crate) cache: LayerCache,
    pub(crate) local: Arc<Local>,
    /// Those of its places that are in registries.
    pub(crate) repositories: Vec<Reference>,
    limit: Option<u64>,
}

impl Caching {
    /// Whether a cache is asked for at all.
    pub(crate) fn is_on(&self) -> bool {
        self.cache
            || self.cache_dir.is_some()
            || !self.cache_from.is_empty()
            || !self.cache_to.is_empty()
            || self.cache_ttl.is_some()
            || self.cache_limit.is_some()
            || self.cache_keys != "ours"
    }

    /// Opens it; `pushed` is where the image goes, if to registries, `ours` our own cache.
    pub(crate) fn open(&self, ours: &Path, pushed: &[String]) -> Result<Option<Open>> {
        if !self.is_on() {
            return Ok(None);
        }
        let known = KEYS.iter().find(|row| row.name == self.cache_keys);
        let keys = *known.with_context(|| format!("find the keys {}", self.cache_keys))?;
        let mut root = directory(self.cache_dir.as_deref(), ours);
        if keys.name != "ours" {
            root = root.join(keys.name);
        }
        let local = Arc::new(Local::new(&root));
        let mut places = [self.cache_from.clone(), self.cache_to.clone()];
        if self.cache && places.iter().all(Vec::is_empty) {
            let beside = pushed.iter().map(|name| Ok(format!("registry:{}", beside(name)?)));
            let beside: Vec<String> = beside.collect::<Result<_>>()?;
            places = [beside.clone(), beside];
        }
        let repositories = places.iter().flatten().filter_map(|text| repository(text)).collect();
        let opened = |texts: &[String]| -> Result<Vec<Arc<dyn Backend>>, Usage> {
            let own = Ok(Arc::clone(&local) as Arc<dyn Backend>);
            std::iter::once(own).chain(texts.iter().map(|text| place(text, &local))).collect()
        };
        let (from, to) = (opened(&places[0])?, opened(&places[1])?);
        let times = match self.cache_times {
            CacheTimes::Kept => Times::Kept,
            CacheTimes::Ignored => Times::PassedOver,
        };
        let ttl = self.cache_ttl.map(|ttl| ttl.as_secs());
        let own = LayerCache::at(Arc::clone(&local) as Arc<dyn Backend>);
        let cache = LayerCache { from, to, ttl, times, keys, ..own };
        Ok(Some(Open { cache, local, repositories, limit: self.cache_limit }))
    }
}

/// Where the local store is.
pub(crate) fn directory(asked: Option<&Path>, ours: &Path) -> PathBuf {
    asked.map_or_else(|| ours.join("layers"), Path::to_owned)
}

/// The repository of the cache of an image: `NAME/cache`.
fn beside(name: &str) -> Result<String> {
    let reference = names::parse(name).map_err(Usage)?;
    Ok(format!("{}/{}/cache", reference.registry(), reference.repository()))
}

/// The repository a place is, if it is one.
fn repository(text: &str) -> Option<Reference> {
    let name = (!text.starts_with("oci:")).then(|| text.strip_prefix("registry:").unwrap_or(text))?;
    names::parse(name).ok()
}

fn place(text: &str, local: &Arc<Local>) -> Result<Arc<dyn Backend>, Usage> {
    if let Some(dir) = text.strip_prefix("oci:") {
        return Ok(Arc::new(OciLayout::new(Path::new(dir))));
    }
    let name = text.strip_prefix("registry:").unwrap_or(text);
    let repository = InRegistry::open(name, local.blobs()).map_err(|why| {
        Usage(format!("use the cache `{text}`: {why}; accepted: registry:NAME, NAME alone, oci:DIR"))
    })?;
    Ok(Arc::new(repository))
}

impl Open {
    /// The context, by what is known of it from the last time.
    pub(crate) fn scan(&self, dir: &Path, belief: Belief) -> Result<(Tree, Context)> {
        let what = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let name = Digest::of(std::os::unix::ffi::OsStrExt::as_bytes(what.as_os_str())).hex();
        let path = self.local.root().join("contexts").join(name);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = (i64::try_from(now.as_secs()).unwrap_or(i64::MAX), now.subsec_nanos());
        let mut index = Index::read(&path, now, belief);
        let tree = scan_with(dir, &mut index, &|time| time).map_err(|error| Usage(error.to_string()))?;
        Ok((tree, Context { index, path }))
    }

    /// After the build: what went wrong is told, what was looked up noted, and what is too much removed.
    pub(crate) fn close(&self, what: &str, used: &Used, context: Context) {
        for warning in &used.warnings {
            say(&format!("warning: failed to {warning}"));
        }
        let noted = Journal::new(self.local.root()).note(what, &used.looked);
        let indexed = context.index.write(&context.path).map(drop);
        for (what, result) in
            [("note what was looked up", noted), ("keep what is known of the context", indexed)]
        {
            if let Err(error) = result {
                say(&format!("warning: failed to {what} in {}: {error}", self.local.root().display()));
            }
        }
        if let Some(bytes) = self.limit {
            let limits = Limits { bytes: Some(bytes), ..Limits::default() };
            if let Err(error) = gc::clean(&self.local, &limits, SystemTime::now()) {
                say(&format!("warning: failed to clean {}: {error}", self.local.root().display()));
            }
        }
        if !used.looked.is_empty() {
            say(&used.told());
        }
    }
}

/// What is known of a context now.
pub(crate) struct Context {
    index: Index,
    path: PathBuf,
}

fn keys(text: &str) -> Result<String, String> {
    match KEYS.iter().any(|row| row.name == text) {
        true => Ok(text.to_owned()),
        false => {
            let all: Vec<&str> = KEYS.iter().map(|row| row.name).collect();
            Err(format!("there are {}", all.join(", ")))
        }
    }
}

/// `90s`, `36h`, `14d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "write a number and s, m, h or d: 36h".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(bad)
}

/// `500MB`, `10GB`, or a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let bad = || "write a number of bytes, or one with kB, MB or GB: 500MB".to_owned();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let each = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(each).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_a_number_and_a_unit() {
        assert_eq!(duration("36h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(bytes("10GB"), Ok(10_000_000_000));
        assert_eq!(bytes("7"), Ok(7));
        for bad in ["", "h", "1", "1w", "-1h", "99999999999999999999h", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "MB", "1.5GB", "18446744073709551615GB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_cache_of_an_image_is_a_repository_beside_it() {
        assert_eq!(beside("localhost:5000/a/b:tag").unwrap(), "localhost:5000/a/b/cache");
        assert_eq!(beside("alpine").unwrap(), "docker.io/library/alpine/cache");
    }
}
