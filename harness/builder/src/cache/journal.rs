//! What the last builds of a directory looked up, so that one can ask why a step was not found: the parts of every key, and
//! which of them was another the time before. Kept beside the local store; nothing that is built depends on it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use samebuild_image::Digest;
use serde::{Deserialize, Serialize};

use super::key::{Key, Part, Parts};
use super::{Fate, Looked, blobs};

/// A directory of what was looked up.
#[derive(Clone, Debug)]
pub struct Journal {
    root: PathBuf,
}

/// One build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// What was built: a directory, a Dockerfile, a target.
    pub what: String,
    pub steps: Vec<Step>,
}

/// One step that was looked up, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub number: usize,
    pub line: usize,
    pub text: String,
    #[serde(default)]
    pub key: Option<String>,
    /// Where it was found.
    #[serde(default)]
    pub found: Option<String>,
    /// Why it has no key, or was not kept.
    #[serde(default)]
    pub unkept: Option<String>,
}

/// Why a step was not what it was the time before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the same.
    Same,
    /// Nothing like it was there before.
    New,
    /// This part was another; what is in one list and not in the other, if it is one.
    Changed { part: String, before: Vec<String>, after: Vec<String> },
    /// The key is another, and what it was made of is not known any more.
    Unknown,
}

impl Journal {
    /// The one of the store at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn build(&self, what: &str, number: usize) -> PathBuf {
        self.root.join("builds").join(format!("{}.{number}", Digest::of(what.as_bytes()).hex()))
    }

    fn parts(&self, key: &str) -> PathBuf {
        self.root.join("parts").join(key)
    }

    /// Notes a build; one that looked up the same as the last leaves no trace.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn note(&self, what: &str, looked: &[Looked]) -> io::Result<()> {
        let build = Build { what: what.to_owned(), steps: looked.iter().map(Step::of).collect() };
        let last = self.last(what, 0);
        if last.as_ref() == Some(&build) {
            return Ok(());
        }
        for looked in looked {
            if let (Some(key), Some(parts)) = (looked.key, &looked.parts) {
                let path = self.parts(&key.hex());
                let has_lines = looked.fate == Fate::CarriedOut;
                if has_lines || !path.exists() {
                    blobs::write(&path, &serde_json::to_vec(parts.all())?)?;
                }
            }
        }
        let key = |build: &Build| -> Vec<Option<String>> {
            build.steps.iter().map(|step| step.key.clone()).collect()
        };
        // Asked again and found, it is the same build; the one before that is what it is held against.
        if let Some(last) = last.filter(|last| key(last) != key(&build)) {
            blobs::write(&self.build(what, 1), &serde_json::to_vec(&last)?)?;
        }
        blobs::write(&self.build(what, 0), &serde_json::to_vec(&build)?)
    }

    /// The last build of something, or with 1 the one before it that was another.
    pub fn last(&self, what: &str, number: usize) -> Option<Build> {
        serde_json::from_slice(&fs::read(self.build(what, number)).ok()?).ok()
    }

    /// What a key was made of.
    pub fn parts_of(&self, key: &str) -> Option<Parts> {
        let key: Key = key.parse().ok()?;
        let parts: Vec<Part> = serde_json::from_slice(&fs::read(self.parts(&key.hex())).ok()?).ok()?;
        Some(parts.into())
    }

    /// Everything that was noted, for who cleans up: the files of keys.
    pub(super) fn keys_dir(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// Why `step` of a build is not what it was in `before`.
    pub fn why(&self, step: &Step, nth_alike: usize, before: &Build) -> Why {
        let same_text = before.steps.iter().filter(|old| old.text == step.text).nth(nth_alike);
        let Some(old) = same_text.or_else(|| before.steps.iter().find(|old| old.number == step.number))
        else {
            return Why::New;
        };
        if old.key == step.key {
            return Why::Same;
        }
        let of = |step: &Step| step.key.as_deref().and_then(|key| self.parts_of(key));
        match (of(old), of(step)) {
            (Some(old), Some(new)) => first_change(&old, &new),
            _ => Why::Unknown,
        }
    }
}

