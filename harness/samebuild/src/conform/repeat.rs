//! Is it the same twice? Every case several times with each builder, cold, each image held against those before it. Times
//! and ids that belong to a run are masked as goldens mask them; what is left is `unstable`. What the counts look like as
//! a record is `tally.rs`'s affair.

use std::collections::BTreeMap;

use anyhow::Result;
use samebuild_compare::{CompareError, Difference, Options, Where, compare_outcome};
use samebuild_image::golden::{Observation, Outcome};

use super::check::{Check, Found, differences, hangs, line_of, unmade};
use super::crew::on_all_cores;
use super::suite::{CaseResult, guarded, unmet};
use super::tally::{Ending, Tally};
use super::verdict::Verdict;
use crate::builders::{Answer, Builder, Ended, Ground, Order, Step};
use crate::cases::Case;

/// What is built again and again, and by whom.
pub struct Repeat<'a> {
    pub cases: &'a [&'a Case],
    /// Base images by the name cases call them.
    pub grounds: &'a BTreeMap<String, Ground>,
    /// The reference comes before others of its dialect: it knows which instruction made which layer.
    pub by: Vec<By<'a>>,
    pub times: usize,
}

/// One builder, speaking one dialect.
pub struct By<'a> {
    pub dialect: &'static str,
    pub builder: &'a dyn Builder,
    /// The engine it is a part of; `None` for the reference.
    pub engine: Option<&'a str>,
}

/// What several builds of one case by one builder came to.
#[derive(Default)]
struct Seen {
    /// One of each kind of image, in the order in which they came up, and how many builds made it.
    images: Vec<(Observation, usize)>,
    /// The same of flattened file systems: indices into `images`.
    trees: Vec<(usize, usize)>,
    /// Of every build.
    digests: BTreeMap<String, usize>,
    steps: Vec<Step>,
    /// The first answer that was none.
    silent: Option<(Verdict, String)>,
}

