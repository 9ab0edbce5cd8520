//! `samebuild build DIR`: one build by the reference builder, speaking a dialect. Where FROM finds its images and where the
//! result goes is `images`' affair.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use samebuild_builder::snapshot::probe::Clear;
use samebuild_builder::stamp::VARIABLE;
use samebuild_builder::{
    BuildError, Dialect, Event, Failure, Network, OwnIgnore, Pace, Request, dialect, disk, own_platform,
    platform_of,
};

use super::terminal::{Usage, say};
use super::verbs::{Build, Format, Net};
use crate::builders::reference::step_time;
use crate::cases::as_sent;
use crate::conform::Exit;
use crate::engines::cache_dir;
use crate::fetch::{Http, Limits};
use crate::images::sources::{self, Sources};
use crate::images::{names, outputs};
use crate::scratch::Scratch;
use crate::step_costs::REFERENCE;

pub(crate) fn run(args: &Build) -> Result<Exit> {
    let cache = cache_dir()?;
    let outputs =
        outputs::asked_for(&args.outputs, &args.tags, args.push, args.load, &cache).map_err(Usage)?;
    outputs.iter().try_for_each(|output| output.check()).map_err(Usage)?;
    let platform = match args.platform.as_deref() {
        None | Some("local") => own_platform(),
        Some(text) => platform_of(text).map_err(Usage)?,
    };
    let sets: Vec<String> = args.snapshots.sets().into_iter().chain(args.sets.clone()).collect();
    let spoken = dialect::find(&args.dialect)?;
    args.snapshots.check(spoken)?;
    let dialect = &changed(spoken, &sets)?;
    let file = args.file.clone().unwrap_or_else(|| args.dir.join("Dockerfile"));
    let dockerfile = std::fs::read(&file)
        .map_err(|error| Usage(format!("read {}: {error}; name it with -f", file.display())))?;
    let own_ignore = beside(&file)?;
    let pushed = outputs.iter().flat_map(|output| output.pushed()).collect::<Vec<_>>();
    let caching = args.caching.open(&cache, &pushed)?;
    if caching.is_some() && args.trusting.is_lagging() {
        let why = "cache a build that is lied to: --lag shows what a builder misses, and nothing of that is kept; leave one of them out";
        return Err(Usage(why.to_owned()).into());
    }
    let (context, known) = match &caching {
        Some(caching) => {
            let (tree, known) = caching.scan(&args.dir, args.trusting.belief())?;
            (tree, Some(known))
        }
        None => (disk::scan(&args.dir).map_err(|error| Usage(error.to_string()))?, None),
    };
    let context = as_sent(context);
    let mut build_args = build_args(&args.build_args);
    let stamp = args.times.stamp(&mut build_args, std::env::var(VARIABLE).ok())?;
    let work = Scratch::on_disk(&cache)?;
    let means = sources::Means {
        contexts: &args.build_contexts,
        engine: args.engine.as_deref(),
        cache: cache.clone(),
        work: work.path(),
        progress: &say,
    };
    let images = Sources::open(&means).map_err(Usage)?;
    let http = Http::new(Limits::USUAL);
    let unpacked = cache.join("unpacked");
    std::fs::create_dir_all(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    let name = file.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
    let (costs, times) = (args.benchmark.costs(), Mutex::new(Vec::new()));
    let trust = args.trusting.trust(dialect, work.path())?;
    let (lag, texts) = (args.trusting.lag()?, Mutex::new(BTreeMap::new()));
    let request = Request {
        dockerfile: &dockerfile,
        dockerfile_name: &name,
        own_ignore: match &args.file {
            Some(_) => OwnIgnore::Given(own_ignore.as_deref()),
            None => OwnIgnore::InContext,
        },
        context: &context,
        dialect,
        build_args,
        target: args.target.clone(),
        secrets: BTreeMap::new(),
        platform,
        images: &images,
        fetch: &http,
        work: work.path(),
        unpacked: &unpacked,
        network: match args.network {
            Net::None => Network::None,
            Net::Host => Network::Host,
        },
        now: crate::builders::now(),
        pace: Pace::Still,
        stamp,
        child: PathBuf::from("/proc/self/exe"),
        snapshotter: None,
        trust,
        witness: lag.is_some(),
        lens: match &lag {
            Some(lag) => lag,
            None => &Clear,
        },
        cache: caching.as_ref().map(|open| &open.cache),
        progress: &|event| {
            tell(event);
            if let (Event::Step { number, text, .. }, Some(_)) = (event, &lag) {
                texts.lock().unwrap_or_else(PoisonError::into_inner).insert(number, text.to_owned());
            }
            times.lock().unwrap_or_else(PoisonError::into_inner).extend(step_time(event));
        },
    };
    let (mut known, mut done) = (known, 0);
    let built = samebuild_builder::build_into(&request, |built| {
        if let (Some(caching), Some(known)) = (&caching, known.take()) {
            let what = super::cache::what(&args.dir, args.file.as_deref(), args.target.as_deref());
            caching.close(&what, &built.cache, known);
        }
        let mut beside = caching.as_ref().map(|open| open.repositories.clone()).unwrap_or_default();
        beside.extend(built.base_name.as_deref().and_then(|name| names::parse(name).ok()));
        let (style, work) = (dialect.tar_style(), work.path());
        let how = outputs::How { style, beside: &beside, work, progress: &say };
        let layers = match built.image.layers.len() {
            1 => "1 layer".to_owned(),
            layers => format!("{layers} layers"),
        };
        for output in outputs.iter().skip(done) {
            let written = output.write(&built.image, &how).map_err(Ended::Unwritten)?;
            done += 1;
            say(&format!("{written}, {layers}, as {} builds it", dialect.id));
        }
        Ok::<_, Ended>(())
    });
    if let Some(costs) = &costs {
        let times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
        costs.add(&args.dir.display().to_string(), dialect.id, REFERENCE, times);
        args.benchmark.tell(Some(costs), Format::Text)?;
    }
    let built = match built {
        Ok((built, ())) => built,
        Err(Ended::Unwritten(error)) => return Err(error),
        // What is not at hand says nothing about the Dockerfile.
        Err(Ended::Build(BuildError::Failed(failure))) if failure.class == "image-not-found" => {
            let line =
                failure.line.map_or_else(String::new, |line| format!(" for {}:{line}", file.display()));
            return Err(anyhow::anyhow!("{}", failure.message).context(format!("build{line}")));
        }
        Err(Ended::Build(BuildError::Failed(failure))) => {
            show(&failure, &file, &dockerfile);
            return Ok(Exit::Different);
        }
        Err(Ended::Build(error)) => {
            return Err(error).with_context(|| format!("build {}", args.dir.display()));
        }
    };
    let texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
    let exit = match &lag {
        Some(lag) if !args.trusting.tell(lag, &texts, &built.unrecorded)? => Exit::Different,
        _ => Exit::Same,
    };
    // Taking tens of thousands of files apart, one by one, is work that the end of the process does at once.
    std::mem::forget((context, built.image));
    Ok(exit)
}

/// How it went wrong: the build, or putting the image where it is to go.
enum Ended {
    Build(BuildError),
    Unwritten(anyhow::Error),
}

impl From<BuildError> for Ended {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// `<Dockerfile>.dockerignore`, if it is there.
fn beside(file: &Path) -> Result<Option<Vec<u8>>> {
    let mut name = file.as_os_str().to_owned();
    name.push(".dockerignore");
    match std::fs::read(&name) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", Path::new(&name).display())),
    }
}

/// The dialect with the decisions of `--set` changed.
pub(super) fn changed(dialect: &Dialect, sets: &[String]) -> Result<Dialect> {
    let mut dialect = dialect.clone();
    for set in sets {
        let (name, variant) = set.split_once('=').ok_or_else(|| {
            Usage(format!("read --set `{set}`: write DECISION=VARIANT, such as copy.setuid=kept"))
        })?;
        dialect.set(name, variant).map_err(|error| Usage(error.to_string()))?;
    }
    Ok(dialect)
}

/// `NAME=VALUE`, or `NAME` alone, which takes its value from the environment and is nothing where there is none.
fn build_args(args: &[String]) -> BTreeMap<String, String> {
    args.iter()
        .filter_map(|arg| match arg.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => {
                let value = std::env::var(arg).ok();
                if value.is_none() {
                    say(&format!(
                        "warning: --build-arg {arg}: there is no {arg} in the environment; the default counts"
                    ));
                }
                value.map(|value| (arg.clone(), value))
            }
        })
        .collect()
}

