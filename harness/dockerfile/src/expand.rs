//! Expansion of words: quotes and escapes are removed, `$name` and `${name…}` replaced.
//!
//! Which words of an instruction are expanded, and with which variables, is left to the builder. Patterns of
//! `${v#p}` and its kin are in [`crate::pattern`].

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Class;
use crate::lex::{Grammar, Lexer, Options};
use crate::quote::go_quote;
use crate::syntax::{ExpansionEscape, Syntax};

/// Variables to expand with.
pub trait Env {
    /// The value of `name`, `None` if it is unset.
    fn value(&self, name: &str) -> Option<&str>;
}

/// A list of pairs; of equal names the last counts.
impl Env for [(String, String)] {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Env for Vec<(String, String)> {
    fn value(&self, name: &str) -> Option<&str> {
        self.as_slice().value(name)
    }
}

impl Env for BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// What expanding gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// As one word.
    pub text: String,
    /// Split at white space that was neither quoted nor escaped, also white space out of variables.
    pub words: Vec<String>,
    /// Variables that were looked up and set.
    pub used: BTreeSet<String>,
    /// Variables that were looked up and not set.
    pub unset: BTreeSet<String>,
}

/// A word could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpandError {
    /// `bad-substitution`, `required-variable` or `too-deep`.
    pub class: Class,
    /// Our words.
    pub message: String,
    /// What docker's builders print.
    pub builder_message: String,
}

/// Expands words under one syntax and one escape token.
#[derive(Clone, Copy, Debug)]
pub struct Expander {
    grammar: Grammar,
}

impl Expander {
    /// `escape` is the Dockerfile's; the syntax may not care.
    pub fn new(syntax: &Syntax, escape: char) -> Self {
        let escape = match syntax.expansion_escape {
            ExpansionEscape::Directive => escape,
            ExpansionEscape::Backslash => '\\',
        };
        Self { grammar: syntax.grammar(escape) }
    }

    /// Everything there is to know about `word`.
    pub fn expand<E: Env + ?Sized>(&self, word: &str, env: &E) -> Result<Expansion, ExpandError> {
        self.run(word, env, Options::default())
    }

    /// `word` as one word.
    pub fn word<E: Env + ?Sized>(&self, word: &str, env: &E) -> Result<String, ExpandError> {
        self.expand(word, env).map(|expansion| expansion.text)
    }

    /// `word` split into words after expansion, as EXPOSE does it.
    pub fn words<E: Env + ?Sized>(&self, word: &str, env: &E) -> Result<Vec<String>, ExpandError> {
        self.expand(word, env).map(|expansion| expansion.words)
    }

    /// The body of a heredoc: quotes are ordinary, and the escape is a backslash whatever `# escape=` says.
    pub fn heredoc_body<E: Env + ?Sized>(&self, body: &str, env: &E) -> Result<Expansion, ExpandError> {
        let raw = Self { grammar: Grammar { escape: '\\', ..self.grammar } };
        raw.run(body, env, Options { quotes_are_ordinary: true, ..Options::default() })
    }

    fn run<E: Env + ?Sized>(&self, word: &str, env: &E, options: Options) -> Result<Expansion, ExpandError> {
        let lookup = |name: &str| env.value(name).map(str::to_owned);
        let mut lexer = Lexer::new(word, self.grammar, options, &lookup);
        let lexed = lexer.run();
        let (used, unset) = (std::mem::take(&mut lexer.used), std::mem::take(&mut lexer.unset));
        match lexed {
            Ok(lexed) => Ok(Expansion { text: lexed.text, words: lexed.words, used, unset }),
            Err(error) => Err(ExpandError {
                class: error.class,
                message: format!("expand {word:?}: {}", error.message),
                builder_message: format!("failed to process {}: {}", go_quote(word), error.builder),
            }),
        }
    }
}

