//! The flags of every instruction, as one table, and the check of a line's flags against it.

use crate::error::{Class, Fault};
use crate::keyword::Keyword;
use crate::span::Span;
use crate::suggest;
use crate::syntax::{FlagSupport, Syntax, Wording};
use crate::words::Word;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `--x` or `--x=true|false`.
    Bool,
    /// `--x=text`, once.
    Text,
    /// `--x=text`, any number of times.
    Texts,
}

pub(crate) struct FlagSpec {
    pub(crate) on: Keyword,
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
    pub(crate) support: fn(&Syntax) -> FlagSupport,
}

const fn flag(
    on: Keyword,
    name: &'static str,
    takes: Takes,
    support: fn(&Syntax) -> FlagSupport,
) -> FlagSpec {
    FlagSpec { on, name, takes, support }
}

const fn known(_: &Syntax) -> FlagSupport {
    FlagSupport::Known
}

/// Every flag there is. The order within an instruction is the one in which messages list them.
pub(crate) const FLAGS: &[FlagSpec] = &[
    flag(Keyword::Add, "chown", Takes::Text, known),
    flag(Keyword::Add, "chmod", Takes::Text, |syntax| syntax.flag_chmod),
    flag(Keyword::Add, "link", Takes::Bool, |syntax| syntax.flag_link),
    flag(Keyword::Add, "keep-git-dir", Takes::Bool, |syntax| syntax.flag_keep_git_dir),
    flag(Keyword::Add, "checksum", Takes::Text, |syntax| syntax.flag_checksum),
    flag(Keyword::Add, "unpack", Takes::Bool, |syntax| syntax.flag_unpack),
    flag(Keyword::Add, "exclude", Takes::Texts, |syntax| syntax.flag_exclude),
    flag(Keyword::Copy, "from", Takes::Text, known),
    flag(Keyword::Copy, "chown", Takes::Text, known),
    flag(Keyword::Copy, "chmod", Takes::Text, |syntax| syntax.flag_chmod),
    flag(Keyword::Copy, "link", Takes::Bool, |syntax| syntax.flag_link),
    flag(Keyword::Copy, "parents", Takes::Bool, |syntax| syntax.flag_parents),
    flag(Keyword::Copy, "exclude", Takes::Texts, |syntax| syntax.flag_exclude),
    flag(Keyword::From, "platform", Takes::Text, known),
    flag(Keyword::Healthcheck, "interval", Takes::Text, known),
    flag(Keyword::Healthcheck, "timeout", Takes::Text, known),
    flag(Keyword::Healthcheck, "start-period", Takes::Text, known),
    flag(Keyword::Healthcheck, "start-interval", Takes::Text, |syntax| syntax.flag_start_interval),
    flag(Keyword::Healthcheck, "retries", Takes::Text, known),
    flag(Keyword::Run, "mount", Takes::Texts, |syntax| syntax.flag_mount),
    flag(Keyword::Run, "network", Takes::Text, |syntax| syntax.flag_network),
    flag(Keyword::Run, "security", Takes::Text, |syntax| syntax.flag_security),
    flag(Keyword::Run, "device", Takes::Texts, |syntax| syntax.flag_device),
];

/// A line's flags, checked.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    given: Vec<(&'static str, Word)>,
    /// The first flag that the builder refuses when it gets there.
    pub(crate) refused: Option<(&'static str, Span)>,
}

