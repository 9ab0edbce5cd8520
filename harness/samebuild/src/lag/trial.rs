//! One trial: N identical COPYs by the reference builder on a clock of our own, or two RUNs that leave a file of the same
//! size and time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use samebuild_builder::snapshot::probe::Clear;
use samebuild_builder::{
    BuildError, Built, Dialect, Images, Network, NotFound, OwnIgnore, Pace, Request, Stamp, Ticks, Trust,
    Wanted, build, dialect, own_platform,
};
use samebuild_image::{At, Content, Image, Kind, Meta, Mtime, Tree};

use super::Sight;
use crate::fetch::{Http, Limits};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub copies: usize,
    /// How long a tick of the file system's clock is, in nanoseconds.
    pub granularity: u64,
    /// How long a step takes, in nanoseconds.
    pub step: (u64, u64),
}

impl Default for Setting {
    /// A tick of a kernel with 250 Hz, and steps of about half of it.
    fn default() -> Self {
        Self { copies: 4, granularity: 4_000_000, step: (200_000, 3_800_000) }
    }
}

impl Setting {
    /// The clock of a seed: it decides where in a tick the build begins, and how long each step takes.
    pub fn ticks(self, seed: u64) -> Ticks {
        // An odd multiplier spreads seeds over the tick.
        let phase = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.granularity.max(1);
        Ticks { phase, granularity: self.granularity, step: self.step, seed }
    }
}

/// How many layers the model expects on this clock: FROM is step 1, the COPYs are those after it.
pub fn predicted(ticks: Ticks, copies: usize) -> usize {
    1 + (2..=copies).filter(|n| ticks.shown(n + 1) != ticks.shown(*n)).count()
}

/// Where trials are made.
pub struct Yard {
    pub work: PathBuf,
    pub unpacked: PathBuf,
    /// The image with a shell in it.
    pub base: Option<(String, Image)>,
}

impl Images for Yard {
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound> {
        let known = self.base.iter().find(|(known, _)| known == wanted.name);
        known
            .map(|(_, image)| image.clone())
            .ok_or_else(|| NotFound { name: wanted.name.to_owned(), tried: Vec::new() })
    }
}

impl Yard {
    /// How many layers `dialect` makes of so many identical COPYs on this clock.
    ///
    /// # Errors
    /// There is no such dialect, or the build does not end with an image.
    pub fn layers(&self, id: &str, copies: usize, ticks: Ticks) -> Result<usize> {
        let dockerfile = format!("FROM scratch\n{}", "COPY foo /foo\n".repeat(copies));
        let mut context = Tree::new();
        let meta = Meta::new(0o644, Mtime::secs(1_600_000_000));
        context.insert(&At::from("foo"), Kind::File(Content::inline(*b"foo\n")), meta);
        let built = self.build(dialect::find(id)?, &dockerfile, &context, Pace::Ticking(ticks));
        Ok(built.with_context(|| format!("build in {id}"))?.image.layers.len())
    }

    fn build(
        &self,
        dialect: &Dialect,
        dockerfile: &str,
        context: &Tree,
        pace: Pace,
    ) -> Result<Built, BuildError> {
        let http = Http::new(Limits::USUAL);
        build(&Request {
            dockerfile: dockerfile.as_bytes(),
            dockerfile_name: "Dockerfile",
            own_ignore: OwnIgnore::InContext,
            context,
            dialect,
            build_args: BTreeMap::new(),
            target: None,
            secrets: BTreeMap::new(),
            platform: own_platform(),
            images: self,
            fetch: &http,
            work: &self.work,
            unpacked: &self.unpacked,
            network: Network::None,
            now: (1_600_000_000, 0),
            pace,
            stamp: Stamp::Clock,
            child: Path::new("/proc/self/exe").to_owned(),
            snapshotter: None,
            trust: Trust::Dialect,
            witness: false,
            lens: &Clear,
            cache: None,
            progress: &|_| {},
        })
    }
}

/// A file rewritten with as many bytes and its old time.
const REWRITE: &str = "\
RUN echo aaaa > /real/f && touch -d '2001-01-01 00:00:00' /real/f /real
RUN echo bbbb > /real/f && touch -d '2001-01-01 00:00:00' /real/f /real
";

/// Whether the image has the new content; `None` where nothing can be run, with the reason as an error of its own kind.
///
/// # Errors
/// `Ok(Err(why))` where it cannot be tried here; an error where it fails.
pub fn kept(yard: &Yard, sight: &Sight) -> Result<Result<bool, String>> {
    let mut dialect = dialect::find(sight.dialect)?.clone();
    if let Some((decision, variant)) = sight.set {
        dialect.set(decision, variant)?;
    }
    let (name, _) = yard.base.as_ref().context("rewrite a file: there is no base image")?;
    let dockerfile = format!("FROM {name}\n{REWRITE}");
    let built = match yard.build(&dialect, &dockerfile, &Tree::new(), Pace::Still) {
        Ok(built) => built,
        Err(BuildError::Unmet(need)) => return Ok(Err(need.to_string())),
        Err(error) => return Err(error).context("rewrite a file"),
    };
    let tree = built.image.tree().context("read the image")?;
    let Some(Kind::File(content)) = tree.get(&At::from("real/f")).map(|inode| &inode.kind) else {
        bail!("rewrite a file: the image has none");
    };
    let bytes = content.read_up_to(16).context("read the file")?.unwrap_or_default();
    Ok(Ok(bytes == b"bbbb\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{LAGGING, STEADY};

    fn yard() -> (tempfile::TempDir, Yard) {
        let dir = tempfile::tempdir().unwrap();
        let yard = Yard { work: dir.path().to_owned(), unpacked: dir.path().to_owned(), base: None };
        (dir, yard)
    }

    /// GoogleContainerTools/kaniko#251, #289: identical COPYs made a layer or none, as the clock had it.
    #[test]
    fn layers_before_change_289_are_as_the_clock_ticks_and_after_it_always_all() {
        let (_dir, yard) = yard();
        let setting = Setting::default();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let ticks = setting.ticks(seed);
            let layers = yard.layers(LAGGING, setting.copies, ticks).unwrap();
            assert_eq!(layers, predicted(ticks, setting.copies), "seed {seed}");
            seen.insert(layers);
        }
        assert!(seen.len() > 2, "{seen:?}");
        for id in STEADY {
            assert_eq!(yard.layers(id, 5, setting.ticks(1)).unwrap(), 5, "{id}");
        }
    }

    #[test]
    fn without_a_tick_every_copy_is_a_layer_and_in_one_endless_tick_only_the_first() {
        let (_dir, yard) = yard();
        for (granularity, layers) in [(0, 6), (u64::MAX, 1)] {
            let ticks = Ticks { phase: 7, granularity, step: (5, 9), seed: 3 };
            assert_eq!(yard.layers(LAGGING, 6, ticks).unwrap(), layers);
        }
    }
}
