//! One build on an engine, by either of its builders.
//!
//! The context is a tar that already lacks what `.dockerignore` excludes: sent over the API, it is the client's to
//! filter. Each upload is a source of its own to BuildKit, so two contexts whose files agree in size and mtime are not
//! taken for one another, as they are in the client's file synchronisation.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bollard::errors::Error as ApiError;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use futures_util::future::ready;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;

use super::engine::{Engine, is_answer};
use super::error::{EngineError, IoContext};
use super::events::{Events, FailedStep, dockerfile_line};
use super::policy::Store;
use super::session_build;
use super::step_times::TimedStep;

/// What to build, and how.
///
/// For classic to name copied files in the history as it does for Docker's own client (`COPY dir:HASH in /dst`), the
/// tar has to be what that client sends: names without `./`, owner 0:0, and modes with the file type's bits
/// (`0o100644`, `0o40755`, `0o120777`), which go into the hash; user names do not.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    pub context: Context,
    /// The Dockerfile's path in the context's tar.
    pub dockerfile: String,
    pub build_args: BTreeMap<String, String>,
    pub target: Option<String>,
    pub builder: Builder,
    pub network: Network,
    /// Build every step, whatever the engine has cached.
    pub no_cache: bool,
    /// The name the image gets; under `samebuild.test/` on the host's engine.
    pub tag: String,
    pub labels: BTreeMap<String, String>,
    /// E.g. `linux/amd64`; the engine's own if `None`.
    pub platform: Option<String>,
    /// For the whole build.
    pub deadline: Duration,
}

/// A tar, not compressed or in a compression the engine knows.
#[derive(Debug, Clone)]
pub enum Context {
    Bytes(Vec<u8>),
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Builder {
    Classic,
    BuildKit,
}

/// What RUN reaches. A private engine has no bridge, so there is no other choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    None,
    Host,
}

/// How a build ended; a failed one is a result that can be the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutcome {
    Built {
        /// `sha256:` and the digest of the configuration, or of the manifest in containerd's store.
        image_id: String,
        log: Vec<String>,
        /// What each step took, where the builder tells.
        times: Vec<TimedStep>,
    },
    Failed {
        /// The builder's own words.
        message: String,
        /// 1-based line in the Dockerfile, if the message names one.
        line: Option<u32>,
        step: Option<FailedStep>,
        log: Vec<String>,
        /// As for a build that went well, the failing step included.
        times: Vec<TimedStep>,
    },
}

impl Engine {
    /// Builds.
    ///
    /// # Errors
    /// [`EngineError::Hung`] after the deadline (the build is cancelled), [`EngineError::Lost`] if the daemon went
    /// away, [`EngineError::NotOurs`] for a tag that is not ours on the host's engine.
    pub fn build(&self, request: &BuildRequest) -> Result<BuildOutcome, EngineError> {
        let what = format!("build {} with {}", request.tag, request.builder.name());
        self.only_our_name(&what, &request.tag)?;
        if request.builder == Builder::BuildKit && self.store == Some(Store::Containerd) {
            return session_build::build(self, request, &what);
        }
        let context = bollard::body_try_stream(chunks(&request.context)?.map_ok(Into::into));
        let mut events = Events::default();
        let exchange = async {
            let mut stream = std::pin::pin!(self.docker.build_image(options(request), None, Some(context)));
            while let Some(info) = stream.next().await {
                events.hear(info?);
            }
            Ok(())
        };
        match self.block_on(request.deadline, exchange) {
            None => {
                let last = events.log.last().map_or("nothing", String::as_str);
                return Err(self.hung(&what, request.deadline, last));
            }
            Some(Err(error)) if is_answer(&error) => {
                // It may have said so while going down.
                return match self.gone() {
                    Some(tail) => Err(EngineError::Lost { what, tail }),
                    None => Ok(failed(events, &error)),
                };
            }
            Some(Err(error)) => return Err(self.explain(&what, &error)),
            Some(Ok(())) => {}
        }
        let image_id = match events.image_id.take() {
            Some(id) => id,
            None => self.image_id(&request.tag)?,
        };
        let times = events.watch.steps(Instant::now());
        Ok(BuildOutcome::Built { image_id, log: events.log, times })
    }
}

impl Builder {
    /// As in `ci/engines.toml` and in dialects.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::BuildKit => "buildkit",
        }
    }
}

fn failed(events: Events, error: &ApiError) -> BuildOutcome {
    let message = match error {
        ApiError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        ApiError::DockerStreamError { error } => error.trim().to_owned(),
        other => other.to_string(),
    };
    let line = dockerfile_line(&message);
    let times = events.watch.steps(Instant::now());
    BuildOutcome::Failed { line, step: events.failed_step(&message), log: events.log, message, times }
}

fn options(request: &BuildRequest) -> BuildImageOptions {
    let hash = |map: &BTreeMap<String, String>| -> HashMap<String, String> {
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let network = match request.network {
        Network::None => "none",
        Network::Host => "host",
    };
    BuildImageOptions {
        dockerfile: request.dockerfile.clone(),
        t: Some(request.tag.clone()),
        nocache: request.no_cache,
        // A failed step's container stays, but for `forcerm`.
        rm: true,
        forcerm: true,
        buildargs: Some(hash(&request.build_args)),
        labels: Some(hash(&request.labels)),
        networkmode: Some(network.to_owned()),
        platform: request.platform.clone().unwrap_or_default(),
        target: request.target.clone().unwrap_or_default(),
        version: match request.builder {
            Builder::Classic => BuilderVersion::BuilderV1,
            Builder::BuildKit => BuilderVersion::BuilderBuildKit,
        },
        session: (request.builder == Builder::BuildKit).then(session),
        ..BuildImageOptions::default()
    }
}

/// A session's name is its identity to the engine: never the same twice.
fn session() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("samebuild-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The tar in pieces; a file is read as it is sent.
pub(super) fn chunks(
    context: &Context,
) -> Result<impl Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static, EngineError> {
    match context {
        Context::Bytes(bytes) => Ok(stream::once(ready(Ok(bytes.clone()))).left_stream()),
        Context::File(path) => {
            let file = std::fs::File::open(path).io(|| format!("open {}", path.display()))?;
            let pieces = stream::try_unfold(tokio::fs::File::from_std(file), |mut file| async move {
                let mut piece = Vec::with_capacity(1 << 18);
                let read = file.read_buf(&mut piece).await?;
                Ok((read > 0).then_some((piece, file)))
            });
            Ok(pieces.right_stream())
        }
    }
}
