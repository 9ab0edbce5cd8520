//! One case on trial: built several times with nothing changed, then with one thing changed at a time. What differs with a
//! change in two builds, and in none without, is the change's doing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use samebuild_builder::dialect;
use samebuild_compare::{Difference, Where, explain_rows};
use samebuild_image::golden::{Observation, Outcome};

use super::judge::judge;
use super::setting::Placed;
use super::show::distribution;
use super::{Dice, Factor, NOTHING, Setting, Site, Who};
use crate::builders::{Answer, Builder, Ended, Ground, Kept, Step};
use crate::cases::Case;
use crate::conform::Verdict;
use crate::conform::check::{Check, Found, differences, line_of, unmade};
use crate::conform::repeat::{By, Repeat};
use crate::conform::tally::Tally;
use crate::faults::mtime_lag::Shape;

/// What is built, by whom, and what of it is changed.
pub struct Trial<'a> {
    pub case: &'a Case,
    pub site: Site<'a>,
    /// Base images by the name cases call them.
    pub grounds: &'a BTreeMap<String, Ground>,
    /// It knows which instruction made which layer, whoever builds.
    pub reference: &'a dyn Builder,
    /// A builder that is not ours, where one is asked.
    pub live: Option<&'a dyn Builder>,
    pub seed: u64,
    /// How often it is built with nothing changed.
    pub runs: usize,
    pub factors: &'a [&'static Factor],
}

/// What came of a trial.
pub struct Findings {
    pub case: String,
    pub dialect: &'static str,
    /// `the reference`, or the name of who builds live.
    pub by: String,
    /// Of the builds with nothing changed; `None` where none ended.
    pub tally: Option<Tally>,
    /// With nothing changed, then factor by factor.
    pub rows: Vec<Finding>,
}

/// What came of one change.
pub struct Finding {
    pub factor: &'static str,
    /// What it was, in words; empty where it was not made.
    pub what: String,
    pub check: Check,
}

/// A build with nothing changed, to hold others against.
struct Plain {
    ended: Ended,
    steps: Vec<Step>,
    /// What differs between builds with nothing changed.
    noise: BTreeSet<Place>,
}

