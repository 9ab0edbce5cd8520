//! A golden from its text. Strict: what the printer would not write is an error with its line and the accepted forms.

use std::iter::Peekable;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::at::At;
use crate::digest::Digest;
use crate::entry::Meta;

use super::print::NESTED;
use super::quote::unquote;
use super::record::{
    BaseLine, Body, Failure, Observation, Outcome, Record, Row, Stratum, What, is_printable,
};

/// Why a text is not a golden.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "parse the golden, line {line}: {what}; it is written by `cargo xtask observe` or `bless`, not by hand"
)]
pub struct GoldenError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there and what would be accepted.
    pub what: String,
}

impl Observation {
    /// The observation that prints as `text`. Blank lines are free; everything else is as printed.
    pub fn parse(text: &str) -> Result<Self, GoldenError> {
        let mut lines = Lines::new(text);
        let parsed = observation(&mut lines).and_then(|observation| match lines.next() {
            None => Ok(observation),
            Some(line) => Err(format!("`{line}` after the end")),
        });
        parsed.map_err(|what| GoldenError { line: lines.number, what })
    }
}

impl FromStr for Observation {
    type Err = GoldenError;

    fn from_str(text: &str) -> Result<Self, GoldenError> {
        Self::parse(text)
    }
}

type Parsed<T> = Result<T, String>;

/// Lines that are not blank, and the number of the last one taken.
struct Lines<'t> {
    rest: Peekable<std::vec::IntoIter<(usize, &'t str)>>,
    number: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let lines: Vec<_> = (1..).zip(text.split('\n')).filter(|(_, line)| !line.trim().is_empty()).collect();
        Self { rest: lines.into_iter().peekable(), number: 0 }
    }

    fn next(&mut self) -> Option<&'t str> {
        let (number, line) = self.rest.next()?;
        self.number = number;
        Some(line)
    }

    /// The next line without its indentation, if it belongs to the section.
    fn indented(&mut self) -> Option<&'t str> {
        let (_, line) = self.rest.peek()?;
        let row = line.strip_prefix("  ")?;
        self.next().map(|_| row)
    }

    /// The value of `key: value`, if that is the next line.
    fn value_of(&mut self, key: &str) -> Option<&'t str> {
        let (_, line) = self.rest.peek()?;
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        self.next().map(|_| value.strip_prefix(' ').unwrap_or(value))
    }

    fn must(&mut self, key: &str) -> Parsed<&'t str> {
        self.value_of(key).ok_or_else(|| self.expected(&format!("{key}: …")))
    }

    fn header(&mut self, name: &str) -> Parsed<()> {
        if self.rest.next_if(|(_, line)| *line == name).is_some() {
            return Ok(());
        }
        Err(self.expected(name))
    }

    /// That something else than `what` stands here.
    fn expected(&mut self, what: &str) -> String {
        match self.next() {
            Some(line) => format!("expected `{what}`, not `{line}`"),
            None => format!("expected `{what}`, but the text ends"),
        }
    }
}

fn observation(lines: &mut Lines<'_>) -> Parsed<Observation> {
    let mut seen_by = Vec::new();
    let mut ids = Words(lines.must("seen-by")?);
    while !ids.is_empty() {
        seen_by.push(ids.utf8()?);
    }
    if !seen_by.is_sorted() {
        return Err("the dialects after `seen-by` are not sorted".to_owned());
    }
    let builder = rest_of_line(lines.must("builder")?)?;
    let platform = rest_of_line(lines.must("platform")?)?;
    let outcome = match lines.must("outcome")? {
        "built" => Outcome::Built(record(lines)?),
        "failed" => Outcome::Failed(failure(lines)?),
        other => return Err(format!("`{other}` is not an outcome; accepted: built, failed")),
    };
    Ok(Observation { seen_by, builder, platform, outcome })
}

fn failure(lines: &mut Lines<'_>) -> Parsed<Failure> {
    let number = |text: Option<&str>| text.map(|text| parsed(text, "a number")).transpose();
    let step = number(lines.value_of("step"))?;
    let line = number(lines.value_of("line"))?;
    let class = rest_of_line(lines.must("class")?)?;
    let message = rest_of_line(lines.must("message")?)?;
    Ok(Failure { step, line, class, message })
}

