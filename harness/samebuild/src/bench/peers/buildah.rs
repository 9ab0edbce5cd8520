//! The machine's buildah, or Debian's, in a storage of its own: empty each time but for the base, or kept from build to build.
//! Its layers are uncompressed, as its storage is.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::{Means, Peer};
use crate::bench::cost::{Cost, measured};
use crate::programs::Silent;
use crate::programs::buildah::{Buildah, Cached, Driver, Storage};

struct Live<'a> {
    buildah: Buildah,
    means: &'a Means<'a>,
    /// What rebuilds find.
    kept: OnceCell<Storage>,
}

pub(super) fn open<'a>(means: &'a Means<'a>) -> Result<Box<dyn Peer + 'a>, String> {
    let buildah = Buildah::find(&|_| {})?;
    Ok(Box::new(Live { buildah, means, kept: OnceCell::new() }))
}

impl Peer for Live<'_> {
    fn id(&self) -> &'static str {
        "buildah"
    }

    fn dialect(&self) -> Option<&str> {
        None
    }

    fn build(&self, context: &Path) -> Result<Cost> {
        once(context, &self.storage()?, Cached::Nothing)
    }

    fn rebuild(&self, context: &Path) -> Option<Result<Cost>> {
        let kept = match self.kept.get() {
            Some(kept) => Ok(kept),
            None => self.storage().map(|new| self.kept.get_or_init(|| new)),
        };
        Some(kept.and_then(|kept| once(context, kept, Cached::Steps)))
    }
}

impl Live<'_> {
    /// An empty one, but for the base.
    fn storage(&self) -> Result<Storage> {
        let storage = Storage::open(&self.buildah, Driver::Overlay, self.means.room);
        let storage = storage.context("make an empty storage for buildah")?;
        storage.load(&self.means.base.archive).map_err(|silent| match silent {
            Silent::Unmet(why) | Silent::Broken(why) => anyhow!("load the base: {why}"),
        })?;
        Ok(storage)
    }
}

fn once(context: &Path, storage: &Storage, cached: Cached) -> Result<Cost> {
    let mut args: Vec<OsString> =
        ["--network", "none", "--tag", "samebuild.test/bench:1"].map(Into::into).into();
    args.push(context.into());
    let (cost, ending) = measured(&storage.build_command(cached, args))?;
    storage.leave();
    if !ending.is_good() {
        bail!("{ending}");
    }
    Ok(cost)
}