impl Repeat<'_> {
    /// Builds everything `times` times. `between` is called after each round and makes the next one cold; `done` hears how
    /// many of all builds of cases are done.
    ///
    /// # Errors
    /// The engine cannot be made cold again.
    pub fn run(
        &self,
        between: impl Fn() -> Result<()>,
        done: impl Fn(usize),
    ) -> Result<(Vec<CaseResult>, Vec<Tally>)> {
        let mut seen: Vec<Vec<Seen>> =
            self.cases.iter().map(|_| self.by.iter().map(|_| Seen::default()).collect()).collect();
        for round in 0..self.times {
            let begun = round * self.cases.len();
            let answers = on_all_cores(self.cases, |case| self.once(case), |_| {}, |now| done(begun + now));
            for ((case, seen), answers) in self.cases.iter().zip(&mut seen).zip(answers) {
                let Some(ground) = self.grounds.get(&case.base) else { continue };
                for (seen, answer) in seen.iter_mut().zip(answers) {
                    if let Err(error) = seen.take(answer, ground) {
                        seen.silent = Some((Verdict::Broken, error.to_string()));
                    }
                }
            }
            between()?;
        }
        let mut tallies = Vec::new();
        let mut results = Vec::new();
        for (case, seen) in self.cases.iter().zip(&seen) {
            let checks: Vec<Check> =
                self.by.iter().zip(seen).map(|(by, one)| self.judged(case, by, one, seen)).collect();
            let built =
                self.by.iter().zip(seen).zip(&checks).filter(|((_, seen), _)| !seen.images.is_empty());
            tallies.extend(built.map(|((by, seen), check)| seen.tally(case, by, check.verdict)));
            results.push(CaseResult { case: case.id.to_string(), checks, ..CaseResult::default() });
        }
        Ok((results, tallies))
    }

    /// The case once, by every builder in turn.
    fn once(&self, case: &Case) -> Vec<Answer> {
        let build = |by: &By<'_>| match (self.grounds.get(&case.base), unmet(case)) {
            (None, _) => Answer::Broken(format!("there is no base `{}`", case.base)),
            (_, Some(need)) => Answer::Unmet(need),
            _ if hangs(case, by.dialect) => {
                Answer::Unmet(format!("{} never ends here, and nobody waits for it", by.dialect))
            }
            (Some(ground), None) => guarded(by.builder, &Order::new(case, by.dialect, ground)),
        };
        self.by.iter().map(build).collect()
    }

    fn judged(&self, case: &Case, by: &By<'_>, seen: &Seen, all: &[Seen]) -> Check {
        let against = match by.engine {
            Some(engine) => format!("live {engine}, {} builds", self.times),
            None => format!("itself, {} builds", self.times),
        };
        let unmade = |verdict, why| unmade(case, by.dialect, against.clone(), verdict, why);
        if let Some((verdict, why)) = &seen.silent {
            return unmade(*verdict, why.clone());
        }
        let [(first, _), others @ ..] = &seen.images[..] else {
            return unmade(Verdict::Broken, "it was never built".to_owned());
        };
        if others.is_empty() {
            return unmade(Verdict::Same, String::new());
        }
        let Some(ground) = self.grounds.get(&case.base) else {
            return unmade(Verdict::Broken, format!("there is no base `{}`", case.base));
        };
        let counts: Vec<String> = seen.images.iter().map(|(_, count)| count.to_string()).collect();
        let why = format!("{} builds made {} images ({})", self.times, counts.len(), counts.join(" + "));
        let mut check = match &case.never_twice {
            Some(known) => unmade(Verdict::Known, format!("{why}: {known}")),
            None => unmade(Verdict::Unstable, why),
        };
        let told = self
            .by
            .iter()
            .zip(all)
            .find(|(other, seen)| other.dialect == by.dialect && !seen.steps.is_empty());
        let steps = told.map_or(&[][..], |(_, seen)| &seen.steps);
        for (other, _) in others {
            match differences(first, other, ground) {
                Err(error) => return unmade(Verdict::Broken, error.to_string()),
                Ok(found) => check.differences.extend(found.into_iter().map(|difference| Found {
                    line: line_of(&difference, steps),
                    known: case.never_twice.clone(),
                    ..Found::from(difference)
                })),
            }
        }
        check.differences.sort_by(|a, b| a.difference.at.cmp(&b.difference.at));
        check
            .differences
            .dedup_by(|a, b| (a.difference.rule, &a.difference.at) == (b.difference.rule, &b.difference.at));
        check
    }
}

impl Seen {
    /// One more build.
    fn take(&mut self, answer: Answer, ground: &Ground) -> Result<(), CompareError> {
        let ended: Ended = match answer {
            Answer::Ended(ended) => *ended,
            Answer::Unmet(need) => {
                self.stay_silent(Verdict::Skipped, need);
                return Ok(());
            }
            Answer::Broken(why) => {
                self.stay_silent(Verdict::Broken, why);
                return Ok(());
            }
        };
        if self.steps.is_empty() {
            self.steps = ended.steps;
        }
        if let Some(digest) = ended.image_id {
            *self.digests.entry(digest).or_default() += 1;
        }
        let kind = self.kind_of(ended.observation, ground)?;
        if let Outcome::Failed(_) = self.images[kind].0.outcome {
            return Ok(());
        }
        for (example, count) in &mut self.trees {
            if *example == kind || same_tree(&self.images[*example].0, &self.images[kind].0, ground)? {
                *count += 1;
                return Ok(());
            }
        }
        self.trees.push((kind, 1));
        Ok(())
    }

    /// Which of the kinds of images it is; a new one, if it is like none.
    fn kind_of(&mut self, observation: Observation, ground: &Ground) -> Result<usize, CompareError> {
        for (index, (image, count)) in self.images.iter_mut().enumerate() {
            if differences(image, &observation, ground)?.is_empty() {
                *count += 1;
                return Ok(index);
            }
        }
        self.images.push((observation, 1));
        Ok(self.images.len() - 1)
    }

    fn stay_silent(&mut self, verdict: Verdict, why: String) {
        let graver = self.silent.as_ref().is_none_or(|(before, _)| *before < verdict);
        if graver {
            self.silent = Some((verdict, why));
        }
    }