fn record(lines: &mut Lines<'_>) -> Parsed<Record> {
    let base = base_line(lines.must("base")?)?;
    let mut layers = Vec::new();
    while let Some((_, header)) = lines.rest.next_if(|(_, line)| line.starts_with("layer ")) {
        let number = layers.len() + 1;
        let rest = header
            .strip_prefix(&format!("layer {number}"))
            .filter(|rest| rest.is_empty() || rest.starts_with(' '))
            .ok_or_else(|| format!("expected `layer {number}`, not `{header}`"))?;
        let diff_id = match rest.trim_start() {
            "" => None,
            digest => Some(digest.parse::<Digest>().map_err(|e| e.to_string())?),
        };
        let mut rows = Vec::new();
        while let Some(line) = lines.indented() {
            rows.push(row(line)?);
        }
        layers.push(Stratum { diff_id, rows });
    }
    lines.header("config")?;
    let config = fields(lines)?;
    lines.header("top")?;
    let top = fields(lines)?;
    lines.header("history")?;
    let mut history = Vec::new();
    while let Some(line) = lines.indented() {
        let number = history.len() + 1;
        let json = line
            .strip_prefix(&format!("{number} "))
            .ok_or_else(|| format!("expected history entry {number}, not `{line}`"))?;
        history.push(serde_json::from_str(json).map_err(|e| format!("`{json}` is not an object: {e}"))?);
    }
    Ok(Record { base, layers, config, top, history })
}

fn base_line(line: &str) -> Parsed<BaseLine> {
    let mut words = Words(line);
    let name = words.utf8()?;
    let count = words.0.strip_prefix('(').and_then(|rest| rest.split_once(' '));
    match count {
        Some((count, "layer)" | "layers)")) => {
            Ok(BaseLine { name, layers: parsed(count, "a number of layers")? })
        }
        _ => Err(format!("`{line}` is not a base; accepted: `NAME (1 layer)`")),
    }
}

fn fields(lines: &mut Lines<'_>) -> Parsed<Map<String, Value>> {
    let mut fields = Map::new();
    while let Some(line) = lines.indented() {
        let (name, rest) = field_name(line)?;
        let (inner, rest) = match rest.strip_prefix('.') {
            Some(rest) if name == NESTED => {
                let (inner, rest) = field_name(rest)?;
                (Some(inner), rest)
            }
            _ => (None, rest),
        };
        let json = rest.strip_prefix(": ").ok_or_else(|| format!("expected `NAME: JSON`, not `{line}`"))?;
        let value: Value = serde_json::from_str(json).map_err(|e| format!("`{json}` is not JSON: {e}"))?;
        let twice = match inner {
            None => fields.insert(name, value).is_some(),
            Some(inner) => fields
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()))
                .as_object_mut()
                .is_none_or(|object| object.insert(inner, value).is_some()),
        };
        if twice {
            return Err(format!("the field of `{line}` is there twice"));
        }
    }
    Ok(fields)
}

fn field_name(line: &str) -> Parsed<(String, &str)> {
    if line.starts_with('"') {
        let (bytes, rest) = unquote(line)?;
        return Ok((utf8(bytes)?, rest));
    }
    let end = line.find([':', '.']).ok_or_else(|| format!("expected `NAME: JSON`, not `{line}`"))?;
    Ok((line[..end].to_owned(), &line[end..]))
}

