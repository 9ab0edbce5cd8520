//! Every case in every observed dialect is a test that nextest lists, filters and runs by itself:
//! `conformance/<group>/<name>/<dialect>`. Also: what holds for every builder and every golden, and (`cached/<group>/<name>`)
//! that the layer cache changes nothing.
//!
//! What a check is, and what it takes to be green, is `samebuild::conform`'s; a case whose needs are unmet is ignored with
//! its sentence, not passed.

mod cached;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use samebuild::builders::reference::Room;
use samebuild::builders::{self, Answer, BUILDERS, Order};
use samebuild::cases::{Case, DIALECTS};
use samebuild::checkout::Checkout;
use samebuild::conform::goldens::{Golden, Goldens, Origin, body};
use samebuild::conform::{Verdict, Workshop, dialects, orphans, show, twice};
use samebuild::fetch::{Http, Limits};
use samebuild::scratch::Place;
use samebuild_image::golden::{Observation, Outcome};

const AGAIN: &str = "cargo xtask conformance";

fn main() -> ExitCode {
    samebuild_builder::sandbox::become_child_if_asked();
    samebuild_builder::sandbox::become_root_if_possible();
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => libtest_mimic::run(&arguments, trials).exit_code(),
        Err(error) => {
            eprintln!("failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> anyhow::Result<Vec<Trial>> {
    let checkout = Checkout::at(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let cases: Arc<Vec<Case>> = Arc::new(checkout.cases().map_err(|error| anyhow::anyhow!(error.render()))?);
    let goldens = checkout.goldens();
    let observed = goldens.observed_dialects(cases.iter().map(|case| &case.id))?;
    let mut trials = Vec::new();
    for index in 0..cases.len() {
        for dialect in dialects(&[], |id| observed.contains(id))? {
            let name = format!("conformance/{}/{dialect}", cases[index].id);
            let (cases, goldens) = (Arc::clone(&cases), goldens.clone());
            trials.push(Trial::ignorable_test(name, move || conforms(&cases[index], dialect, &goldens)));
        }
    }
    for row in BUILDERS {
        let (cases, goldens) = (Arc::clone(&cases), goldens.clone());
        let name = format!("builders/{}/keeps-the-contract", row.id);
        trials.push(Trial::ignorable_test(name, move || keeps_the_contract(row, &cases, &goldens)));
    }
    trials.push(Trial::test("goldens/each-belongs-to-a-case-and-prints-as-it-was-read", move || {
        each_golden_is_in_order(&cases, &goldens)
    }));
    let cases = Arc::new(checkout.cases().map_err(|error| anyhow::anyhow!(error.render()))?);
    trials.extend(cached::trials(&cases));
    trials.push(Trial::ignorable_test("twice/each-case-makes-one-image-or-says-why-not", move || {
        each_makes_one_image(&cases)
    }));
    trials.push(Trial::ignorable_test(
        "twice/a-case-of-chance-is-found-and-a-mark-without-chance-is-stale",
        chance_is_found,
    ));
    Ok(trials)
}

/// The judge of two builds can say each of the things it may have to say.
fn chance_is_found() -> Result<Completion, Failed> {
    if let Some(need) = samebuild_builder::sandbox::standing().unmet() {
        return Ok(Completion::ignored_with(need));
    }
    let dir = tempfile::tempdir()?;
    let write = |name: &str, run: &str, more: &str| -> std::io::Result<()> {
        let dir = dir.path().join(name);
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("Dockerfile"), format!("FROM samebuild.test/base:1\nRUN {run}\n"))?;
        std::fs::write(dir.join("case.toml"), format!("about = \"Is it the same?\"\n{more}"))
    };
    let (chance, marked) =
        ("head -c 8 /dev/urandom | od -An -tx1 > /chance", "volatile = \"it asks for chance\"\n");
    let file = "[[volatile]]\nat = \"/chance\"\nwhy = \"it asks for chance\"\n";
    write("a-unmarked", chance, "")?;
    write("b-marked", chance, marked)?;
    write("c-file-marked", chance, file)?;
    write("d-stale", "echo sure > /sure", marked)?;
    write("e-sure", "echo sure > /sure", "")?;
    let cases = samebuild::checkout::load(dir.path())?;
    let workshop =
        Workshop::open(&cases.iter().collect::<Vec<_>>(), Place::Memory, None, &|line| eprintln!("{line}"))?;
    let means = workshop.means(None);
    let http = Http::new(Limits::USUAL);
    let room =
        Room { work: &means.work, unpacked: &means.unpacked, http: &http, cache: None, progress: &|_| {} };
    let ground = workshop.grounds.get("busybox").ok_or("the base is missing")?;
    let said: Vec<String> = cases
        .iter()
        .map(|case| match twice::judge(case, ground, room) {
            Ok(None) => "fine".to_owned(),
            Ok(Some(why)) => why,
            Err(finding) if finding.contains("/chance · content") => "unstable".to_owned(),
            Err(finding) if finding.contains("stale") => "stale".to_owned(),
            Err(finding) => finding,
        })
        .collect();
    if said != ["unstable", "fine", "fine", "stale", "fine"] {
        return Err(format!("{said:?}").into());
    }
    Ok(Completion::Completed)
}

/// Four builds of every case in three dialects, on all cores.
fn each_makes_one_image(cases: &[Case]) -> Result<Completion, Failed> {
    let all: Vec<&Case> = cases.iter().collect();
    let workshop = Workshop::open(&all, Place::Memory, None, &|line| eprintln!("{line}"))?;
    let means = workshop.means(None);
    let http = Http::new(Limits::USUAL);
    let room =
        Room { work: &means.work, unpacked: &means.unpacked, http: &http, cache: None, progress: &|_| {} };
    let (next, found, idle) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(ground) = workshop.grounds.get(&case.base) else { continue };
                    match twice::judge(case, ground, room) {
                        Ok(None) => {}
                        Ok(Some(why)) => *idle.lock().unwrap().entry(why).or_insert(0) += 1,
                        Err(finding) => found.lock().unwrap().push(finding),
                    }
                }
            });
        }
    });
    for (why, count) in idle.into_inner().unwrap() {
        eprintln!("not exercised in some dialect, {count} cases: {why}");
    }
    let mut found = found.into_inner().unwrap();
    found.sort();
    if !found.is_empty() {
        return Err(found.join("\n").into());
    }
    match samebuild_builder::sandbox::standing().unmet() {
        Some(need) => Ok(Completion::ignored_with(format!("cases with RUN: {need}"))),
        None => Ok(Completion::Completed),
    }
}

