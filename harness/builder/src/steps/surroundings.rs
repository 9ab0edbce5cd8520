//! What stands around the command of a RUN, whatever root it runs in: the files of the container, volumes, `--mount`s, the
//! script of a heredoc, user, environment and host name; and what its end means. The root is the caller's.

use std::path::PathBuf;
use std::time::Duration;

use samebuild_dockerfile::{CommandLine, RunInstruction};

use super::container::{files_mounted, script_mount, volumes};
use super::identity::{environment, hostname, user};
use super::mounts::{self, Mounts};
use super::run::{MountFlags, NotFound};
use crate::failure::StepFailure;
use crate::request::{Event, Network};
use crate::sandbox::{self, Ended, Mount, Owner, Root, SandboxError, Spec, Stub};
use crate::session::{Session, StepError};
use crate::stage::Stage;

/// Longer than any step of a case may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Everything a RUN has but its root, its working directory and its command.
pub(crate) struct Surroundings<'s> {
    session: &'s Session<'s>,
    run: &'s RunInstruction,
    /// A directory of this RUN's own, with nothing in it of the names a root takes.
    pub scratch: PathBuf,
    /// Mount points the root has to have.
    pub stubs: Vec<Stub>,
    mounts: Vec<Mount>,
    env: Vec<(String, String)>,
    owner: Owner,
    hostname: String,
}

impl<'s> Surroundings<'s> {
    /// Prepares it all below a new scratch directory. `script` is a path in the container, and what is there.
    pub fn prepare(
        stage: &Stage,
        session: &'s Session<'s>,
        run: &'s RunInstruction,
        script: Option<(String, String)>,
    ) -> Result<Self, StepError> {
        let (owner, home) = user(stage, &session.dialect.run)?;
        let scratch = session.scratch()?;
        let hostname = hostname(session, stage);
        let (mut mounts, mut stubs) = files_mounted(&scratch, &hostname, &stage.tree, session)?;
        volumes(stage, session, &scratch, &mut mounts, &mut stubs)?;
        let own = match session.dialect.run.mount_flags {
            MountFlags::Mounted => mounts::prepare(stage, session, run, &scratch)?,
            MountFlags::Ignored => Mounts::default(),
        };
        mounts.extend(own.mounts);
        stubs.extend(own.stubs);
        if let Some((path, content)) = script {
            mounts.push(script_mount(&scratch, &path, &content)?);
        }
        let env = environment(stage, session, own.env, &hostname, &home);
        Ok(Self { session, run, scratch, stubs, mounts, env, owner, hostname })
    }

    /// Runs the command in `root`; an error unless it ends well.
    pub fn run(self, root: Root, cwd: String, command: &[String]) -> Result<(), StepError> {
        let request = self.session.request;
        let spec = Spec {
            work: self.scratch,
            root,
            mounts: self.mounts,
            stubs: self.stubs,
            argv: command.to_vec(),
            env: self.env,
            cwd,
            owner: self.owner,
            hostname: self.hostname,
            network: match self.run.network.as_ref().map(|network| network.text.as_str()) {
                Some("none") => Network::None,
                _ => request.network,
            },
        };
        let mut output = |bytes: &[u8]| (request.progress)(Event::Output(bytes));
        let ended = sandbox::run(&request.child, &spec, LIMIT, &mut output);
        judge(ended, self.run, command, self.session.dialect.run.not_found)
    }
}

fn judge(
    ended: Result<Ended, SandboxError>,
    run: &RunInstruction,
    command: &[String],
    not_found: NotFound,
) -> Result<(), StepError> {
    let shown = match &run.command {
        CommandLine::Shell(text) => text.text.clone(),
        CommandLine::Exec(_) => command.join(" "),
    };
    match ended {
        Ok(Ended::Exit(0)) => Ok(()),
        Ok(Ended::Exit(code)) => {
            Err(StepFailure::new("run-exit", format!("run `{shown}`: it ended with exit code {code}")).into())
        }
        Ok(Ended::NotStarted { class, message }) => {
            let class = match class.as_str() {
                _ if not_found == NotFound::ExitCode => "run-exit",
                "exec-failed" if not_found == NotFound::NeverStarted => "run-not-started",
                // Found to be a program, and yet the kernel would not have it: the container had begun.
                "exec-failed" => "run-exit",
                "workdir" => "not-a-directory",
                _ => "run-not-started",
            };
            Err(StepFailure::new(class, message).into())
        }
        Ok(Ended::TimedOut(limit)) => Err(StepFailure::new(
            "run-timeout",
            format!("run `{shown}`: still running after {} s", limit.as_secs()),
        )
        .into()),
        Ok(Ended::NeedsRoot(what)) => {
            Err(StepError::unmet(format!("run `{shown}`: it asks to {what}, which only root is given")))
        }
        Err(SandboxError::Setup { what, error }) if !sandbox::standing().is_root() => {
            Err(StepError::unmet(format!("run without root: {what}: {error}")))
        }
        Err(error) => Err(StepError::broken("run the command")(error)),
    }
}