impl Syntax {
    pub(crate) fn grammar(&self, escape: char) -> Grammar {
        let Syntax { modifiers, patterns, colon_pattern, .. } = *self;
        Grammar { escape, modifiers, patterns, colon_pattern }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn env() -> Vec<(String, String)> {
        [("V", "abc.tar.gz"), ("U", ""), ("S", "two words"), ("P", "80 90/udp")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec()
    }

    /// One line an input: the words as the newest syntax has them, or the builder's error.
    fn check(words: &[&str], expected: Expect) {
        check_in(&Syntax::BUILDKIT_HEAD, words, expected);
    }

    fn check_in(syntax: &Syntax, words: &[&str], expected: Expect) {
        let mut out = String::new();
        for word in words {
            match Expander::new(syntax, '\\').expand(word, &env()) {
                Ok(expansion) => out.push_str(&format!("{word} => {:?}\n", expansion.text)),
                Err(error) => out.push_str(&format!("{word} !! {}\n", error.builder_message)),
            }
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn the_measured_forms_expand_as_buildkit_does() {
        // The words and values of the recorded case `expand`.
        check(
            &[
                "${V:-d}",
                "${U:-d}",
                "${U-d}",
                "${X+y}",
                "${V:+y}",
                "${V#a}",
                "${V##*.}",
                "${V%.*}",
                "${V%%.*}",
                "${V/a/Z}",
                "${V//a/Z}",
                r"\$V",
                r#""\"q\"""#,
                "'$V'",
                r"a\ b",
            ],
            expect![[r#"
                ${V:-d} => "abc.tar.gz"
                ${U:-d} => "d"
                ${U-d} => ""
                ${X+y} => ""
                ${V:+y} => "y"
                ${V#a} => "bc.tar.gz"
                ${V##*.} => "gz"
                ${V%.*} => "abc.tar"
                ${V%%.*} => "abc"
                ${V/a/Z} => "Zbc.tar.gz"
                ${V//a/Z} => "Zbc.tZr.gz"
                \$V => "$V"
                "\"q\"" => "\"q\""
                '$V' => "$V"
                a\ b => "a b"
            "#]],
        );
    }

    #[test]
    fn the_older_syntax_wants_a_colon() {
        check_in(
            &Syntax::CLASSIC_20_10,
            &["${U-d}", "${V#a}", "${V/a/Z}", "${V:#a}", "${X:?needX}", "${U:-${V:+in}}", "${V", "$X$1$@|"],
            expect![[r#"
                ${U-d} !! failed to process "${U-d}": missing ':' in substitution
                ${V#a} !! failed to process "${V#a}": missing ':' in substitution
                ${V/a/Z} !! failed to process "${V/a/Z}": missing ':' in substitution
                ${V:#a} !! failed to process "${V:#a}": unsupported modifier (:#) in substitution
                ${X:?needX} !! failed to process "${X:?needX}": X: needX
                ${U:-${V:+in}} => "in"
                ${V !! failed to process "${V": missing ':' in substitution
                $X$1$@| => "|"
            "#]],
        );
    }

    #[test]
    fn errors_are_the_builders() {
        check(
            &[
                "${", "${}", "${:x}", "${V", "${V:", "${V:-x", "${V!x}", "'a", "\"a", "${V/a}", "${V:-'a}",
                "${X?}", "${U:?}", "${U?}", "${V#\\x}",
            ],
            expect![[r#"
                ${ !! failed to process "${": syntax error: missing '}'
                ${} !! failed to process "${}": syntax error: bad substitution
                ${:x} !! failed to process "${:x}": syntax error: bad substitution
                ${V !! failed to process "${V": unsupported modifier (�) in substitution
                ${V: !! failed to process "${V:": syntax error: missing '}'
                ${V:-x !! failed to process "${V:-x": syntax error: missing '}'
                ${V!x} !! failed to process "${V!x}": unsupported modifier (!) in substitution
                'a !! failed to process "'a": unexpected end of statement while looking for matching single-quote
                "a !! failed to process "\"a": unexpected end of statement while looking for matching double-quote
                ${V/a} !! failed to process "${V/a}": syntax error: missing '/' in ${}
                ${V:-'a} !! failed to process "${V:-'a}": syntax error: missing '}'
                ${X?} !! failed to process "${X?}": X: is not allowed to be unset
                ${U:?} !! failed to process "${U:?}": U: is not allowed to be empty
                ${U?} => ""
                ${V#\x} !! failed to process "${V#\\x}": invalid pattern (\x) in substitution: invalid escape '\x'
            "#]],
        );
    }

    #[test]
    fn a_colon_before_a_pattern_is_an_error_or_nothing() {
        check(
            &["${V:#a}"],
            expect![[r##"
            ${V:#a} !! failed to process "${V:#a}": unsupported modifier (:#) in substitution
        "##]],
        );
        check_in(
            &Syntax::BUILDKIT_26_1,
            &["${V:#a}"],
            expect![[r##"
            ${V:#a} => "bc.tar.gz"
        "##]],
        );
    }

    #[test]
    fn words_split_at_bare_white_space_only() {
        let expander = Expander::new(&Syntax::BUILDKIT_HEAD, '\\');
        assert_eq!(expander.words("$P", &env()), Ok(vec!["80".to_owned(), "90/udp".to_owned()]));
        assert_eq!(
            expander.words("\"$P\" a\\ b", &env()),
            Ok(vec!["80 90/udp".to_owned(), "a b".to_owned()])
        );
        assert_eq!(expander.words("$X", &env()), Ok(vec![]));
    }

    #[test]
    fn variables_looked_up_are_reported() {
        let expansion = Expander::new(&Syntax::BUILDKIT_HEAD, '\\').expand("$V${W:-$S}'$Q'", &env()).unwrap();
        assert_eq!(expansion.used.into_iter().collect::<Vec<_>>(), ["S", "V"]);
        assert_eq!(expansion.unset.into_iter().collect::<Vec<_>>(), ["W"]);
    }

    #[test]
    fn heredoc_bodies_keep_quotes_and_lose_escapes() {
        // moby/buildkit, heredocs with special symbols: a backslash before a newline goes, `\\` is one.
        let expander = Expander::new(&Syntax::BUILDKIT_HEAD, '`');
        let body = |text: &str| expander.heredoc_body(text, &env()).unwrap().text;
        assert_eq!(body("\"quotes\" 'too' $V\n"), "\"quotes\" 'too' abc.tar.gz\n");
        assert_eq!(body("\\\n"), "\n");
        assert_eq!(body("\\\\\n"), "\\\n");
        assert_eq!(body("\\$\n"), "$\n");
    }

    #[test]
    fn the_escape_token_of_the_directive_escapes_unless_the_syntax_knows_backslashes_only() {
        let mut syntax = Syntax::BUILDKIT_HEAD;
        assert_eq!(Expander::new(&syntax, '`').word(r"c:\x`$V", &env()), Ok(r"c:\x$V".to_owned()));
        syntax.set("expansion_escape", "backslash").unwrap();
        assert_eq!(Expander::new(&syntax, '`').word(r"c:\x", &env()), Ok("c:x".to_owned()));
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}x{}", "${A:-".repeat(50_000), "}".repeat(50_000));
        let error = Expander::new(&Syntax::BUILDKIT_HEAD, '\\').word(&deep, &env()).unwrap_err();
        assert_eq!(error.class, Class::TooDeep);
    }
}
