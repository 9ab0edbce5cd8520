//! An engine that answers: starting a private one, reaching the host's, and one blocking way to ask either.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error as ApiError;
use tokio::runtime::Runtime;

use super::Progress;
use super::cache::cache_dir;
use super::error::{EngineError, IoContext};
use super::fetch::Fetched;
use super::killer::Killer;
use super::one_of_us::OneOfUs;
use super::policy::{EngineSpec, Store};
use super::private::Private;
use crate::programs::Around;

/// A Docker daemon. Calls block; they may come from several threads. A private engine ends when this is dropped.
#[derive(Debug)]
pub struct Engine {
    pub(super) name: String,
    pub(super) docker: Docker,
    runtime: Runtime,
    pub(super) private: Option<Private>,
    /// Docker's own client, if the packages of a private engine have it.
    pub(super) client: Option<PathBuf>,
    /// The plugin with which a newer client builds.
    pub(super) buildx: Option<PathBuf>,
    /// `None` if it is neither of those we know.
    pub(super) store: Option<Store>,
    /// What a private one was started from.
    origin: Option<(EngineSpec, Fetched)>,
}

/// What `docker info` and `docker version` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// E.g. `20.10.24+dfsg1`.
    pub version: String,
    /// The API version spoken, e.g. `1.41`.
    pub api: String,
    /// `overlay2`, `overlayfs` (containerd's), …
    pub driver: String,
    /// Go's names, e.g. `linux`, `amd64`.
    pub os: String,
    pub arch: String,
}

/// What everything but a build may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);
const READY_DEADLINE: Duration = Duration::from_secs(60);

impl Engine {
    /// Starts a private engine, and waits until it answers. Needs root.
    ///
    /// # Errors
    /// [`EngineError::Start`]: not root, the daemon did not answer in 60 s or ended (the end of its log is in the
    /// text), or it does not store images as the policy says.
    pub fn start(spec: &EngineSpec, fetched: &Fetched, progress: Progress) -> Result<Self, EngineError> {
        Self::start_in(spec, fetched, Around::default(), progress)
    }

    /// Another one like this one, private too, empty, with something else around it.
    ///
    /// # Errors
    /// As [`Engine::start`]; the host's engine is not ours to have another one of.
    pub fn another(&self, around: Around<'_>, progress: Progress) -> Result<Self, EngineError> {
        let Some((spec, fetched)) = &self.origin else {
            let why = "only a private engine can be had twice".to_owned();
            return Err(EngineError::Start { name: self.name.clone(), why });
        };
        Self::start_in(spec, fetched, around, progress)
    }

    fn start_in(
        spec: &EngineSpec,
        fetched: &Fetched,
        around: Around<'_>,
        progress: Progress,
    ) -> Result<Self, EngineError> {
        let cannot = |why: String| EngineError::Start { name: spec.name.clone(), why };
        progress(&format!("starting {}", spec.name));
        let private = Private::start(spec, fetched, around, progress)?;
        let runtime = runtime()?;
        let docker = match wait_until_ready(&runtime, &private) {
            Ok(docker) => docker,
            Err(why) => return Err(cannot(format!("{why}; the end of its log:\n{}", private.log_tail()))),
        };
        let engine = Self {
            name: spec.name.clone(),
            docker,
            runtime,
            private: Some(private),
            client: fetched.program("docker").map(Path::to_owned),
            buildx: fetched.program("docker-buildx").map(Path::to_owned),
            store: Some(spec.store),
            origin: Some((spec.clone(), fetched.clone())),
        };
        let driver = engine.info()?.driver;
        if driver != spec.store.driver() {
            let wanted = spec.store.driver();
            return Err(cannot(format!("its storage driver is `{driver}`, the policy wants `{wanted}`")));
        }
        Ok(engine)
    }

    /// The engine at `DOCKER_HOST`, or at the default socket. Whatever is there is somebody's: only names under
    /// `samebuild.test/` are loaded, built or removed.
    ///
    /// # Errors
    /// `DOCKER_HOST` is not a `unix://` address, or nothing answers there.
    pub fn host() -> Result<Self, EngineError> {
        Self::host_at(std::env::var("DOCKER_HOST").ok().as_deref())
    }

