//! Parser directives: `# name=value` lines before everything else, and where the frontend's name may hide.

use crate::ast::Directive;
use crate::error::{Class, Fault};
use crate::lines::Physical;
use crate::syntax::{Support, Syntax};
use crate::words::Word;

/// Looks for directives until the first line that is none.
#[derive(Default)]
pub(crate) struct Directives {
    done: bool,
    pub(crate) found: Vec<Directive>,
    pub(crate) escape: Option<char>,
}

impl Directives {
    /// Looks at one line.
    pub(crate) fn look(&mut self, line: &Physical<'_>, syntax: &Syntax) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let Some((name, value)) = split(line, "#").filter(|(name, _)| known(&name.text, syntax)) else {
            self.done = true;
            return Ok(());
        };
        let lower = name.text.to_lowercase();
        if self.found.iter().any(|directive| directive.name == lower) {
            let message = format!("take the directive {lower} twice; keep one");
            let says = format!("only one {lower} parser directive can be used");
            return Err(Fault::new(Class::DuplicateDirective, name.span, message).says(says));
        }
        if lower == "escape" {
            self.escape = Some(escape(&value)?);
        }
        self.found.push(Directive { name: lower, value, line: line.number });
        Ok(())
    }
}

fn known(name: &str, syntax: &Syntax) -> bool {
    let lower = name.to_lowercase();
    matches!(lower.as_str(), "escape" | "syntax")
        || (lower == "check" && syntax.check_directive == Support::Present)
}

fn escape(value: &Word) -> Result<char, Fault> {
    match value.text.as_str() {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        other => {
            let message = format!("escape with {other:?}; the escape token is a backslash or a backtick");
            let says = format!("invalid escape token '{other}' does not match ` or \\");
            Err(Fault::new(Class::BadEscape, value.span, message).says(says))
        }
    }
}

/// `#name=value` with spaces allowed, both trimmed.
fn split(line: &Physical<'_>, comment: &str) -> Option<(Word, Word)> {
    let text = line.text();
    let rest = text.trim_start().strip_prefix(comment)?.trim_start();
    let (name, value) = rest.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim());
    let mut chars = name.chars();
    let named = chars.next()?.is_ascii_alphabetic() && chars.all(|c| c.is_ascii_alphanumeric());
    if !named || value.is_empty() {
        return None;
    }
    let name_at = line.start + text.len() - rest.len();
    let value_at = line.start + text.trim_end().len() - value.len();
    let word =
        |text: &str, at: usize| Word { text: text.to_owned(), span: crate::Span::new(at, at + text.len()) };
    Some((word(name, name_at), word(value, value_at)))
}

/// The frontend a file asks for, with its arguments: `# syntax=`, and if the syntax looks there also
/// `// syntax=`, the key `syntax` of a JSON object that is the whole file, and any of these after a `#!` line.
pub fn detect_frontend(source: &str, syntax: &Syntax) -> Option<String> {
    let text = source.trim_start_matches('\u{feff}');
    let any = syntax.syntax_any_format == Support::Present;
    let text = match text.strip_prefix("#!") {
        Some(_) if any => text.split_once('\n').map_or("", |(_, rest)| rest),
        _ => text,
    };
    let in_comments = |comment: &str| {
        let mut seen = Vec::new();
        for full in text.split_inclusive('\n') {
            let (name, value) = split(&Physical { number: 0, start: 0, full }, comment)?;
            let name = name.text.to_lowercase();
            if !known(&name, syntax) || seen.contains(&name) {
                return None;
            }
            if name == "syntax" {
                return Some(value.text);
            }
            seen.push(name);
        }
        None
    };
    let found = in_comments("#");
    if found.is_some() || !any {
        return found;
    }
    in_comments("//").or_else(|| crate::json::text_of_key(text, "syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontend_may_hide_in_several_places() {
        let head = Syntax::BUILDKIT_HEAD;
        for text in [
            "# syntax=a/b:1\nFROM x",
            "#escape=`\n# Syntax = a/b:1 \nFROM x",
            "#!/bin/sh\n# syntax=a/b:1",
            "// syntax=a/b:1\n",
            "{\"x\": [1], \"syntax\": \"a/b:1\"}",
        ] {
            assert_eq!(detect_frontend(text, &head).as_deref(), Some("a/b:1"), "{text}");
        }
        assert_eq!(detect_frontend("// syntax=a", &Syntax::BUILDKIT_20_10), None);
        assert_eq!(detect_frontend("# other=1\n# syntax=a", &head), None);
        assert_eq!(detect_frontend("\n# syntax=a", &head), None);
    }
}
