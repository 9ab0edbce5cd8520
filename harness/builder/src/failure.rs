//! A step that fails as a builder's would: a slug, our words, and the builder's where we know them.

/// The class of [`StepFailure::unsupported`].
pub const UNSUPPORTED: &str = "unsupported";

/// Why an instruction fails the build. Where it stands is added by whoever runs the steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StepFailure {
    /// Stable slug: `copy-not-found`, `run-exit`, …
    pub class: &'static str,
    pub message: String,
    /// What the dialect's builder prints.
    pub builder_message: Option<String>,
}

impl StepFailure {
    /// Something that parses but that we do not build yet. Never a verdict about the Dockerfile.
    pub fn unsupported(what: &str) -> Self {
        Self::new(UNSUPPORTED, format!("build {what}: not supported yet"))
    }

    /// A failure in our own words.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), builder_message: None }
    }
}