    /// The same with the value of `DOCKER_HOST` given.
    ///
    /// # Errors
    /// As [`Engine::host`].
    pub fn host_at(docker_host: Option<&str>) -> Result<Self, EngineError> {
        let socket = host_socket(docker_host)?;
        let cannot = |why: String| EngineError::Start {
            name: "host".into(),
            why: format!(
                "nothing answers at {}: {why}; start Docker, set DOCKER_HOST, or use an engine of ci/engines.toml",
                socket.display()
            ),
        };
        let runtime = runtime()?;
        let docker = runtime.block_on(connect_within(&socket, Duration::from_secs(10))).map_err(cannot)?;
        let mut engine = Self {
            name: "host".into(),
            docker,
            runtime,
            private: None,
            client: None,
            buildx: None,
            store: None,
            origin: None,
        };
        engine.store = match engine.info()?.driver.as_str() {
            "overlay2" => Some(Store::Overlay2),
            "overlayfs" => Some(Store::Containerd),
            "vfs" => Some(Store::Vfs),
            _ => None,
        };
        Ok(engine)
    }

    /// As `--engine` takes it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many wrong times the files of a private engine have told, where they lag.
    #[must_use]
    pub fn lies(&self) -> usize {
        self.private.as_ref().map_or(0, Private::lies)
    }

    /// Whether it is ours alone.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// What kills the daemon of a private engine, so that another one starts on its data.
    #[must_use]
    pub fn killer(&self) -> Option<Killer> {
        self.private.as_ref().map(Private::killer)
    }

    /// The first process of a private engine, from which all of its others descend.
    #[must_use]
    pub fn root_process(&self) -> Option<u32> {
        self.private.as_ref().and_then(Private::root_process)
    }

