//! What is wrong with a Dockerfile, where, and what the builder itself would say.
//!
//! Rendering is left to the command line: a [`SyntaxError`] carries the span to underline and nothing that
//! depends on a terminal.

use crate::span::{Span, position};

macro_rules! classes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $slug:literal),+ $(,)?) => {
        /// What kind of mistake it is. The slugs are stable: `case.toml` names them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($(#[doc = $doc])+ $variant),+ }

        impl Class {
            /// Every class, in the order of the documentation.
            pub const ALL: &'static [Class] = &[$(Class::$variant),+];

            /// The stable kebab-case name.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug),+ }
            }

            /// The class of that slug.
            pub fn from_slug(slug: &str) -> Option<Self> {
                match slug { $($slug => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

classes! {
    /// The file has no byte at all.
    EmptyDockerfile = "empty-dockerfile",
    /// The file has comments and blank lines only.
    NoInstructions = "no-instructions",
    /// An instruction before the first FROM, or no FROM at all.
    NoStage = "no-stage",
    /// A line is longer than the builder's reader takes.
    LineTooLong = "line-too-long",
    /// A parser directive is given twice.
    DuplicateDirective = "duplicate-directive",
    /// `# escape=` names something other than a backslash or a backtick.
    BadEscape = "bad-escape",
    /// No such instruction.
    UnknownInstruction = "unknown-instruction",
    /// The instruction has no such flag in this syntax.
    UnknownFlag = "unknown-flag",
    /// A flag is given twice.
    DuplicateFlag = "duplicate-flag",
    /// A flag needs a value.
    MissingFlagValue = "missing-flag-value",
    /// A flag has a value it cannot take.
    BadFlagValue = "bad-flag-value",
    /// The flag parses, but the builder refuses it when it gets there.
    UnsupportedFlag = "unsupported-flag",
    /// Too few arguments.
    MissingArgument = "missing-argument",
    /// Too many or misplaced arguments.
    BadArguments = "bad-arguments",
    /// A word of ENV or LABEL has no `=`.
    MissingEquals = "missing-equals",
    /// A name is empty.
    BlankName = "blank-name",
    /// A JSON array holds something other than strings, or JSON is required.
    BadJson = "bad-json",
    /// A heredoc is not closed.
    UnterminatedHeredoc = "unterminated-heredoc",
    /// A heredoc stands where none may.
    BadHeredoc = "bad-heredoc",
    /// A stage name is malformed.
    BadStageName = "bad-stage-name",
    /// A stage name is used twice.
    DuplicateStage = "duplicate-stage",
    /// HEALTHCHECK is malformed.
    BadHealthcheck = "bad-healthcheck",
    /// A duration is malformed.
    BadDuration = "bad-duration",
    /// ONBUILD of something that cannot be a trigger.
    BadOnbuild = "bad-onbuild",
    /// A VOLUME path is empty.
    BadVolume = "bad-volume",
    /// `RUN --mount` is malformed.
    BadMount = "bad-mount",
    /// A mode is neither octal nor symbolic.
    BadChmod = "bad-chmod",
    /// EXPOSE names no port.
    BadPort = "bad-port",
    /// STOPSIGNAL names no signal.
    BadSignal = "bad-signal",
    /// A substitution such as `${x` is malformed or not of this syntax.
    BadSubstitution = "bad-substitution",
    /// `${x:?message}` found `x` unset or empty.
    RequiredVariable = "required-variable",
    /// Something is nested deeper than we follow.
    TooDeep = "too-deep",
    /// The target stage does not exist.
    UnknownTarget = "unknown-target",
    /// A stage index is out of range.
    BadStageIndex = "bad-stage-index",
    /// Stages need each other in a circle.
    CircularStages = "circular-stages",
    /// A stage is copied from before it is defined.
    LaterStage = "later-stage",
    /// `--from` holds a variable.
    VariableInFrom = "variable-in-from",
    /// A pattern of .dockerignore is malformed.
    BadPattern = "bad-pattern",
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.slug())
    }
}

/// A mistake in a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What kind of mistake.
    pub class: Class,
    /// The bytes to underline.
    pub span: Span,
    /// Line of `span.start`, from 1.
    pub line: usize,
    /// Column of `span.start` in characters, from 1.
    pub column: usize,
    /// Line at which the instruction begins, from 1: the line builders name.
    pub instruction_line: usize,
    /// Our own words: lowercase, fits after "failed to", names the accepted forms.
    pub message: String,
    /// What the builder of this syntax prints, without the client's own prefix, where we know it.
    pub builder_message: Option<String>,
}

/// A mistake found while the source text is not at hand: the span is known, the line is not yet.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) class: Class,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) builder: Option<String>,
}

impl Fault {
    pub(crate) fn new(class: Class, span: Span, message: impl Into<String>) -> Self {
        Self { class, span, message: message.into(), builder: None }
    }

    /// With the builder's own text.
    pub(crate) fn says(mut self, builder: impl Into<String>) -> Self {
        self.builder = Some(builder.into());
        self
    }

    /// The finished error; `prefix` goes before the builder's text.
    pub(crate) fn at(self, source: &str, instruction_line: usize, prefix: &str) -> SyntaxError {
        let place = position(source, self.span.start);
        SyntaxError {
            class: self.class,
            span: self.span,
            line: place.line,
            column: place.column,
            instruction_line,
            message: self.message,
            builder_message: self.builder.map(|text| format!("{prefix}{text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_kebab_case_and_lead_back_to_their_class() {
        for &class in Class::ALL {
            let slug = class.slug();
            assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit()), "{slug}");
            assert_eq!(Class::from_slug(slug), Some(class));
        }
    }
}
