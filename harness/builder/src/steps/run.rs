//! RUN: the stage's file system on disk, the command in the sandbox, and what it changed as a layer.

use samebuild_dockerfile::expand::Env as _;
use samebuild_dockerfile::{RunInstruction, Script, decisions, variants};
use samebuild_image::{Layer, Tree};

use super::container::init_layer;
use super::surroundings::Surroundings;
use crate::delta::{self, LayerForm};
use crate::dialect::rules::{EmptyCommand, EmptyStep};
use crate::failure::StepFailure;
use crate::history::{HistoryText, Line, RunArgs};
use crate::rootfs::RootfsError;
use crate::sandbox::{self, Root, Stub};
use crate::session::{Session, StepError};
use crate::snapshot::probe::Honest;
use crate::snapshot::{self, Snapshotter, walk};
use crate::stage::{Stage, Variables};
use crate::unpacked;

decisions! {
    /// Everything at which builders' RUN differ.
    RunRules {
        /// Where mount points come from that the image does not have.
        mount_points: MountPoints,
        /// Volumes of the image during RUN.
        volumes: Volumes,
        /// The host name RUN sees.
        hostname: Hostname,
        /// Supplementary groups of the command.
        groups: Groups,
        /// Mount points of `--mount` that the image does not have.
        mount_targets: MountTargets,
        /// A program that cannot be started.
        not_found: NotFound,
        /// USER that is one number, without a group.
        lone_uid: LoneUid,
        /// A number in USER.
        numeric_user: NumericUser,
        /// Heredocs, where the language has them.
        heredocs: Heredocs,
        /// `--mount`, where the language has it.
        mount_flags: MountFlags,
        /// USER with a group.
        explicit_group: ExplicitGroup,
        /// The group of a USER that is a number /etc/passwd does not know.
        number_group: NumberGroup,
    }
}

variants! {
    /// `RUN --mount`.
    MountFlags {
        /// It is mounted.
        Mounted = "mounted",
        /// It is passed over.
        Ignored = "ignored",
    }
    /// USER with a group.
    ExplicitGroup {
        /// The command has that group, and no other.
        Taken = "taken",
        /// The command has the user's own groups.
        Dropped = "dropped",
    }
    /// The group of a number that /etc/passwd does not know.
    NumberGroup {
        /// Root's.
        Root = "root",
        /// That of the same number.
        SameNumber = "same-number",
    }
    /// Heredocs of RUN.
    Heredocs {
        /// Each is a script, or input of the command.
        Script = "script",
        /// Their text is passed over; the shell gets the line that begins them.
        LineOnly = "line-only",
    }
    /// USER that is one number, without a group.
    LoneUid {
        /// It needs nothing of the image.
        Suffices = "suffices",
        /// The build fails unless there is an /etc/passwd, whoever is in it.
        NeedsPasswd = "needs-passwd",
    }
    /// A number in USER.
    NumericUser {
        /// It is not looked for among the names.
        Number = "number",
        /// A user of that name is meant first.
        NameFirst = "name-first",
    }
    /// A program that cannot be started.
    NotFound {
        /// The step is refused, with a reason; but one whose interpreter is missing counts as started.
        Refused = "refused",
        /// The step is refused, whatever it is that cannot be started.
        NeverStarted = "never-started",
        /// It counts as having ended with an exit code.
        ExitCode = "exit-code",
    }
    /// Where the mount points of /etc/hosts, /proc and their like come from when the image has none.
    MountPoints {
        /// From a layer of their own right below the container's, which never gets into the image.
        LayerBelow = "layer-below",
        /// Made in the container and removed afterwards; the directory around them keeps the time of that.
        MadeAndRemoved = "made-and-removed",
        /// Made in the container and left.
        MadeAndLeft = "made-and-left",
    }
    /// Volumes of the image during RUN.
    Volumes {
        /// Something is mounted over each; what RUN writes there is lost, the mount point stays.
        MountedAside = "mounted-aside",
        /// A VOLUME has no effect on RUN.
        Ignored = "ignored",
        /// RUN writes into it, and later steps see that, but no layer has it.
        LeftOut = "left-out",
    }
    /// The host name RUN sees.
    Hostname {
        /// Twelve hexadecimal digits; no variable has them.
        ContainerIdUntold = "container-id-untold",
        /// Twelve hexadecimal digits, also in HOSTNAME and in /etc/hostname.
        ContainerId = "container-id",
        /// Always `buildkitsandbox`, in /etc/hosts beside `localhost`; /etc/hostname is the image's own.
        BuildkitSandbox = "buildkit-sandbox",
    }
    /// Supplementary groups of the command.
    Groups {
        /// The group itself and those that list the user, so that giving it up takes more than setgid (CVE-2022-36109).
        WithOwn = "with-own",
        /// Those that list the user.
        Listed = "listed",
        /// The user's own group and those that list the user, twice if it is one of them; none for a number that
        /// /etc/passwd does not know.
        OwnThenListed = "own-then-listed",
    }
    /// Mount points of `--mount` that the image does not have.
    MountTargets {
        /// Directories stay, empty; files are removed.
        Left = "left",
        /// Those still empty are removed, and so are the directories made above them; what is around them, and around the
        /// mount points of the container itself, keeps the time it had before that (moby/buildkit#3148).
        Removed = "removed",
    }
}