/// The check of `samebuild conform`; and where it is `same`, the golden must read as the reference would write it.
fn conforms(case: &Case, dialect: &'static str, goldens: &Goldens) -> Result<Completion, Failed> {
    let workshop = Workshop::open(&[case], Place::Memory, None, &|line| eprintln!("{line}"))?;
    let results = workshop.run(&[case], &[dialect], Some(goldens), None, |_| {}, |_| {})?;
    let dockerfile = String::from_utf8_lossy(&case.dockerfile);
    let mut skipped = None;
    for check in results.iter().flat_map(|result| &result.checks) {
        match check.verdict {
            Verdict::Skipped => skipped = Some(check.why.clone()),
            verdict if verdict.is_green() => {}
            _ => return Err(show::detail(check, &dockerfile, AGAIN).into()),
        }
    }
    if let Some(why) = skipped {
        return Ok(Completion::ignored_with(why));
    }
    let golden = goldens.find(&case.id, dialect)?.ok_or("the golden went away")?;
    let is_known = case.known.iter().any(|known| known.dialect == dialect);
    if !is_known && let Outcome::Built(_) = golden.observation.outcome {
        reads_alike(case, dialect, goldens, &workshop, &golden)?;
    }
    Ok(Completion::Completed)
}

/// Through insta, so that `cargo insta review` and a diff of lines are at hand when it does not.
fn reads_alike(
    case: &Case,
    dialect: &str,
    goldens: &Goldens,
    workshop: &Workshop,
    golden: &Golden,
) -> Result<(), Failed> {
    let means = workshop.means(Some(goldens));
    let reference = builders::open("reference", &means)?;
    let ground = workshop.grounds.get(&case.base).ok_or("its base is not there")?;
    let Answer::Ended(ended) = reference.build(&Order::new(case, dialect, ground)) else {
        return Err("the reference built it a moment ago and does not now".into());
    };
    let text = Observation { outcome: ended.observation.outcome, ..golden.observation.clone() }.to_string();
    let path = goldens.root().join(&golden.file);
    let name = path.file_stem().and_then(|stem| stem.to_str()).ok_or("its golden has no name")?;
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(path.parent().ok_or("its golden is nowhere")?);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
    Ok(())
}

