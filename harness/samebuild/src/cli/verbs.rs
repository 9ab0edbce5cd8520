//! The command line as types: every verb, its options and what `--help` says. What a verb does has a file of its own.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Does this Dockerfile build the same image — everywhere, every time, and is it still there when you deploy it?
///
/// Exit codes: 0 same · 1 different · 2 the command line or an input makes no sense · 3 we could not find out ·
/// 4 nothing was compared.
#[derive(Debug, Parser)]
#[command(name = "samebuild", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the cases of a directory.
    List(List),
    /// Build a Dockerfile as one dialect's builder would, without that builder.
    Build(Box<Build>),
    /// The images of a file of artifacts, a skaffold.yaml or a TOML of the same keys, built only where they are not there
    /// already.
    Artifacts(super::artifacts::Artifacts),
    /// Fetch base images into the cache, where builds find them without a network; what is there is verified.
    Warm(super::warm::Warm),
    /// What `build --cache` has kept, why a step was not found, and cleaning up.
    Cache(super::cache::Cache),
    /// Build it again and again with nothing changed, then with one thing changed at a time (times, order, owners, umask,
    /// zone, path, …): what makes another image, by instruction? Prints its seed first, the command that does it again last.
    ///
    /// Exits 0 where every build made the same image, 1 where one did not.
    Check(super::check::Check),
    /// What two images differ in, and why: images on disk, in an engine or a registry, layers, directories.
    Diff(Diff),
    /// What a rule looks at, or what a cause is, how it comes about and what to do.
    Explain(super::explain::Explain),
    /// Build every case in every dialect and hold it against what real builders did; on somebody else's directories,
    /// hold the dialects against one another.
    ///
    /// On somebody else's directories a difference between dialects is knowledge and exits 0; 1 is for a Dockerfile that
    /// some dialects build and others do not, 3 for what broke, 4 when nothing could be compared.
    Conform(Conform),
    /// The dialects the reference builder speaks, and in what they differ.
    Dialects(Dialects),
    /// Search for an order of turns in which cleaning up deletes the image just built.
    Race(Race),
    /// How many layers builders that look at times make of identical steps, and what they lose: every seed against the model.
    Lag(super::lag::Lag),
    /// What file systems do with modification times, measured in directories, and what a reader of stats can miss there.
    ProbeFs(super::probe_fs::ProbeFs),
    /// Stand between a client and an engine, and hold, delay, drop or refuse what passes.
    Proxy(super::proxy::Proxy),
    /// Run a command with a fault under it: a directory that tells old modification times.
    Fault(super::fault::Fault),
    /// Delete old images of a repository, but none that a build or a container uses: prints the plan first.
    Prune(super::prune::Prune),
    /// Measure what builds cost, ours beside others'.
    Bench(super::bench::Bench),
    /// Record what the builders of an engine make of the cases (in a checkout): writes golden/**/observed/.
    Observe(Observe),
    /// Accept what the reference builder makes where nothing was observed (in a checkout): writes golden/**/reference/.
    Bless(Bless),
    /// Write REPORT.md from what is committed (in a checkout).
    Report(Report),
    /// What CI asks of a checkout: conformance, the minimums of ci/gate.toml, the planted canary, the report.
    Gate(Gate),
}