    fn tally(&self, case: &Case, by: &By<'_>, verdict: Verdict) -> Tally {
        let mut endings: BTreeMap<Ending, usize> = BTreeMap::new();
        for (image, count) in &self.images {
            let ending = match &image.outcome {
                Outcome::Built(record) => Ending::Built { layers: record.layers.len() },
                Outcome::Failed(failure) => Ending::Failed { class: failure.class.clone() },
            };
            *endings.entry(ending).or_default() += count;
        }
        let counts = |counts: Vec<usize>| {
            let mut counts = counts;
            counts.sort_by(|a, b| b.cmp(a));
            counts
        };
        Tally {
            case: case.id.to_string(),
            dialect: by.dialect,
            by: by.engine.unwrap_or("the reference").to_owned(),
            verdict,
            endings,
            trees: counts(self.trees.iter().map(|(_, count)| *count).collect()),
            images: counts(self.images.iter().map(|(_, count)| *count).collect()),
            digests: counts(self.digests.values().copied().collect()),
        }
    }
}

/// Whether a program in the two would see the same files.
fn same_tree(left: &Observation, right: &Observation, ground: &Ground) -> Result<bool, CompareError> {
    let epochs = ground.epochs(None);
    let options = Options { left: epochs, right: epochs, base: Some(ground.image()), ..Options::rootfs() };
    let is_file = |difference: &Difference| matches!(difference.at, Where::Rootfs(_) | Where::Build);
    Ok(!compare_outcome(left, right, &options)?.iter().any(is_file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use samebuild_image::golden::Failure;

    /// Fails in another way from the `turns`-th build on.
    struct Fickle {
        built: AtomicUsize,
        turns: usize,
    }

    impl Builder for Fickle {
        fn build(&self, order: &Order<'_>) -> Answer {
            let number = self.built.fetch_add(1, Ordering::SeqCst);
            let class = if number < self.turns { "run-exit" } else { "exec-not-found" };
            let failure =
                Failure { step: Some(2), line: Some(2), class: class.into(), message: String::new() };
            Answer::Ended(Box::new(Ended::of(Observation {
                seen_by: vec![order.dialect.to_owned()],
                builder: "a test".to_owned(),
                platform: crate::builders::platform(),
                outcome: Outcome::Failed(failure),
            })))
        }
    }

    fn case(never_twice: Option<&str>) -> Case {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\nRUN x\n").unwrap();
        let mut case =
            crate::cases::load_one(dir.path(), "a/b".parse().unwrap(), &Default::default()).unwrap();
        case.never_twice = never_twice.map(str::to_owned);
        case
    }

    fn ground() -> Option<Ground> {
        let cache = crate::engines::cache_dir().ok()?;
        match crate::bases::provide("busybox", &cache, &|_| {}) {
            Ok(base) => Ground::new(base).ok(),
            Err(error) => {
                println!("not exercised: {error}");
                None
            }
        }
    }

    #[test]
    fn one_build_that_ends_otherwise_is_unstable_and_counted() {
        let Some(ground) = ground() else { return };
        let grounds = BTreeMap::from([("busybox".to_owned(), ground)]);
        for (turns, why, verdict, images) in [
            (9, None, Verdict::Same, vec![3]),
            (2, None, Verdict::Unstable, vec![2, 1]),
            (1, Some("by design"), Verdict::Known, vec![2, 1]),
        ] {
            let (case, rounds) = (case(why), AtomicUsize::new(0));
            let fickle = Fickle { built: AtomicUsize::new(0), turns };
            let between = || {
                rounds.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            let repeat = Repeat {
                cases: &[&case],
                grounds: &grounds,
                by: vec![By { dialect: "classic@20.10", builder: &fickle, engine: Some("e") }],
                times: 3,
            };
            let (results, tallies) = repeat.run(between, |_| {}).unwrap();
            let check = &results[0].checks[0];
            assert_eq!((check.verdict, &tallies[0].images), (verdict, &images), "{}", check.why);
            assert_eq!(check.differences.len(), usize::from(verdict != Verdict::Same));
            assert_eq!(rounds.load(Ordering::SeqCst), 3, "every round begins cold");
        }
    }
}