/// RUN.
pub fn run(stage: &mut Stage, session: &Session<'_>, run: &RunInstruction) -> Result<(), StepError> {
    if session.converts {
        return super::mounts::name(stage, session, run);
    }
    refuse_unsupported(run)?;
    if let Some(foreign) = stage.built_for().filter(|platform| !crate::platform::runs(platform)) {
        let own = crate::platform::own_platform();
        return Err(StepError::unmet(format!(
            "RUN is for {foreign}, and this machine is {own}; nothing is emulated"
        )));
    }
    if let Some(need) = sandbox::standing().unmet() {
        return Err(StepError::unmet(need));
    }
    if unpacked::is_spoken(session) {
        return unpacked::run::run(stage, session, run);
    }
    let (command, script) = command(stage, session, run);
    let args = history_args(stage, session);
    let line = Line::Run { args, command: command.clone() };
    let layer = execute(stage, session, run, &started(stage, session, command)?, script)?;
    let is_empty = layer.entries.is_empty();
    if is_empty && session.dialect.image.empty_step == EmptyStep::NoLayer {
        stage.record(session.dialect, &line, true);
        return Ok(());
    }
    stage.layers.push(layer);
    stage.record(session.dialect, &line, false);
    Ok(())
}

fn refuse_unsupported(run: &RunInstruction) -> Result<(), StepFailure> {
    // `sandbox` is what a RUN without the flag has.
    let insecure = run.security.as_ref().filter(|mode| mode.text != "sandbox");
    let uses = [
        (insecure, "RUN --security=insecure (it would take the sandbox away; --security=sandbox would do)"),
        (run.devices.first(), "RUN --device (a build has no devices but those of every container)"),
    ];
    match uses.iter().find_map(|(word, what)| Some((word.as_ref()?, what))) {
        Some((word, what)) => Err(StepFailure::unsupported(what).at(word.span)),
        None => Ok(()),
    }
}

/// The argument list, and the file a script in a heredoc is executed from.
pub(crate) fn command(
    stage: &Stage,
    session: &Session<'_>,
    run: &RunInstruction,
) -> (Vec<String>, Option<(String, String)>) {
    let shell = |text: String| stage.config.shell().into_iter().chain([text]).collect();
    if session.dialect.run.heredocs == Heredocs::LineOnly || run.heredocs.is_empty() {
        return (super::metadata::command_words(stage, session, &run.command), None);
    }
    match run.script(&session.dialect.syntax) {
        None => (super::metadata::command_words(stage, session, &run.command), None),
        Some(Script::Command(text)) => (shell(text), None),
        Some(Script::File { name, content }) => {
            let path = format!("/dev/pipes/{name}");
            (shell(path.clone()), Some((path, content)))
        }
    }
}

/// What is started: the command, or for `RUN []` what the image would start, where that is not an error.
pub(crate) fn started(
    stage: &Stage,
    session: &Session<'_>,
    command: Vec<String>,
) -> Result<Vec<String>, StepFailure> {
    if !command.is_empty() {
        return Ok(command);
    }
    let of_image = || [&stage.config.entrypoint, &stage.config.cmd].into_iter().flatten().flatten().cloned();
    match session.dialect.image.empty_command {
        EmptyCommand::ShellAlone if of_image().next().is_some() => Ok(of_image().collect()),
        _ => Err(StepFailure::new("run-nothing", "run nothing; name a program in `RUN [\"PROGRAM\"]`")),
    }
}

