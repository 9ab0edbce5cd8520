//! Where live trials happen: an engine of our own with the base image on it. The state a race begins in is `set_up`'s.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters as query;
use tokio::runtime::Runtime;

use super::cast::Waiting;
use super::docker::LABEL;
use crate::bases::{self, BaseError};
use crate::engines::{self, Engine, EngineError, Killer, Policy, Progress};
use crate::proxy::ProxyError;

/// Repositories 0 and 1 of the races.
pub(super) const REPOSITORIES: [&str; 2] = ["samebuild.test/app", "samebuild.test/web"];

/// A private engine, ready for trials; it ends with this.
pub struct Ground {
    engine: Engine,
    /// Beginnings made so far: what one is made of, no other is.
    pub(super) made: Cell<usize>,
    pub(super) runtime: Runtime,
    pub(super) dir: tempfile::TempDir,
    socket: PathBuf,
}

/// Why there was no trial. Every text fits after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    #[error(
        "race on the host's engine: races delete images, and everything there is somebody's; use an engine of ci/engines.toml, e.g. --engine docker-20.10"
    )]
    Host,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("{what}: {why}")]
    Api { what: String, why: String },
    #[error("race `{race}` on a real engine: {why}")]
    Race { race: String, why: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl Ground {
    /// Starts the engine called `name` in the policy and loads the base image.
    ///
    /// # Errors
    /// [`LiveError::Host`] for `host`; no root, no network on a cold cache, no busybox.
    pub fn open(name: &str, policy: &Policy, progress: Progress) -> Result<Self, LiveError> {
        if name == "host" {
            return Err(LiveError::Host);
        }
        let engine = engines::open(name, policy, progress)?;
        let base = bases::provide("busybox", &engines::cache_dir()?, progress)?;
        engine.load_base(&base.reference, &base.archive)?;
        let socket = engine.socket().ok_or(LiveError::Host)?;
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| LiveError::Io { what, source }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // In the engine's own directory, which goes with it however we end.
        let dir =
            tempfile::Builder::new().prefix("race-").tempdir_in(socket.parent().unwrap_or(Path::new("/tmp")));
        Ok(Self {
            engine,
            made: Cell::new(0),
            runtime: runtime.map_err(io("start an executor"))?,
            dir: dir.map_err(io("create a directory for sockets"))?,
            socket,
        })
    }

    /// The engine's product, version and image store, in words.
    ///
    /// # Errors
    /// It does not answer.
    pub fn words(&self) -> Result<String, LiveError> {
        let info = self.engine.info()?;
        let version = info.version.split(['+', '~', '-']).next().unwrap_or(&info.version);
        Ok(format!("Docker Engine {version}, {}", info.driver))
    }

    /// The engine's own socket, without a proxy.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Kills the daemon when called, and waits until its successor answers.
    pub(super) fn restarter(&self) -> Rc<dyn Fn() -> Waiting> {
        const PAUSE: Duration = Duration::from_millis(20);
        let (killer, socket) = (self.engine.killer(), self.socket.clone());
        Rc::new(move || {
            let (killed, socket) = (killer.as_ref().map(Killer::kill), socket.clone());
            Box::pin(async move {
                if !matches!(killed, Some(Ok(()))) {
                    return;
                }
                // Whoever goes on without an answer gets errors of connection, which is what a restart is.
                for _ in 0..1500 {
                    tokio::time::sleep(PAUSE).await;
                    if connect(&socket).await.is_ok() {
                        break;
                    }
                }
            })
        })
    }

    /// A place for a proxy's socket.
    #[must_use]
    pub fn proxy_socket(&self) -> PathBuf {
        self.dir.path().join("proxy.sock")
    }
}

/// Connects to an engine at a socket.
pub(crate) async fn connect(socket: &Path) -> Result<Docker, LiveError> {
    const DEADLINE_S: u64 = 120;
    let path = socket.display().to_string();
    let cannot = |error: bollard::errors::Error| LiveError::Api {
        what: format!("reach the engine at {path}"),
        why: error.to_string(),
    };
    let docker =
        Docker::connect_with_unix(&path, DEADLINE_S, bollard::API_DEFAULT_VERSION).map_err(cannot)?;
    docker.negotiate_version().await.map_err(cannot)
}

/// Removes the containers of a trial.
pub(super) async fn remove_containers(docker: &Docker) -> Result<(), LiveError> {
    let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
    let options = query::ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
    let cannot = |error: bollard::errors::Error| LiveError::Api {
        what: "remove the trial's containers".into(),
        why: error.to_string(),
    };
    for container in docker.list_containers(Some(options)).await.map_err(cannot)? {
        let options = query::RemoveContainerOptionsBuilder::new().force(true).build();
        docker.remove_container(&container.id.unwrap_or_default(), Some(options)).await.map_err(cannot)?;
    }
    Ok(())
}

/// A build context: one small layer on the base.
pub(super) fn context(content: &str) -> Vec<u8> {
    let dockerfile = "FROM samebuild.test/base:1\nCOPY content /content\n";
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", dockerfile), ("content", content)] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o100_644);
        header.set_mtime(1_577_836_800);
        header.set_size(text.len() as u64);
        // Neither name nor memory can fail here.
        let _ = tar.append_data(&mut header, name, text.as_bytes());
    }
    tar.into_inner().unwrap_or_default()
}
