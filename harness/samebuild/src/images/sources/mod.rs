//! Where FROM, `COPY --from` and `RUN --mount from=` find an image that is no stage of the file. A family: a trait and the
//! table [`SOURCES`], in the order in which they are asked. The first that has the image is believed; one that has it
//! damaged ends the search.

mod context;
mod engine;
mod local;
mod registry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use samebuild_builder::{Images, NotFound, Wanted};
use samebuild_image::tree::ApplyError;
use samebuild_image::{Image, Tree};

use crate::images::names;

/// One place that may have images.
pub trait Source: Sync {
    /// Looks for the image.
    fn find(&self, wanted: &Wanted<'_>) -> Answer;

    /// The same without the entries of its layers, where that is less work.
    fn outline(&self, wanted: &Wanted<'_>) -> Answer {
        self.find(wanted)
    }

    /// Whether the name stands in for a stage of that name.
    fn replaces_stage(&self, _name: &str) -> bool {
        false
    }
}

/// What came of looking.
pub enum Answer {
    Has(Box<Image>),
    /// It is not there; the text says why, or what was looked at.
    Lacks(String),
    /// It is another name of that image: all but this source are asked for it.
    IsCalled(String),
    /// It is there, but cannot be had whole.
    Broken(String),
}

/// Told what is going on, a line at a time, by whichever thread looks for an image.
pub type Told<'a> = &'a (dyn Fn(&str) + Sync);

/// What sources are made from.
pub struct Means<'a> {
    /// `--build-context`, as `NAME=SOURCE`.
    pub contexts: &'a [String],
    /// `--engine`: who is asked for images, if anybody.
    pub engine: Option<&'a str>,
    pub cache: PathBuf,
    /// Scratch space that lives as long as the build.
    pub work: &'a Path,
    pub progress: Told<'a>,
}

/// A kind of source.
pub struct Row {
    pub name: &'static str,
    pub about: &'static str,
    /// Makes one, or says what of the command line makes no sense.
    pub open: for<'a> fn(&'a Means<'a>) -> Result<Box<dyn Source + 'a>, String>,
}

/// Every kind, in the order in which they are asked.
pub const SOURCES: &[Row] = &[
    Row {
        name: "build contexts",
        about: "--build-context NAME=DIR, oci-layout://DIR, docker-archive://FILE or docker-image://NAME",
        open: |means| context::Contexts::open(means).map(|source| Box::new(source) as Box<dyn Source>),
    },
    Row {
        name: "local store",
        about: "what `samebuild build --tag` kept in the cache, and the bases of ci/bases.toml",
        open: |means| Ok(Box::new(local::Local::new(means))),
    },
    Row {
        name: "engine",
        about: "the images of --engine, a row of ci/engines.toml or `host`; asked only if named",
        open: |means| Ok(Box::new(engine::OfEngine::new(means))),
    },
    Row {
        name: "registry",
        about: "by the image's name, with the credentials of ~/.docker/config.json",
        open: |means| Ok(Box::new(registry::OfRegistry::new(means))),
    },
];

/// All sources, and what was found already.
pub struct Sources<'a> {
    all: Vec<(&'static str, Box<dyn Source + 'a>)>,
    /// Failures too: a store removes what is damaged, and asked once more could say only that it is missing.
    found: Mutex<BTreeMap<Key, Found>>,
}

/// An image, and its files once somebody asked for them; or what all places said.
type Found = Result<(Image, Option<Tree>), NotFound>;

/// Name, platform, and whether any platform will do.
type Key = (String, String, bool);

impl<'a> Sources<'a> {
    /// Opens every row of [`SOURCES`]; nothing is looked for yet.
    ///
    /// # Errors
    /// Something on the command line makes no sense; the text says what is accepted.
    pub fn open(means: &'a Means<'a>) -> Result<Self, String> {
        let opened = SOURCES.iter().map(|row| Ok((row.name, (row.open)(means)?)));
        Ok(Self { all: opened.collect::<Result<_, String>>()?, found: Mutex::default() })
    }

    fn look(
        &self,
        wanted: &Wanted<'_>,
        ask: impl Fn(&(dyn Source + 'a), &Wanted<'_>) -> Answer,
    ) -> Result<Image, NotFound> {
        let mut name = wanted.name.to_owned();
        let mut tried = Vec::new();
        for (source, place) in &self.all {
            match ask(place.as_ref(), &Wanted { name: &name, ..*wanted }) {
                Answer::Has(image) => return Ok(*image),
                Answer::Lacks(why) => tried.push(format!("{source}: {why}")),
                Answer::IsCalled(other) => {
                    tried.push(format!("{source}: `{name}` is said to be {other}"));
                    name = other;
                }
                Answer::Broken(why) => {
                    tried.push(format!("{source}: failed to {why}"));
                    return Err(NotFound { name: wanted.name.to_owned(), tried });
                }
            }
        }
        tried.push(format!(
            "next: give it with `--build-context {}=oci-layout://DIR` (or docker-archive://FILE, docker-image://NAME, a directory), or name an engine that has it with `--engine host`",
            wanted.name
        ));
        Err(NotFound { name: wanted.name.to_owned(), tried })
    }
}

impl Images for Sources<'_> {
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound> {
        let key = key(wanted);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(&key) {
            return known.as_ref().map(|(image, _)| image.clone()).map_err(Clone::clone);
        }
        let image = self.look(wanted, |place, wanted| place.find(wanted));
        found.insert(key, image.clone().map(|image| (image, None)));
        image
    }