/// A builder answers: with an image, a failure, what it lacks. It never panics, and never takes one for another.
fn keeps_the_contract(row: &builders::Row, cases: &[Case], goldens: &Goldens) -> Result<Completion, Failed> {
    let of = |name: &str| cases.iter().find(|case| case.id.as_str() == name).ok_or("a case is missing");
    let (builds, fails) = (of("copy/chown")?, of("failing/copy-missing")?);
    let workshop = Workshop::open(&[builds, fails], Place::Memory, None, &|line| eprintln!("{line}"))?;
    let means = workshop.means(Some(goldens));
    let builder = match (row.open)(&means) {
        Ok(builder) => builder,
        Err(lacks) if lacks.contains("--engine") => return Ok(Completion::Completed),
        Err(lacks) if row.is_program => return Ok(Completion::ignored_with(lacks)),
        Err(lacks) => return Err(lacks.into()),
    };
    let ground = workshop.grounds.get(&builds.base).ok_or("the base is missing")?;
    let spoken = builder.by_itself().map_or("classic@20.10", |(dialect, _)| dialect);
    if builder.by_itself().is_some() != row.is_program {
        return Err(format!("{} is a program or not", row.id).into());
    }
    for (case, is_built) in [(builds, true), (fails, false)] {
        match builder.build(&Order::new(case, spoken, ground)) {
            Answer::Ended(ended) => {
                let built = matches!(ended.observation.outcome, Outcome::Built(_));
                if built != is_built {
                    return Err(format!("{} makes of {}: {}", row.id, case.id, ended.observation).into());
                }
            }
            other => return Err(format!("{} answers for {}: {other:?}", row.id, case.id).into()),
        }
    }
    match builder.build(&Order::new(builds, "nobody@0", ground)) {
        Answer::Unmet(_) => Ok(Completion::Completed),
        other => Err(format!("{} speaks for nobody@0: {other:?}", row.id).into()),
    }
}

fn each_golden_is_in_order(cases: &[Case], goldens: &Goldens) -> Result<(), Failed> {
    let orphans = orphans(goldens, cases, DIALECTS)?;
    if !orphans.is_empty() {
        return Err(orphans.join("\n").into());
    }
    for case in cases {
        for golden in goldens.of(&case.id)? {
            let path = goldens.root().join(&golden.file);
            let text = std::fs::read_to_string(&path)?;
            if body(&text) != golden.observation.to_string() {
                return Err(format!(
                    "{} does not print as it was read: edit no golden by hand",
                    golden.file.display()
                )
                .into());
            }
            let claims = golden.observation.seen_by.first().map(String::as_str);
            if golden.file.file_stem().and_then(|stem| stem.to_str()) != claims {
                return Err(format!(
                    "{} is not named after the first that it was seen by",
                    golden.file.display()
                )
                .into());
            }
            if golden.origin == Origin::Reference && golden.observation.builder != "the reference builder" {
                return Err(format!("{} was not made by the reference builder", golden.file.display()).into());
            }
        }
    }
    Ok(())
}
