//! A Docker Engine whose storage lags: `vfs` finds what a step changed by walking, and loses a change of as many bytes; `overlay2`
//! is told by the kernel, and does not. The engine knows nothing of it: all of its files lie in a directory under
//! `samebuild fault mtime-lag`.
//!
//! Beside it `samebuild check` asks buildah, which keeps images in `vfs` here too, and names the line of what got lost.
//!
//! Needs root, /dev/fuse, the network on a cold cache, and `SAMEBUILD_LIVE=docker-20.10` (or several of
//! `ci/engines.toml`, separated by commas). Without them the trials are listed as ignored, and the reason is printed; they
//! do not pass.

mod live;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use samebuild::engines::{
    self, BuildOutcome, BuildRequest, Builder, Context, Debian, Engine, Network, Policy, Store,
};
use samebuild::faults::passthrough;
use samebuild::stored::read_image;
use samebuild_image::{Content, Kind};

/// What the step before the last wrote, and what the last one did.
const OLD: &[u8] = b"aaaa\n";
const NEW: &[u8] = b"bbbb\n";

const DOCKERFILE: &str = "FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo aaaa > /f\"]
RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo bbbb > /f\"]
";

/// The second RUN writes in the very second in which the layer below says that the first one did. It is ten seconds ahead,
/// because an engine has to come to the second RUN in time; if it does not, the file is new and the trial fails.
const SAME_SECOND: &str = "FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"sh\", \"-c\", \"b=/bin/busybox; echo aaaa > /f; $b touch -d @$(( $($b date +%s) + 10 )) /f\"]
RUN [\"/bin/busybox\", \"sh\", \"-c\", \"b=/bin/busybox; while $b test $($b date +%s) -lt $($b stat -c %Y /f); do $b usleep 10000; done; echo bbbb > /f\"]
";

/// In a process with this variable an engine is started, and built on; its value is engine, store, builder, and when the file is rewritten.
const INSIDE: &str = "SAMEBUILD_LAG_LIVE";

/// Name, store, builder, shape of the lag, and whether the last step's content survives. A name with `in_one_second` is of the
/// other Dockerfile.
const TRIALS: [(&str, &str, Builder, Option<&str>, bool); 8] = [
    ("vfs_keeps_it_without_lag", "vfs", Builder::Classic, None, true),
    ("vfs_loses_it_when_times_freeze", "vfs", Builder::Classic, Some("freeze=3600s"), false),
    ("vfs_loses_it_when_times_are_cut", "vfs", Builder::Classic, Some("truncate=86400s"), false),
    ("vfs_under_buildkit_loses_it_when_times_freeze", "vfs", Builder::BuildKit, Some("freeze=3600s"), false),
    ("overlay2_keeps_it_when_times_freeze", "overlay2", Builder::Classic, Some("freeze=3600s"), true),
    ("overlay2_keeps_it_when_times_are_cut", "overlay2", Builder::Classic, Some("truncate=86400s"), true),
    ("vfs_loses_it_in_one_second_without_lag", "vfs", Builder::Classic, None, false),
    ("overlay2_keeps_it_in_one_second", "overlay2", Builder::Classic, None, true),
];

fn main() {
    engines::child::run_if_asked();
    if let Ok(what) = std::env::var(INSIDE) {
        match inside(&what) {
            Ok(seen) => println!("{seen}"),
            Err(error) => {
                eprintln!("{}", error.message().unwrap_or("it failed"));
                std::process::exit(1);
            }
        }
        return;
    }
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("lagging_live", args.list);
    let unmet = unmet.map(str::to_owned).or_else(passthrough::unmet);
    let mut trials = Vec::new();
    for engine in &names {
        for (name, store, builder, shape, survives) in TRIALS {
            let engine = engine.clone();
            let title = format!("lagging_live::{engine}::{name}");
            trials.push(live::trial(title, unmet.as_deref(), move || {
                let when = if name.contains("in_one_second") { "same-second" } else { "later" };
                outside(&format!("{engine} {store} {} {when}", builder.name()), shape, survives)
            }));
        }
    }
    let mut add = |title: String, check: fn(&str) -> Result<(), Failed>, of: String| {
        let (unmet, ignored) = (unmet.clone(), unmet.is_some());
        let run = move || match unmet {
            Some(why) => Err(format!("not exercised: {why}").into()),
            None => check(&of),
        };
        trials.push(Trial::test(title, run).with_ignored_flag(ignored));
    };
    let title = "lagging_live::buildah::check_names_the_line_whose_change_vfs_loses";
    add(title.to_owned(), check_buildah, "buildah".to_owned());
    for engine in names {
        let title = format!("lagging_live::{engine}::check_starts_it_on_files_that_lag");
        add(title, check_engine, engine);
    }
    libtest_mimic::run(&args, trials).exit();
}

/// With frozen times the last RUN's content is lost, and its line is named; with another zone nothing is.
fn check_buildah(name: &str) -> Result<(), Failed> {
    let told = checked(&["--builder", name])?;
    let rows = &told["cases"][0]["factors"];
    let lost = rows[2]["differences"].as_array().and_then(|all| all.iter().find(|one| one["line"] == 3));
    if verdicts(&told) != ["same", "same", "unstable"] || lost.is_none() {
        return Err(format!("{told:#}").into());
    }
    Ok(())
}

/// Overlay2 loses nothing; on containerd's store a walk compares times, and loses what overlay's directories have. A build on
/// files that told no wrong time would be skipped, and not the same.
fn check_engine(name: &str) -> Result<(), Failed> {
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let frozen = if policy.engine(name)?.store == Store::Containerd { "unstable" } else { "same" };
    let told = checked(&["--engine", name])?;
    if verdicts(&told) != ["same", "same", frozen] { Err(format!("{told:#}").into()) } else { Ok(()) }
}

fn verdicts(told: &serde_json::Value) -> Vec<&str> {
    let rows = told["cases"][0]["factors"].as_array();
    rows.into_iter().flatten().map(|row| row["verdict"].as_str().unwrap_or_default()).collect()
}

/// What `check` tells of two RUNs: with nothing changed, in another zone, on files whose times are frozen.
fn checked(who: &[&str]) -> Result<serde_json::Value, Failed> {
    let dir = tempfile::tempdir()?;
    let dockerfile = "FROM samebuild.test/base:1\nRUN echo aaaa > /f\nRUN echo bbbb > /f\n";
    fs::write(dir.path().join("Dockerfile"), dockerfile)?;
    let output = Command::new(env!("CARGO_BIN_EXE_samebuild"))
        .args(["check", "--runs", "2", "--seed", "1", "--format", "json"])
        .args(who)
        .args(["--factor", "mtime-lag", "--factor", "builder-zone"])
        .arg(dir.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?)
}

/// Runs [`inside`] on a directory that lags, and judges what it saw.
fn outside(what: &str, shape: Option<&str>, survives: bool) -> Result<(), Failed> {
    let dir = tempfile::Builder::new().prefix("lag-").tempdir()?;
    let log = tempfile::NamedTempFile::new()?;
    let this = std::env::current_exe()?;
    let mut command = match shape {
        None => Command::new(this),
        Some(shape) => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
            command.args(["fault", "mtime-lag", "--shape", shape, "--dir"]).arg(dir.path());
            command.arg("--log").arg(log.path()).arg("--").arg(this);
            command
        }
    };
    let output = command.env(INSIDE, what).env("TMPDIR", dir.path()).output()?;
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let store = what.split(' ').nth(1).unwrap_or_default();
    let expected = format!("driver {store}, f is {}", if survives { "new" } else { "old" });
    if seen.trim() != expected {
        return Err(format!("{what}, {shape:?}: `{}` instead of `{expected}`\n{said}", seen.trim()).into());
    }
    // That the lie reached the engine, and was about the file.
    let lies = fs::read_to_string(log.path())?;
    let about_it =
        |line: &str| line.contains(&format!("/data/{store}/")) && line.contains("/f\",\"time\":\"mtime\"");
    if shape.is_some() != lies.lines().any(about_it) {
        return Err(format!(
            "{what}, {shape:?}: {} lies, and about /f: {}",
            lies.lines().count(),
            shape.is_none()
        )
        .into());
    }
    println!("{what}, {shape:?}: {expected}; {} lies", lies.lines().count());
    Ok(())
}

