//! `samebuild prune` on a real engine of ours: what the plan says goes, goes, and what is used stays.
//!
//! Needs root, the network on a cold cache, and `SAMEBUILD_LIVE=docker-20.10` (or several of `ci/engines.toml`,
//! separated by commas). Without them the trials are listed as ignored, and the reason is printed; they do not pass.

mod live;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::TagImageOptionsBuilder;
use libtest_mimic::{Arguments, Failed};
use samebuild::bases;
use samebuild::engines::{self, BuildOutcome, BuildRequest, Builder, Context, Engine, Network, Policy};
use samebuild::prune::{Pruner, Wish};

type Check = fn(&str) -> Result<(), Failed>;

const TRIALS: [(&str, Check); 3] = [
    ("what_is_used_stays_and_the_rest_goes", what_is_used_stays_and_the_rest_goes),
    ("another_process_does_not_prune_while_a_build_is_under_way", another_process_waits),
    ("a_repository_without_images_is_an_error_that_names_it", a_repository_without_images),
];

fn main() {
    engines::child::run_if_asked();
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("prune_live", args.list);
    let mut trials = Vec::new();
    for engine in &names {
        for (name, check) in TRIALS {
            let engine_name = engine.to_owned();
            let title = format!("prune_live::{engine}::{name}");
            trials.push(live::trial(title, unmet, move || check(&engine_name)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

/// moby/moby#45839: `image prune` deleted images that containers had been created from by ID.
fn what_is_used_stays_and_the_rest_goes(name: &str) -> Result<(), Failed> {
    let engine = open(name)?;
    let socket = engine.socket().ok_or("no socket")?;
    let first = build(&engine, 1)?;
    for n in 2..=3 {
        build(&engine, n)?;
    }
    // Creation times are in seconds: the last one is to be the newest.
    std::thread::sleep(Duration::from_millis(1100));
    build(&engine, 4)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = socket.display().to_string();
        let docker = Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION)?;
        let docker = docker.negotiate_version().await?;
        let body =
            ContainerCreateBody { image: Some(first), cmd: Some(vec!["true".into()]), ..Default::default() };
        docker.create_container(None, body).await?;
        let elsewhere = TagImageOptionsBuilder::new().repo("samebuild.test/other").tag("2").build();
        docker.tag_image("samebuild.test/p:2", Some(elsewhere)).await
    })?;
    let filtered = Pruner::open(&socket, wish("samebuild.test/p", &["label=nobody-has-it"]))?.plan()?;
    ensure(filtered.victims.is_empty(), || format!("{filtered:?}"))?;

    let pruner = Pruner::open(&socket, wish("samebuild.test/p", &[]))?;
    let plan = pruner.plan()?;
    let victims: Vec<&str> = plan.victims.iter().flat_map(|line| &line.names).map(String::as_str).collect();
    ensure(victims == ["samebuild.test/p:3"], || format!("{plan:?}"))?;
    for (tag, why) in [("p:4", "newest"), ("p:2", "also samebuild.test/other:2"), ("p:1", "a container")] {
        let kept = plan.kept.iter().find(|(line, _)| line.names.iter().any(|name| name.ends_with(tag)));
        ensure(kept.is_some_and(|(_, said)| said.contains(why)), || format!("{tag}: {plan:?}"))?;
    }
    let pruned = pruner.execute()?;
    ensure(pruned.gone == plan.victims && pruned.stayed.is_empty(), || format!("{pruned:?}"))?;
    ensure(engine.image_id("samebuild.test/p:3").is_err(), || "p:3 is still there".into())?;
    for n in [1, 2, 4] {
        engine.image_id(&format!("samebuild.test/p:{n}"))?;
    }
    Ok(())
}

/// Two processes of ours on one daemon.
fn another_process_waits(name: &str) -> Result<(), Failed> {
    let engine = open(name)?;
    build(&engine, 1)?;
    std::thread::sleep(Duration::from_millis(1100));
    build(&engine, 2)?;
    let underway = engine.one_of_us()?.build()?;
    let host = format!("unix://{}", engine.socket().ok_or("no socket")?.display());
    let mut prune = std::process::Command::new(env!("CARGO_BIN_EXE_samebuild"))
        .args(["prune", "--repository", "samebuild.test/p", "--keep", "1", "--engine", "host", "--yes"])
        .env("DOCKER_HOST", host)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    ensure(prune.try_wait()?.is_none(), || "it did not wait".into())?;
    engine.image_id("samebuild.test/p:1")?;
    drop(underway);
    ensure(prune.wait()?.success(), || "it failed".into())?;
    ensure(engine.image_id("samebuild.test/p:1").is_err(), || "p:1 is still there".into())
}

fn a_repository_without_images(name: &str) -> Result<(), Failed> {
    let engine = open(name)?;
    let socket = engine.socket().ok_or("no socket")?;
    let Err(error) = Pruner::open(&socket, wish("samebuild.test/nothing", &[]))?.plan() else {
        return Err("there is a plan".into());
    };
    ensure(error.to_string().contains("samebuild.test/nothing"), || error.to_string())
}

fn wish(repository: &str, filters: &[&str]) -> Wish {
    let filters = filters.iter().filter_map(|text| text.parse().ok()).collect();
    Wish { repository: repository.to_owned(), keep: 1, filters }
}

fn open(name: &str) -> Result<Engine, Failed> {
    let tell = |line: &str| eprintln!("{line}");
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let engine = engines::open(name, &policy, &tell)?;
    let base = bases::provide("busybox", &engines::cache_dir()?, &tell)?;
    engine.load_base(&base.reference, &base.archive)?;
    Ok(engine)
}

/// `samebuild.test/p:N`; its ID.
fn build(engine: &Engine, n: u32) -> Result<String, Failed> {
    let dockerfile = format!("FROM samebuild.test/base:1\nRUN echo {n} > /n\n");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o100_644);
    header.set_size(dockerfile.len() as u64);
    tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    let request = BuildRequest {
        context: Context::Bytes(tar.into_inner()?),
        dockerfile: "Dockerfile".into(),
        build_args: BTreeMap::new(),
        target: None,
        builder: Builder::Classic,
        network: Network::None,
        no_cache: true,
        tag: format!("samebuild.test/p:{n}"),
        labels: BTreeMap::new(),
        platform: None,
        deadline: Duration::from_secs(60),
    };
    match engine.build(&request)? {
        BuildOutcome::Built { image_id, .. } => Ok(image_id),
        BuildOutcome::Failed { message, .. } => Err(message.into()),
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
