//! A private engine, fetched, started, built on and torn down: every trial really does it.
//!
//! Needs root, the network on a cold cache, and `SAMEBUILD_LIVE=docker-20.10` (or several of `ci/engines.toml`,
//! separated by commas). Without them the trials are listed as ignored, and the reason is printed; they do not pass.

mod live;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use samebuild::engines::{
    self, BuildOutcome, BuildRequest, Builder, Context, Debian, Engine, EngineError, Network, Policy,
};

type Check = fn(&str) -> Result<(), Failed>;

const TRIALS: [(&str, Check); 11] = [
    ("answers_as_the_policy_says", answers_as_the_policy_says),
    ("builds_with_every_builder_and_exports", builds_with_every_builder_and_exports),
    ("each_step_is_timed_where_the_builder_tells", each_step_is_timed),
    ("a_failing_step_is_a_result_and_is_named", a_failing_step_is_a_result_and_is_named),
    ("contexts_of_equal_size_and_mtime_are_told_apart", contexts_of_equal_size_and_mtime_are_told_apart),
    (
        "an_image_without_layers_still_has_its_configuration",
        an_image_without_layers_still_has_its_configuration,
    ),
    ("a_build_past_its_deadline_is_hung_and_the_engine_lives", a_build_past_its_deadline_is_hung),
    ("a_daemon_that_dies_is_lost_and_not_a_failed_build", a_daemon_that_dies_is_lost),
    ("on_the_hosts_engine_only_our_names_are_touched", on_the_hosts_engine_only_our_names_are_touched),
    ("nothing_is_left_when_it_is_dropped", nothing_is_left_when_it_is_dropped),
    ("nothing_is_left_however_its_owner_dies", nothing_is_left_however_its_owner_dies),
];

/// In a process with this variable the engine named in it is started and held; see [`hold`].
const HOLD: &str = "SAMEBUILD_LIVE_HOLD";