    fn outline(&self, wanted: &Wanted<'_>) -> Option<Result<Image, NotFound>> {
        let key = key(wanted);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(&key) {
            return Some(known.as_ref().map(|(image, _)| image.clone()).map_err(Clone::clone));
        }
        let outline = self.look(wanted, |place, wanted| place.outline(wanted));
        // A place that cannot tell less has told all, an engine by exporting it: it is not asked again.
        if let Ok(image) = &outline
            && image.layers.iter().any(|layer| !layer.entries.is_empty())
        {
            found.insert(key, Ok((image.clone(), None)));
        }
        Some(outline)
    }

    fn tree(&self, name: &str, image: &Image) -> Result<Tree, ApplyError> {
        let name = names::whole(name);
        let same = |kept: &Image| {
            kept.layers.len() == image.layers.len()
                && kept
                    .layers
                    .iter()
                    .zip(&image.layers)
                    .all(|(a, b)| a.diff_id.is_some() && a.diff_id == b.diff_id)
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let of_name = found.iter_mut().filter(|((known, _, _), _)| *known == name);
        let kept = of_name.filter_map(|(_, found)| found.as_mut().ok()).find(|(kept, _)| same(kept));
        match kept {
            Some((_, Some(tree))) => Ok(tree.clone()),
            Some((_, empty)) => Ok(empty.insert(image.tree()?).clone()),
            None => image.tree(),
        }
    }

    fn replaces_stage(&self, name: &str) -> bool {
        self.all.iter().any(|(_, source)| source.replaces_stage(name))
    }
}

fn key(wanted: &Wanted<'_>) -> Key {
    (names::whole(wanted.name), wanted.platform.to_string(), wanted.any_platform)
}

/// Whether an image that is at hand is what is wanted; else why not.
fn fits(image: &Image, wanted: &Wanted<'_>) -> Result<(), String> {
    let text = |key: &str| image.config.get(key).and_then(serde_json::Value::as_str);
    let (Some(os), Some(architecture)) = (text("os"), text("architecture")) else { return Ok(()) };
    let variant = text("variant").map(str::to_owned);
    let is = samebuild_image::manifest::Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant,
    };
    if wanted.any_platform || wanted.platform.takes(&is) {
        return Ok(());
    }
    Err(format!("has {} for {is}, and {} is wanted", wanted.name, wanted.platform))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use samebuild_image::manifest::Platform;
    use samebuild_image::{Entry, Kind, Layer, Meta, Mtime};

    use super::*;

    /// Has every image, and counts how often it was asked for one.
    struct Counting {
        entries: Vec<Entry>,
        asked: Arc<AtomicUsize>,
    }

    impl Source for Counting {
        fn find(&self, _: &Wanted<'_>) -> Answer {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let layers = vec![Layer { entries: self.entries.clone(), ..Layer::default() }];
            Answer::Has(Box::new(Image { layers, ..Image::default() }))
        }
    }

    /// Has it damaged, once: then it is gone.
    struct Removing(AtomicUsize);

    impl Source for Removing {
        fn find(&self, _: &Wanted<'_>) -> Answer {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            Answer::Broken(if asked == 0 { "read it: it is damaged" } else { "it is missing" }.to_owned())
        }
    }

    #[test]
    fn how_an_image_was_found_damaged_is_told_however_often_it_is_asked_for() {
        let platform = Platform::linux_amd64();
        let wanted = Wanted { name: "base", platform: &platform, any_platform: false };
        let place = Removing(AtomicUsize::new(0));
        let sources = Sources { all: vec![("here", Box::new(place))], found: Mutex::default() };
        for error in [sources.find(&wanted), sources.find(&wanted), sources.outline(&wanted).unwrap()] {
            let why = error.unwrap_err().to_string();
            assert!(why.contains("it is damaged"), "{why}");
        }
    }

    // A cached build on an engine's image exported it for its configuration, and once more for its files.
    #[test]
    fn a_place_that_cannot_tell_less_than_all_is_asked_once() {
        let platform = Platform::linux_amd64();
        let wanted = Wanted { name: "base", platform: &platform, any_platform: false };
        let dir = Entry::new("d".into(), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
        for (entries, asked_in_all) in [(vec![dir], 1), (Vec::new(), 2)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let place = Counting { entries: entries.clone(), asked: Arc::clone(&asked) };
            let sources = Sources { all: vec![("here", Box::new(place))], found: Mutex::default() };
            let told = |image: Image| image.layers[0].entries.len();
            for _ in 0..2 {
                assert_eq!(told(sources.outline(&wanted).unwrap().unwrap()), entries.len());
                assert_eq!(told(sources.find(&wanted).unwrap()), entries.len());
            }
            assert_eq!(asked.load(Ordering::Relaxed), asked_in_all);
        }
    }
}