impl Verb {
    /// Whether a RUN may be built, or what one stood on removed, for which one who is not root enters a user namespace first.
    pub(crate) fn may_act_as_root(&self) -> bool {
        matches!(self, Self::Artifacts(args) if args.may_build())
            || matches!(self, Self::Cache(args) if args.may_remove_unpacked())
            || matches!(
                self,
                Self::Build(_)
                    | Self::Lag(_)
                    | Self::Check(_)
                    | Self::Conform(_)
                    | Self::Dialects(Dialects { mutate: true, .. })
                    | Self::Observe(_)
                    | Self::Bless(_)
                    | Self::Gate(_)
            )
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// A directory of cases; the checkout's dockerfiles/ if left out.
    pub(crate) dir: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The build context.
    pub(crate) dir: PathBuf,
    /// The Dockerfile; DIR/Dockerfile if left out.
    #[arg(short = 'f', long)]
    pub(crate) file: Option<PathBuf>,
    /// Whose behaviour to predict; `samebuild dialects` lists them.
    #[arg(long, default_value = "buildkit@26.1")]
    pub(crate) dialect: String,
    /// One decision of the dialect changed: `copy.setuid=kept`. `samebuild dialects --format markdown` lists all. May be
    /// repeated.
    #[arg(long = "set", value_name = "DECISION=VARIANT")]
    pub(crate) sets: Vec<String>,
    #[command(flatten)]
    pub(crate) snapshots: super::snapshots::Snapshots,
    #[command(flatten)]
    pub(crate) trusting: super::trusting::Trusting,
    /// A build argument; NAME alone takes its value from the environment.
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(crate) build_args: Vec<String>,
    /// The stage to build.
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// What NAME means in FROM and --from, before any stage or image of that name: a directory, oci-layout://DIR[:TAG],
    /// docker-archive://FILE or docker-image://IMAGE. May be repeated. Other names are looked for among images built with
    /// --tag, in --engine, and in their registry.
    #[arg(long = "build-context", value_name = "NAME=SOURCE")]
    pub(crate) build_contexts: Vec<String>,
    /// An engine whose images FROM may use: `host`, or a row of ci/engines.toml. None is asked unless it is named.
    #[arg(long)]
    pub(crate) engine: Option<String>,
    /// What the image is for: os/architecture[/variant], as linux/arm64. Nothing is emulated: RUN needs this machine's.
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// The network of RUN.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) network: Net,
    /// The image's name, as NAME[:TAG]. May be repeated. Without --output it is kept in the cache under that name, where
    /// FROM finds it.
    #[arg(short = 't', long = "tag", value_name = "NAME")]
    pub(crate) tags: Vec<String>,
    /// Where the image goes: oci:DIR, oci-archive:FILE, docker-archive:FILE, store:NAME, registry:NAME or engine:NAME;
    /// type=…,dest=… as buildx has it is understood too. May be repeated.
    #[arg(short = 'o', long = "output", value_name = "KIND:PLACE")]
    pub(crate) outputs: Vec<String>,
    #[command(flatten)]
    pub(crate) times: super::times::Times,
    /// Push to the registries of all --tag.
    #[arg(long)]
    pub(crate) push: bool,
    /// Load into this machine's engine under all --tag, which must begin with samebuild.test/.
    #[arg(long)]
    pub(crate) load: bool,
    #[command(flatten)]
    pub(crate) caching: super::caching::Caching,
    #[command(flatten)]
    pub(crate) benchmark: super::benchmark_file::BenchmarkFile,
}

#[derive(Debug, Args)]
pub(crate) struct Dialects {
    /// Only the decisions in which these two differ.
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    pub(crate) diff: Vec<String>,
    /// Turn every decision in every dialect (in a checkout): some case must notice. Takes minutes.
    #[arg(long, conflicts_with = "diff")]
    pub(crate) mutate: bool,
    /// With --mutate, only this decision, as `copy.setuid`. May be repeated; all if left out.
    #[arg(long = "decision", value_name = "DECISION", requires = "mutate")]
    pub(crate) decisions: Vec<String>,
    /// Find which decisions make dialects part, case by case (in a checkout): writes golden/divergence.txt. Takes minutes.
    #[arg(long, conflicts_with_all = ["diff", "mutate"])]
    pub(crate) why: bool,
    /// Which decisions make A's image of a case differ from B's; CASE is the name of a case, or a directory.
    #[arg(long, num_args = 3, value_names = ["A", "B", "CASE"], conflicts_with_all = ["diff", "mutate", "why"])]
    pub(crate) explain: Vec<String>,
    /// With --mutate: only this dialect. May be repeated.
    #[arg(long = "dialect", value_name = "ID")]
    pub(crate) dialects: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PageFormat,
}

/// A list for people, or the page in docs/.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    #[default]
    Text,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// An OCI layout, an archive of one, a docker-archive (each also compressed), a layer's tar, a directory that is a root
    /// file system; docker://NAME of this machine's engine; registry://NAME, or HOST/NAME[:TAG][@DIGEST].
    pub(crate) left: String,
    /// As LEFT.
    pub(crate) right: String,
    /// Which image of several: linux/amd64 if left out. What attests images is none.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<samebuild_image::manifest::Platform>,
    /// Every platform that either has, one after the other; one that only one side has is a difference.
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all_platforms: bool,
    /// Whether to take digests or to believe what is stated of layers; `digest` for what an engine hands out, else
    /// `structure`. What a registry hands out is verified as it comes.
    #[arg(long, value_enum)]
    pub(crate) verify: Option<crate::operands::Verify>,
    #[command(flatten)]
    pub(crate) telling: super::telling::Telling,
}

