//! Buildah as a builder: a case becomes a command line, and what comes back a record. How the program is run is
//! `programs::buildah`'s affair. No dialect predicts it, so nothing is held against it but itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use samebuild_dockerfile::{Dockerfile, Stage};
use samebuild_image::golden::{Failure, Observation, Outcome, mask_message};
use samebuild_image::{Digest, Image};
use serde_json::Value;

use super::laid::{Laid, named_images};
use super::{Answer, Builder, Ended, Means, NO_LIE, Order, Step, class_of, now, platform, read_as};
use crate::cases::{Case, DIALECTS, Network};
use crate::programs::buildah::{Buildah, Driver, Storage};
use crate::programs::{Printed, Silent};

struct Live<'a> {
    buildah: Buildah,
    /// As cases call it.
    dialect: &'static str,
    /// In sentences.
    name: String,
    work: &'a Path,
}

/// Finds or fetches it.
pub(super) fn open<'a>(means: &'a Means<'a>) -> Result<Box<dyn Builder + 'a>, String> {
    let buildah = Buildah::find(&|_| {})?;
    let name = format!("buildah@{}", buildah.series());
    let dialect = DIALECTS.iter().find(|id| **id == name).copied().unwrap_or("buildah");
    let name = format!("buildah {}", buildah.version);
    Ok(Box::new(Live { buildah, dialect, name, work: &means.work }))
}

/// What the image is called in a storage that has no other.
const TAG: &str = "samebuild.test/case:buildah";

impl Builder for Live<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        if order.dialect != self.dialect {
            return Answer::Unmet(format!("{} does not speak {}", self.name, order.dialect));
        }
        self.try_build(order).into()
    }

    fn by_itself(&self) -> Option<(&'static str, &str)> {
        Some((self.dialect, &self.name))
    }
}

impl Live<'_> {
    fn try_build(&self, order: &Order<'_>) -> Result<Ended, Silent> {
        let case = order.case;
        let broken = |why: String| Silent::Broken(why);
        let storage = Storage::open(&self.buildah, Driver::Vfs, self.work)
            .map_err(|error| broken(format!("make room for images in {}: {error}", self.work.display())))?;
        let base = &order.base.base;
        storage.load(&base.archive)?;
        let names = named_images(case, read_as(order.dialect)).into_iter();
        let stand_ins: BTreeSet<String> = names.filter(|name| case.has_stand_in(name)).collect();
        for name in &stand_ins {
            storage.call_it(&base.reference, name)?;
        }
        let laid = Laid::out(case, self.work).map_err(broken)?;
        let underway = case.underway();
        let underway =
            underway.map_err(|error| broken(format!("serve the pages of {}: {error}", case.id)))?;
        let (started, _) = now();
        let printed = storage.build(arguments(case, &laid, &underway.args), order.around)?;
        let built_between = (started - 1, now().0 + 1);
        if order.around.lag.is_some() && printed.lies == 0 {
            return Err(Silent::Unmet(NO_LIE.to_owned()));
        }
        if !printed.is_good {
            let outcome = Outcome::Failed(failure(order, &printed));
            return Ok(Ended {
                log: printed.lines,
                stand_ins,
                ..Ended::of(self.observation(order, outcome))
            });
        }
        let file = tempfile::Builder::new().prefix("export-").tempdir_in(self.work);
        let file = file.map_err(|error| broken(format!("make room for an image: {error}")))?;
        let file = file.path().join("image.tar");
        storage.export(TAG, &file)?;
        let mut image = crate::stored::read_image(&file).map_err(|error| broken(format!("{error:#}")))?.image;
        let id = serde_json::to_vec(&image.config).map_err(|error| broken(error.to_string()))?;
        mask_parents(&mut image);
        let record = order.record(&image, Some(built_between));
        let record = record.map_err(|error| broken(error.to_string()))?;
        let steps = steps(order, &image, base.image.history().len());
        Ok(Ended {
            steps,
            log: printed.lines,
            image_id: Some(Digest::of(&id).to_string()),
            stand_ins,
            ..Ended::of(self.observation(order, Outcome::Built(record)))
        })
    }

    fn observation(&self, order: &Order<'_>, outcome: Outcome) -> Observation {
        Observation {
            seen_by: vec![order.dialect.to_owned()],
            builder: format!("{}, {}", self.name, Driver::Vfs.name()),
            platform: platform(),
            outcome,
        }
    }
}

/// What `buildah build` is told of a case; the context comes last.
fn arguments(case: &Case, laid: &Laid, args: &BTreeMap<String, String>) -> Vec<OsString> {
    let network = match case.build.network {
        Network::None => "none",
        Network::Host => "host",
    };
    let mut words: Vec<OsString> = ["--tag", TAG, "--network", network].map(Into::into).into();
    let mut say = |option: &str, value: String| words.extend([option.into(), value.into()]);
    args.iter().for_each(|(name, value)| say("--build-arg", format!("{name}={value}")));
    laid.secrets.iter().for_each(|(id, file)| say("--secret", format!("id={id},src={}", file.display())));
    case.build.target.iter().for_each(|target| say("--target", target.clone()));
    case.build.platform.iter().for_each(|platform| say("--platform", platform.clone()));
    laid.file.iter().for_each(|file| say("--file", file.display().to_string()));
    words.extend(case.build.flags.get("buildah").into_iter().flatten().map(OsString::from));
    words.push(laid.context.clone().into());
    words
}

