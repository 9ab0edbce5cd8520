//! `samebuild check DIR`: builds it again and again with nothing changed, then with one thing changed at a time, and says
//! what makes another image, by instruction. What can be changed is a row of `factors::FACTORS`.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use samebuild_builder::dialect;
use samebuild_builder::snapshot::walk::{SNAPSHOTTERS, Snapshotter, find};

use super::terminal::{Bar, Usage, out, paint, say};
use super::verbs::Format;
use crate::builders::{self, Builder, now};
use crate::cases::{Case, Corpus, Vocabulary, configure, load_corpus, splitmix64};
use crate::checkout::load;
use crate::conform::{Exit, Workshop};
use crate::factors::{Factor, Findings, Site, Trial, Who, chosen, show};
use crate::scratch::Place;

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The build context; or a directory of cases, each of which is checked.
    dir: PathBuf,
    /// The Dockerfile; DIR/Dockerfile if left out.
    #[arg(short = 'f', long)]
    file: Option<PathBuf>,
    /// Who builds: a dialect, which the reference speaks, buildkit@26.1 if left out; or buildah, or the kaniko executor that
    /// SAMEBUILD_KANIKO names. With --engine: classic, buildkit, or the dialect of one of them.
    #[arg(long)]
    builder: Option<String>,
    /// Build live: a row of ci/engines.toml, or `host`; by its BuildKit, if it has one and --builder names none.
    #[arg(long)]
    engine: Option<String>,
    /// How often to build with nothing changed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..))]
    runs: u16,
    /// What all that is drawn follows from; printed first.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this factor. May be repeated; all if left out.
    #[arg(long = "factor", value_name = "NAME")]
    factors: Vec<String>,
    /// A build argument. May be repeated.
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
    /// How the reference finds what a RUN changed: full, redo or time, as kaniko does; as its dialect does if left out.
    #[arg(long, value_name = "MODE", conflicts_with = "engine")]
    snapshot_mode: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Check) -> Result<Exit> {
    let factors = chosen(&args.factors).map_err(Usage)?;
    let snapshotter = args.snapshotter()?;
    let program = args.program()?;
    let seed = args.seed.unwrap_or_else(chance);
    let cases = args.cases()?;
    if args.format == Format::Text {
        out!("seed {seed}");
    } else {
        say(&format!("seed {seed}"));
    }
    let all: Vec<&Case> = cases.iter().collect();
    let workshop = Workshop::open(&all, Place::Disk, args.engine.as_deref(), &say)?;
    let means = workshop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let live = workshop.live(&means)?;
    let program = match program.map(|name| builders::open(name, &means)).transpose() {
        Ok(program) => program,
        Err(unmet) => {
            say(&format!("not exercised: {unmet}"));
            return Ok(Exit::Nothing);
        }
    };
    let (dialect, who) = match (program.as_ref().and_then(|program| program.by_itself()), &args.engine) {
        (Some((dialect, name)), _) => (dialect, Who::Program(name)),
        (None, Some(engine)) => (args.dialect(&workshop)?, Who::Engine(engine)),
        (None, None) => (args.dialect(&workshop)?, Who::Reference),
    };
    let site = Site { dialect, who, snapshotter, work: &means.work };
    let job = Job {
        args,
        workshop: &workshop,
        site,
        reference: reference.as_ref(),
        live: program.as_ref().or_else(|| live.get(dialect)).map(|builder| &**builder),
        seed,
        factors: &factors,
    };
    let findings = job.run(&all)?;
    let again = args.again(seed);
    if args.format == Format::Json {
        let cases = findings.iter().map(show::report).collect();
        let report = show::Report { schema: 1, seed, runs: args.runs.into(), cases, again };
        out!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        out!("again: {again}");
    }
    Ok(Exit::of(findings.iter().flat_map(|one| &one.rows).map(|row| row.check.verdict)))
}

struct Job<'a> {
    args: &'a Check,
    workshop: &'a Workshop,
    site: Site<'a>,
    reference: &'a dyn Builder,
    live: Option<&'a dyn Builder>,
    seed: u64,
    factors: &'a [&'static Factor],
}

impl Job<'_> {
    fn run(&self, cases: &[&Case]) -> Result<Vec<Findings>> {
        let runs: usize = self.args.runs.into();
        let bar = RefCell::new(Bar::new(cases.len() * (runs + self.factors.len()), "builds"));
        let before = Cell::new(0);
        let is_text = self.args.format == Format::Text;
        let cold = || match &self.workshop.engine {
            Some((engine, _)) if engine.is_private() => {
                engine.prune_build_cache().context("make the engine cold")
            }
            _ => Ok(()),
        };
        let mut all = Vec::new();
        for case in cases {
            let trial = Trial {
                case,
                site: self.site,
                grounds: &self.workshop.grounds,
                reference: self.reference,
                live: self.live,
                seed: self.seed,
                runs,
                factors: self.factors,
            };
            if is_text {
                let by = self.site.who.name();
                bar.borrow().line(&format!("{}, {} by {by}", case.id, self.site.dialect));
            }
            let dockerfile = String::from_utf8_lossy(&case.dockerfile);
            let findings = trial.run(
                &cold,
                |finding| {
                    if is_text {
                        bar.borrow().line(&show::finding(finding, &dockerfile, &paint));
                    }
                },
                |done| bar.borrow().at(before.get() + done),
            )?;
            before.set(before.get() + trial.builds());
            if is_text {
                bar.borrow().line(&format!("  {}", show::summary(&findings)));
            }
            all.push(findings);
        }
        Ok(all)
    }
}

