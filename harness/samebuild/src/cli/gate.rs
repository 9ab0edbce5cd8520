//! `gate`: runs what CI asks for and prints why it is shut, if it is.

use anyhow::{Context as _, Result};
use samebuild_builder::sandbox::{self, Standing};

use super::conform::{Job, spoken};
use super::terminal::{Usage, out};
use super::verbs::{Format, Gate, Profile};
use crate::builders::{self, Answer, Ended, Order};
use crate::cases::{Case, DIALECTS};
use crate::checkout::Checkout;
use crate::conform::goldens::Goldens;
use crate::conform::{Exit, Party, Verdict, Workshop, check, orphans};
use crate::dialects::attributions::Attributions;
use crate::gate::{Canary, Evidence, complaints};
use crate::scratch::Place;
use crate::unprivileged::{self, Person};

pub(crate) fn run(args: &Gate) -> Result<Exit> {
    let profile = profile(args)?;
    let checkout = Checkout::find()?;
    if let Some(person) = stand_in(profile) {
        return as_somebody_else(&checkout, profile, person);
    }
    let policy = checkout.gate()?;
    let minimums =
        policy.profiles.get(name(profile)).with_context(|| format!("find [profile.{}]", name(profile)))?;
    let (cases, goldens) = (checkout.cases()?, checkout.goldens());
    let canary = canary(&policy.canary, &cases, &goldens)?;
    let dialects = spoken(&[], Some(&goldens), &cases)?;
    let job = Job {
        cases: cases.iter().collect(),
        dialects,
        only_these: false,
        goldens: Some(&goldens),
        engine: args.engine.as_deref(),
        costs: None,
        again: "cargo xtask conformance".to_owned(),
    };
    let results = job.run(Format::Text)?;
    let orphans = orphans(&goldens, &cases, DIALECTS)?;
    let report = std::fs::read_to_string(checkout.report()).unwrap_or_default();
    let report_is_current = report == crate::report::render(&checkout)?;
    let known = Attributions::read(&checkout.attributions())?;
    let stale_attributions = known.stale(&cases.iter().collect::<Vec<_>>(), &goldens)?.sentence();
    let evidence =
        Evidence { results: &results, orphans: &orphans, canary, stale_attributions, report_is_current };
    let complaints = complaints(minimums, &policy.canary, &evidence);
    for complaint in &complaints {
        eprintln!("gate: {complaint}");
    }
    let verdicts = results.iter().flat_map(|result| &result.checks).map(|check| check.verdict);
    let exit = Exit::of(verdicts);
    if complaints.is_empty() {
        let green =
            results.iter().flat_map(|r| &r.checks).filter(|c| c.verdict.is_exercised_and_green()).count();
        out!(
            "gate {}: open; {green} checks exercised, {} demanded, the canary died",
            name(profile),
            minimums.conform
        );
        return Ok(exit);
    }
    out!("gate {}: shut, {} complaints", name(profile), complaints.len());
    Ok(if exit == Exit::Same { Exit::Different } else { exit })
}

/// Root who asks for the profile of somebody who is not lets a made-up user run it.
fn stand_in(profile: Profile) -> Option<Person> {
    let person = match profile {
        Profile::Root | Profile::Live => return None,
        Profile::Rootless => Person::WithIds,
        Profile::Unprivileged => Person::WithoutPrograms,
    };
    sandbox::standing().is_root().then_some(person)
}

fn as_somebody_else(checkout: &Checkout, profile: Profile, person: Person) -> Result<Exit> {
    let me = std::path::Path::new("/proc/self/exe");
    let args = ["gate", "--profile", name(profile)];
    let mut prepared = unprivileged::prepare(me, &args, person, checkout, &|line| eprintln!("{line}"))?;
    let status = prepared.command.status().context("start the gate again as another user")?;
    Ok(status.code().and_then(Exit::from_number).unwrap_or(Exit::Broken))
}

/// Builds the planted case wrongly on purpose.
fn canary(canary: &Canary, cases: &[Case], goldens: &Goldens) -> Result<Verdict> {
    let case = cases.iter().find(|case| case.id.as_str() == canary.case);
    let case =
        case.with_context(|| format!("find the canary's case {}; ci/gate.toml names it", canary.case))?;
    let golden = goldens.find(&case.id, &canary.against)?;
    let golden =
        golden.with_context(|| format!("find what {} did with the canary {}", canary.against, case.id))?;
    let workshop = Workshop::open(&[case], Place::Memory, None, &|_| {})?;
    let means = workshop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let ground = workshop.grounds.get(&case.base).context("find the canary's base")?;
    let built = reference.build(&Order::new(case, &canary.dialect, ground));
    let recorded = Answer::Ended(Box::new(Ended::of(golden.observation)));
    let parties = [
        &Party { name: "the canary", answer: &built },
        &Party { name: "the other dialect's golden", answer: &recorded },
    ];
    Ok(check(case, &canary.dialect, "the canary", ground, parties, false).verdict)
}

fn profile(args: &Gate) -> Result<Profile> {
    match (args.profile, &args.engine) {
        (None, Some(_)) | (Some(Profile::Live), Some(_)) => Ok(Profile::Live),
        (Some(Profile::Live), None) => Err(Usage("run profile live: name an --engine".to_owned()).into()),
        (Some(_), Some(_)) => {
            Err(Usage("run an offline profile with an engine: leave one out".to_owned()).into())
        }
        (Some(profile), None) => Ok(profile),
        (None, None) => Ok(match sandbox::standing() {
            Standing::Root => Profile::Root,
            Standing::Mapped { .. } => Profile::Rootless,
            Standing::Neither { .. } => Profile::Unprivileged,
        }),
    }
}

fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Root => "root",
        Profile::Rootless => "rootless",
        Profile::Unprivileged => "unprivileged",
        Profile::Live => "live",
    }
}
