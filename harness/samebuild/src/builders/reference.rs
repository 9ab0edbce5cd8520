//! Our builder, speaking a dialect. It takes its base image from memory and reaches no network but where the case says so.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use samebuild_builder::cache::LayerCache;
use samebuild_builder::{
    BuildError, Built, Dialect, Event, Images, NotFound, OwnIgnore, Pace, Request, Stamp, Wanted, dialect,
    own_platform, platform_of,
};
use samebuild_image::files::NewFiles;
use samebuild_image::golden::{self, Observation, Outcome, mask_message};
use samebuild_image::layout::{self, LayoutOptions};
use samebuild_image::manifest::Media;
use samebuild_image::tree::ApplyError;
use samebuild_image::{Compression, Digest, Image, SaveError, Tree};

use super::{Answer, Builder, Ended, Ground, Means, Order, Step, StepTime, now, platform};
use crate::cases::{self, Underway};
use crate::fetch::{Http, Limits, Only};

pub(super) struct Reference {
    work: PathBuf,
    unpacked: PathBuf,
    http: Http,
}

impl Reference {
    pub(super) fn new(means: &Means<'_>) -> Self {
        Self { work: means.work.clone(), unpacked: means.unpacked.clone(), http: Http::new(Limits::USUAL) }
    }
}

impl Builder for Reference {
    fn build(&self, order: &Order<'_>) -> Answer {
        let dialect = match order.spoken.map_or_else(|| dialect::find(order.dialect), Ok) {
            Ok(dialect) => dialect,
            Err(error) => return Answer::Unmet(error.to_string()),
        };
        let underway = match order.case.underway() {
            Ok(underway) => underway,
            Err(error) => return Answer::Broken(format!("serve the pages of {}: {error}", order.case.id)),
        };
        let times: Mutex<Vec<StepTime>> = Mutex::default();
        let progress =
            |event: Event<'_>| times.lock().unwrap_or_else(PoisonError::into_inner).extend(step_time(event));
        let (work, unpacked, http) = (&self.work, &self.unpacked, &self.http);
        let room = Room { work, unpacked, http, cache: None, progress: &progress };
        let images = OneBase::new(order);
        let built = build(order, dialect, &order.case.context_tree(), &images, Stamp::Clock, &underway, room);
        let times = times.into_inner().unwrap_or_else(PoisonError::into_inner);
        match built {
            Ok(built) => match observed(order, &built) {
                Ok(ended) => Answer::Ended(Box::new(Ended { stand_ins: images.stood_in(), times, ..ended })),
                Err(error) => Answer::Broken(error.to_string()),
            },
            Err(BuildError::Failed(failure)) => {
                let stand_ins = images.stood_in();
                Answer::Ended(Box::new(Ended { stand_ins, times, ..failed(order, *failure) }))
            }
            Err(BuildError::Unmet(need)) => Answer::Unmet(need),
            Err(broken @ BuildError::Broken { .. }) => Answer::Broken(broken.to_string()),
        }
    }
}

/// Where a build works on disk, how it fetches, what it may find made already, and who hears of it.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    pub work: &'a Path,
    pub unpacked: &'a Path,
    pub http: &'a Http,
    pub cache: Option<&'a LayerCache>,
    pub progress: &'a (dyn Fn(Event<'_>) + Sync),
}

/// The image itself, of this context and with these times. Builds that are to be the same share one `underway`: where its
/// pages are is among their arguments.
///
/// # Errors
/// The build fails, needs what is not there, or breaks.
pub fn build(
    order: &Order<'_>,
    dialect: &Dialect,
    context: &Tree,
    images: &dyn Images,
    stamp: Stamp,
    underway: &Underway,
    room: Room<'_>,
) -> Result<Built, BuildError> {
    let server = underway.server();
    let anywhere = order.case.needs.contains(&cases::Need::Network);
    let build = &order.case.build;
    let platform = build.platform.as_deref().map_or_else(|| Ok(own_platform()), platform_of);
    let platform =
        platform.map_err(|why| BuildError::Broken { what: order.case.id.to_string(), source: why.into() })?;
    let secret = |secret: &cases::Secret| (secret.id.clone(), secret.text.clone().into_bytes());
    samebuild_builder::build(&Request {
        dockerfile: &order.case.dockerfile,
        dockerfile_name: &order.case.dockerfile_name,
        own_ignore: match &order.case.outside {
            Some(outside) => OwnIgnore::Given(outside.ignore.as_deref()),
            None => OwnIgnore::InContext,
        },
        context,
        dialect,
        build_args: underway.args.clone(),
        target: build.target.clone(),
        secrets: build.secrets.iter().map(secret).collect(),
        platform,
        images,
        fetch: &Only { server: server.as_deref(), anywhere, http: room.http },
        work: room.work,
        unpacked: room.unpacked,
        network: match build.network {
            cases::Network::None => samebuild_builder::Network::None,
            cases::Network::Host => samebuild_builder::Network::Host,
        },
        now: now(),
        pace: Pace::Still,
        stamp,
        child: PathBuf::from("/proc/self/exe"),
        snapshotter: order.snapshotter,
        trust: order.trust,
        witness: order.witness,
        lens: order.lens,
        cache: room.cache,
        progress: room.progress,
    })
}