impl Step {
    fn of(looked: &Looked) -> Self {
        Self {
            number: looked.number,
            line: looked.line,
            text: looked.text.clone(),
            key: looked.key.map(|key| key.hex()),
            found: if let Fate::Found(place) = &looked.fate { Some(place.clone()) } else { None },
            unkept: if let Fate::Unkept(why) = &looked.fate { Some(why.clone()) } else { None },
        }
    }
}

/// The first part, in the order of the key, that is another.
pub fn first_change(before: &Parts, after: &Parts) -> Why {
    let numbered = |parts: &Parts| -> Vec<((String, usize), Part)> {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        let all = parts.all().iter().map(|part| {
            let nth = count.entry(part.name.clone()).or_default();
            *nth += 1;
            ((part.name.clone(), *nth), part.clone())
        });
        all.collect()
    };
    let (before, after) = (numbered(before), numbered(after));
    let old: BTreeMap<_, _> = before.iter().map(|(name, part)| (name, part)).collect();
    let changed = after.iter().find(|(name, part)| old.get(name).is_none_or(|old| old.value != part.value));
    let gone = || before.iter().find(|(name, _)| after.iter().all(|(other, _)| other != name));
    let Some(((name, _), part)) = changed else {
        return match gone() {
            Some(((name, _), part)) => {
                Why::Changed { part: name.clone(), before: shown(part), after: Vec::new() }
            }
            None => Why::Same,
        };
    };
    let old = changed.and_then(|(name, _)| old.get(name));
    let (was, is) = (old.map(|part| shown(part)).unwrap_or_default(), shown(part));
    let not_in = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|line| !b.contains(line)).take(MOST).cloned().collect()
    };
    let (mut less, mut more) = (not_in(&was, &is), not_in(&is, &was));
    // Only their order is another.
    if less.is_empty() && more.is_empty() {
        (less, more) = (was.into_iter().take(MOST).collect(), is.into_iter().take(MOST).collect());
    }
    Why::Changed { part: name.clone(), before: less, after: more }
}

/// As many lines as anybody reads.
const MOST: usize = 5;

/// A part as lines.
fn shown(part: &Part) -> Vec<String> {
    match part.lines.is_empty() {
        true => vec![String::from_utf8_lossy(&part.value).into_owned()],
        false => part.lines.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pairs: &[(&str, &[&str])]) -> Parts {
        let mut parts = Parts::default();
        for (name, lines) in pairs {
            parts.add_list(name, *lines);
        }
        parts
    }

    fn change(
        before: &[(&str, &[&str])],
        after: &[(&str, &[&str])],
    ) -> Option<(String, Vec<String>, Vec<String>)> {
        match first_change(&parts(before), &parts(after)) {
            Why::Changed { part, before, after } => Some((part, before, after)),
            _ => None,
        }
    }

    #[test]
    fn the_first_part_that_changed_is_told_with_the_lines_that_did() {
        let before: &[(&str, &[&str])] = &[("user", &["root"]), ("file", &["a 1", "b 2"]), ("file", &["c"])];
        let same = change(before, before);
        assert_eq!(same, None);
        let told = change(before, &[("user", &["root"]), ("file", &["a 1", "b 3"]), ("file", &["d"])]);
        assert_eq!(told, Some(("file".into(), vec!["b 2".into()], vec!["b 3".into()])));
        let told = change(before, &[("user", &["root"]), ("file", &["b 2", "a 1"]), ("file", &["c"])]);
        assert_eq!(told.unwrap().1, ["a 1", "b 2"], "order");
        let told = change(before, &[("user", &["root"]), ("file", &["a 1", "b 2"])]);
        assert_eq!(told, Some(("file".into(), vec!["c".into()], vec![])));
    }
}