    /// The socket of a private engine, for clients other than this one.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        self.private.as_ref().map(Private::socket)
    }

    /// # Errors
    /// The engine does not answer.
    pub fn info(&self) -> Result<Info, EngineError> {
        let info = self.call("ask the engine about itself", DEADLINE, self.docker.info())?;
        let version = self.call("ask the engine for its version", DEADLINE, self.docker.version())?;
        Ok(Info {
            version: version.version.unwrap_or_default(),
            api: self.docker.client_version().to_string(),
            driver: info.driver.unwrap_or_default(),
            os: version.os.unwrap_or_default(),
            arch: version.arch.unwrap_or_default(),
        })
    }

    /// The locks that processes of ours take on this daemon: its own name for itself, whatever socket leads to it.
    ///
    /// # Errors
    /// The engine does not answer; there is no cache directory to keep them in.
    pub fn one_of_us(&self) -> Result<OneOfUs, EngineError> {
        let info = self.call("ask the engine for its name", DEADLINE, self.docker.info())?;
        let dir = cache_dir()?.join("locks");
        OneOfUs::at(&dir, &info.id.unwrap_or_default()).io(|| format!("create {}", dir.display()))
    }

    /// Deletes BuildKit's cache.
    ///
    /// # Errors
    /// [`EngineError::NotOurs`] on the host's engine.
    pub fn prune_build_cache(&self) -> Result<(), EngineError> {
        if !self.is_private() {
            let why = "it is not ours to delete".to_owned();
            return Err(EngineError::NotOurs { what: "prune the build cache".into(), why });
        }
        let all = bollard::query_parameters::PruneBuildOptionsBuilder::new().all(true).build();
        self.call("prune the build cache", DEADLINE, self.docker.prune_build(Some(all))).map(drop)
    }

    /// Runs one exchange with the daemon; tells a late answer, an error and a daemon that went away apart.
    pub(super) fn call<T>(
        &self,
        what: &str,
        deadline: Duration,
        exchange: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, EngineError> {
        match self.block_on(deadline, exchange) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.explain(what, &error)),
            None => Err(self.hung(what, deadline, "nothing")),
        }
    }

    /// `None` after `deadline`.
    pub(super) fn block_on<F: Future>(&self, deadline: Duration, future: F) -> Option<F::Output> {
        self.runtime.block_on(async { tokio::time::timeout(deadline, future).await.ok() })
    }

    pub(super) fn hung(&self, what: &str, deadline: Duration, last: &str) -> EngineError {
        match self.gone() {
            Some(tail) => EngineError::Lost { what: what.to_owned(), tail },
            None => EngineError::Hung {
                what: what.to_owned(),
                deadline_s: deadline.as_secs(),
                last: last.to_owned(),
            },
        }
    }

    pub(super) fn explain(&self, what: &str, error: &ApiError) -> EngineError {
        if is_answer(error) {
            let why = match error {
                ApiError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
                ApiError::DockerStreamError { error } => error.trim().to_owned(),
                other => other.to_string(),
            };
            return EngineError::Api { what: what.to_owned(), why };
        }
        match self.gone() {
            Some(tail) => EngineError::Lost { what: what.to_owned(), tail },
            None => EngineError::Api { what: what.to_owned(), why: error.to_string() },
        }
    }

    /// The end of its log, if the daemon went away. It takes a moment to die.
    pub(super) fn gone(&self) -> Option<String> {
        const MOMENT: Duration = Duration::from_secs(3);
        let started = Instant::now();
        loop {
            if let Some(private) = &self.private
                && let Some(how) = private.ended()
            {
                return Some(format!("{}\n{how}", private.log_tail()));
            }
            if self.block_on(MOMENT, self.docker.ping()).is_some_and(|answer| answer.is_ok()) {
                return None;
            }
            if started.elapsed() > MOMENT {
                let tail = self.private.as_ref().map(Private::log_tail);
                return Some(tail.unwrap_or_else(|| "(the host's engine; look at its own log)".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether the daemon said this, as opposed to something on the way to it.
pub(super) fn is_answer(error: &ApiError) -> bool {
    matches!(error, ApiError::DockerResponseServerError { .. } | ApiError::DockerStreamError { .. })
}

fn runtime() -> Result<Runtime, EngineError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().io(|| "start an executor".into())
}

fn host_socket(docker_host: Option<&str>) -> Result<PathBuf, EngineError> {
    match docker_host.filter(|value| !value.is_empty()) {
        None => Ok(PathBuf::from("/var/run/docker.sock")),
        Some(value) => value.strip_prefix("unix://").map(PathBuf::from).ok_or_else(|| EngineError::Start {
            name: "host".into(),
            why: format!("DOCKER_HOST is `{value}`; only `unix:///path/of/socket` is supported"),
        }),
    }
}

async fn connect(socket: &Path) -> Result<Docker, ApiError> {
    // The client's own deadline covers response headers only; ours is around every exchange.
    const NEVER_S: u64 = 24 * 3600;
    let path = socket.display().to_string();
    Docker::connect_with_unix(&path, NEVER_S, bollard::API_DEFAULT_VERSION)?.negotiate_version().await
}

async fn connect_within(socket: &Path, deadline: Duration) -> Result<Docker, String> {
    match tokio::time::timeout(deadline, connect(socket)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", deadline.as_secs())),
    }
}

fn wait_until_ready(runtime: &Runtime, private: &Private) -> Result<Docker, String> {
    let started = Instant::now();
    let socket = private.socket();
    loop {
        if let Some(how) = private.ended() {
            return Err(how);
        }
        // A refused or missing socket is an answer at once; a hanging one must not take the whole deadline.
        let error = match runtime.block_on(connect_within(&socket, Duration::from_secs(5))) {
            Ok(docker) => return Ok(docker),
            Err(error) => error,
        };
        if started.elapsed() > READY_DEADLINE {
            return Err(format!("no answer within {} s: {error}", READY_DEADLINE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_host_may_be_a_unix_socket_only() {
        assert_eq!(host_socket(None).unwrap(), Path::new("/var/run/docker.sock"));
        assert_eq!(host_socket(Some("unix:///x/y.sock")).unwrap(), Path::new("/x/y.sock"));
        let error = host_socket(Some("tcp://h:2375")).unwrap_err().to_string();
        assert!(error.contains("tcp://h:2375") && error.contains("unix://"), "{error}");
    }

    #[test]
    fn nothing_at_the_socket_is_an_error_that_names_it() {
        let runtime = runtime().unwrap();
        assert!(runtime.block_on(connect(Path::new("/no/such/docker.sock"))).is_err());
    }
}