/// The only image there is, under its own name and those of the images it stands in for.
pub struct OneBase<'a> {
    ground: &'a Ground,
    case: &'a cases::Case,
    /// Whose place it took.
    stood_in: Mutex<BTreeSet<String>>,
}

impl<'a> OneBase<'a> {
    /// What the case of `order` may start from.
    pub fn new(order: &Order<'a>) -> Self {
        Self { ground: order.base, case: order.case, stood_in: Mutex::default() }
    }

    fn stood_in(&self) -> BTreeSet<String> {
        self.stood_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Images for OneBase<'_> {
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound> {
        let base = &self.ground.base;
        if wanted.any_platform || *wanted.platform == own_platform() {
            if wanted.name == base.reference {
                return Ok(base.image.clone());
            }
            if self.case.has_stand_in(wanted.name) {
                self.stood_in.lock().unwrap_or_else(PoisonError::into_inner).insert(wanted.name.to_owned());
                return Ok(base.image.clone());
            }
        }
        let tried = vec![format!("conform has only {}, for {}", base.reference, own_platform())];
        Err(NotFound { name: wanted.name.to_owned(), tried })
    }

    fn tree(&self, _: &str, _: &Image) -> Result<Tree, ApplyError> {
        Ok(self.ground.base.tree.clone())
    }
}

/// What a step took, when it has ended.
pub fn step_time(event: Event<'_>) -> Option<StepTime> {
    let Event::StepEnded { number, line, text, elapsed, .. } = event else { return None };
    let count = |n: usize| u32::try_from(n).ok();
    Some(StepTime {
        number: count(number),
        line: count(line),
        instruction: text.to_owned(),
        elapsed: Some(elapsed),
        cached: false,
    })
}

fn observed(order: &Order<'_>, built: &Built) -> std::io::Result<Ended> {
    let record = order.record(&built.image, built.epochs.now)?;
    // Layers are counted within their stage; those of other stages are not in the image, or its parents' and as good as.
    let stage = built.steps.last().map(|step| step.stage);
    let layer = |step: &samebuild_builder::Step| {
        let index = step.layer.filter(|_| Some(step.stage) == stage)?;
        (index + 1).checked_sub(built.base_layers).filter(|number| *number > 0)
    };
    let steps = built.steps.iter().map(|step| Step { line: step.line, layer: layer(step) }).collect();
    let observation = observation(order, Outcome::Built(record));
    let image_id = if order.wants_id { image_id(built, order)? } else { None };
    let unrecorded = built.unrecorded.clone();
    Ok(Ended { steps, log: built.log.clone(), image_id, unrecorded, ..Ended::of(observation) })
}

/// The digest of the manifest, for which the layers are written and so compressed, but kept nowhere.
///
/// # Errors
/// A content cannot be read.
pub fn manifest(built: &Built, dialect: &Dialect, compression: Compression) -> Result<Digest, SaveError> {
    let options = LayoutOptions { name: None, style: dialect.tar_style(), compression, media: Media::Oci };
    Ok(layout::write(&built.image, &Nowhere, &options)?.manifest)
}

struct Nowhere;

impl NewFiles for Nowhere {
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<String>) -> io::Result<()> {
        fill(&mut io::sink()).map(drop)
    }
}

fn image_id(built: &Built, order: &Order<'_>) -> io::Result<Option<String>> {
    let Some(dialect) = order.spoken.or_else(|| dialect::find(order.dialect).ok()) else { return Ok(None) };
    manifest(built, dialect, Compression::None)
        .map(|digest| Some(digest.to_string()))
        .map_err(io::Error::other)
}

fn failed(order: &Order<'_>, failure: samebuild_builder::Failure) -> Ended {
    let number = |n: Option<usize>| n.and_then(|n| u32::try_from(n).ok());
    let told = golden::Failure {
        step: number(failure.step),
        line: number(failure.line),
        class: failure.class.to_owned(),
        // The port of a case's server is of this run.
        message: mask_message(&failure.builder_message.unwrap_or(failure.message), &[]),
    };
    Ended { log: failure.log, ..Ended::of(observation(order, Outcome::Failed(told))) }
}

fn observation(order: &Order<'_>, outcome: Outcome) -> Observation {
    Observation {
        seen_by: vec![order.dialect.to_owned()],
        builder: "the reference builder".to_owned(),
        platform: platform(),
        outcome,
    }
}
