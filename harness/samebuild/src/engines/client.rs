//! A build by Docker's own client. It does what no API call does: it reads `.dockerignore`, and sends BuildKit its context
//! through a session of its own. Everything else goes through the API, in `build`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::build::{BuildOutcome, Builder, Network};
use super::engine::Engine;
use super::error::EngineError;
use super::events::{FailedStep, classic_step, dockerfile_line};
use super::step_times::{Stopwatch, TimedStep};

/// What to build with the client.
#[derive(Debug, Clone)]
pub struct ClientBuild<'a> {
    /// The context on disk.
    pub context: &'a Path,
    /// The Dockerfile, where it is not `Dockerfile` in the context.
    pub file: Option<&'a Path>,
    /// Further options, as they are.
    pub flags: &'a [String],
    /// Ids and the files that hold them; BuildKit only.
    pub secrets: Vec<(String, PathBuf)>,
    pub builder: Builder,
    pub build_args: &'a BTreeMap<String, String>,
    pub target: Option<&'a str>,
    pub platform: Option<&'a str>,
    pub network: Network,
    /// The name the image gets.
    pub tag: &'a str,
    pub deadline: Duration,
}

impl Engine {
    /// Whether the engine came with a client.
    #[must_use]
    pub fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// Builds with the engine's own client, every step anew.
    ///
    /// # Errors
    /// There is no client, it cannot be started, or it runs longer than the deadline.
    pub fn build_with_client(&self, build: &ClientBuild<'_>) -> Result<BuildOutcome, EngineError> {
        let (Some(client), Some(socket)) = (&self.client, self.socket()) else {
            let why = "its packages have no docker client; add one to its row in ci/engines.toml";
            return Err(EngineError::Api { what: "build with docker's client".into(), why: why.into() });
        };
        let home = tempfile::Builder::new()
            .prefix("client-")
            .tempdir()
            .map_err(|e| self.client_failed(&e.to_string()))?;
        let id_file = home.path().join("image-id");
        self.plug_in(home.path()).map_err(|error| self.client_failed(&error.to_string()))?;
        let mut command = command(client, &socket, home.path(), &id_file, build);
        if self.buildx.is_some() && build.builder == Builder::BuildKit {
            // Provenance would make an index of what is one image.
            command.args(["--provenance=false"]);
        }
        command.arg(build.context);
        let (status, printed) =
            run(&mut command, build.deadline).map_err(|error| self.client_failed(&error))?;
        if status {
            let id = std::fs::read_to_string(&id_file).map_err(|e| self.client_failed(&e.to_string()))?;
            let image_id = id.trim().to_owned();
            return Ok(BuildOutcome::Built { image_id, log: printed.lines, times: printed.times });
        }
        Ok(failed(printed))
    }

    /// Newer clients build with BuildKit through a plugin, which they look for beside their settings.
    fn plug_in(&self, home: &Path) -> std::io::Result<()> {
        let Some(buildx) = &self.buildx else { return Ok(()) };
        let plugins = home.join("cli-plugins");
        std::fs::create_dir(&plugins)?;
        std::os::unix::fs::symlink(buildx, plugins.join("docker-buildx"))
    }

    fn client_failed(&self, why: &str) -> EngineError {
        EngineError::Api { what: "build with docker's client".into(), why: why.to_owned() }
    }
}

fn command(client: &PathBuf, socket: &Path, home: &Path, id_file: &Path, build: &ClientBuild<'_>) -> Command {
    let mut command = Command::new(client);
    // Nobody's settings, plugins or credentials.
    command
        .env_clear()
        .env("HOME", home)
        .env("DOCKER_CONFIG", home)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()));
    command.env("DOCKER_BUILDKIT", if build.builder == Builder::BuildKit { "1" } else { "0" });
    command.args(["build", "--no-cache", "--force-rm", "--iidfile"]).arg(id_file).args(["--tag", build.tag]);
    if build.builder == Builder::BuildKit {
        command.args(["--progress", "plain"]);
    }
    command.args(["--network", if build.network == Network::Host { "host" } else { "none" }]);
    for (name, value) in build.build_args {
        command.args(["--build-arg", &format!("{name}={value}")]);
    }
    let secrets = build.secrets.iter().filter(|_| build.builder == Builder::BuildKit);
    for (id, file) in secrets {
        command.args(["--secret", &format!("id={id},src={}", file.display())]);
    }
    if let Some(platform) = build.platform {
        command.args(["--platform", platform]);
    }
    if let Some(target) = build.target {
        command.args(["--target", target]);
    }
    if let Some(file) = build.file {
        command.arg("--file").arg(file);
    }
    command.args(build.flags);
    command
}

/// What the client printed, stdout and stderr as they came, and what that says of steps' times.
#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    times: Vec<TimedStep>,
}

impl Printed {
    fn read(reader: impl Read) -> Self {
        let (mut lines, mut watch) = (Vec::new(), Stopwatch::default());
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            watch.line(&line, Instant::now());
            lines.push(line);
        }
        Self { lines, times: watch.steps(Instant::now()) }
    }
}

/// Whether it ended well, and what it printed.
fn run(command: &mut Command, deadline: Duration) -> Result<(bool, Printed), String> {
    let say = |error: std::io::Error| format!("run docker: {error}");
    let (reader, writer) = std::io::pipe().map_err(say)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(say)?).stderr(writer);
    let mut child = command.spawn().map_err(say)?;
    // The command holds the other ends of the pipe: they must go for it to close.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let output = std::thread::spawn(move || Printed::read(reader));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(say)? {
            break status;
        }
        if begun.elapsed() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("docker was still building after {} s", deadline.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok((status.success(), output.join().unwrap_or_default()))
}

/// The last line is the builder's message; the step is the last that classic announced, or the one BuildKit underlines.
fn failed(printed: Printed) -> BuildOutcome {
    let Printed { lines: log, times } = printed;
    let last = log.iter().rev().find(|line| !line.trim().is_empty()).cloned().unwrap_or_default();
    let message = last.trim_start_matches("ERROR: ").trim_start_matches("failed to solve: ").to_owned();
    let step = log.iter().rev().find_map(|line| announced(line));
    BuildOutcome::Failed { line: dockerfile_line(&message), message, step, log, times }
}

/// `Step 2/3 : COPY a /a`, or ` > [stage 2/3] COPY a /a:`.
fn announced(line: &str) -> Option<FailedStep> {
    let (numbers, instruction) = if let Some(step) = classic_step(line) {
        step
    } else {
        let (inside, instruction) = line.trim_start().strip_prefix("> [")?.split_once("] ")?;
        (inside.rsplit(' ').next()?, instruction.trim_end_matches(':'))
    };
    let (number, of) = numbers.split_once('/')?;
    let number = Some((number.trim().parse().ok()?, of.trim().parse().ok()?));
    Some(FailedStep { number, instruction: instruction.trim().to_owned(), line: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_builders_say_which_step_failed() {
        let step = |line| announced(line).map(|step| (step.number, step.instruction));
        assert_eq!(step("Step 2/3 : COPY a /a"), Some((Some((2, 3)), "COPY a /a".into())));
        assert_eq!(step(" > [build 2/3] RUN false:"), Some((Some((2, 3)), "RUN false".into())));
        assert_eq!(step(" ---> Running in 0123"), None);
    }
}
