//! Bytes as text on one line and back: paths, contents, messages. Lossless for any bytes, readable for ordinary ones.

use std::fmt::Write as _;

/// One word of a line: as it is where that is unmistakable, else quoted.
pub fn word(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(plain) if is_plain_word(plain) => plain.to_owned(),
        _ => quoted(bytes),
    }
}

/// The rest of a line: as it is where that is unmistakable, else quoted.
pub fn text(text: &str) -> String {
    let plain =
        !text.is_empty() && text.trim() == text && !text.starts_with('"') && text.chars().all(is_plain);
    if plain { text.to_owned() } else { quoted(text.as_bytes()) }
}

/// Always in quotes; `\n`, `\t`, `\r`, `\"`, `\\`, `\xNN` for a byte and `\u{…}` for a character that cannot be seen.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                ' ' => out.push(' '),
                c if is_plain(c) => out.push(c),
                c if c.is_ascii() => push_byte(&mut out, c as u8),
                c => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
            }
        }
        for byte in chunk.invalid() {
            push_byte(&mut out, *byte);
        }
    }
    out.push('"');
    out
}

/// The text of a content that is shown as `6 "hello\n"`; `None` where it is shown in another form.
pub fn short_text(shown: &str) -> Option<String> {
    let (size, quoted) = shown.split_once(' ')?;
    let (bytes, _) = unquote(quoted).ok()?;
    (size.parse() == Ok(bytes.len())).then(|| String::from_utf8(bytes).ok())?
}

/// What the quoted string at the beginning of `line` says, and what follows it.
pub(super) fn unquote(line: &str) -> Result<(Vec<u8>, &str), String> {
    let mut rest = line.strip_prefix('"').ok_or_else(|| format!("`{line}` does not begin with a quote"))?;
    let mut bytes = Vec::new();
    while let Some(stop) = rest.find(['"', '\\']) {
        bytes.extend_from_slice(&rest.as_bytes()[..stop]);
        let after = &rest[stop + 1..];
        if rest.as_bytes()[stop] == b'"' {
            return Ok((bytes, after));
        }
        rest = escape(after, &mut bytes)?;
    }
    Err(format!("`{line}` has no closing quote"))
}

/// Puts what the escape at the beginning of `rest` (after its backslash) says into `bytes`; what follows it.
fn escape<'t>(rest: &'t str, bytes: &mut Vec<u8>) -> Result<&'t str, String> {
    let bad = || {
        let shown: String = rest.chars().take(8).collect();
        format!("`\\{shown}` is not an escape; accepted: \\n \\t \\r \\\" \\\\ \\xNN \\u{{N}}")
    };
    let kind = rest.chars().next().ok_or_else(bad)?;
    let after = &rest[kind.len_utf8()..];
    match kind {
        'n' => bytes.push(b'\n'),
        't' => bytes.push(b'\t'),
        'r' => bytes.push(b'\r'),
        '"' | '\\' => bytes.push(kind as u8),
        'x' => {
            let digits = after.get(..2).ok_or_else(bad)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            return Ok(&after[2..]);
        }
        'u' => {
            let (digits, after) = after.strip_prefix('{').and_then(|a| a.split_once('}')).ok_or_else(bad)?;
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or_else(bad)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(after);
        }
        _ => return Err(bad()),
    }
    Ok(after)
}

fn is_plain_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('=') && text != "->" && text.chars().all(is_plain_no_space)
}

fn is_plain_no_space(c: char) -> bool {
    is_plain(c) && !c.is_whitespace() && c != '"' && c != '\\'
}

/// Whether a reviewer sees this character: no control, no direction marks, no zero-width or odd spaces.
pub fn is_plain(c: char) -> bool {
    let invisible = matches!(u32::from(c),
        0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f);
    !c.is_control() && !invisible && (c == ' ' || !c.is_whitespace())
}

fn push_byte(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_being_quoted() {
        let every: Vec<u8> = (0..=255).collect();
        for bytes in [&every[..], b"", "a\u{202e}b\u{200b} sp\u{e9}c \u{10ffff}".as_bytes(), b"\\x41\""] {
            assert_eq!(unquote(&quoted(bytes)), Ok((bytes.to_vec(), "")));
        }
    }

    #[test]
    fn only_unmistakable_words_stand_without_quotes() {
        assert_eq!(word(b"dst/sp\xc3\xa9c"), "dst/sp\u{e9}c");
        for bytes in [&b"a b"[..], b"", b"=base", b"->", b"a\\b", b"a\"b", b"\xff", "a\u{a0}b".as_bytes()] {
            assert!(word(bytes).starts_with('"'), "{bytes:?}");
        }
    }

    #[test]
    fn a_broken_escape_is_an_error_that_lists_the_forms() {
        for line in ["\"\\q\"", "\"\\x4", "\"\\u{d800}\"", "\"open", "\"\\x\u{e9}\""] {
            assert!(unquote(line).is_err(), "{line}");
        }
    }
}
