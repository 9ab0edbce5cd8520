//! What a person does not want to see: by path, rule, cause or side, after everything else. Nothing is forgotten: what is
//! hidden is counted, by what hid it.

use std::fmt;
use std::str::FromStr;

use crate::causes::cause;
use crate::difference::Difference;
use crate::explain::{Explained, Finding};
use crate::rules::rule;
use crate::scene::Row;

/// Hides the rows of which all that it says is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore {
    /// A glob over places: `*` is anything within a name, `**` anything at all.
    pub path: Option<String>,
    /// A row of [`crate::RULES`].
    pub rule: Option<String>,
    /// A row of [`crate::CAUSES`].
    pub cause: Option<String>,
    /// What only this image has: `left` or `right`.
    pub side: Option<Side>,
    /// A reason, for whoever reads the report.
    pub why: Option<String>,
}

/// One of the two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// What was hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Each ignore, and how many rows it hid; one that another would have hidden too counts for the first.
    pub by: Vec<(Ignore, usize)>,
    /// Numbers of the rows.
    pub rows: Vec<usize>,
}

impl Ignore {
    /// Checks the names it uses.
    ///
    /// # Errors
    /// In words: it says nothing, or names what there is not.
    pub fn check(&self) -> Result<(), String> {
        if self.path.is_none() && self.rule.is_none() && self.cause.is_none() && self.side.is_none() {
            return Err("ignore everything: say path=GLOB, rule=NAME, cause=ID or side=left|right".to_owned());
        }
        if let Some(name) = self.rule.as_ref().filter(|name| rule(name).is_none()) {
            return Err(format!(
                "ignore the rule `{name}`: there is none; `samebuild explain --list` lists them"
            ));
        }
        if let Some(id) = self.cause.as_ref().filter(|id| cause(id).is_none()) {
            return Err(format!(
                "ignore the cause `{id}`: there is none; `samebuild explain --list` lists them"
            ));
        }
        Ok(())
    }

    fn hides(&self, row: Row<'_>, cause: &str) -> bool {
        let on_side = |side: Side| {
            let absent = |text: &str| {
                matches!(text, "absent" | "removed" | "as in the base") || text.starts_with("no ")
            };
            match (side, row.sides()) {
                (Side::Left, (left, right)) => absent(right) && !absent(left),
                (Side::Right, (left, right)) => absent(left) && !absent(right),
            }
        };
        self.path
            .as_ref()
            .is_none_or(|glob| row.at().is_some() && matches(glob.as_bytes(), row.path().as_bytes()))
            && self.rule.as_ref().is_none_or(|rule| rule == row.rule())
            && self.cause.as_ref().is_none_or(|id| id == cause)
            && self.side.is_none_or(on_side)
    }
}

/// Takes out of the findings what is to be hidden, and counts it.
pub fn hide(explained: Explained, rows: &[Difference], ignores: &[Ignore]) -> (Explained, Hidden) {
    let mut hidden =
        Hidden { by: ignores.iter().map(|ignore| (ignore.clone(), 0)).collect(), rows: Vec::new() };
    let mut findings = Vec::new();
    for finding in explained.findings {
        let mut keep = |numbers: &[usize]| -> Vec<usize> {
            let mut is_kept = |number: &usize| {
                let row = Row { number: *number, difference: &rows[*number] };
                let by = hidden.by.iter_mut().find(|(ignore, _)| ignore.hides(row, finding.cause.id));
                let Some((_, count)) = by else { return true };
                *count += 1;
                hidden.rows.push(*number);
                false
            };
            numbers.iter().copied().filter(|number| is_kept(number)).collect()
        };
        let (mut left, mut consequences) = (keep(&finding.rows), keep(&finding.consequences));
        if left.is_empty() {
            // What follows from something hidden is there all the same.
            left = std::mem::take(&mut consequences);
        }
        if !left.is_empty() {
            let details = finding.details.into_iter().filter(|(row, _)| left.contains(row)).collect();
            findings.push(Finding { rows: left, consequences, details, ..finding });
        }
    }
    hidden.rows.sort_unstable();
    (Explained { findings, ..explained }, hidden)
}

/// Whether `glob` matches all of `path`: `*` is anything without a slash, `**` anything, `?` one byte that is no slash.
pub fn matches(glob: &[u8], path: &[u8]) -> bool {
    // reached[n]: the glob so far matches the first n bytes.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut rest = glob;
    while let Some((first, after)) = rest.split_first() {
        let mut next = vec![false; path.len() + 1];
        let deep = rest.starts_with(b"**");
        if *first == b'*' {
            let mut open = false;
            for n in 0..=path.len() {
                open = reached[n] || (open && n > 0 && (deep || path[n - 1] != b'/'));
                next[n] = open;
            }
            rest = if deep { &rest[2..] } else { after };
        } else {
            for n in 0..path.len() {
                let same = path[n] == *first || (*first == b'?' && path[n] != b'/');
                next[n + 1] = reached[n] && same;
            }
            rest = after;
        }
        reached = next;
    }
    reached[path.len()]
}

impl FromStr for Ignore {
    type Err = String;

    /// `path=/var/log/**,rule=content`: all of it must be true of a row.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut ignore = Self::default();
        for part in text.split(',') {
            let Some((key, value)) = part.split_once('=') else {
                return Err(format!(
                    "read `{part}`: write path=GLOB, rule=NAME, cause=ID or side=left|right, with commas between"
                ));
            };
            let value = value.to_owned();
            match key.trim() {
                "path" => ignore.path = Some(value),
                "rule" => ignore.rule = Some(value),
                "cause" => ignore.cause = Some(value),
                "side" => ignore.side = Some(value.parse()?),
                _ => return Err(format!("read `{part}`: `{key}` is none of path, rule, cause, side")),
            }
        }
        ignore.check()?;
        Ok(ignore)
    }
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "left" => Ok(Self::Left),
            "right" => Ok(Self::Right),
            _ => Err(format!("read side=`{text}`: it is left or right")),
        }
    }
}

impl fmt::Display for Ignore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = self.side.map(|side| if side == Side::Left { "left" } else { "right" }.to_owned());
        let parts = [("path", &self.path), ("rule", &self.rule), ("cause", &self.cause), ("side", &side)];
        let said: Vec<String> =
            parts.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?))).collect();
        f.write_str(&said.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_paths() {
        for (glob, path, expected) in [
            ("/var/log/**", "/var/log/apt/x", true),
            ("/var/log/*", "/var/log/apt/x", false),
            ("**.pyc", "/a/b.pyc", true),
            ("/a", "/a/b", false),
            ("/a?", "/ab", true),
            ("/a?", "/a/", false),
            ("**", "", true),
            ("/**/x", "/a/b/x", true),
        ] {
            assert_eq!(matches(glob.as_bytes(), path.as_bytes()), expected, "{glob} {path}");
        }
        // Time grows with the product of both, not with a power of either.
        assert!(!matches("**a".repeat(200).as_bytes(), "a".repeat(4000).replace('a', "b").as_bytes()));
    }

    #[test]
    fn what_is_written_is_read_and_mistakes_are_told() {
        let text = "path=/a/**,rule=mtime,cause=context-times,side=left";
        assert_eq!(text.parse::<Ignore>().unwrap().to_string(), text);
        for (text, says) in [
            ("rule=nope", "`samebuild explain --list` lists them"),
            ("cause=nope", "there is none"),
            ("path", "write path=GLOB"),
            ("where=x", "none of path, rule, cause, side"),
            ("side=top", "left or right"),
        ] {
            let error = text.parse::<Ignore>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(Ignore::default().check().is_err());
    }
}