impl Check {
    fn cases(&self) -> Result<Vec<Case>> {
        if !self.dir.is_dir() {
            return Err(Usage(format!("find the directory `{}` to build", self.dir.display())).into());
        }
        let (mut cases, silent) = match &self.file {
            Some(file) => {
                let globs = [file.to_string_lossy().into_owned()];
                let corpus = Corpus { globs: &globs, context: &self.dir, config: None };
                load_corpus(&corpus, &Vocabulary::default())?
            }
            None => {
                let mut cases = load(&self.dir)?;
                let silent = configure(&self.dir, None, &mut cases, &Vocabulary::default())?;
                (cases, silent)
            }
        };
        silent.iter().for_each(|line| say(line));
        for arg in &self.build_args {
            let (name, value) = arg.split_once('=').ok_or_else(|| {
                Usage(format!("read --build-arg `{arg}`: write NAME=VALUE, so that it is the same next time"))
            })?;
            for case in &mut cases {
                case.build.args.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(cases)
    }

    /// The builder that is a program, if one is asked for.
    fn program(&self) -> Result<Option<&'static str>> {
        let wanted = self.builder.as_deref();
        let Some(name) = builders::programs().find(|name| Some(*name) == wanted) else { return Ok(None) };
        if let Some(engine) = &self.engine {
            return Err(Usage(format!(
                "build with {name} on {engine}: it is no part of an engine; leave --engine out"
            ))
            .into());
        }
        if self.snapshot_mode.is_some() {
            return Err(
                Usage(format!("build with {name} and --snapshot-mode, which is the reference's")).into()
            );
        }
        Ok(Some(name))
    }

    /// The dialect that is built in.
    fn dialect(&self, workshop: &Workshop) -> Result<&'static str> {
        let Some((engine, spoken)) = &workshop.engine else {
            let wanted = self.builder.as_deref().unwrap_or("buildkit@26.1");
            let programs: Vec<&str> = builders::programs().collect();
            let found = dialect::find(wanted);
            return Ok(found
                .with_context(|| format!("build with `{wanted}`, no program ({})", programs.join(", ")))?
                .id);
        };
        let wanted = match &self.builder {
            Some(wanted) => wanted.as_str(),
            None if spoken.contains_key("buildkit") => "buildkit",
            None => "classic",
        };
        let id = spoken.get(wanted).or_else(|| spoken.values().find(|id| *id == wanted));
        let id = id.ok_or_else(|| {
            let known: Vec<String> = spoken.iter().map(|(name, id)| format!("{name} ({id})")).collect();
            Usage(format!("build with `{wanted}`: {} has {}", engine.name(), known.join(", ")))
        })?;
        Ok(dialect::find(id)?.id)
    }

    fn snapshotter(&self) -> Result<Option<&'static Snapshotter>> {
        let Some(mode) = &self.snapshot_mode else { return Ok(None) };
        let found = find(mode).ok_or_else(|| {
            let known: Vec<&str> = SNAPSHOTTERS.iter().map(|snapshotter| snapshotter.name).collect();
            Usage(format!("find the snapshot mode `{mode}`; there are {}", known.join(", ")))
        })?;
        Ok(Some(found))
    }

    /// The command that does the same again.
    fn again(&self, seed: u64) -> String {
        let mut words = vec!["samebuild".to_owned(), "check".to_owned(), self.dir.display().to_string()];
        let mut say = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
        if let Some(file) = &self.file {
            say("-f", &file.to_string_lossy());
        }
        for (option, value) in [
            ("--engine", &self.engine),
            ("--builder", &self.builder),
            ("--snapshot-mode", &self.snapshot_mode),
        ] {
            value.iter().for_each(|value| say(option, value));
        }
        self.build_args.iter().for_each(|arg| say("--build-arg", arg));
        self.factors.iter().for_each(|factor| say("--factor", factor));
        say("--runs", &self.runs.to_string());
        say("--seed", &seed.to_string());
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A seed nobody chose; short enough to be typed again.
fn chance() -> u64 {
    let (secs, nanos) = now();
    splitmix64(secs.unsigned_abs() ^ (u64::from(nanos) << 32) ^ u64::from(std::process::id())) % 1_000_000
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@+,%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_command_to_repeat_is_quoted_where_a_shell_would_read_it_otherwise() {
        for (word, written) in [("a/b-c@1", "a/b-c@1"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'")]
        {
            assert_eq!(quoted(word), written);
        }
    }
}
