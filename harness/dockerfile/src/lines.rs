//! Physical lines, and the logical lines that continuations make of them, with a map back to the source.
//!
//! What the text of a line means is left to [`crate::node`].

use crate::span::Span;
use crate::syntax::{Continuation, LineLength, Syntax};

/// The longest line, in bytes and without its newline, that a Go scanner of default size returns.
pub(crate) const LONGEST_LINE: usize = 65535;

/// One line of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Physical<'a> {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// Where it begins.
    pub(crate) start: usize,
    /// With its newline.
    pub(crate) full: &'a str,
}

impl<'a> Physical<'a> {
    /// Without its newline.
    pub(crate) fn text(&self) -> &'a str {
        self.full.trim_end_matches(['\r', '\n'])
    }

    pub(crate) fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text().len())
    }
}

/// Hands out physical lines until the end, or until a line that is too long.
pub(crate) struct Reader<'a> {
    source: &'a str,
    at: usize,
    number: usize,
    bounded: bool,
    /// The line the builder's reader stumbled over.
    pub(crate) too_long: Option<Span>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str, syntax: &Syntax) -> Self {
        let at = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { source, at, number: 0, bounded: syntax.line_length == LineLength::Bounded, too_long: None }
    }

    /// How many lines were handed out.
    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Physical<'a>;

    fn next(&mut self) -> Option<Physical<'a>> {
        let rest = &self.source[self.at..];
        if rest.is_empty() || self.too_long.is_some() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let full = &rest[..length];
        if self.bounded && full.strip_suffix('\n').unwrap_or(full).len() > LONGEST_LINE {
            self.too_long = Some(Span::new(self.at, self.at + length));
            return None;
        }
        let line = Physical { number: self.number + 1, start: self.at, full };
        self.number += 1;
        self.at += length;
        Some(line)
    }
}

/// A line after continuations were joined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logical {
    /// The joined text; never holds a newline.
    pub(crate) text: String,
    /// (offset in `text`, offset in the source), ascending.
    pieces: Vec<(usize, usize)>,
}

impl Logical {
    /// Appends `text`, which stands at `source`.
    pub(crate) fn push(&mut self, text: &str, source: usize) {
        if !text.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.text.len(), source));
        }
        self.text.push_str(text);
    }

    /// The whole of it.
    pub(crate) fn whole(&self) -> Slice<'_> {
        Slice { line: self, start: 0, end: self.text.len() }
    }

    fn source_of(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|&(at, _)| at <= offset).saturating_sub(1);
        self.pieces.get(piece).map_or(0, |&(at, source)| source + offset.saturating_sub(at))
    }
}

/// A part of a logical line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice<'a> {
    line: &'a Logical,
    start: usize,
    end: usize,
}

impl<'a> Slice<'a> {
    pub(crate) fn text(&self) -> &'a str {
        &self.line.text[self.start..self.end]
    }

    /// Where it stands in the source; it spans the joints it covers.
    pub(crate) fn span(&self) -> Span {
        let start = self.line.source_of(self.start);
        if self.start == self.end {
            return Span::new(start, start);
        }
        Span::new(start, self.line.source_of(self.end - 1) + 1)
    }

    /// Bytes `from..to` of this slice.
    pub(crate) fn sub(&self, from: usize, to: usize) -> Slice<'a> {
        Slice { line: self.line, start: self.start + from, end: self.start + to }
    }

    pub(crate) fn from(&self, from: usize) -> Slice<'a> {
        self.sub(from, self.end - self.start)
    }

    /// Without white space at both ends.
    pub(crate) fn trim(&self) -> Slice<'a> {
        let text = self.text();
        let from = text.len() - text.trim_start().len();
        self.sub(from, from + text[from..].trim_end().len())
    }
}

/// The line without its continuation mark, or `None` if it does not continue.
pub(crate) fn continued(line: &str, escape: char, rule: Continuation) -> Option<&str> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    match rule {
        Continuation::UnlessEscaped if before.ends_with(escape) => None,
        Continuation::UnlessEscaped | Continuation::AnyTrailingEscape => Some(before),
    }
}

/// Whether the line is a comment wherever it stands.
pub(crate) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back_across_joints() {
        let source = "ab\\\n  cd";
        let mut line = Logical::default();
        line.push("ab", 0);
        line.push("  cd", 4);
        let word = line.whole().sub(1, 5);
        assert_eq!(word.text(), "b  c");
        assert_eq!(word.span().slice(source), "b\\\n  c");
        assert_eq!(line.whole().sub(4, 6).span(), Span::new(6, 8));
    }

    #[test]
    fn an_escaped_escape_continues_only_under_the_older_rule() {
        for (line, old, new) in [
            ("a \\", Some("a "), Some("a ")),
            ("a \\ \t", Some("a "), Some("a ")),
            ("\\", Some(""), Some("")),
            ("a \\\\", Some("a \\"), None),
            ("a", None, None),
        ] {
            assert_eq!(continued(line, '\\', Continuation::AnyTrailingEscape), old, "{line:?}");
            assert_eq!(continued(line, '\\', Continuation::UnlessEscaped), new, "{line:?}");
        }
    }

    #[test]
    fn a_line_of_65535_bytes_is_read_and_a_longer_one_is_not() {
        let fits = format!("{}\nx", "a".repeat(LONGEST_LINE));
        let mut reader = Reader::new(&fits, &Syntax::BUILDKIT_HEAD);
        assert_eq!(reader.by_ref().count(), 2);
        assert_eq!(reader.too_long, None);
        let longer = format!("a{fits}");
        let mut reader = Reader::new(&longer, &Syntax::BUILDKIT_HEAD);
        assert_eq!(reader.by_ref().count(), 0);
        assert!(reader.too_long.is_some());
    }
}
