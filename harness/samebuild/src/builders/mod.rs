//! Builders: whatever turns a case into what it is in a dialect. A family: a trait and the table [`BUILDERS`]; the contract
//! tests loop over it. A builder never compares; it tells what came out, as the record a golden keeps.

mod buildah;
mod classes;
mod docker;
mod kaniko;
mod kept;
mod laid;
mod locate;
mod recorded;
pub mod reference;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use samebuild_builder::snapshot::probe::{Clear, Lens};
use samebuild_builder::snapshot::walk::Snapshotter;
use samebuild_builder::{Dialect, Trust, Unrecorded, dialect, stamp};
use samebuild_dockerfile::Syntax;
use samebuild_image::golden::{self, Observation};
use samebuild_image::{Epochs, Image};

use crate::bases;
use crate::cases::{CONTEXT_EPOCH, Case};
use crate::conform::goldens::Goldens;
use crate::engines::Engine;
use crate::programs::{Around, Silent};

pub use classes::class_of;
pub(crate) use docker::needs_client;
pub use kept::Kept;

/// Why a build on files that lag is no build on files that lag.
const NO_LIE: &str = "no time was asked for that could be shown as older";

/// What is to be built.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub case: &'a Case,
    /// Whose behaviour is wanted: `classic@20.10`.
    pub dialect: &'a str,
    pub base: &'a Ground,
    /// How the reference builder finds what a RUN changed, where not by what its dialect does.
    pub snapshotter: Option<&'static Snapshotter>,
    /// For the reference builder: what it takes to believe that a RUN left a file as it was.
    pub trust: Trust,
    /// For the reference builder: whether the image is held against the root it was taken from.
    pub witness: bool,
    /// A fault, for those who look through it.
    pub lens: &'a dyn Lens,
    /// For the reference builder: the dialect with decisions changed.
    pub spoken: Option<&'a Dialect>,
    /// For the reference builder: whether to name the image by its content, which takes writing it.
    pub wants_id: bool,
    /// For an engine that gets the context as an archive: the seed of the order of its members, where not by name.
    pub shuffle: Option<u64>,
    /// For builders that are not ours: what is around them.
    pub around: Around<'a>,
    /// Where what is in new files is kept, for who asks why builds differ.
    pub kept: Option<&'a Kept>,
}

impl<'a> Order<'a> {
    /// No fault, nothing but the dialect.
    pub fn new(case: &'a Case, dialect: &'a str, base: &'a Ground) -> Self {
        Self {
            case,
            dialect,
            base,
            snapshotter: None,
            trust: Trust::Dialect,
            witness: false,
            lens: &Clear,
            spoken: None,
            wants_id: false,
            shuffle: None,
            around: Around::default(),
            kept: None,
        }
    }

    /// The record of the image that a builder made. `now` is from when to when it was built, in seconds since 1970.
    fn record(&self, image: &Image, now: Option<(i64, i64)>) -> std::io::Result<golden::Record> {
        let record = self.base.record(self.case, image, now)?;
        if let Some(kept) = self.kept {
            kept.take(image, &record)?;
        }
        Ok(record)
    }
}

/// A base image with what it takes to recognise it in other images; made once for many orders.
#[derive(Clone, Debug)]
pub struct Ground {
    pub base: bases::Base,
    image: Arc<Image>,
    stands_on: golden::Base,
    scratch: golden::Base,
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The build ended: with an image, or failed, which is a result too.
    Ended(Box<Ended>),
    /// It was not tried; the sentence says what is missing.
    Unmet(String),
    /// Nobody knows: the builder crashed, hung, lost its daemon, or cannot be read.
    Broken(String),
}

impl From<Result<Ended, Silent>> for Answer {
    fn from(outcome: Result<Ended, Silent>) -> Self {
        match outcome {
            Ok(ended) => Self::Ended(Box::new(ended)),
            Err(Silent::Unmet(need)) => Self::Unmet(need),
            Err(Silent::Broken(why)) => Self::Broken(why),
        }
    }
}

/// A build that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub observation: Observation,
    /// Which instruction made which of the new layers, where the builder tells.
    pub steps: Vec<Step>,
    /// What each instruction took, where the builder tells.
    pub times: Vec<StepTime>,
    /// What the builder printed.
    pub log: Vec<String>,
    /// What the builder calls the image, where it names images by their content: `sha256:…`.
    pub image_id: Option<String>,
    /// What is not in the image as it was in the root, where a witness was asked for.
    pub unrecorded: Vec<Unrecorded>,
    /// Images in whose place the base was taken.
    pub stand_ins: BTreeSet<String>,
}

impl Ended {
    /// Everything but the observation, which the caller fills in.
    pub(crate) fn of(observation: Observation) -> Self {
        Self {
            observation,
            steps: Vec::new(),
            times: Vec::new(),
            log: Vec::new(),
            image_id: None,
            unrecorded: Vec::new(),
            stand_ins: BTreeSet::new(),
        }
    }
}

/// An instruction and the layer it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line in the Dockerfile, from 1.
    pub line: usize,
    /// The new layer it made, from 1; `None` if it made none.
    pub layer: Option<usize>,
}

/// What an instruction took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// From 1 over the whole file; `None` for what the builder tells of and nobody wrote.
    pub number: Option<u32>,
    /// Line in the Dockerfile, from 1.
    pub line: Option<u32>,
    /// As it is written.
    pub instruction: String,
    /// `None` where the builder does nothing for it that could be timed, or never came so far.
    pub elapsed: Option<Duration>,
    /// Whether it had been done before.
    pub cached: bool,
}

