//! The races on a real engine of ours: that a faulty strategy loses the image every time at the event gate, that ours
//! keeps it, that an unmodified client can be raced.
//!
//! Needs root, the network on a cold cache, and `SAMEBUILD_LIVE=docker-20.10` (or several of `ci/engines.toml`,
//! separated by commas). Without them the trials are listed as ignored, and the reason is printed; they do not pass.

mod live;

use std::path::Path;

use libtest_mimic::{Arguments, Failed};
use samebuild::engines::{self, Policy};
use samebuild::proxy::What;
use samebuild::races::{self, Exec, Ground, Pressure};
use samebuild_store::choosers::Kind;
use samebuild_store::model::Mode;
use samebuild_store::stage::Setting;
use samebuild_store::{races as scenarios, strategies};

type Check = fn(&str) -> Result<(), Failed>;

const TRIALS: [(&str, Check); 6] = [
    ("async_by_id_loses_the_image_every_time_at_the_event_gate", async_by_id_loses_every_time),
    ("sync_and_generation_keep_the_image_at_the_event_gate", sync_and_generation_keep),
    ("orders_of_turns_from_seeds_catch_async_by_id_and_not_generation", orders_of_turns),
    ("an_unmodified_client_loses_its_image_at_the_gate_and_not_without", an_unmodified_client),
    ("an_unmodified_client_attaches_through_the_proxy", attaches_through_the_proxy),
    ("the_hosts_engine_is_refused_with_the_reason", the_hosts_engine_is_refused),
];

fn main() {
    engines::child::run_if_asked();
    races::deploy::run_if_asked();
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("race_live", args.list);
    let mut trials = Vec::new();
    for engine in &names {
        for (name, check) in TRIALS {
            let no_client = name.starts_with("an_unmodified_client") && !is_on_path("docker");
            let unmet =
                unmet.or(no_client.then_some("there is no `docker` on PATH; install Docker's client"));
            if let Some(reason) = unmet.filter(|_| no_client && !args.list) {
                eprintln!("race_live: {name}: not exercised: {reason}");
            }
            let title = format!("race_live::{engine}::{name}");
            let engine = engine.to_owned();
            trials.push(live::trial(title, unmet, move || check(&engine)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn is_on_path(program: &str) -> bool {
    std::process::Command::new(program).arg("--version").output().is_ok()
}

/// GoogleContainerTools/skaffold#9251.
fn async_by_id_loses_every_time(engine: &str) -> Result<(), Failed> {
    let lost = lost_at_the_gate(&open(engine)?, "async-by-id", 4)?;
    ensure(lost == 4, || format!("lost {lost} of 4"))
}

fn sync_and_generation_keep(engine: &str) -> Result<(), Failed> {
    let ground = open(engine)?;
    for strategy in ["sync", "generation"] {
        let lost = lost_at_the_gate(&ground, strategy, 3)?;
        ensure(lost == 0, || format!("{strategy} lost {lost} of 3"))?;
    }
    Ok(())
}

fn orders_of_turns(engine: &str) -> Result<(), Failed> {
    let ground = open(engine)?;
    for (strategy, loses) in [("async-by-id", true), ("generation", false)] {
        let row = strategies::strategy(strategy)?;
        let mut lost = Vec::new();
        for seed in 1..=6 {
            let outcome = races::turns(&ground, &setting()?, row.strategy, Kind::Random, seed)?;
            if outcome.fate.is_lost() {
                lost.push(seed);
            }
        }
        ensure(lost.is_empty() != loses, || format!("{strategy} lost with the seeds {lost:?} of 1 to 6"))?;
    }
    Ok(())
}

fn an_unmodified_client(engine: &str) -> Result<(), Failed> {
    let ground = open(engine)?;
    let before = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/clients/one-image.sh");
    let command = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/clients/prune-behind.sh");
    let gate = ["hold DELETE /images/* until POST */tag == 201".parse()?];
    for (rules, lost) in [(gate.as_slice(), true), (&[], false)] {
        for _ in 0..2 {
            let exec = Exec { before: Some(before), command, deploy: "samebuild.test/x:ready", rules };
            let survival = ground.exec(&exec)?;
            ensure(survival.status.success(), || format!("the client ended with {}", survival.status))?;
            ensure(survival.is_lost() == lost, || format!("with {} rules: {survival:?}", rules.len()))?;
        }
    }
    Ok(())
}

/// A hijacked connection with an end in one direction first: `docker run -i`.
fn attaches_through_the_proxy(engine: &str) -> Result<(), Failed> {
    let command = "said=$(echo hello | docker run -i --rm --network none samebuild.test/base:1 cat); test \"$said\" = hello";
    let exec = Exec { before: None, command, deploy: "samebuild.test/base:1", rules: &[] };
    let survival = open(engine)?.exec(&exec)?;
    ensure(survival.status.success(), || format!("{survival:?}"))?;
    let tunnel = survival.log.iter().any(|entry| matches!(entry.what, What::Tunnel { .. }));
    ensure(tunnel, || format!("nothing was hijacked: {survival:?}"))
}

fn the_hosts_engine_is_refused(_: &str) -> Result<(), Failed> {
    let Err(error) = Ground::open("host", &policy()?, &|_| {}) else { return Err("it was not".into()) };
    ensure(error.to_string().contains("races delete images"), || error.to_string())
}

fn lost_at_the_gate(ground: &Ground, strategy: &str, trials: usize) -> Result<usize, Failed> {
    let row = strategies::strategy(strategy)?;
    let count = races::measure(ground, &setting()?, row, Pressure::Gate, trials, &mut |_, _| {})?;
    Ok(count.lost())
}

fn setting() -> Result<Setting, Failed> {
    Ok(Setting { race: scenarios::race("skaffold-9251")?, mode: Mode::Graphdriver, old: 1 })
}

fn policy() -> Result<Policy, Failed> {
    Ok(Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?)
}

fn open(engine: &str) -> Result<Ground, Failed> {
    Ok(Ground::open(engine, &policy()?, &|line| eprintln!("{line}"))?)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