fn row(line: &str) -> Parsed<Row> {
    let mut words = Words(line);
    let kind = words.plain()?;
    let mode = words.plain()?;
    let bits = u32::from_str_radix(mode, 8).ok().filter(|bits| *bits <= 0o7777 && mode.len() == 4);
    let bits = bits.ok_or_else(|| format!("`{mode}` is not a mode; accepted: four octal digits"))?;
    let owner = words.plain()?;
    let (uid, gid) = owner.split_once(':').ok_or_else(|| format!("`{owner}` is not UID:GID"))?;
    let mut meta = Meta::new(bits, words.plain()?.parse()?);
    meta.uid = parsed(uid, "a UID")?;
    meta.gid = parsed(gid, "a GID")?;
    let path = words.bytes()?;
    let what = match kind {
        "file" => What::File(body(&mut words)?),
        "dir" => What::Dir,
        "symlink" => What::Symlink(words.link()?),
        "hardlink" => What::Hardlink(At::clean(words.link()?)),
        "char" | "block" => {
            let device = words.plain()?;
            let (major, minor) =
                device.split_once(',').ok_or_else(|| format!("`{device}` is not MAJOR,MINOR"))?;
            let (major, minor) = (parsed(major, "a major number")?, parsed(minor, "a minor number")?);
            if kind == "char" { What::Char { major, minor } } else { What::Block { major, minor } }
        }
        "fifo" => What::Fifo,
        other => {
            let accepted = "file, dir, symlink, hardlink, char, block, fifo";
            return Err(format!("`{other}` is not a kind of entry; accepted: {accepted}"));
        }
    };
    while !words.is_empty() {
        match words.plain()? {
            "xattr" => {}
            other => return Err(format!("`{other}` is too much; accepted here: `xattr NAME HEX`")),
        }
        let name = words.bytes()?;
        let value = match words.plain()? {
            "-" => Vec::new(),
            digits => hex::decode(digits).map_err(|e| format!("`{digits}` is not hexadecimal: {e}"))?,
        };
        meta.xattrs.insert(name, value);
    }
    Ok(Row { path, what, meta })
}

fn body(words: &mut Words<'_>) -> Parsed<Body> {
    if let Some(rest) = words.0.strip_prefix("=base:") {
        words.0 = rest;
        return Ok(Body::Base(At::clean(words.bytes()?)));
    }
    let size = words.plain()?;
    if size == "volatile" {
        return Ok(Body::Volatile);
    }
    let size: u64 = parsed(size, "a size, `volatile` or `=base:PATH`")?;
    if words.0.starts_with('"') {
        let text = utf8(words.bytes()?)?;
        if text.len() as u64 != size || size > Body::TEXT_MAX || !is_printable(&text) {
            return Err(format!("the text is {} bytes, not {size}, or not printable", text.len()));
        }
        return Ok(Body::Text(text));
    }
    let digest = words.plain()?.parse().map_err(|e: crate::digest::BadDigest| e.to_string())?;
    Ok(Body::Sha256 { size, digest })
}

/// The rest of a line, taken word by word.
struct Words<'t>(&'t str);

impl<'t> Words<'t> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn plain(&mut self) -> Parsed<&'t str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        if word.is_empty() {
            return Err("the line ends too soon".to_owned());
        }
        self.0 = rest.trim_start_matches(' ');
        Ok(word)
    }

    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        if !self.0.starts_with('"') {
            return Ok(self.plain()?.as_bytes().to_vec());
        }
        let (bytes, rest) = unquote(self.0)?;
        self.0 = match rest.strip_prefix(' ') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err(format!("expected a space before `{rest}`")),
        };
        Ok(bytes)
    }

    fn utf8(&mut self) -> Parsed<String> {
        utf8(self.bytes()?)
    }

    fn link(&mut self) -> Parsed<Vec<u8>> {
        match self.plain()? {
            "->" => self.bytes(),
            other => Err(format!("expected `-> TARGET`, not `{other}`")),
        }
    }
}

fn rest_of_line(line: &str) -> Parsed<String> {
    if !line.starts_with('"') {
        return Ok(line.to_owned());
    }
    match unquote(line)? {
        (bytes, "") => utf8(bytes),
        (_, rest) => Err(format!("`{rest}` after the closing quote")),
    }
}

fn utf8(bytes: Vec<u8>) -> Parsed<String> {
    String::from_utf8(bytes).map_err(|e| format!("not UTF-8: {e}"))
}

fn parsed<T: FromStr>(text: &str, what: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}
