//! A failure as the build tells of it: with its step, line and column. Which of several failures is told is `build`'s affair.

use samebuild_dockerfile::{Dockerfile, Node, Span, SyntaxError, position};

use crate::failure::StepFailure;
use crate::request::{BuildError, Failure};

/// Where an instruction stands.
pub(super) struct Place<'a> {
    source: &'a str,
    pub(super) line: usize,
    span: Span,
}

impl<'a> Place<'a> {
    pub(super) fn of<K>(node: &Node<K>, dockerfile: &'a Dockerfile) -> Self {
        Self { source: &dockerfile.source, line: node.line, span: node.span }
    }

    /// Column of the words at `at` if they stand in the instruction's first line, else that of the instruction.
    pub(super) fn column(&self, at: Option<Span>) -> usize {
        let words = at.map(|at| position(self.source, at.start)).filter(|words| words.line == self.line);
        words.unwrap_or_else(|| position(self.source, self.span.start)).column
    }
}

pub(super) fn fail(
    failure: StepFailure,
    step: Option<usize>,
    place: Option<Place<'_>>,
    log: Vec<String>,
) -> BuildError {
    let StepFailure { class, message, builder_message, at } = failure;
    let (line, column) = place.map_or((None, None), |place| (Some(place.line), Some(place.column(at))));
    BuildError::Failed(Box::new(Failure { step, line, column, class, message, builder_message, log }))
}

pub(super) fn syntax_failure(error: &SyntaxError, line: Option<usize>) -> BuildError {
    BuildError::Failed(Box::new(syntax(error, line)))
}

pub(super) fn syntax(error: &SyntaxError, line: Option<usize>) -> Failure {
    Failure {
        step: None,
        line: Some(line.unwrap_or(error.line)),
        column: line.is_none().then_some(error.column),
        class: error.class.slug(),
        message: error.message.clone(),
        builder_message: error.builder_message.clone(),
        log: Vec::new(),
    }
}
