//! The scanner under expansion and under the search for heredocs: one pass over a word.
//!
//! Names of options say what is kept; what is done with the result is left to [`crate::expand`] and
//! [`crate::heredoc`].

use std::collections::BTreeSet;

use crate::error::Class;
use crate::pattern::{self, Pattern, PatternError};
use crate::syntax::{ColonPattern, Modifiers, Support};

/// `${…${…}}` is followed this deep.
const DEEPEST: usize = 100;

/// The rules of one syntax, with the escape token of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar {
    pub(crate) escape: char,
    pub(crate) modifiers: Modifiers,
    pub(crate) patterns: Support,
    pub(crate) colon_pattern: ColonPattern,
}

/// What the scanner leaves alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Quotes quote, and stay.
    pub(crate) keep_quotes: bool,
    /// Escapes escape, and stay.
    pub(crate) keep_escapes: bool,
    /// Quotes are characters like any other.
    pub(crate) quotes_are_ordinary: bool,
    /// `$name` of an unset variable stays as it is written.
    pub(crate) keep_unset: bool,
}

/// The outcome: as one text, and split.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) text: String,
    pub(crate) words: Vec<String>,
}

/// Why not.
#[derive(Debug)]
pub(crate) struct LexError {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) builder: String,
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) struct Lexer<'a> {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    grammar: Grammar,
    options: Options,
    lookup: Lookup<'a>,
    pub(crate) used: BTreeSet<String>,
    pub(crate) unset: BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(word: &str, grammar: Grammar, options: Options, lookup: Lookup<'a>) -> Self {
        let (used, unset) = Default::default();
        Self { chars: word.chars().collect(), at: 0, depth: 0, grammar, options, lookup, used, unset }
    }

    pub(crate) fn run(&mut self) -> Result<Lexed, LexError> {
        self.until(None, self.options.keep_escapes)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Up to `stop`, which is taken, or to the end if there is none to look for.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<Lexed, LexError> {
        if self.depth >= DEEPEST {
            return Err(LexError {
                class: Class::TooDeep,
                message: format!(
                    "substitutions are nested more than {DEEPEST} deep; split the value over several ARG or ENV"
                ),
                builder: "syntax error: nested too deep".to_owned(),
            });
        }
        self.depth += 1;
        let before = std::mem::replace(&mut self.options.keep_escapes, keep_escapes);
        let lexed = self.scan(stop);
        self.options.keep_escapes = before;
        self.depth -= 1;
        lexed
    }

    fn scan(&mut self, stop: Option<char>) -> Result<Lexed, LexError> {
        let mut out = Collector::default();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.at += 1;
                return Ok(out.finish());
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    out.bare(&value);
                }
                '\'' if !self.options.quotes_are_ordinary => {
                    let text = self.single_quoted()?;
                    out.raw(&text);
                }
                '"' if !self.options.quotes_are_ordinary => {
                    let text = self.double_quoted()?;
                    out.raw(&text);
                }
                c if c == self.grammar.escape => {
                    self.at += 1;
                    if self.options.keep_escapes {
                        out.raw_char(c);
                    }
                    match self.next() {
                        Some(escaped) => out.raw_char(escaped),
                        None => break,
                    }
                }
                c => {
                    self.at += 1;
                    out.bare_char(c);
                }
            }
        }
        match stop {
            None => Ok(out.finish()),
            Some(stop) => Err(bad(format!("unexpected end of statement while looking for matching {stop}"))),
        }
    }

    fn single_quoted(&mut self) -> Result<String, LexError> {
        let mut text = String::new();
        self.quote_mark(&mut text);
        loop {
            match self.peek() {
                None => return Err(open_quote("single-quote")),
                Some('\'') => {
                    self.quote_mark(&mut text);
                    return Ok(text);
                }
                Some(c) => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, LexError> {
        let mut text = String::new();
        self.quote_mark(&mut text);
        loop {
            match self.peek() {
                None => return Err(open_quote("double-quote")),
                Some('"') => {
                    self.quote_mark(&mut text);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.grammar.escape => {
                    self.at += 1;
                    if self.options.keep_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        // An escape at the very end is dropped; the missing quote is the error.
                        None => {}
                        Some(escaped)
                            if escaped == '"' || escaped == '$' || escaped == self.grammar.escape =>
                        {
                            self.at += 1;
                            text.push(escaped);
                        }
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
    }

    fn quote_mark(&mut self, text: &mut String) {
        if let Some(mark) = self.next().filter(|_| self.options.keep_quotes) {
            text.push(mark);
        }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        if value.is_some() { &mut self.used } else { &mut self.unset }.insert(name.to_owned());
        value
    }

    /// At a `$`.
    fn dollar(&mut self) -> Result<String, LexError> {
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            let value = self.value(&name);
            return Ok(match value {
                None if self.options.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.at += 1;
        match self.peek() {
            None => return Err(bad("syntax error: missing '}'")),
            Some('{' | '}' | ':') => return Err(bad("syntax error: bad substitution")),
            Some(_) => {}
        }
        let name = self.name();
        match (self.next(), self.grammar.modifiers, self.grammar.patterns) {
            (Some('}'), ..) => {
                let value = self.value(&name);
                Ok(match value {
                    None if self.options.keep_unset => format!("${{{name}}}"),
                    value => value.unwrap_or_default(),
                })
            }
            (Some(':'), ..) => {
                let modifier = self.next();
                self.modified(&name, true, modifier)
            }
            (Some(modifier @ ('-' | '+' | '?')), Modifiers::Posix, _) => {
                self.modified(&name, false, Some(modifier))
            }
            (Some(modifier @ ('#' | '%')), _, Support::Present) => {
                self.modified(&name, false, Some(modifier))
            }
            (Some('/'), _, Support::Present) => self.replaced(&name),
            (other, Modifiers::Posix, _) => Err(unsupported(false, other)),
            (_, Modifiers::ColonOnly, _) => Err(bad("missing ':' in substitution")),
        }
    }

    /// `${name:…}` or `${name…}` after its modifier.
    fn modified(&mut self, name: &str, colon: bool, modifier: Option<char>) -> Result<String, LexError> {
        let is_pattern = self.grammar.patterns == Support::Present && matches!(modifier, Some('#' | '%'));
        if is_pattern && colon && self.grammar.colon_pattern == ColonPattern::Rejected {
            return Err(unsupported(colon, modifier));
        }
        let word = self.braced('}', is_pattern, "syntax error: missing '}'")?;
        let value = self.value(name);
        let shown: String = modifier.into_iter().collect();
        if value.is_none() && self.options.keep_unset {
            return Ok(format!("${{{name}{}{shown}{word}}}", if colon { ":" } else { "" }));
        }
        let missing = value.is_none() || (colon && value.as_deref() == Some(""));
        match modifier {
            Some('-') if missing => Ok(word),
            Some('-') => Ok(value.unwrap_or_default()),
            Some('+') => Ok(if missing { String::new() } else { word }),
            Some('?') if missing => {
                let state = if value.is_none() { "unset" } else { "empty" };
                let why = if word.is_empty() { format!("is not allowed to be {state}") } else { word };
                let text = format!("{name}: {why}");
                Err(LexError {
                    class: Class::RequiredVariable,
                    message: format!("{text} (give it a value with ARG, ENV or --build-arg)"),
                    builder: text,
                })
            }
            Some('?') => Ok(value.unwrap_or_default()),
            Some(side @ ('#' | '%')) if is_pattern => {
                let (pattern, longest) = match word.strip_prefix(side) {
                    Some(rest) => (rest, true),
                    None => (word.as_str(), false),
                };
                let value = value.unwrap_or_default();
                let trimmed = if side == '#' {
                    pattern::trim_prefix(pattern, &value, longest)
                } else {
                    pattern::trim_suffix(pattern, &value, longest)
                };
                trimmed.map_err(bad_pattern)
            }
            other => Err(unsupported(colon, other)),
        }
    }

    /// `${name/pattern/replacement}`.
    fn replaced(&mut self, name: &str) -> Result<String, LexError> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let pattern = self.braced('/', true, "syntax error: missing '/' in ${}")?;
        let replacement = self.braced('}', true, "syntax error: missing '}'")?;
        let Some(value) = self.value(name) else {
            if self.options.keep_unset {
                return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
            }
            return Ok(String::new());
        };
        let compiled = Pattern::parse(&pattern).map_err(bad_pattern)?;
        let replaced = if all {
            compiled.replace_all(&value, &replacement)
        } else {
            compiled.replace_first(&value, &replacement)
        };
        replaced.map_err(bad_pattern)
    }

    /// The text up to `stop`; if the word ends before, `message` is the error.
    fn braced(&mut self, stop: char, keep_escapes: bool, message: &str) -> Result<String, LexError> {
        match self.until(Some(stop), keep_escapes) {
            Ok(lexed) => Ok(lexed.text),
            Err(error) if self.peek().is_none() && error.class == Class::BadSubstitution => Err(bad(message)),
            Err(error) => Err(error),
        }
    }

    /// A variable's name; digits, or one special parameter, stand alone.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let first = self.peek();
        if first.is_some_and(|c| c.is_ascii_digit()) {
            while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                self.at += 1;
                name.push(digit);
            }
        } else if let Some(special) = first.filter(|c| matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!')) {
            self.at += 1;
            name.push(special);
        } else {
            while let Some(c) = self.peek().filter(|&c| c.is_alphanumeric() || c == '_') {
                self.at += 1;
                name.push(c);
            }
        }
        name
    }
}

/// Gathers the text, and the words it falls into.
#[derive(Default)]
struct Collector {
    lexed: Lexed,
    word: String,
}

impl Collector {
    /// Text in which white space separates words.
    fn bare(&mut self, text: &str) {
        for c in text.chars() {
            self.bare_char(c);
        }
    }

    fn bare_char(&mut self, c: char) {
        self.lexed.text.push(c);
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.lexed.words.push(std::mem::take(&mut self.word));
        }
    }

    /// Text that stays in its word.
    fn raw(&mut self, text: &str) {
        self.lexed.text.push_str(text);
        self.word.push_str(text);
    }

    fn raw_char(&mut self, c: char) {
        self.lexed.text.push(c);
        self.word.push(c);
    }

    fn finish(mut self) -> Lexed {
        if !self.word.is_empty() {
            self.lexed.words.push(self.word);
        }
        self.lexed
    }
}

fn bad(text: impl Into<String>) -> LexError {
    let builder = text.into();
    LexError { class: Class::BadSubstitution, message: builder.clone(), builder }
}

fn open_quote(which: &str) -> LexError {
    bad(format!("unexpected end of statement while looking for matching {which}"))
}

fn unsupported(colon: bool, modifier: Option<char>) -> LexError {
    let shown = modifier.unwrap_or(char::REPLACEMENT_CHARACTER);
    bad(format!("unsupported modifier ({}{shown}) in substitution", if colon { ":" } else { "" }))
}

fn bad_pattern(error: PatternError) -> LexError {
    match error {
        PatternError::BadEscape { shown, escaped } => {
            let escaped = escaped.unwrap_or(char::REPLACEMENT_CHARACTER);
            bad(format!("invalid pattern ({shown}) in substitution: invalid escape '\\{escaped}'"))
        }
        PatternError::TooLarge => LexError {
            class: Class::TooDeep,
            message: "pattern and value are too long to be matched; shorten one of them".to_owned(),
            builder: "pattern too large".to_owned(),
        },
    }
}
