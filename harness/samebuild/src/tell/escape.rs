//! Text of hostile images, made safe for whoever reads it: a terminal, a page, a comment, XML. Nothing is dropped: what cannot
//! be shown is shown as its number.

use std::borrow::Cow;
use std::fmt::Write as _;

use samebuild_image::At;
use samebuild_image::golden::{is_plain, word};

/// For a terminal, and the first step for all others: control characters, direction marks and zero-width characters as
/// `\xNN` or `\u{…}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if is_plain(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// A place, as rows show it.
pub fn path(at: &At) -> String {
    word(&[b"/", at.as_bytes()].concat())
}

/// For XML and HTML, text and attributes alike.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// For a line of Markdown: a `<code>` in which nothing is Markdown, HTML, a table's border or a name that is called.
pub fn markdown(text: &str) -> String {
    let mut out = String::from("<code>");
    for c in visible(text).chars() {
        let is_safe = c.is_alphanumeric() || " ./:,;+=-%→↔·…".contains(c);
        if is_safe {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
    }
    out.push_str("</code>");
    // What looks like an address is made into a link even here.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\x1b[31m\u{202e}<img src=x onerror=alert(1)>|`@all` *x* [a](http://b)\n\0\u{9b}";

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        let shown = visible(HOSTILE);
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown}");
        assert!(shown.starts_with("\\x1b[31m\\u{202e}<img"), "{shown}");
        assert_eq!(visible("plain é"), "plain é");
    }

    #[test]
    fn nothing_is_markup_in_a_page_or_a_comment() {
        let page = xml(HOSTILE);
        assert!(!page.contains('<') && !page.contains('"') && !page.contains('\''), "{page}");
        let comment = markdown(HOSTILE);
        let inner = comment.strip_prefix("<code>").unwrap().strip_suffix("</code>").unwrap();
        assert!(!inner.contains(['<', '>', '|', '`', '@', '*', '[', '_', '\n']), "{inner}");
        assert!(!inner.contains("://"), "{inner}");
    }
}
