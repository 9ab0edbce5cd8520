//! Any client against an engine of ours, its requests gated: does the image it says it has built survive?

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};

use super::docker::LABEL;
use super::ground::{Ground, LiveError, connect, remove_containers};
use super::measure::Record;
use crate::proxy::{Entry, Proxy, Rule};

/// How long requests that outlive the client may take.
const SETTLE: Duration = Duration::from_secs(60);

/// What to run, and what to look for.
#[derive(Clone, Debug)]
pub struct Exec<'a> {
    /// Run by `sh -c` before each trial, its requests not gated. It makes the state the trial begins in.
    pub before: Option<&'a str>,
    /// Run by `sh -c` with DOCKER_HOST naming the gated socket.
    pub command: &'a str,
    /// The image to run a container from, as the client promised it.
    pub deploy: &'a str,
    /// What they hold when the client ends is let go then.
    pub rules: &'a [Rule],
}

/// What became of the image in one trial.
#[derive(Clone, Debug)]
pub struct Survival {
    /// How the client ended.
    pub status: ExitStatus,
    /// Why no container could be created from it as soon as the client had ended, if so.
    pub at_exit: Result<(), String>,
    /// The same once every request of the client had been answered.
    pub at_end: Result<(), String>,
    /// What passed the proxy.
    pub log: Vec<Entry>,
}

impl Survival {
    /// The client said it had succeeded, and its image was not there.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.status.success() && (self.at_exit.is_err() || self.at_end.is_err())
    }
}

/// What became of it in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    pub trials: usize,
    /// Trials in which the client said it had succeeded.
    pub succeeded: usize,
    /// Those of them after which its image was not there.
    pub lost: usize,
}

/// As a table for records/.
#[must_use]
pub fn exec_record(exec: &Exec<'_>, counted: Survived, when: String, place: String) -> Record {
    let rules: Vec<String> = exec.rules.iter().map(ToString::to_string).collect();
    let rules = if rules.is_empty() { "none".to_owned() } else { rules.join("; ") };
    let Survived { trials, succeeded, lost } = counted;
    Record {
        about: format!("an unmodified client: does {} survive?", exec.deploy),
        when,
        place,
        columns: ["rules", "trials", "client succeeded", "image lost"].map(str::to_owned).to_vec(),
        rows: vec![vec![rules, trials.to_string(), succeeded.to_string(), lost.to_string()]],
    }
}

impl Ground {
    /// One trial.
    ///
    /// # Errors
    /// A command did not start, `before` failed, or the engine did.
    pub fn exec(&self, exec: &Exec<'_>) -> Result<Survival, LiveError> {
        if let Some(before) = exec.before {
            let status = shell(before, self.socket())?;
            if !status.success() {
                let what = format!("prepare the trial with `{before}`");
                return Err(LiveError::Api { what, why: format!("it ended with {status}") });
            }
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let sink = Arc::new(move |entry: &Entry| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
        });
        let proxy = Proxy::start(self.socket(), &self.proxy_socket(), exec.rules.to_vec(), sink)?;
        let status = shell(exec.command, proxy.socket())?;
        let at_exit = self.deploy(exec.deploy)?;
        // Nothing that the client could do is waited for any more.
        proxy.open();
        if !proxy.settle(SETTLE) {
            let what = format!("see the requests of `{}` answered", exec.command);
            return Err(LiveError::Api { what, why: format!("some are not after {} s", SETTLE.as_secs()) });
        }
        drop(proxy);
        let at_end = self.deploy(exec.deploy)?;
        let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Survival { status, at_exit, at_end, log })
    }

    /// Creates a container and removes it; never pulls.
    fn deploy(&self, image: &str) -> Result<Result<(), String>, LiveError> {
        self.runtime.block_on(async {
            let docker = connect(self.socket()).await?;
            let network = HostConfig { network_mode: Some("none".into()), ..HostConfig::default() };
            let body = ContainerCreateBody {
                image: Some(image.to_owned()),
                host_config: Some(network),
                // An image without a command has none to run, and is there all the same.
                cmd: Some(vec!["true".into()]),
                labels: Some([(LABEL.to_owned(), "1".to_owned())].into()),
                ..ContainerCreateBody::default()
            };
            let created = docker.create_container(None, body).await;
            remove_containers(&docker).await?;
            Ok(created.map(drop).map_err(|error| error.to_string()))
        })
    }
}

fn shell(command: &str, socket: &Path) -> Result<ExitStatus, LiveError> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("DOCKER_HOST", format!("unix://{}", socket.display()));
    // stdout is for our own results.
    shell.stdin(Stdio::null()).stdout(std::io::stderr());
    shell.status().map_err(|source| LiveError::Io { what: format!("run `{command}`"), source })
}
