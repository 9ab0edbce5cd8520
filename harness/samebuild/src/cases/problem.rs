//! What is wrong with a case, and where: one paragraph with the place, the line shown and underlined, what is accepted
//! and what to do next. Who finds it is `load`, `check` and `context`.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

/// A text file that is being read, for errors that point into it.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// As a person would type it.
    pub(crate) path: PathBuf,
    pub(crate) content: Arc<str>,
}

/// What is wrong, before it is known in which file.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// Bytes in the file; `None` where there is no place to point at.
    pub(crate) span: Option<Range<usize>>,
    /// Lowercase; what was found.
    pub(crate) found: String,
    /// What would be accepted, and the next step.
    pub(crate) help: String,
}

impl Problem {
    /// `found` at `span`; `help` says what is accepted.
    pub(crate) fn at(span: Range<usize>, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span: Some(span), found: found.into(), help: help.into() }
    }

    /// What serde and the TOML parser object to, in our words where theirs are about Rust.
    pub(crate) fn from_toml(error: &toml::de::Error) -> Self {
        let message = error.message().trim();
        let found = |text: &str| {
            let text =
                text.replace("unknown field", "unknown key").replace("unknown variant", "unknown value");
            text.replace("invalid type:", "a value of the wrong type:").replace('\n', "; ")
        };
        let (found, help) = match message.split_once(", expected ") {
            Some((text, accepted)) => (found(text), format!("accepted: {}", plain(accepted))),
            None if message.starts_with("missing field") => (
                format!("{} is missing", message.replace("missing field", "the key")),
                "add it; dockerfiles/README.md has the format on a page".to_owned(),
            ),
            None => (found(message), "see dockerfiles/README.md for the format".to_owned()),
        };
        Self { span: error.span(), found, help }
    }

    /// The same, in the file `text`.
    pub(crate) fn within(mut self, text: &Text) -> CaseError {
        if let Some(dir) = text.path.parent().filter(|_| text.path.ends_with("case.toml")) {
            self.help = format!("{}; check with `samebuild list {}`", self.help, dir.display());
        }
        CaseError { path: text.path.clone(), content: Some(text.content.clone()), problem: Box::new(self) }
    }
}

/// serde's "one of `a`, `b`" and "`a` or `b`" as a list, and Rust's numbers in words.
fn plain(accepted: &str) -> String {
    match accepted {
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => "a whole number, not negative".to_owned(),
        list => list.strip_prefix("one of ").unwrap_or(list).replace("` or `", "`, `"),
    }
}

/// A case that cannot be read. Its text fits after "failed to"; [`CaseError::render`] also shows the line.
#[derive(Clone, Debug)]
pub struct CaseError {
    path: PathBuf,
    content: Option<Arc<str>>,
    problem: Box<Problem>,
}

impl CaseError {
    /// `found` about a file or directory as a whole.
    pub(crate) fn about(path: impl Into<PathBuf>, found: impl Into<String>, help: impl Into<String>) -> Self {
        let problem = Problem { span: None, found: found.into(), help: help.into() };
        Self { path: path.into(), content: None, problem: Box::new(problem) }
    }

    /// The file, as a person would type it.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The diagnostic as printed: message, the line underlined, help. Ends with a line break.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let handler =
            GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_wrap_lines(false);
        match handler.render_report(&mut out, &Shown(self)) {
            Ok(()) => out,
            Err(_) => format!("{self}\n"),
        }
    }

    /// Line and column (in bytes) of the problem, from 1.
    fn line_column(&self) -> Option<(usize, usize)> {
        let (content, span) = (self.content.as_ref()?, self.problem.span.as_ref()?);
        let before = content.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some((before.matches('\n').count() + 1, before.len() - line_start + 1))
    }

    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {}", self.path.display())?;
        if let Some((line, column)) = self.line_column() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem.found)
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        write!(f, "; {}", self.problem.help)
    }
}

impl std::error::Error for CaseError {}

/// The error as miette sees it: the headline without the help, which it prints by itself.
struct Shown<'a>(&'a CaseError);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.headline(f)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.headline(f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.0.problem.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let content = self.0.content.as_ref().filter(|_| self.0.problem.span.is_some())?;
        Some(content as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.problem.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new(None, span.start, span.len().max(1)))))
    }
}
