//! Heredocs: which words of a line begin one, and how its body is read.

use crate::error::{Class, Fault};
use crate::lex::{Grammar, Lexer, Options};
use crate::lines::{Physical, Reader};
use crate::span::Span;
use crate::syntax::Syntax;

/// A heredoc of ADD, COPY or RUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; for COPY and ADD also the name of the file.
    pub name: String,
    /// Whether variables in the body are expanded: no quote in the delimiter. RUN never expands; its shell may.
    pub expand: bool,
    /// `<<-`: leading tabs go, from the body and before the delimiter.
    pub strip_tabs: bool,
    /// The number before `<<`, 0 if none.
    pub fd: u64,
    /// The lines between, with their newlines, tabs still there.
    pub body: String,
    /// Where the body stands. The place of the word that begins it if there is no body: a line with an open
    /// quote begins no heredoc, but COPY and ADD still take the word for one, of an empty file.
    pub span: Span,
}

impl Heredoc {
    /// The body as a file or script gets it, before any expansion: without leading tabs if they are stripped.
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.body.clone();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// The heredoc that `word` begins (`<<EOF`, `3<<-"EOF"`), with an empty body.
pub(crate) fn begun_by(word: &str, syntax: &Syntax) -> Option<Heredoc> {
    let at = word.find("<<")?;
    let (number, rest) = (&word[..at], &word[at + 2..]);
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (strip_tabs, delimiter) = match rest.strip_prefix('-') {
        Some(delimiter) => (true, delimiter),
        None => (false, rest),
    };
    if delimiter.is_empty() || delimiter.contains('<') {
        return None;
    }
    // Lexed with and without quotes: if a quote is lost, a part of the delimiter was quoted.
    let bare = lexed(delimiter, syntax, Options { keep_unset: true, ..Options::default() })?;
    let kept =
        lexed(delimiter, syntax, Options { keep_unset: true, keep_quotes: true, ..Options::default() })?;
    let ([name], [quoted]) = (bare.as_slice(), kept.as_slice()) else { return None };
    let expand = quotes(name) == quotes(quoted);
    Some(Heredoc {
        name: name.clone(),
        expand,
        strip_tabs,
        fd: number.parse().unwrap_or(0),
        body: String::new(),
        span: Span::default(),
    })
}

/// All heredocs that a line begins, in order. A line that cannot be lexed begins none.
pub(crate) fn begun_in(line: &str, syntax: &Syntax) -> Vec<Heredoc> {
    let options = Options { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Options::default() };
    let words = if line.contains("<<") { lexed(line, syntax, options) } else { None };
    words.unwrap_or_default().iter().filter_map(|word| begun_by(word, syntax)).collect()
}

/// Reads the body of `heredoc` off `lines`; `opened` is the line that began it.
pub(crate) fn read(heredoc: &mut Heredoc, lines: &mut Reader<'_>, opened: Span) -> Result<(), Fault> {
    for line in lines.by_ref() {
        if heredoc.body.is_empty() {
            heredoc.span = Span::new(line.start, line.start);
        }
        if ends(heredoc, &line) {
            return Ok(());
        }
        heredoc.body.push_str(line.full);
        heredoc.span.end = line.start + line.full.len();
    }
    let Heredoc { name, strip_tabs, .. } = heredoc;
    let tabs = if *strip_tabs { ", tabs before it allowed" } else { "" };
    let message = format!("find the end of heredoc {name}: a line {name:?} and nothing else{tabs}");
    Err(Fault::new(Class::UnterminatedHeredoc, opened, message).says("unterminated heredoc"))
}

fn ends(heredoc: &Heredoc, line: &Physical<'_>) -> bool {
    let text = line.text();
    (if heredoc.strip_tabs { text.trim_start_matches('\t') } else { text }) == heredoc.name
}

fn lexed(text: &str, syntax: &Syntax, options: Options) -> Option<Vec<String>> {
    // The escape is a backslash here, whatever `# escape=` says.
    let grammar: Grammar = syntax.grammar('\\');
    Lexer::new(text, grammar, options, &|_| None).run().ok().map(|lexed| lexed.words)
}

fn quotes(word: &str) -> usize {
    word.matches(['\'', '"']).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(line: &str, expected: Expect) {
        let shown = begun_in(line, &Syntax::BUILDKIT_HEAD)
            .iter()
            .map(|h| format!("{} expand={} tabs={} fd={}", h.name, h.expand, h.strip_tabs, h.fd))
            .collect::<Vec<_>>();
        expected.assert_eq(&shown.join("; "));
    }

    #[test]
    fn delimiters_may_be_quoted_numbered_and_several() {
        check(
            r#"RUN <<A cat 3<<-"B" && cat <<'C' <<D"E" <<F\ G"#,
            expect![
                "A expand=true tabs=false fd=0; B expand=false tabs=true fd=3; C expand=false tabs=false fd=0; DE expand=false tabs=false fd=0; F G expand=true tabs=false fd=0"
            ],
        );
    }

    #[test]
    fn shifts_here_strings_quoted_words_and_open_quotes_begin_none() {
        for line in [
            "RUN echo $((1<<2))",
            "RUN cat <<<x",
            "RUN echo '<<A'",
            "RUN echo \\<<A",
            "RUN << A",
            "RUN '<<A",
            "RUN x<<A",
        ] {
            check(line, expect![""]);
        }
    }

    #[test]
    fn a_number_before_is_a_file_descriptor_even_in_arithmetic() {
        // moby/buildkit lexes the whole line, so `1<<2` between spaces is a heredoc named 2.
        check("RUN echo $(( 1<<2 ))", expect!["2 expand=true tabs=false fd=1"]);
    }
}