#[derive(Debug, Args)]
pub(crate) struct Conform {
    /// Directories with cases (a directory with a Dockerfile is one); the checkout's dockerfiles/ if left out. In a
    /// checkout, what is no directory but part of a case's name is as --filter.
    #[arg(value_name = "DIR|FILTER")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Dockerfiles that share a context: each that this glob matches is a case. May be repeated.
    #[arg(long = "dockerfile", value_name = "GLOB", conflicts_with = "dirs", requires = "context")]
    pub(crate) dockerfiles: Vec<String>,
    /// The context of --dockerfile.
    #[arg(long, value_name = "DIR", requires = "dockerfiles")]
    pub(crate) context: Option<PathBuf>,
    /// The rules for Dockerfiles without a case.toml; samebuild.toml in the context or DIR if left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Also build every case live: a row of ci/engines.toml, or `host`.
    #[arg(long)]
    pub(crate) engine: Option<String>,
    /// Build every case so many times with each builder, cold, and hold the images of each builder against one another.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..), conflicts_with = "benchmark_file")]
    pub(crate) repeat: Option<u16>,
    /// With --repeat and --engine: write what was counted to records/ (in a checkout).
    #[arg(long, requires = "repeat", requires = "engine")]
    pub(crate) record: bool,
    #[command(flatten)]
    pub(crate) benchmark: super::benchmark_file::BenchmarkFile,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Which cases and dialects.
#[derive(Debug, Default, Args)]
pub(crate) struct Which {
    /// Only cases whose name contains this; the very case if one is called just so; a group if it ends in `/`. May be
    /// repeated.
    #[arg(long = "filter", value_name = "TEXT")]
    pub(crate) filters: Vec<String>,
    /// Only this dialect. May be repeated.
    #[arg(long = "dialect", value_name = "ID")]
    pub(crate) dialects: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Race {
    /// Which race; on a real engine also `all`. If left out, every strategy (or the one of --strategy) is run in the races that decide about it, on
    /// both engines in memory; exit 0 if each came out as is known of it, or, with --strategy, if that one lost nothing.
    pub(crate) name: Option<String>,
    /// How the tool under test cleans up; async-by-id if only a race is named. On a real engine also several, separated
    /// by commas, or `all`.
    #[arg(long)]
    strategy: Option<String>,
    /// How the engine in memory keeps its images, graph or containerd; or disk, our own engine there; or a row of
    /// ci/engines.toml for trials on a real one, which needs root.
    #[arg(long, default_value = "graph")]
    pub(crate) engine: String,
    /// How many older images there are at the start.
    #[arg(long, default_value_t = 2)]
    pub(crate) old: u8,
    /// Who chooses the next turn: random, pct1, pct2 or pct3.
    #[arg(long, default_value = "random")]
    pub(crate) chooser: String,
    /// Where the search starts; printed with every failure.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many orders of turns to try, at most; without a race no more than 2000 with each chooser, but for --record.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) schedules: u64,
    /// Tell how many schedules each chooser takes, by the number of old images, and how many it tries a second.
    #[arg(long, conflicts_with = "replay")]
    pub(crate) how_soon: bool,
    /// Play the schedule in this file again instead of searching.
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) live: super::race_live::Live,
}

impl Race {
    /// The strategy, where one has to be run.
    pub(crate) fn strategy(&self) -> &str {
        self.strategy.as_deref().unwrap_or("async-by-id")
    }

    /// Whether one strategy is asked about, which then must lose nothing; else all are, against what is known of them.
    pub(crate) fn wants_one(&self) -> bool {
        self.name.is_some() || self.strategy.is_some()
    }

    /// The strategy, if one was named.
    pub(crate) fn named_strategy(&self) -> Option<&str> {
        self.strategy.as_deref()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Observe {
    /// Whose builders: a row of ci/engines.toml, or `host`.
    #[arg(long)]
    pub(crate) engine: String,
    /// Only cases whose name contains this.
    pub(crate) filters: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Bless {
    /// Only cases whose name contains this.
    pub(crate) filters: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Write nothing; fail when REPORT.md is out of date.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Gate {
    /// Whose minimums; chosen by --engine and by who runs it if left out.
    #[arg(long, value_enum)]
    pub(crate) profile: Option<Profile>,
    /// The engine of profile live.
    #[arg(long)]
    pub(crate) engine: Option<String>,
}

/// How results are printed on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// The network of RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Net {
    #[default]
    None,
    Host,
}

/// A row of ci/gate.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Profile {
    Root,
    Rootless,
    Unprivileged,
    Live,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