/// Builds on an engine that lives in `TMPDIR`, and looks at the file.
fn inside(what: &str) -> Result<String, Failed> {
    let [name, store, builder, when] = what.split(' ').collect::<Vec<_>>()[..] else {
        return Err("it takes an engine, a store, a builder, and a time".into());
    };
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let mut spec = policy.engine(name)?.clone();
    if store == "vfs" {
        spec.store = Store::Vfs;
    }
    let progress = |line: &str| eprintln!("{line}");
    let engine = Engine::start(&spec, &engines::fetch(&spec, &engines::cache_dir()?, &progress)?, &progress)?;
    let request = BuildRequest {
        context: Context::Bytes(context(if when == "later" { DOCKERFILE } else { SAME_SECOND })?),
        dockerfile: "Dockerfile".into(),
        build_args: BTreeMap::new(),
        target: None,
        builder: if builder == Builder::Classic.name() { Builder::Classic } else { Builder::BuildKit },
        network: Network::None,
        no_cache: true,
        tag: "samebuild.test/lag:1".into(),
        labels: BTreeMap::new(),
        platform: None,
        deadline: Duration::from_secs(120),
    };
    let id = match engine.build(&request)? {
        BuildOutcome::Built { image_id, .. } => image_id,
        BuildOutcome::Failed { message, log, .. } => {
            return Err(format!("{message}\n{}", log.join("\n")).into());
        }
    };
    let archive = tempfile::NamedTempFile::new()?;
    engine.export(&id, archive.path())?;
    let tree = read_image(archive.path())?.image.tree()?;
    let of = |inode: &samebuild_image::Inode| match &inode.kind {
        Kind::File(content) => content.digest().ok(),
        _ => None,
    };
    let file = tree.iter().find(|(at, _, _)| at.as_bytes() == b"f").and_then(|(_, _, inode)| of(inode));
    let is = |bytes| Content::inline(bytes).digest().ok() == file && file.is_some();
    let content = if is(NEW) {
        "new"
    } else if is(OLD) {
        "old"
    } else {
        "something else"
    };
    Ok(format!("driver {}, f is {content}", engine.info()?.driver))
}

/// The Dockerfile, and Debian's static busybox.
fn context(dockerfile: &str) -> Result<Vec<u8>, Failed> {
    let debian = Debian::new(&engines::cache_dir()?, "bookworm", &|line| eprintln!("{line}"))?;
    let busybox = fs::read(debian.package("busybox-static", None)?.root.join("bin/busybox"))?;
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("Dockerfile", dockerfile.as_bytes()), ("busybox", &busybox)] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o100_755);
        header.set_mtime(1_577_836_800);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes)?;
    }
    Ok(tar.into_inner()?)
}
