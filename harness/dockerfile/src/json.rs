//! JSON arrays as Go's `encoding/json` takes them: strict, and all or nothing.
//!
//! What follows from "not JSON" is left to the instruction: most fall back to their shell form without a word.

/// An element of the array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// A string, decoded, and the bytes it takes with its quotes.
    Text(String, std::ops::Range<usize>),
    /// Anything else, and its bytes.
    Other(std::ops::Range<usize>),
}

/// The text is not one JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// The elements of the JSON array that `text` begins with and where it ends, or `NotJson`.
pub(crate) fn array(text: &str) -> Result<(Vec<Element>, usize), NotJson> {
    let mut scan = Scan { bytes: text.as_bytes(), text, at: 0 };
    scan.space();
    scan.expect(b'[')?;
    let mut elements = Vec::new();
    scan.space();
    if scan.peek() == Some(b']') {
        scan.at += 1;
    } else {
        loop {
            scan.space();
            let start = scan.at;
            if scan.peek() == Some(b'"') {
                let decoded = scan.string()?;
                elements.push(Element::Text(decoded, start..scan.at));
            } else {
                scan.value()?;
                elements.push(Element::Other(start..scan.at));
            }
            scan.space();
            match scan.next() {
                Some(b',') => {}
                Some(b']') => break,
                _ => return Err(NotJson),
            }
        }
    }
    Ok((elements, scan.at))
}

/// The string that key `key` of the JSON object `text` holds.
pub(crate) fn text_of_key(text: &str, key: &str) -> Option<String> {
    let mut scan = Scan { bytes: text.as_bytes(), text, at: 0 };
    let mut found = None;
    scan.space();
    scan.expect(b'{').ok()?;
    loop {
        scan.space();
        let name = scan.string().ok()?;
        scan.space();
        scan.expect(b':').ok()?;
        scan.space();
        if scan.peek() == Some(b'"') {
            let value = scan.string().ok()?;
            found = if name == key { Some(value) } else { found };
        } else {
            scan.value().ok()?;
        }
        scan.space();
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.space();
    found.filter(|_| scan.at == text.len())
}

/// `text` as a JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go gives up at this depth.
const DEEPEST: usize = 10_000;

struct Scan<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.next() == Some(byte) { Ok(()) } else { Err(NotJson) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over one value. Nesting is kept in a list, not on the stack, so depth is no danger.
    fn value(&mut self) -> Result<(), NotJson> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            let ended = match self.peek().ok_or(NotJson)? {
                b'"' => self.string().map(|_| true)?,
                b'[' => {
                    self.at += 1;
                    self.space();
                    let empty = self.peek() == Some(b']');
                    self.at += usize::from(empty);
                    if !empty {
                        open.push(b'[');
                    }
                    empty
                }
                b'{' => {
                    self.at += 1;
                    self.space();
                    let empty = self.peek() == Some(b'}');
                    self.at += usize::from(empty);
                    if !empty {
                        open.push(b'{');
                        self.key()?;
                    }
                    empty
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            };
            if open.len() >= DEEPEST {
                return Err(NotJson);
            }
            if ended && self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// After a value: closes what ends here. True if nothing is open any more.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, NotJson> {
        while let Some(&kind) = open.last() {
            self.space();
            match (kind, self.next()) {
                (b'[', Some(b',')) => return Ok(false),
                (b'{', Some(b',')) => return self.key().map(|()| false),
                (b'[', Some(b']')) | (b'{', Some(b'}')) => {
                    open.pop();
                }
                _ => return Err(NotJson),
            }
        }
        Ok(true)
    }

    fn key(&mut self) -> Result<(), NotJson> {
        self.space();
        self.string()?;
        self.space();
        self.expect(b':')
    }

    fn literal(&mut self, word: &str) -> Result<bool, NotJson> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(true)
        } else {
            Err(NotJson)
        }
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotJson) }
    }

    fn number(&mut self) -> Result<bool, NotJson> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // A number that no float64 holds is an error of the decoder, hence "not JSON".
        let fits = self.text[start..self.at].parse::<f64>().is_ok_and(f64::is_finite);
        if fits { Ok(true) } else { Err(NotJson) }
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.expect(b'"')?;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.next() {
                Some(b'"') => return Ok(out),
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(NotJson),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), NotJson> {
        out.push(match self.next().ok_or(NotJson)? {
            c @ (b'"' | b'\\' | b'/') => char::from(c),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(NotJson),
        });
        Ok(())
    }

    /// `XXXX` after `\u`; a lone surrogate becomes U+FFFD as in Go.
    fn unicode(&mut self) -> Result<char, NotJson> {
        let high = self.hex()?;
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, NotJson> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.next().ok_or(NotJson)?).to_digit(16).ok_or(NotJson)?;
            code = code * 16 + digit;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let shown = match array(text) {
            Err(NotJson) => "not json".to_owned(),
            Ok((elements, _)) => elements
                .iter()
                .map(|element| match element {
                    Element::Text(value, range) => format!("{value:?}={}", &text[range.clone()]),
                    Element::Other(range) => format!("other={}", &text[range.clone()]),
                })
                .collect::<Vec<_>>()
                .join(" "),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn strings_are_decoded_and_placed() {
        check(r#"["a", "b\u0041\n" ]  "#, expect![[r#""a"="a" "bA\n"="b\u0041\n""#]]);
        check("[]", expect![""]);
        check(r#"["\ud83d\ude00","\ud83dx"]"#, expect![[r#""😀"="\ud83d\ude00" "�x"="\ud83dx""#]]);
    }

    #[test]
    fn anything_not_strict_is_not_json() {
        for text in [
            "['a']",
            "[\"a\",]",
            "[\"a",
            "[01]",
            "[1.]",
            "[\"\\x\"]",
            "[tru]",
            "{}",
            "[1e999]",
            "[\"\t\"]",
            "",
        ] {
            assert_eq!(array(text), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn an_array_ends_at_its_bracket_whatever_follows() {
        assert_eq!(array(r#"["a"] b"#).map(|(elements, end)| (elements.len(), end)), Ok((1, 5)));
    }

    #[test]
    fn other_values_are_told_apart_only_when_all_is_well_formed() {
        check(
            r#"["x", 1, null, [["y"], {"k": [true]}], -0.5e+3]"#,
            expect![[r#""x"="x" other=1 other=null other=[["y"], {"k": [true]}] other=-0.5e+3"#]],
        );
        check(r#"[1, 'x']"#, expect!["not json"]);
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(array(&deep(9_000)).is_ok());
        assert_eq!(array(&deep(200_000)), Err(NotJson));
    }
}