/// The arguments shown before the command in the history.
pub(crate) fn history_args(stage: &Stage, session: &Session<'_>) -> Option<Vec<String>> {
    match session.dialect.history.text {
        // Sorted, those that ENV hides left out; there even when all of them go unmentioned.
        HistoryText::NopComment => {
            let visible = stage.args.for_run(&stage.config);
            let declared = |name: &str| stage.args.declared.iter().any(|(key, _)| key == name);
            let shown = visible
                .iter()
                .filter(|(name, _)| declared(name))
                .map(|(name, value)| format!("{name}={value}"));
            (!visible.is_empty()).then(|| shown.collect())
        }
        HistoryText::AsWritten | HistoryText::WithoutKeyword => None,
        HistoryText::Source => {
            let seen = |name: &str| Variables(stage).value(name).unwrap_or_default().to_owned();
            let declared = stage.args.declared.iter().map(|(name, _)| name);
            let names: Vec<&String> = match session.dialect.history.run_args {
                RunArgs::AsDeclared => declared.collect(),
                RunArgs::EachOnce => {
                    let mut once = std::collections::BTreeSet::new();
                    let inherited = stage.args.inherited.iter().map(|(name, _)| name);
                    inherited.chain(declared).filter(|name| once.insert(*name)).collect()
                }
            };
            Some(names.into_iter().map(|name| format!("{name}={}", seen(name))).collect())
        }
    }
}

/// Runs the command and returns what it changed, already part of the stage's tree and root file system.
fn execute(
    stage: &mut Stage,
    session: &Session<'_>,
    run: &RunInstruction,
    command: &[String],
    script: Option<(String, String)>,
) -> Result<Layer, StepError> {
    let mut around = Surroundings::prepare(stage, session, run, script)?;
    let init = match session.dialect.run.mount_points {
        MountPoints::LayerBelow => Some(init_layer(stage, session)),
        MountPoints::MadeAndRemoved | MountPoints::MadeAndLeft => None,
    };
    let init = init.as_ref().map(|(layer, tree)| (layer, tree));
    let mounted =
        stage.rootfs.mount(&around.scratch, session.request.unpacked, init).map_err(RootfsError::in_step)?;
    let cwd =
        if stage.config.working_dir.is_empty() { "/".to_owned() } else { stage.config.working_dir.clone() };
    // The runtime makes a working directory that is missing.
    let resolved_cwd =
        stage.tree.resolve(&cwd, true).map_err(|e| StepFailure::new("symlink-loop", e.to_string()))?;
    around.stubs.push(Stub { at: resolved_cwd.to_string(), is_dir: true, keep: true, parents_too: false });
    let root = Root::Overlay {
        lowers: mounted.lowers,
        images: mounted.images,
        upper: "upper".into(),
        workdir: "overlay-work".into(),
    };
    around.run(root, cwd, command)?;
    let layer = snapshot::read_upper(&mounted.upper).map_err(StepError::broken("read what RUN changed"))?;
    let below = stage.tree.clone();
    stage.tree.apply(&layer).map_err(StepError::broken("apply what RUN changed"))?;
    stage.rootfs.push_upper(mounted.upper);
    match (session.request.snapshotter, session.dialect.image.layer_form) {
        (Some(snapshotter), _) => walked(snapshotter, session, &below, stage),
        (None, LayerForm::UpperDirectory) => Ok(layer),
        // One root has its own RUN.
        (None, LayerForm::DoubleWalk | LayerForm::UnpackedRoot) => {
            let step = session.step_number();
            let lens = session.request.lens;
            let mut eyes = delta::Eyes {
                before: lens.through(Honest(&below), step - 1),
                after: lens.through(Honest(&stage.tree), step),
                trust: session.request.trust,
            };
            let entries = delta::double_walk_through(&below, &stage.tree, &mut eyes);
            Ok(Layer { entries, ..Layer::default() })
        }
    }
}

/// The layer as a snapshotter finds it, looking before and after. What it misses stays on disk and out of the image.
fn walked(
    snapshotter: &'static Snapshotter,
    session: &Session<'_>,
    below: &Tree,
    stage: &Stage,
) -> Result<Layer, StepError> {
    let step = session.step_number();
    let snapshotter = snapshotter.trusting(session.request.trust);
    let look = |tree, step| {
        let mut probe = session.request.lens.through(Honest(tree), step);
        snapshotter.see(probe.as_mut()).map_err(StepError::broken("look at the file system"))
    };
    let (before, after) = (look(below, step - 1)?, look(&stage.tree, step)?);
    Ok(walk::layer(&stage.tree, &walk::compare(&before, &after)))
}
