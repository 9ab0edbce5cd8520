//! A golden as text. The format is the example in the module's own page; [`super::parse`] is the inverse.

use std::fmt;

use serde_json::{Map, Value};

use super::json;
use super::quote::{quoted, text, word};
use super::record::{BaseLine, Body, Failure, Observation, Outcome, Record, Row, Stratum, What};

/// The one field of which each field gets a line of its own: it is as large as `config` itself.
pub(super) const NESTED: &str = "container_config";

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen_by: Vec<String> = self.seen_by.iter().map(|id| word(id.as_bytes())).collect();
        writeln!(f, "seen-by: {}", seen_by.join(" "))?;
        writeln!(f, "builder: {}", text(&self.builder))?;
        writeln!(f, "platform: {}", text(&self.platform))?;
        match &self.outcome {
            Outcome::Built(record) => write!(f, "outcome: built\n{record}"),
            Outcome::Failed(failure) => write!(f, "outcome: failed\n{failure}"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            writeln!(f, "step: {step}")?;
        }
        if let Some(line) = self.line {
            writeln!(f, "line: {line}")?;
        }
        writeln!(f, "class: {}", text(&self.class))?;
        writeln!(f, "message: {}", text(&self.message))
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "base: {}", self.base)?;
        for (number, layer) in (1..).zip(&self.layers) {
            write!(f, "\nlayer {number}{layer}")?;
        }
        write!(f, "\nconfig\n{}", Fields(&self.config))?;
        write!(f, "\ntop\n{}", Fields(&self.top))?;
        writeln!(f, "\nhistory")?;
        for (number, entry) in (1..).zip(&self.history) {
            writeln!(f, "  {number} {}", json::history(entry))?;
        }
        Ok(())
    }
}

impl fmt::Display for BaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.layers == 1 { "" } else { "s" };
        write!(f, "{} ({} layer{plural})", word(self.name.as_bytes()), self.layers)
    }
}

impl fmt::Display for Stratum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(diff_id) = &self.diff_id {
            write!(f, " {diff_id}")?;
        }
        writeln!(f)?;
        self.rows.iter().try_for_each(|row| writeln!(f, "  {row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = &self.meta;
        write!(f, "{:<8} {:04o} {}:{} ", self.what.word(), meta.mode, meta.uid, meta.gid)?;
        write!(f, "{} {}", meta.mtime, word(&self.path))?;
        match &self.what {
            What::File(body) => write!(f, " {body}")?,
            What::Symlink(target) => write!(f, " -> {}", word(target))?,
            What::Hardlink(target) => write!(f, " -> {}", word(target.as_bytes()))?,
            What::Char { major, minor } | What::Block { major, minor } => write!(f, " {major},{minor}")?,
            What::Dir | What::Fifo => {}
        }
        meta.xattrs.iter().try_for_each(|(name, value)| {
            write!(
                f,
                " xattr {} {}",
                word(name),
                if value.is_empty() { "-".into() } else { hex::encode(value) }
            )
        })
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{} {}", text.len(), quoted(text.as_bytes())),
            Self::Sha256 { size, digest } => write!(f, "{size} {digest}"),
            Self::Base(at) => write!(f, "=base:{}", word(&[b"/", at.as_bytes()].concat())),
            Self::Volatile => f.write_str("volatile"),
        }
    }
}

/// One line a field, sorted, those of [`NESTED`] too.
struct Fields<'a>(&'a Map<String, Value>);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys: Vec<&String> = self.0.keys().collect();
        keys.sort();
        for key in keys {
            match &self.0[key] {
                Value::Object(inner) if key == NESTED && !inner.is_empty() => {
                    let mut names: Vec<&String> = inner.keys().collect();
                    names.sort();
                    for name in names {
                        writeln!(f, "  {NESTED}.{}: {}", field(name), json::compact(&inner[name]))?;
                    }
                }
                value => writeln!(f, "  {}: {}", field(key), json::compact(value))?,
            }
        }
        Ok(())
    }
}

/// A field's name: quoted where a dot or colon in it would mislead.
fn field(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quoted(name.as_bytes()) }
}
