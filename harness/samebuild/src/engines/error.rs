//! The ways an engine can fail us, told apart by what the harness has to do about each.

use std::path::PathBuf;

/// Every text fits after "failed to". A build that fails is not here: that is a result, see
/// [`BuildOutcome`](super::BuildOutcome).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// `ci/engines.toml` or an engine's name is wrong: somebody has to edit something.
    #[error("read {}: {why}", path.display())]
    Policy { path: PathBuf, why: String },
    /// No engine of this name.
    #[error("find engine `{name}`; known are {known}, and `host` for the engine of this machine")]
    Unknown { name: String, known: String },
    /// The machine lacks something (root, a program, a mirror, a network): no verdict about any case.
    #[error("fetch {what}: {why}")]
    Fetch { what: String, why: String },
    /// The engine did not come up; `why` ends with the tail of its log.
    #[error("start engine `{name}`: {why}")]
    Start { name: String, why: String },
    /// The engine answered with an error of its own.
    #[error("{what}: {why}")]
    Api { what: String, why: String },
    /// No result before the deadline. The engine may still be busy with it.
    #[error("{what} within {deadline_s} s; the last it said: {last}")]
    Hung { what: String, deadline_s: u64, last: String },
    /// The daemon went away in the middle (20.10's BuildKit is known to take it down while pulling).
    #[error("{what}: the engine is gone; the end of its log:\n{tail}")]
    Lost { what: String, tail: String },
    /// `docker save` refuses an image without layers; [`Engine::inspect_config`](super::Engine::inspect_config)
    /// still has its configuration.
    #[error("export {image}: it has no layers, and this engine cannot save such an image")]
    EmptyExport { image: String },
    /// Something on an engine that is not ours which we promised not to touch.
    #[error("{what} on the host's engine: {why}")]
    NotOurs { what: String, why: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl EngineError {
    pub(super) fn fetch(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Fetch { what: what.into(), why: why.into() }
    }
}

/// `.io("write /some/file")` on any I/O result.
pub(super) trait IoContext<T> {
    fn io(self, what: impl FnOnce() -> String) -> Result<T, EngineError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn io(self, what: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::Io { what: what(), source })
    }
}

impl<T> IoContext<T> for nix::Result<T> {
    fn io(self, what: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|errno| EngineError::Io { what: what(), source: errno.into() })
    }
}
