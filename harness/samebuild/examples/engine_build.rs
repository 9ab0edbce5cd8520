//! Builds one directory on an engine, by hand: what the harness does for a case, with nothing around it.
//!
//! ```text
//! cargo run -p samebuild --example engine_build -- DIR --engine docker-20.10 --builder buildkit \
//!     --base samebuild.test/base:1=base.tar -o out.tar
//! ```
//!
//! `.dockerignore` is not applied here; the directory is sent as it is. `--hold` keeps the engine up until Ctrl-C and
//! prints its socket; `--panic` panics once it is up. DIR may be given several times: `-o` is then a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use samebuild::engines::{self, BuildOutcome, BuildRequest, Builder, Context, Engine, Network, Policy};

struct Args {
    dirs: Vec<PathBuf>,
    engine: String,
    builders: Vec<Builder>,
    bases: Vec<(String, PathBuf)>,
    out: Option<PathBuf>,
    network: Network,
    hold: bool,
    panic: bool,
}

fn main() -> ExitCode {
    engines::child::run_if_asked();
    match parse(std::env::args().skip(1)).and_then(|args| run(&args).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to {error}");
            ExitCode::from(3)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        dirs: Vec::new(),
        engine: "docker-20.10".into(),
        builders: vec![Builder::Classic, Builder::BuildKit],
        bases: Vec::new(),
        out: None,
        network: Network::None,
        hold: false,
        panic: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("read the arguments: {word} needs a value"));
        match word.as_str() {
            "--engine" => args.engine = value()?,
            "--builder" => {
                args.builders = match value()?.as_str() {
                    "classic" => vec![Builder::Classic],
                    "buildkit" => vec![Builder::BuildKit],
                    "both" => vec![Builder::Classic, Builder::BuildKit],
                    other => return Err(format!("use builder `{other}`; valid are classic, buildkit, both")),
                }
            }
            "--base" => {
                let value = value()?;
                let (name, path) = value.split_once('=').ok_or("read --base; it is NAME=DOCKER-ARCHIVE")?;
                args.bases.push((name.into(), path.into()));
            }
            "--network" => {
                args.network = match value()?.as_str() {
                    "none" => Network::None,
                    "host" => Network::Host,
                    other => return Err(format!("use network `{other}`; valid are none, host")),
                }
            }
            "-o" => args.out = Some(value()?.into()),
            "--hold" => args.hold = true,
            "--panic" => args.panic = true,
            dir if !dir.starts_with('-') => args.dirs.push(dir.into()),
            other => return Err(format!("understand `{other}`; see the top of this example")),
        }
    }
    Ok(args)
}

fn run(args: &Args) -> Result<(), engines::EngineError> {
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let started = Instant::now();
    let engine = engines::open(&args.engine, &policy, &|line| eprintln!("{line}"))?;
    println!("{:?} after {} ms", engine.info()?, started.elapsed().as_millis());
    assert!(!args.panic, "as asked");
    for (name, path) in &args.bases {
        let loading = Instant::now();
        println!("{name} is {} after {} ms", engine.load_base(name, path)?, loading.elapsed().as_millis());
    }
    for dir in &args.dirs {
        for builder in &args.builders {
            build(&engine, dir, *builder, args)?;
        }
    }
    if args.hold {
        println!("socket {}", engine.socket().unwrap_or_default().display());
        std::thread::park();
    }
    let stopping = Instant::now();
    drop(engine);
    println!("stopped after {} ms", stopping.elapsed().as_millis());
    Ok(())
}

fn build(engine: &Engine, dir: &Path, builder: Builder, args: &Args) -> Result<(), engines::EngineError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = BuildRequest {
        context: Context::Bytes(pack(dir).unwrap_or_default()),
        dockerfile: "Dockerfile".into(),
        build_args: BTreeMap::new(),
        target: None,
        builder,
        network: args.network,
        no_cache: true,
        tag: format!("samebuild.test/try-{}:1", builder.name()),
        labels: BTreeMap::new(),
        platform: None,
        deadline: Duration::from_secs(60),
    };
    let building = Instant::now();
    let outcome = engine.build(&request)?;
    let built_ms = building.elapsed().as_millis();
    match outcome {
        BuildOutcome::Built { image_id, log, .. } => {
            let config = engine.inspect_config(&image_id).map(|c| c.len());
            println!("{name} {}: {image_id} after {built_ms} ms, config {config:?} bytes", builder.name());
            log.iter().for_each(|line| println!("  {line}"));
            if let Some(out) = &args.out {
                let to = if out.is_dir() {
                    out.join(format!("{name}-{}.tar", builder.name()))
                } else {
                    out.clone()
                };
                let exporting = Instant::now();
                engine.export(&image_id, &to)?;
                println!("  {} after {} ms", to.display(), exporting.elapsed().as_millis());
            }
            let removing = Instant::now();
            engine.remove(&request.tag)?;
            println!("  removed after {} ms", removing.elapsed().as_millis());
        }
        BuildOutcome::Failed { message, line, step, log, .. } => {
            println!(
                "{name} {}: failed after {built_ms} ms: {message}\n  line {line:?}, {step:?}",
                builder.name()
            );
            log.iter().for_each(|line| println!("  {line}"));
        }
    }
    Ok(())
}

fn pack(dir: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.follow_symlinks(false);
    tar.append_dir_all(".", dir)?;
    tar.into_inner()
}
