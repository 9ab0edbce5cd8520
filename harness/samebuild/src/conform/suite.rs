//! The matrix: every case in every dialect, built and checked on all cores, told of in the order of the cases whatever
//! finishes first. A builder that panics, hangs or cannot be read breaks its own check and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::check::{Check, Party, check, hangs, unmade};
use super::crew::on_all_cores;
use super::divergence::against_one_another;
use super::goldens::{Goldens, Origin};
use super::verdict::Verdict;
use crate::builders::{Answer, Builder, Ended, Ground, Order, platform};
use crate::cases::{Case, Need};
use crate::dialects::attribute::Why;

/// What is built, by whom, and what it is held against.
pub struct Suite<'a> {
    pub cases: &'a [&'a Case],
    pub dialects: &'a [&'static str],
    /// Base images by the name cases call them.
    pub grounds: &'a BTreeMap<String, Ground>,
    pub reference: &'a dyn Builder,
    /// What was recorded; without it (somebody else's directories) the dialects are held against one another.
    pub goldens: Option<&'a Goldens>,
    /// Real builders by the dialect they speak, and what to call their engine.
    pub live: BTreeMap<&'a str, Box<dyn Builder + 'a>>,
    pub engine: &'a str,
}

/// What came of one case.
#[derive(Clone, Debug, Default)]
pub struct CaseResult {
    pub case: String,
    pub checks: Vec<Check>,
    pub elapsed: Duration,
    /// Images in whose place a base of ours was taken, because somebody said so.
    pub stand_ins: BTreeSet<String>,
    /// Why a dialect differs from the first one, by the dialect; asked only where there are no goldens.
    pub because: BTreeMap<String, Why>,
}

impl Suite<'_> {
    /// Runs everything. `told` hears of each case in order, and `done` how many cases are done whenever one is.
    pub fn run(&self, told: impl FnMut(&CaseResult), done: impl FnMut(usize)) -> Vec<CaseResult> {
        on_all_cores(self.cases, |case| self.case(case), told, done)
    }

    fn case(&self, case: &Case) -> CaseResult {
        let started = Instant::now();
        let checks = |checks| CaseResult { checks, ..CaseResult::default() };
        let result = match self.grounds.get(&case.base) {
            Some(ground) if self.goldens.is_some() => checks(
                self.dialects
                    .iter()
                    .flat_map(|dialect| self.against_builders(case, dialect, ground))
                    .collect(),
            ),
            Some(ground) => against_one_another(self, case, ground),
            None => {
                let why = format!("there is no base `{}`", case.base);
                checks(vec![unmade(case, "every dialect", "anything", Verdict::Broken, why)])
            }
        };
        CaseResult { case: case.id.to_string(), elapsed: started.elapsed(), ..result }
    }

    /// Fidelity: the prediction against what was recorded, and against a live builder where there is one.
    fn against_builders(&self, case: &Case, dialect: &'static str, ground: &Ground) -> Vec<Check> {
        let skip = |why: String| vec![unmade(case, dialect, "golden", Verdict::Skipped, why)];
        if let Some(need) = unmet(case) {
            return skip(need);
        }
        let order = Order::new(case, dialect, ground);
        let predicted = guarded(self.reference, &order);
        let prediction = Party { name: "the reference", answer: &predicted };
        let recorded = self.recorded(case, dialect, &predicted);
        let golden = Party { name: "the golden", answer: &recorded };
        let mut checks = vec![check(case, dialect, "golden", ground, [&prediction, &golden], true)];
        if let Some(builder) = self.live.get(dialect) {
            let built = if hangs(case, dialect) {
                Answer::Unmet(format!("{dialect} never ends here, and nobody waits for it"))
            } else {
                guarded(builder.as_ref(), &order)
            };
            let live = Party { name: self.engine, answer: &built };
            let name = format!("live {}", self.engine);
            checks.push(check(case, dialect, &name, ground, [&prediction, &live], true));
            let again = format!("{name}, its golden");
            checks.push(check(case, dialect, again, ground, [&golden, &live], false));
        }
        let unders = case.under.iter().filter(|under| under.is_of(dialect));
        checks.extend(unders.map(|under| super::under::check(self.reference, under, &order, &predicted)));
        checks
    }

    /// What was recorded of a dialect: seen, or else blessed. There is nothing to bless where the reference lacks something.
    fn recorded(&self, case: &Case, dialect: &str, predicted: &Answer) -> Answer {
        let goldens = match self.goldens {
            Some(goldens) => goldens,
            None => return Answer::Unmet("there are no goldens here".to_owned()),
        };
        match goldens.find(&case.id, dialect) {
            Ok(Some(golden)) if golden.observation.platform != platform() => {
                let seen_on = &golden.observation.platform;
                Answer::Unmet(format!("its golden is of {seen_on}, and this machine is {}", platform()))
            }
            Ok(Some(golden)) => Answer::Ended(Box::new(Ended::of(golden.observation))),
            Ok(None) if matches!(predicted, Answer::Unmet(_)) => predicted.clone(),
            Ok(None) => Answer::Broken(missing(case, dialect)),
            Err(error) => Answer::Broken(format!("{error:#}")),
        }
    }
}

/// Builds; a panic is an answer too.
pub(crate) fn guarded(builder: &dyn Builder, order: &Order<'_>) -> Answer {
    catch_unwind(AssertUnwindSafe(|| builder.build(order))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Answer::Broken(format!("it panicked: {text}"))
    })
}

/// The sentence about what this machine lacks for a case.
pub(crate) fn unmet(case: &Case) -> Option<String> {
    if case.needs.contains(&Need::Packages) {
        return Some("it needs packages of a distribution, and cases have our own base only".to_owned());
    }
    if case.needs.contains(&Need::Root) && !samebuild_builder::sandbox::standing().is_root() {
        return Some("it needs root".to_owned());
    }
    None
}

fn missing(case: &Case, dialect: &str) -> String {
    format!(
        "{dialect} has no golden here: `cargo xtask observe --engine E {case}` records a real builder, `cargo xtask bless {case}` the reference",
        case = case.id
    )
}

/// Which goldens stand for something: every file that is neither of a case nor of a dialect, as checks that are red.
///
/// # Errors
/// The goldens cannot be listed.
pub fn orphans(goldens: &Goldens, cases: &[Case], dialects: &[&str]) -> anyhow::Result<Vec<String>> {
    let names = cases.iter().map(|case| case.id.as_str()).collect();
    let dialects = dialects.iter().copied().collect();
    let orphans = goldens.orphans(&names, &dialects)?;
    let sentence = |file: &std::path::PathBuf| {
        let file = file.display();
        format!("golden/{file} belongs to no case or dialect: `git rm golden/{file}`, or bring the case back")
    };
    Ok(orphans.iter().map(sentence).collect())
}

/// Which kind of golden a case has in a dialect, for lists and reports.
///
/// # Errors
/// A golden cannot be understood.
pub fn origin(goldens: &Goldens, case: &Case, dialect: &str) -> anyhow::Result<Option<Origin>> {
    Ok(goldens.find(&case.id, dialect)?.map(|golden| golden.origin))
}
