//! How the rest of a line falls into words: by white space, with quotes kept, or as builder flags.
//!
//! Quotes and escapes are only respected here, not removed: expansion does that ([`crate::expand`]). Flags
//! are the exception, their quotes go at once.

use crate::lines::Slice;
use crate::span::Span;

/// A piece of an instruction, as written after joining lines, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text; quotes and escapes are still in it unless said otherwise.
    pub text: String,
    /// Where it stands in the file.
    pub span: Span,
}

impl Word {
    pub(crate) fn of(slice: Slice<'_>) -> Self {
        Self { text: slice.text().to_owned(), span: slice.span() }
    }

    /// Splits at byte `at`, dropping `skip` bytes there. Spans follow as far as the text is verbatim.
    pub(crate) fn cut(&self, at: usize, skip: usize) -> (Word, Word) {
        let verbatim = self.span.len() == self.text.len();
        let (left, right) = if verbatim {
            let middle = self.span.start + at;
            (Span::new(self.span.start, middle), Span::new(middle + skip, self.span.end))
        } else {
            (self.span, self.span)
        };
        (
            Word { text: self.text[..at].to_owned(), span: left },
            Word { text: self.text[at + skip..].to_owned(), span: right },
        )
    }
}

/// The white space that separates words (no Unicode spaces).
pub(crate) fn is_separator(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Splits at the first run of separators: what is before, and what is after if there is one.
pub(crate) fn split_first(slice: Slice<'_>) -> (Slice<'_>, Option<Slice<'_>>) {
    let text = slice.text();
    match text.find(is_separator) {
        None => (slice, None),
        Some(at) => {
            let after = text[at..].trim_start_matches(is_separator);
            (slice.sub(0, at), Some(slice.from(text.len() - after.len())))
        }
    }
}

/// Words between separators; quotes mean nothing.
pub(crate) fn by_space(slice: Slice<'_>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = (!slice.text().is_empty()).then_some(slice);
    while let Some(slice) = rest {
        let (word, after) = split_first(slice);
        words.push(Word::of(word));
        rest = after;
    }
    words
}

/// Words of ENV, LABEL and ARG: white space in quotes and after an escape does not split. Quotes stay.
pub(crate) fn quoted(slice: Slice<'_>, escape: char) -> Vec<Word> {
    #[derive(PartialEq)]
    enum Phase {
        Spaces,
        Word,
        Quote(char),
    }
    let text = slice.text();
    let mut words = Vec::new();
    let mut phase = Phase::Spaces;
    let (mut word, mut start, mut blank_ok) = (String::new(), 0, false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if phase == Phase::Spaces {
            if c.is_whitespace() {
                continue;
            }
            (phase, start) = (Phase::Word, at);
        }
        let escapes = match phase {
            Phase::Word if c.is_whitespace() => {
                if blank_ok || !word.is_empty() {
                    words.push(Word { text: std::mem::take(&mut word), span: slice.sub(start, at).span() });
                }
                (phase, blank_ok) = (Phase::Spaces, false);
                continue;
            }
            Phase::Word if c == '\'' || c == '"' => {
                (phase, blank_ok) = (Phase::Quote(c), true);
                false
            }
            Phase::Word => c == escape,
            Phase::Quote(quote) if c == quote => {
                phase = Phase::Word;
                false
            }
            Phase::Quote(quote) => c == escape && quote != '\'',
            Phase::Spaces => false,
        };
        if escapes {
            // An escape token at the very end is dropped.
            if let Some((_, escaped)) = chars.next() {
                word.push(c);
                word.push(escaped);
            }
        } else {
            word.push(c);
        }
    }
    if phase != Phase::Spaces && (blank_ok || !word.is_empty()) {
        words.push(Word { text: word, span: slice.sub(start, text.len()).span() });
    }
    words
}

/// Takes leading `--flag` words off a line: the flags, quotes removed, and the rest. A lone `--` ends them.
/// The escape is always a backslash here, whatever `# escape=` says.
pub(crate) fn take_flags(slice: Slice<'_>) -> (Vec<Word>, Slice<'_>) {
    let text = slice.text();
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if !text[at..].starts_with("--") {
            return (flags, slice.from(at));
        }
        let (word, end, quoted) = flag_word(text, at);
        if word == "--" {
            return (flags, slice.from(end));
        }
        if quoted || !word.is_empty() {
            flags.push(Word { text: word, span: slice.sub(at, end).span() });
        }
        at = end;
    }
}

/// The word that begins at `start`, unquoted; where it ends; whether it held quotes.
fn flag_word(text: &str, start: usize) -> (String, usize, bool) {
    let (mut word, mut quote, mut quoted) = (String::new(), None, false);
    let mut chars = text[start..].char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (word, start + at, quoted),
            ('\'' | '"', None) => (quote, quoted) = (Some(c), true),
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => word.extend(chars.next().map(|(_, escaped)| escaped)),
            (c, _) => word.push(c),
        }
    }
    (word, text.len(), quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Logical;
    use expect_test::{Expect, expect};

    fn line(text: &str) -> Logical {
        let mut line = Logical::default();
        line.push(text, 0);
        line
    }

    fn show(words: &[Word], source: &str) -> String {
        words.iter().map(|word| format!("{:?} @ {:?}\n", word.text, word.span.slice(source))).collect()
    }

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&show(&quoted(line(text).whole(), '\\'), text));
    }

    #[test]
    fn quotes_and_escapes_hold_words_together_and_stay() {
        check(
            r#"a=1 b="x y" c='p q' d=r\ s e="" ''"#,
            expect![[r#"
                "a=1" @ "a=1"
                "b=\"x y\"" @ "b=\"x y\""
                "c='p q'" @ "c='p q'"
                "d=r\\ s" @ "d=r\\ s"
                "e=\"\"" @ "e=\"\""
                "''" @ "''"
            "#]],
        );
    }

    #[test]
    fn an_open_quote_runs_to_the_end_and_a_last_escape_is_dropped() {
        check(
            r#"a="x y b=\"#,
            expect![[r#"
                "a=\"x y b=" @ "a=\"x y b=\\"
            "#]],
        );
        check(
            r"a=\",
            expect![[r#"
                "a=" @ "a=\\"
            "#]],
        );
    }

    #[test]
    fn flags_end_at_the_first_other_word() {
        let text = r#"--from=a  --chown="b c"d\e - x --y"#;
        let line = line(text);
        let (flags, rest) = take_flags(line.whole());
        expect![[r#"
            "--from=a" @ "--from=a"
            "--chown=b cde" @ "--chown=\"b c\"d\\e"
        "#]]
        .assert_eq(&show(&flags, text));
        assert_eq!(rest.text(), "- x --y");
    }

    #[test]
    fn a_double_dash_ends_flags_and_is_gone() {
        let line = line("--a -- --b");
        let (flags, rest) = take_flags(line.whole());
        assert_eq!((flags.len(), rest.trim().text()), (1, "--b"));
    }

    #[test]
    fn cutting_keeps_places_where_the_text_is_verbatim() {
        let text = "k=v";
        let word = &quoted(line(text).whole(), '\\')[0];
        let (key, value) = word.cut(1, 1);
        assert_eq!((key.span.slice(text), value.span.slice(text)), ("k", "v"));
    }
}