/// Builds orders, from several threads at once.
pub trait Builder: Sync {
    /// Builds; never an error, because not knowing is an answer.
    fn build(&self, order: &Order<'_>) -> Answer;

    /// What it speaks, and what it is called; `None` for one that speaks what it is told to, or whose engine says it.
    fn by_itself(&self) -> Option<(&'static str, &str)> {
        None
    }
}

/// What builders are made from.
pub struct Means<'a> {
    /// Scratch space; on a file system an overlay's upper directory may be on.
    pub work: PathBuf,
    /// Where unpacked layers are kept between builds.
    pub unpacked: PathBuf,
    pub goldens: Option<&'a Goldens>,
    pub engine: Option<&'a Engine>,
}

/// A kind of builder.
pub struct Row {
    pub id: &'static str,
    pub about: &'static str,
    /// Whether it is a program that stands for itself: no engine, no goldens, one dialect.
    pub is_program: bool,
    /// Makes one, or says what it lacks.
    pub open: for<'a> fn(&'a Means<'a>) -> Result<Box<dyn Builder + 'a>, String>,
}

/// Every kind of builder.
pub const BUILDERS: &[Row] = &[
    Row {
        id: "reference",
        about: "ours, speaking a dialect; needs no other builder",
        is_program: false,
        open: |means| Ok(Box::new(reference::Reference::new(means))),
    },
    Row {
        id: "recorded",
        about: "what a real builder was seen doing: golden/**/observed/",
        is_program: false,
        open: |means| match means.goldens {
            Some(goldens) => Ok(Box::new(recorded::Recorded::new(goldens))),
            None => Err("there are no goldens here".to_owned()),
        },
    },
    Row {
        id: "classic",
        about: "the classic builder of a Docker engine",
        is_program: false,
        open: |means| docker::open(means, crate::engines::Builder::Classic),
    },
    Row {
        id: "buildkit",
        about: "the BuildKit inside a Docker engine",
        is_program: false,
        open: |means| docker::open(means, crate::engines::Builder::BuildKit),
    },
    Row {
        id: "buildah",
        about: "Debian's buildah on vfs storage, a layer a step; no dialect predicts it",
        is_program: true,
        open: |means| buildah::open(means),
    },
    Row {
        id: "kaniko",
        about: "the kaniko executor that SAMEBUILD_KANIKO names, on a root of its own",
        is_program: true,
        open: |means| kaniko::open(means),
    },
];

/// Opens the builder called `id`.
///
/// # Errors
/// There is none, or it lacks something; the sentence says which.
pub fn open<'a>(id: &str, means: &'a Means<'a>) -> Result<Box<dyn Builder + 'a>, String> {
    match BUILDERS.iter().find(|row| row.id == id) {
        Some(row) => (row.open)(means),
        None => {
            let known: Vec<&str> = BUILDERS.iter().map(|row| row.id).collect();
            Err(format!("there is no builder `{id}`; there are {}", known.join(", ")))
        }
    }
}

/// The builders that are programs, by name.
pub fn programs() -> impl Iterator<Item = &'static str> {
    BUILDERS.iter().filter(|row| row.is_program).map(|row| row.id)
}

/// How the Dockerfile of a builder is read; of one whose dialect nobody described, as the oldest reads it.
pub(crate) fn read_as(dialect: &str) -> &'static Syntax {
    dialect::find(dialect).map_or(&dialect::DIALECTS[0].syntax, |dialect| &dialect.syntax)
}

impl Ground {
    /// Reads every file of the base once.
    ///
    /// # Errors
    /// A content of the base cannot be read.
    pub fn new(base: bases::Base) -> std::io::Result<Self> {
        let stands_on = golden::Base::of(base.reference.clone(), &base.image)?;
        let scratch = stands_on.as_source_of_scratch();
        Ok(Self { image: Arc::new(base.image.clone()), base, stands_on, scratch })
    }

    /// The base image.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.image)
    }

    /// The named moments of a build on this base; `now` is from when to when it ran, in seconds since 1970.
    pub fn epochs(&self, now: Option<(i64, i64)>) -> Epochs {
        let context = CONTEXT_EPOCH.timestamp().map(|(secs, _)| secs);
        Epochs { base: Some(self.base.time), context, source_date: None, now }
    }

    /// The record of an image that some builder made of `case`. `now` is from when to when it was built, in seconds since
    /// 1970.
    fn record(&self, case: &Case, image: &Image, now: Option<(i64, i64)>) -> std::io::Result<golden::Record> {
        let volatile = case.volatile.iter().map(|volatile| volatile.at.clone()).collect();
        let normaliser = golden::Normaliser {
            base: if self.is_below(image) { &self.stands_on } else { &self.scratch },
            epochs: Epochs { source_date: source_date(case), ..self.epochs(now) },
            volatile: &volatile,
            // They cover busybox itself where it is copied, and clocks nearly everywhere.
            diff_ids: false,
        };
        normaliser.record(image)
    }

    /// Whether `image` begins with the layers of the base.
    fn is_below(&self, image: &Image) -> bool {
        let ours = &self.base.image.layers;
        image.layers.len() >= ours.len()
            && ours.iter().zip(&image.layers).all(|(ours, theirs)| {
                matches!((ours.diff_id, theirs.diff_id), (Some(ours), Some(theirs)) if ours == theirs)
            })
    }
}

/// `SOURCE_DATE_EPOCH`, where the case gives it; whether a builder follows it or not.
fn source_date(case: &Case) -> Option<i64> {
    case.build.args.get(stamp::VARIABLE)?.parse().ok()
}

/// Of the machine, as goldens say it: `linux/amd64`.
pub fn platform() -> String {
    samebuild_builder::own_platform().to_string()
}

/// The clock, as builds are given it: seconds since 1970 and nanoseconds.
pub fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}
