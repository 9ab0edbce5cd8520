//! A step that fails as a builder's would: a slug, our words, and the builder's where we know them.

use samebuild_dockerfile::Span;

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
    /// The words it is about, if it is not about the whole instruction.
    pub at: Option<Span>,
}

impl StepFailure {
    /// Something that parses but that we do not build yet. Never a verdict about the Dockerfile.
    pub fn unsupported(what: &str) -> Self {
        Self::unmet(format!("build {what}: not supported yet"))
    }

    /// Something that is not at hand here. Never a verdict about the Dockerfile.
    pub fn unmet(need: impl Into<String>) -> Self {
        Self::new(UNSUPPORTED, need)
    }

    /// A failure in our own words.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), builder_message: None, at: None }
    }

    /// The same, with what the dialect's builder prints.
    pub fn says(self, builder_message: impl Into<Option<String>>) -> Self {
        Self { builder_message: builder_message.into(), ..self }
    }

    /// The same, about these words.
    pub fn at(self, span: Span) -> Self {
        Self { at: Some(span), ..self }
    }
}