fn main() {
    engines::child::run_if_asked();
    if let Ok(how) = std::env::var(HOLD) {
        return hold(&how);
    }
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("engine_live", args.list);
    let mut trials = Vec::new();
    for engine in &names {
        for (name, check) in TRIALS {
            let title = format!("engine_live::{engine}::{name}");
            let engine = engine.to_owned();
            trials.push(live::trial(title, unmet, move || check(&engine)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn answers_as_the_policy_says(name: &str) -> Result<(), Failed> {
    let policy = policy()?;
    let spec = policy.engine(name)?;
    let info = start(name)?.info()?;
    let pinned = spec.packages.iter().find(|pin| pin.name == "docker.io").ok_or("no pin for docker.io")?;
    ensure(info.version.starts_with(&pinned.upstream), || format!("{info:?} is not {}", pinned.upstream))?;
    ensure(info.driver == spec.store.driver(), || format!("{info:?} is not on {:?}", spec.store))
}

fn builds_with_every_builder_and_exports(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    load_base(&engine)?;
    let dockerfile = "FROM samebuild.test/base:1\nARG WHAT\nCOPY file /file\nRUN echo $WHAT > /said\n";
    for builder in builders(name)? {
        let mut request = request(builder, &[("Dockerfile", dockerfile), ("file", "x\n")]);
        request.build_args.insert("WHAT".into(), "hello".into());
        let id = built(engine.build(&request)?)?;
        let config = String::from_utf8(engine.inspect_config(&id)?)?;
        ensure(config.contains("RUN") || config.contains("/said"), || format!("{builder:?}: {config}"))?;
        let archive = tempfile::NamedTempFile::new()?;
        engine.export(&id, archive.path())?;
        let names = names_in(archive.path())?;
        ensure(names.iter().any(|n| n == "manifest.json"), || format!("{builder:?}: {names:?}"))?;
        engine.remove(&request.tag)?;
        ensure(engine.image_id(&request.tag).is_err(), || "it is still there".into())?;
    }
    Ok(())
}

fn each_step_is_timed(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    load_base(&engine)?;
    let dockerfile = "FROM samebuild.test/base:1\nCOPY file /file\nRUN sleep 1\nRUN true\n";
    for builder in builders(name)? {
        let run = request(builder, &[("Dockerfile", dockerfile), ("file", "x\n")]);
        let BuildOutcome::Built { times, .. } = engine.build(&run)? else {
            return Err("the build failed".into());
        };
        if name.ends_with("containerd") {
            // A build in a session tells nothing.
            ensure(times.is_empty(), || format!("{builder:?}: {times:?}"))?;
            continue;
        }
        let told: Vec<&str> = times.iter().map(|step| step.instruction.as_str()).collect();
        let written: Vec<&str> = dockerfile.lines().collect();
        ensure(told == written, || format!("{builder:?}: {told:?}"))?;
        let slept = times[2].elapsed;
        ensure(slept >= Duration::from_secs(1) && times[3].elapsed < slept, || format!("{times:?}"))?;
    }
    Ok(())
}

fn a_failing_step_is_a_result_and_is_named(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    load_base(&engine)?;
    for builder in builders(name)? {
        let run = request(builder, &[("Dockerfile", "FROM samebuild.test/base:1\nRUN exit 7\n")]);
        let BuildOutcome::Failed { message, step, .. } = engine.build(&run)? else {
            return Err(format!("{builder:?} built it").into());
        };
        ensure(message.contains("exit 7") && message.contains(": 7"), || message.clone())?;
        let step = step.ok_or("no step")?;
        // Where the log is missing the line is there instead.
        ensure(step.number == Some((2, 2)) || step.line == Some(2), || format!("{step:?}"))?;

        let syntax = request(builder, &[("Dockerfile", "FROM scratch\nFOO bar\n")]);
        let BuildOutcome::Failed { message, line, .. } = engine.build(&syntax)? else {
            return Err(format!("{builder:?} built it").into());
        };
        ensure(line == Some(2), || format!("line {line:?} of: {message}"))?;
    }
    Ok(())
}

/// BuildKit's file synchronisation ships the first context's bytes for the second; an upload must not.
fn contexts_of_equal_size_and_mtime_are_told_apart(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    for builder in builders(name)? {
        for (no_cache, text) in [(true, "AAAA"), (true, "BBBB"), (false, "CCCC"), (false, "DDDD")] {
            let mut request = request(builder, &[("Dockerfile", "FROM scratch\nCOPY f /f\n"), ("f", text)]);
            request.no_cache = no_cache;
            let id = built(engine.build(&request)?)?;
            let archive = tempfile::NamedTempFile::new()?;
            engine.export(&id, archive.path())?;
            let found = layer_text(archive.path())?;
            ensure(found.as_deref() == Some(text), || format!("{builder:?}: {found:?} for {text}"))?;
        }
    }
    Ok(())
}

fn an_image_without_layers_still_has_its_configuration(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    for builder in builders(name)? {
        let request = request(builder, &[("Dockerfile", "FROM scratch\nLABEL a=b\n")]);
        let id = built(engine.build(&request)?)?;
        let config = String::from_utf8(engine.inspect_config(&id)?)?;
        ensure(config.contains(r#""a":"b""#), || config.clone())?;
        let archive = tempfile::NamedTempFile::new()?;
        match engine.export(&id, archive.path()) {
            Ok(()) | Err(EngineError::EmptyExport { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}

fn a_build_past_its_deadline_is_hung(name: &str) -> Result<(), Failed> {
    let engine = start(name)?;
    load_base(&engine)?;
    for builder in builders(name)? {
        let mut request = request(builder, &[("Dockerfile", "FROM samebuild.test/base:1\nRUN sleep 60\n")]);
        request.deadline = Duration::from_secs(3);
        let started = Instant::now();
        let outcome = engine.build(&request);
        ensure(matches!(outcome, Err(EngineError::Hung { .. })), || format!("{outcome:?}"))?;
        ensure(started.elapsed() < Duration::from_secs(10), || format!("after {:?}", started.elapsed()))?;
        engine.info()?;
    }
    Ok(())
}

fn a_daemon_that_dies_is_lost(name: &str) -> Result<(), Failed> {
    for builder in builders(name)? {
        let engine = start(name)?;
        load_base(&engine)?;
        let dir = run_dir(&engine)?;
        let dockerd = processes(&dir).into_iter().find(|(_, line)| line.contains("--config-file"));
        let (pid, _) = dockerd.ok_or("no process has the configuration on its command line")?;
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(2));
            kill(Pid::from_raw(pid), Signal::SIGKILL)
        });
        let request = request(builder, &[("Dockerfile", "FROM samebuild.test/base:1\nRUN sleep 60\n")]);
        let outcome = engine.build(&request);
        killer.join().map_err(|_| "the killer panicked")??;
        ensure(matches!(outcome, Err(EngineError::Lost { .. })), || format!("{builder:?}: {outcome:?}"))?;
        drop(engine);
        nothing_left(&dir)?;
    }
    Ok(())
}

fn on_the_hosts_engine_only_our_names_are_touched(name: &str) -> Result<(), Failed> {
    let owner = start(name)?;
    load_base(&owner)?;
    let socket = owner.socket().ok_or("it is not private")?;
    let host = Engine::host_at(Some(&format!("unix://{}", socket.display())))?;
    for builder in builders(name)? {
        let mut request = request(builder, &[("Dockerfile", "FROM scratch\nCOPY f /f\n"), ("f", "x")]);
        built(host.build(&request)?)?;
        host.remove(&request.tag)?;
        request.tag = "somebody/else:1".into();
        ensure(matches!(host.build(&request), Err(EngineError::NotOurs { .. })), || format!("{builder:?}"))?;
    }
    let base = host.image_id("samebuild.test/base:1")?;
    for refused in [
        host.remove(&base),
        host.remove("somebody/else:1"),
        host.prune_build_cache(),
        host.inspect_config(&base).map(drop),
        host.load_base("samebuild.test/base:1", base_archive("somebody/else:1")?.path()).map(drop),
    ] {
        ensure(matches!(refused, Err(EngineError::NotOurs { .. })), || format!("{refused:?}"))?;
    }
    host.load_base("samebuild.test/base:1", base_archive("samebuild.test/base:1")?.path())?;
    drop(host);
    ensure(owner.image_id("samebuild.test/base:1")? == base, || "the base is another one".into())
}

fn nothing_is_left_when_it_is_dropped(name: &str) -> Result<(), Failed> {
    let etc_docker = Path::new("/etc/docker/key.json").exists();
    let engine = start(name)?;
    load_base(&engine)?;
    let dir = run_dir(&engine)?;
    drop(engine);
    nothing_left(&dir)?;
    ensure(Path::new("/etc/docker/key.json").exists() == etc_docker, || {
        "it wrote /etc/docker/key.json".into()
    })
}

fn nothing_is_left_however_its_owner_dies(name: &str) -> Result<(), Failed> {
    for how in ["panic", "exit", "SIGINT", "SIGTERM", "SIGKILL"] {
        let (mut owner, dir) = start_owner(name, how)?;
        ensure(!processes(&dir).is_empty(), || "it was never there".into())?;
        if let Ok(signal) = how.parse::<Signal>() {
            kill(Pid::from_raw(owner.id().cast_signed()), signal)?;
        }
        drop(owner.stdin.take()); // what the others wait for
        owner.wait()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && nothing_left(&dir).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        nothing_left(&dir)
            .map_err(|left| Failed::from(format!("after {how}: {}", left.message().unwrap_or(""))))?;
    }
    Ok(())
}

/// The other process of [`start_owner`]: `NAME HOW`.
fn hold(spec: &str) {
    let (name, how) = spec.split_once(' ').unwrap_or((spec, "exit"));
    let engine = start(name).unwrap_or_else(|error| panic!("{}", error.message().unwrap_or("no engine")));
    println!("{}", engine.socket().unwrap_or_default().display());
    let _ = std::io::stdin().read_line(&mut String::new());
    match how {
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(0), // nothing is dropped
        _ => std::thread::park(),
    }
}

fn start_owner(name: &str, how: &str) -> Result<(Child, PathBuf), Failed> {
    let mut owner = Command::new("/proc/self/exe")
        .env(HOLD, format!("{name} {how}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut socket = String::new();
    BufReader::new(owner.stdout.take().ok_or("no stdout")?).read_line(&mut socket)?;
    let dir = Path::new(socket.trim()).parent().filter(|dir| dir.is_dir());
    let dir = dir.ok_or("the other process started no engine")?.to_owned();
    Ok((owner, dir))
}

fn nothing_left(dir: &Path) -> Result<(), Failed> {
    let processes = processes(dir);
    ensure(processes.is_empty(), || format!("still running: {processes:?}"))?;
    let dir_text = dir.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mounts: Vec<_> = mounts.lines().filter(|line| line.contains(&dir_text)).collect();
    ensure(mounts.is_empty(), || format!("still mounted: {mounts:?}"))?;
    ensure(!dir.exists(), || format!("{dir_text} is still there"))?;
    let group = dir.file_name().unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root)?.filter_map(|entry| Some(entry.ok()?.path()));
    let groups: Vec<_> =
        hierarchies.chain([root.to_owned()]).map(|h| h.join(group)).filter(|g| g.exists()).collect();
    ensure(groups.is_empty(), || format!("control groups are still there: {groups:?}"))
}

/// Processes with the directory on their command line: supervisor, init, dockerd, containerd, its shims.
fn processes(dir: &Path) -> Vec<(i32, String)> {
    let dir = dir.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let command = |path: PathBuf| {
        let pid = path.file_name()?.to_str()?.parse().ok()?;
        let line = fs::read(path.join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    };
    entries.filter_map(|entry| command(entry.path())).filter(|(_, line)| line.contains(&dir)).collect()
}

fn run_dir(engine: &Engine) -> Result<PathBuf, Failed> {
    let socket = engine.socket().ok_or("it is not private")?;
    Ok(socket.parent().ok_or("a socket has a directory")?.to_owned())
}

fn policy() -> Result<Policy, Failed> {
    Ok(Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?)
}

fn start(name: &str) -> Result<Engine, Failed> {
    Ok(engines::open(name, &policy()?, &|line| eprintln!("{line}"))?)
}

fn builders(name: &str) -> Result<Vec<Builder>, Failed> {
    let dialects = policy()?.engine(name)?.dialects.clone();
    Ok([Builder::Classic, Builder::BuildKit]
        .into_iter()
        .filter(|b| dialects.contains_key(b.name()))
        .collect())
}

fn request(builder: Builder, files: &[(&str, &str)]) -> BuildRequest {
    BuildRequest {
        context: Context::Bytes(tar_of(files.iter().map(|(name, text)| (*name, text.as_bytes())))),
        dockerfile: "Dockerfile".into(),
        build_args: BTreeMap::new(),
        target: None,
        builder,
        network: Network::None,
        no_cache: true,
        tag: "samebuild.test/live:1".into(),
        labels: BTreeMap::new(),
        platform: None,
        deadline: Duration::from_secs(60),
    }
}

fn built(outcome: BuildOutcome) -> Result<String, Failed> {
    match outcome {
        BuildOutcome::Built { image_id, .. } => Ok(image_id),
        BuildOutcome::Failed { message, log, .. } => Err(format!("{message}\n{}", log.join("\n")).into()),
    }
}

fn load_base(engine: &Engine) -> Result<(), Failed> {
    engine.load_base("samebuild.test/base:1", base_archive("samebuild.test/base:1")?.path())?;
    Ok(())
}

/// Debian's static busybox and nothing else, as a docker-archive.
fn base_archive(name: &str) -> Result<tempfile::NamedTempFile, Failed> {
    let debian = Debian::new(&engines::cache_dir()?, "bookworm", &|line| eprintln!("{line}"))?;
    let busybox = fs::read(debian.package("busybox-static", None)?.root.join("bin/busybox"))?;
    let names = ["bin/busybox", "bin/sh", "bin/sleep"];
    let layer = tar_of(names.into_iter().map(|name| (name, busybox.as_slice())));
    let diff_id = sha256(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["PATH=/bin"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}"]}}}}"#
    );
    let manifest = format!(r#"[{{"Config":"config.json","RepoTags":["{name}"],"Layers":["layer.tar"]}}]"#);
    let files: [(&str, &[u8]); 3] =
        [("manifest.json", manifest.as_bytes()), ("config.json", config.as_bytes()), ("layer.tar", &layer)];
    let archive = tempfile::NamedTempFile::new()?;
    fs::write(archive.path(), tar_of(files.into_iter()))?;
    Ok(archive)
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

fn tar_of<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o100_755);
        header.set_mtime(1_577_836_800);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).expect("writing to memory");
    }
    tar.into_inner().expect("writing to memory")
}

fn names_in(archive: &Path) -> std::io::Result<Vec<String>> {
    let mut tar = tar::Archive::new(fs::File::open(archive)?);
    tar.entries()?.map(|entry| Ok(entry?.path()?.display().to_string())).collect()
}

/// The content of the file `f` in whichever member of an archive is a layer, gzipped (on containerd's store) or not.
fn layer_text(archive: &Path) -> std::io::Result<Option<String>> {
    let mut tar = tar::Archive::new(fs::File::open(archive)?);
    for entry in tar.entries()? {
        let mut bytes = Vec::new();
        entry?.read_to_end(&mut bytes)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let packed = std::mem::take(&mut bytes);
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
        }
        let mut layer = tar::Archive::new(bytes.as_slice());
        for file in layer.entries()?.flatten() {
            let name = file.path()?.display().to_string();
            if name == "f" {
                return std::io::read_to_string(file).map(Some);
            }
        }
    }
    Ok(None)
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