impl Flags {
    /// Checks `words` (`--name[=value]`) against what `on` knows, in order, as builders do.
    pub(crate) fn check(words: &[Word], on: Keyword, syntax: &Syntax) -> Result<Self, Fault> {
        let mut flags = Flags::default();
        let specs =
            || FLAGS.iter().filter(|spec| spec.on == on && (spec.support)(syntax) != FlagSupport::Unknown);
        for word in words {
            let body = word.text.strip_prefix("--").unwrap_or(&word.text);
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (body, None),
            };
            let Some(spec) = specs().find(|spec| spec.name == name) else {
                return Err(unknown(word.span, name, on, specs().map(|spec| spec.name), syntax));
            };
            if spec.takes != Takes::Texts && flags.given.iter().any(|(given, _)| *given == name) {
                let message = format!("take --{name} twice on {on}; keep one");
                let says = says(syntax, "Duplicate flag specified", name, "");
                return Err(Fault::new(Class::DuplicateFlag, word.span, message).says(says));
            }
            let value = checked_value(spec, value)
                .map_err(|problem| problem.fault(word.span, name, value, syntax))?;
            let place = match word.span.len() == word.text.len() {
                true => Span::new(word.span.end - value.len().min(word.span.len()), word.span.end),
                false => word.span,
            };
            if (spec.support)(syntax) == FlagSupport::RefusedAtBuild && flags.refused.is_none() {
                flags.refused = Some((spec.name, word.span));
            }
            flags.given.push((spec.name, Word { text: value.to_owned(), span: place }));
        }
        Ok(flags)
    }

    /// The value of a flag that is given once, if it is given and not empty. Builders cannot tell an empty
    /// value from none.
    pub(crate) fn text(&mut self, name: &str) -> Option<Word> {
        self.texts(name).into_iter().next().filter(|word| !word.text.is_empty())
    }

    /// All values of a flag, in order.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<Word> {
        let (taken, rest) =
            std::mem::take(&mut self.given).into_iter().partition(|(given, _)| *given == name);
        self.given = rest;
        taken.into_iter().map(|(_, word): (_, Word)| word).collect()
    }

    /// The value of a boolean flag.
    pub(crate) fn bool(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|word| word.text == "true")
    }
}

enum Problem {
    Missing,
    NotBoolean,
}

fn checked_value<'a>(spec: &FlagSpec, value: Option<&'a str>) -> Result<&'a str, Problem> {
    match (spec.takes, value) {
        (Takes::Bool, None) => Ok("true"),
        (Takes::Bool, Some("")) | (Takes::Text | Takes::Texts, None) => Err(Problem::Missing),
        (Takes::Bool, Some(value)) if value.eq_ignore_ascii_case("true") => Ok("true"),
        (Takes::Bool, Some(value)) if value.eq_ignore_ascii_case("false") => Ok("false"),
        (Takes::Bool, Some(_)) => Err(Problem::NotBoolean),
        (Takes::Text | Takes::Texts, Some(value)) => Ok(value),
    }
}

impl Problem {
    fn fault(self, span: Span, name: &str, value: Option<&str>, syntax: &Syntax) -> Fault {
        match self {
            Problem::Missing => Fault::new(
                Class::MissingFlagValue,
                span,
                format!("read --{name} without a value; write --{name}=VALUE"),
            )
            .says(says(syntax, "Missing a value on flag", name, "")),
            Problem::NotBoolean => {
                let value = value.unwrap_or_default();
                Fault::new(
                    Class::BadFlagValue,
                    span,
                    format!("read --{name}={value}; it takes true or false"),
                )
                .says(match syntax.wording {
                    Wording::Capitalised => format!("Expecting boolean value for flag {name}, not: {value}"),
                    Wording::Lower => format!("expecting boolean value for flag {name}, not: {value}"),
                    Wording::Dashed => format!("expecting boolean value for flag --{name}, not: {value}"),
                })
            }
        }
    }
}

fn unknown<'a>(
    span: Span,
    name: &str,
    on: Keyword,
    known: impl Iterator<Item = &'a str>,
    syntax: &Syntax,
) -> Fault {
    let known: Vec<&str> = known.collect();
    let accepted = match known.as_slice() {
        [] => format!("{on} takes no flags"),
        known => format!("{on} takes --{}", known.join(", --")),
    };
    let near = suggest::nearest(name, known.iter().copied());
    let hint = near.map(|near| format!(" (did you mean --{near}?)")).unwrap_or_default();
    let suggestion = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Fault::new(Class::UnknownFlag, span, format!("understand the flag --{name}; {accepted}{hint}"))
        .says(says(syntax, "Unknown flag", name, &suggestion))
}

/// `Unknown flag: x` in the words of the syntax.
fn says(syntax: &Syntax, what: &str, name: &str, suggestion: &str) -> String {
    match syntax.wording {
        Wording::Capitalised => format!("{what}: {name}"),
        Wording::Lower => format!("{}: {name}{suggestion}", what.to_ascii_lowercase()),
        Wording::Dashed => format!("{}: --{name}{suggestion}", what.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_instruction_has_a_flag_twice() {
        for (at, left) in FLAGS.iter().enumerate() {
            assert!(
                !FLAGS[at + 1..].iter().any(|right| right.on == left.on && right.name == left.name),
                "{}",
                left.name
            );
        }
    }
}
