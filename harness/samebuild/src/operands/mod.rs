//! What `samebuild diff` is given: images wherever they are, a layer alone, a directory. Opens them as far as a comparison
//! needs; where each kind comes from is in `files` and `elsewhere`, what they differ in is `samebuild-compare`'s question.

mod elsewhere;
mod files;

use std::path::Path;

use anyhow::{Context as _, Result};
use samebuild_compare::{Comparison, Options, compare_images, compare_stored};
use samebuild_image::layout::Offer;
use samebuild_image::manifest::Platform;
use samebuild_image::read::ReadOptions;
use samebuild_image::{Image, Layer, Stored};

use crate::engines::Progress;

pub(crate) use elsewhere::NoName;

/// Something to compare.
pub(crate) struct Operand {
    /// As it was named.
    pub(crate) name: String,
    what: What,
    digests: Digests,
    /// Files that go when it does.
    _kept: Vec<tempfile::TempPath>,
}

/// What its digests are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digests {
    /// A file says them; they are believed unless it is asked otherwise.
    Declared,
    /// It came from elsewhere, and nobody has taken them.
    Unseen,
    /// They were taken when it came.
    Taken,
}

enum What {
    Image(Stored),
    /// A layer without an image around it.
    Layer(Stored),
    /// The entries of a directory.
    Directory(Layer),
}

/// How to open an operand.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    /// Of an image with several; without it, `linux/amd64` or the only one.
    pub(crate) platform: Option<&'a Platform>,
    pub(crate) progress: Progress<'a>,
}

/// What to do with digests that are stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verify {
    /// Believe them: equal ones are not opened. What is usual for files.
    Structure,
    /// Take them all. What is usual for what an engine hands out; what a registry does is verified as it comes.
    Digest,
}

/// Opens what a name names.
///
/// # Errors
/// There is no such thing, or it is damaged; the text says what is accepted.
pub(crate) fn open(asked: &Asked<'_>) -> Result<Operand> {
    match elsewhere::place(asked.name) {
        Some(place) => place.open(asked),
        None => files::open(Path::new(asked.name), asked),
    }
}

/// What the index of an operand offers; nothing where it is but one image, or none.
pub(crate) fn offer(name: &str, progress: Progress<'_>) -> Result<Offer> {
    match elsewhere::place(name) {
        Some(place) => place.offer(progress),
        None => files::offer(Path::new(name)),
    }
}

/// Compares two of them. A layer or a directory has no configuration and no history: held against an image, only the file
/// systems are compared.
pub(crate) fn compare(
    left: &Operand,
    right: &Operand,
    options: &Options,
    verify: Option<Verify>,
) -> Result<Comparison> {
    let mut options = options.clone();
    options.walk.verify = match verify {
        Some(verify) => verify == Verify::Digest,
        None => [left, right].iter().any(|operand| operand.digests == Digests::Unseen),
    };
    let were_taken = [left, right].iter().all(|operand| operand.digests == Digests::Taken);
    match (&left.what, &right.what) {
        (What::Image(left), What::Image(right)) | (What::Layer(left), What::Layer(right)) => {
            let found = compare_stored(left, right, &options)?;
            Ok(Comparison { verified: found.verified || were_taken, ..found })
        }
        _ => {
            let views = Options { layers: false, tar: false, clocks: false, ..options };
            Ok(compare_images(&left.file_system()?, &right.file_system()?, &views)?)
        }
    }
}

impl Operand {
    fn of(name: &str, what: What) -> Self {
        Self { name: name.to_owned(), what, digests: Digests::Declared, _kept: Vec::new() }
    }

    /// Whether it has a configuration and a history to compare.
    pub(crate) fn is_image(&self) -> bool {
        matches!(self.what, What::Image(_))
    }

    /// Its layers, read whole, without a configuration.
    fn file_system(&self) -> Result<Image> {
        Ok(Image { config: Default::default(), ..self.whole()? })
    }

    /// All of it, every layer read. What is no image has no configuration.
    pub(crate) fn whole(&self) -> Result<Image> {
        match &self.what {
            What::Directory(layer) => Ok(Image { layers: vec![layer.clone()], ..Image::default() }),
            What::Image(stored) | What::Layer(stored) => {
                let loaded = stored.clone().load(&ReadOptions::default());
                Ok(loaded.with_context(|| format!("read {}", self.name))?.image)
            }
        }
    }
}
