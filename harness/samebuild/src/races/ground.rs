//! Where live trials happen: an engine of our own with the base image on it, and the state a race begins in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters as query;
use samebuild_store::engine::{Build, Engine as _};
use samebuild_store::floor::Floor;
use samebuild_store::model::World;
use samebuild_store::names::{Content, Name};
use tokio::runtime::Runtime;

use std::cell::RefCell;
use std::rc::Rc;

use super::docker::{DockerEngine, LABEL};
use super::spelling::Spelling;
use crate::bases::{self, BaseError};
use crate::engines::{self, Engine, EngineError, Policy, Progress};
use crate::proxy::ProxyError;

/// Repositories 0 and 1 of the races.
pub(super) const REPOSITORIES: [&str; 2] = ["samebuild.test/app", "samebuild.test/web"];

/// A private engine, ready for trials; it ends with this.
pub struct Ground {
    engine: Engine,
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
        let dir = tempfile::Builder::new().prefix("samebuild-race-").tempdir();
        Ok(Self {
            engine,
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

    /// A place for a proxy's socket.
    #[must_use]
    pub fn proxy_socket(&self) -> PathBuf {
        self.dir.path().join("proxy.sock")
    }

    /// Removes every container and every image but the base; then builds what `world` has, a second apart, so that
    /// image n of the result is image n of the world.
    pub(super) async fn set_up(&self, world: &World) -> Result<Spelling, LiveError> {
        let docker = connect(&self.socket).await?;
        remove_containers(&docker).await?;
        remove_images(&docker).await?;
        let spelling = Rc::new(RefCell::new(Spelling::new(&REPOSITORIES)));
        let engine = DockerEngine::new(docker, Floor::free(), Rc::clone(&spelling));
        for (image, content) in world.images() {
            let cannot = |error: samebuild_store::engine::EngineError| LiveError::Api {
                what: "prepare the race's images".into(),
                why: format!("{error}; it said: {}", engine.said().join("; ")),
            };
            // Its unique name is not known yet; the policy tag moves on to the next image.
            let Some(first) = image.names.first().map(|name| Name::policy(name.repository, 0)) else {
                continue;
            };
            second_boundary().await;
            let build = Build { content, name: first };
            let id = engine.build(build).await.map_err(cannot)?;
            if id != image.id {
                return Err(LiveError::Api {
                    what: "prepare the race's images".into(),
                    why: format!("image {} came out as {id}", image.id),
                });
            }
            for name in &image.names {
                engine.tag(id, *name).await.map_err(cannot)?;
            }
        }
        drop(engine);
        Ok(spelling.borrow().clone())
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

/// Removes every image that is not a base.
async fn remove_images(docker: &Docker) -> Result<(), LiveError> {
    let cannot = |error: bollard::errors::Error| LiveError::Api {
        what: "remove the trial's images".into(),
        why: error.to_string(),
    };
    for image in docker.list_images(None::<query::ListImagesOptions>).await.map_err(cannot)? {
        if image.repo_tags.iter().any(|tag| tag.starts_with("samebuild.test/base:")) {
            continue;
        }
        let options = query::RemoveImageOptionsBuilder::new().force(true).build();
        docker.remove_image(&image.id, Some(options), None).await.map_err(cannot)?;
    }
    Ok(())
}

/// Waits for the next second: Docker's creation times have no finer ones in a list.
async fn second_boundary() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let past = Duration::from_nanos(u64::from(now.subsec_nanos()));
    tokio::time::sleep(Duration::from_secs(1) - past).await;
}

/// The build context of a content: one small layer on the base.
pub(super) fn context(content: Content) -> Vec<u8> {
    let dockerfile = "FROM samebuild.test/base:1\nCOPY content /content\n";
    let file = format!("content {}\n", content.0);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", dockerfile), ("content", file.as_str())] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o100_644);
        header.set_mtime(1_577_836_800);
        header.set_size(text.len() as u64);
        // Neither name nor memory can fail here.
        let _ = tar.append_data(&mut header, name, text.as_bytes());
    }
    tar.into_inner().unwrap_or_default()
}