pub(super) fn tell(event: Event<'_>) {
    match event {
        Event::Step { number, text, .. } => {
            eprintln!("step {number}: {}", text.lines().next().unwrap_or(text))
        }
        Event::StepEnded { .. } => {}
        Event::Cached { place, .. } => eprintln!("  found in {place}"),
        Event::CacheWarning(what) => say(&format!("warning: failed to {what}")),
        // What cannot be shown is no reason not to build.
        Event::Output(bytes) => drop(std::io::stderr().write_all(bytes)),
    }
}

/// The failure with its place and the line it speaks of.
pub(super) fn show(failure: &Failure, file: &Path, dockerfile: &[u8]) {
    let text = String::from_utf8_lossy(dockerfile);
    let place = match (failure.line, failure.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", file.display()),
        (Some(line), None) => format!("{}:{line}", file.display()),
        _ => file.display().to_string(),
    };
    eprintln!("failed to build {place}: {} ({})", failure.message, failure.class);
    if let Some((line, content)) =
        failure.line.and_then(|line| Some((line, text.lines().nth(line.checked_sub(1)?)?)))
    {
        eprintln!("  {line} │ {content}");
        let before = failure.column.map_or(0, |column| column.saturating_sub(1));
        let width = content.chars().count().saturating_sub(before).max(1);
        eprintln!("  {:pad$} │ {:before$}{}", "", "", "─".repeat(width), pad = line.to_string().len());
    }
    if let Some(said) = &failure.builder_message {
        eprintln!("  the builder itself says: {said}");
    }
}