/// A line of history says on which image it was made: by its id, in which is when that was made.
fn mask_parents(image: &mut Image) {
    let lines = image.config.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten();
    for comment in lines.filter_map(|line| line.get_mut("comment")) {
        let is_id = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if comment.as_str().and_then(|text| text.strip_prefix("FROM ")).is_some_and(is_id) {
            *comment = Value::from("FROM <id>");
        }
    }
}

/// What it said last, and at which instruction: the one announced last, as `[1/2] STEP 3/4: RUN …`.
fn failure(order: &Order<'_>, printed: &Printed) -> Failure {
    let last = printed.lines.iter().rev().find(|line| line.starts_with("Error: ")).map_or("", String::as_str);
    let message = mask_message(last.trim_start_matches("Error: "), &[]);
    let place = printed.lines.iter().rev().find_map(|line| announced(line)).and_then(|(stage, step)| {
        let file = Dockerfile::parse(&order.case.dockerfile, read_as(order.dialect)).ok()?;
        let before: usize = file.stages.get(..stage)?.iter().map(|stage| 1 + stage.instructions.len()).sum();
        let stage = file.stages.get(stage)?;
        let line = step
            .checked_sub(1)
            .map_or(stage.header.line, |n| stage.instructions.get(n).map_or(0, |node| node.line));
        Some((u32::try_from(file.meta_args.len() + before + step + 1).ok()?, u32::try_from(line).ok()?))
    });
    Failure {
        step: place.map(|(step, _)| step),
        line: place.map(|(_, line)| line).filter(|line| *line > 0),
        class: class_of(order.dialect, &message).to_owned(),
        message,
    }
}

/// Stage and step of an announcement, both from 0; a stage's FROM is its step 0.
fn announced(line: &str) -> Option<(usize, usize)> {
    let (stage, rest) = match line.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?,
        None => ("1/1", line),
    };
    let step = rest.strip_prefix("STEP ")?.split_once(": ")?.0;
    let first = |pair: &str| pair.split_once('/')?.0.parse::<usize>().ok()?.checked_sub(1);
    Some((first(stage)?, first(step)?))
}

/// Which instruction made which layer: buildah writes a line of history an instruction, of the stages that the image stands
/// on. Nothing where the lines do not come out even, as with triggers of a base.
fn steps(order: &Order<'_>, image: &Image, of_base: usize) -> Vec<Step> {
    let Ok(file) = Dockerfile::parse(&order.case.dockerfile, read_as(order.dialect)) else {
        return Vec::new();
    };
    let target = order.case.build.target.as_ref().map(|target| target.to_lowercase());
    let named = |name: &str| file.stages.iter().rposition(|stage| stage.name() == Some(name));
    let last = target
        .as_deref()
        .map_or_else(|| file.stages.len().checked_sub(1), |name| named(name).or_else(|| name.parse().ok()));
    let chain = last.map_or_else(Vec::new, |last| chain(&file.stages, last));
    let lines: Vec<usize> =
        chain.iter().flat_map(|stage| stage.instructions.iter().map(|node| node.line)).collect();
    let is_on_base = chain.first().is_some_and(|stage| stage.from().image.text != "scratch");
    let history = image.history().get(if is_on_base { of_base } else { 0 }..).unwrap_or_default();
    if history.len() != lines.len() {
        return Vec::new();
    }
    let mut layers = 0;
    let made = |entry: &Value| entry.get("empty_layer").and_then(Value::as_bool) != Some(true);
    let step = |(line, entry): (usize, &Value)| {
        let layer = made(entry).then(|| {
            layers += 1;
            layers
        });
        Step { line, layer }
    };
    lines.into_iter().zip(history).map(step).collect()
}

/// The stages that a stage stands on, itself last.
fn chain(stages: &[Stage], last: usize) -> Vec<&Stage> {
    let mut chain = Vec::new();
    let mut next = stages.get(last).map(|stage| (last, stage));
    while let Some((index, stage)) = next {
        chain.insert(0, stage);
        let from = stage.from().image.text.to_lowercase();
        let before = stages.get(..index).unwrap_or_default();
        next = before.iter().enumerate().rev().find(|(_, stage)| stage.name() == Some(&from));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_buildah_announces_is_a_stage_and_a_step() {
        assert_eq!(announced("STEP 1/3: FROM x"), Some((0, 0)));
        assert_eq!(announced("[2/3] STEP 5/6: RUN [\"x: y\"]"), Some((1, 4)));
        for line in ["--> 0123", "[2/2] COMMIT x", "STEP by step", "STEP 0/1: x"] {
            assert_eq!(announced(line), None, "{line}");
        }
    }

    #[test]
    fn an_image_stands_on_the_stages_that_its_stage_is_from() {
        let text = b"FROM base AS a\nRUN 1\nFROM base AS b\nRUN 2\nFROM A\nRUN 3\n";
        let file = Dockerfile::parse(text, read_as("buildah@1.28")).unwrap();
        let lines =
            |last| chain(&file.stages, last).iter().map(|stage| stage.header.line).collect::<Vec<_>>();
        assert_eq!((lines(2), lines(1)), (vec![1, 5], vec![3]));
    }
}