type Place = (&'static str, Where);

/// How a build is no result.
type Silent = (Verdict, String);

impl Trial<'_> {
    /// Builds it all. `cold` is called between builds, `told` hears each finding, `done` how many of [`Trial::builds`] are
    /// done.
    ///
    /// # Errors
    /// The engine cannot be made cold again.
    pub fn run(
        &self,
        cold: &dyn Fn() -> Result<()>,
        mut told: impl FnMut(&Finding),
        done: impl Fn(usize),
    ) -> Result<Findings> {
        let kept = Kept::default();
        let first = Setting::first(self.case, self.site, &kept, self.seed);
        let (tally, finding, plain) = self.unchanged(&first, cold, &done)?;
        told(&finding);
        let mut rows = vec![finding];
        for (number, factor) in self.factors.iter().enumerate() {
            let Some(plain) = &plain else { break };
            let finding = self.changed(factor, &first, plain, cold)?;
            told(&finding);
            rows.push(finding);
            done(self.runs + number + 1);
        }
        let by = self.site.who.name().to_owned();
        Ok(Findings { case: self.case.id.to_string(), dialect: self.site.dialect, by, tally, rows })
    }

    /// How many builds there are, but for those that make sure.
    pub fn builds(&self) -> usize {
        self.runs + self.factors.len()
    }

    fn builder(&self) -> &dyn Builder {
        self.live.unwrap_or(self.reference)
    }

    fn unchanged(
        &self,
        first: &Setting<'_>,
        cold: &dyn Fn() -> Result<()>,
        done: &impl Fn(usize),
    ) -> Result<(Option<Tally>, Finding, Option<Plain>)> {
        let ours = Setting { site: Site { who: Who::Reference, ..first.site }, ..first.clone() };
        let (guide, placed) = (Placed::new(self.reference, &ours), Placed::new(self.builder(), first));
        let dialect = self.site.dialect;
        let mut by = vec![By { dialect, builder: &placed, engine: self.site.who.live() }];
        // Of a builder whose dialect nobody described, only itself can say which instruction made what.
        if self.live.is_some() && dialect::find(dialect).is_ok() {
            by.insert(0, By { dialect, builder: &guide, engine: None });
        }
        let each = by.len();
        let repeat = Repeat { cases: &[&first.case], grounds: self.grounds, by, times: self.runs };
        let (mut results, tallies) = repeat.run(cold, done)?;
        let Some(mut check) = results.pop().and_then(|mut result| result.checks.pop()) else {
            let check = unmade(self.case, dialect, "", Verdict::Broken, "nothing was built".to_owned());
            return Ok((None, Finding { factor: NOTHING, what: String::new(), check }, None));
        };
        let noise = check.differences.iter().map(|found| place(&found.difference)).collect();
        let told = if each > 1 { guide.first() } else { placed.first() };
        let steps = told.map(|ended| ended.steps).unwrap_or_default();
        let mut plain = placed.first().map(|ended| Plain { ended, steps, noise });
        match plain.as_ref().map(|plain| &plain.ended.observation.outcome) {
            // That an image is not at hand says nothing about the Dockerfile.
            Some(Outcome::Failed(failure)) if failure.class == "image-not-found" => {
                check.verdict = Verdict::Skipped;
                check.why.clone_from(&failure.message);
            }
            Some(Outcome::Failed(failure)) if check.verdict == Verdict::Same => {
                check.why = format!("it fails, every time as {}", failure.class);
            }
            _ => {}
        }
        if matches!(check.verdict, Verdict::Skipped | Verdict::Broken) {
            plain = None;
        }
        if let Some(ended) = placed.first() {
            explain(&mut check, &ended.observation, first.kept);
        }
        judge(self.case, NOTHING, &mut check);
        let tally = tallies.into_iter().last().filter(|_| plain.is_some());
        let mut what = format!("{} builds, nothing changed", self.runs);
        if let Some(tally) = &tally {
            what = format!("{what}: {}", distribution(tally));
        }
        Ok((tally, Finding { factor: NOTHING, what, check }, plain))
    }

    fn changed(
        &self,
        factor: &'static Factor,
        first: &Setting<'_>,
        plain: &Plain,
        cold: &dyn Fn() -> Result<()>,
    ) -> Result<Finding> {
        let made = |verdict, why| unmade(self.case, self.site.dialect, factor.name, verdict, why);
        let finding = |what: String, check| Finding { factor: factor.name, what, check };
        let mut what = String::new();
        let mut found: Option<Vec<Difference>> = None;
        // Twice, if the first time shows anything: chance is no cause.
        for _ in 0..2 {
            let mut setting = first.clone();
            match (factor.change)(&mut setting, &mut Dice::new(self.seed, factor.name)) {
                Ok(words) => what = words,
                Err(why) => return Ok(finding(String::new(), made(Verdict::Skipped, why))),
            }
            cold()?;
            let now = match self.against(&setting, plain) {
                Ok(now) => now,
                Err((verdict, why)) => return Ok(finding(what, made(verdict, why))),
            };
            found = match found {
                None => Some(now),
                Some(before) => {
                    let both: BTreeSet<Place> = now.iter().map(place).collect();
                    let kept: Vec<Difference> =
                        before.into_iter().filter(|difference| both.contains(&place(difference))).collect();
                    if kept.is_empty() {
                        let why =
                            "one of two builds with it was another image, and the other was not: chance";
                        return Ok(finding(what, made(Verdict::Unstable, why.to_owned())));
                    }
                    Some(kept)
                }
            };
            if found.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        let found = found.unwrap_or_default();
        let mut check = made(if found.is_empty() { Verdict::Same } else { Verdict::Unstable }, String::new());
        let line = |difference: &Difference| line_of(difference, &plain.steps);
        check.differences = found
            .into_iter()
            .map(|difference| Found { line: line(&difference), ..Found::from(difference) })
            .collect();
        check.differences.sort_by(|left, right| left.difference.at.cmp(&right.difference.at));
        explain(&mut check, &plain.ended.observation, first.kept);
        judge(self.case, factor.name, &mut check);
        Ok(finding(what, check))
    }

    /// What a build under `setting` differs in from one with nothing changed, but for what differs anyway.
    fn against(&self, setting: &Setting<'_>, plain: &Plain) -> Result<Vec<Difference>, Silent> {
        let Some(base) = self.grounds.get(&self.case.base) else {
            return Err((Verdict::Broken, format!("there is no base `{}`", self.case.base)));
        };
        let ended = match setting.build(self.builder(), base) {
            Answer::Ended(ended) => ended,
            Answer::Unmet(need) => return Err((Verdict::Skipped, need)),
            Answer::Broken(why) => return Err((Verdict::Broken, why)),
        };
        if setting.lag.as_ref().is_some_and(|lag| lag.lies().is_empty()) {
            return Err((
                Verdict::Skipped,
                "no RUN left a file whose time could be shown as older".to_owned(),
            ));
        }
        let found = differences(&plain.ended.observation, &ended.observation, base)
            .map_err(|error| (Verdict::Broken, error.to_string()))?;
        // That the times of files are cut is the fault, and not what comes of it.
        let cuts = matches!(setting.lag_on_files, Some(Shape::Truncate { .. }));
        let is_noise = |difference: &Difference| {
            plain.noise.contains(&place(difference)) || (cuts && difference.rule == "mtime")
        };
        Ok(found.into_iter().filter(|difference| !is_noise(difference)).collect())
    }
}

/// Says of each difference why it is there. Both sides are images of one Dockerfile, so one history does for both.
fn explain(check: &mut Check, observation: &Observation, kept: &Kept) {
    let Outcome::Built(record) = &observation.outcome else { return };
    let shape = samebuild_compare::Shape::of_record(record);
    let rows: Vec<Difference> = check.differences.iter().map(|found| found.difference.clone()).collect();
    for finding in explain_rows(&rows, (&shape, &shape), &kept.contents(), None).findings {
        for row in finding.rows.iter().chain(&finding.consequences) {
            check.differences[*row].cause = Some(finding.cause);
            check.differences[*row].said = finding.said_of(*row);
        }
    }
}

fn place(difference: &Difference) -> Place {
    (difference.rule, difference.at.clone())
}
