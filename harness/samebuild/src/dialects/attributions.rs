//! `golden/divergence.txt`: which decisions make dialects part, case by case. Found by building mixtures of two dialects
//! (`attribute.rs`), kept as text, and fresh as long as neither the case, nor its goldens, nor what the dialects differ in
//! has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use samebuild_builder::dialect;
use samebuild_image::Digest;

use super::attribute::{Flip, delta};
use crate::cases::Case;
use crate::checkout::Checkout;
use crate::conform::goldens::Goldens;
use crate::files;

/// The pairs that are looked at: each dialect and its child, the two builders of each engine, and what else people move
/// between.
pub const PAIRS: &[[&str; 2]] = &[
    ["classic@20.10", "buildkit@20.10"],
    ["classic@26.1", "buildkit@26.1"],
    ["classic@20.10", "classic@26.1"],
    ["buildkit@20.10", "buildkit@26.1"],
    ["buildkit@26.1", "buildkit@26.1-containerd"],
    ["buildkit@26.1-containerd", "buildkit@head"],
    ["buildkit@26.1", "kaniko@1.24"],
    ["kaniko@1.24", "kaniko@pre-289"],
];

/// Everything the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributions {
    /// What each pair differed in: a digest.
    pub deltas: BTreeMap<[String; 2], String>,
    pub cases: BTreeMap<String, Entry>,
}

/// What is known of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it was found from: a digest of the case and its goldens.
    pub inputs: String,
    /// By pair, decisions and the rules that see them; a pair that is not here comes out the same.
    pub pairs: BTreeMap<[String; 2], Cause>,
}

/// Why a pair comes out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The decisions that must be flipped, and the rules that see it if one is not.
    Decisions(BTreeMap<String, BTreeSet<String>>),
    /// No flips of decisions make the one image the other.
    Unexplained,
    /// It could not be built where this was found.
    Unmet,
}

/// What is out of date, in words: empty if nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    pub pairs: Vec<[String; 2]>,
    pub cases: Vec<String>,
    /// In the file, and no case any more.
    pub gone: Vec<String>,
}

const HEAD: &str = "\
# Which decisions make dialects part, case by case: flip exactly these in the first dialect and its image is the second's;
# leave one out and the rules after `=` see it. A pair that is not listed comes out the same.
# Written by `cargo xtask dialects --why`, from the cases, their goldens and the dialects; nobody edits it.
";
const UNEXPLAINED: &str = "unexplained";
const UNMET: &str = "could not be built";

impl Attributions {
    /// Reads the checkout's; nothing where there is no file.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).with_context(|| format!("read {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let mut read = Self::default();
        let mut case: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            let place =
                || format!("understand line {}: `{line}`; remove the file and write it anew", number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(rest) = line.strip_prefix("  ") {
                let (pair, cause) = rest.split_once(": ").with_context(place)?;
                let pair = pair_of(pair).with_context(place)?;
                let entry = case.as_ref().and_then(|case| read.cases.get_mut(case)).with_context(place)?;
                entry.pairs.insert(pair, Cause::parse(cause).with_context(place)?);
            } else if let Some(rest) = line.strip_prefix("pair ") {
                let (pair, digest) = rest.rsplit_once(' ').with_context(place)?;
                read.deltas.insert(pair_of(pair).with_context(place)?, digest.to_owned());
            } else {
                let (name, inputs) = line.split_once(' ').with_context(place)?;
                let entry = Entry { inputs: inputs.to_owned(), pairs: BTreeMap::new() };
                read.cases.insert(name.to_owned(), entry);
                case = Some(name.to_owned());
            }
        }
        Ok(read)
    }

    /// The file's text.
    pub fn print(&self) -> String {
        let mut text = HEAD.to_owned();
        for ([left, right], digest) in &self.deltas {
            let _ = writeln!(text, "pair {left} {right} {digest}");
        }
        for (case, entry) in &self.cases {
            let _ = writeln!(text, "{case} {}", entry.inputs);
            for ([left, right], cause) in &entry.pairs {
                let _ = writeln!(text, "  {left} {right}: {}", cause.print());
            }
        }
        text
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write(path, self.print().as_bytes())
    }

    /// What has changed since it was written.
    ///
    /// # Errors
    /// A case or golden cannot be read.
    pub fn stale(&self, cases: &[&Case], goldens: &Goldens) -> Result<Stale> {
        let mut stale = Stale::default();
        for pair in PAIRS {
            let key = pair.map(str::to_owned);
            if self.deltas.get(&key) != Some(&delta_digest(*pair)?) {
                stale.pairs.push(key);
            }
        }
        let names: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        for case in cases {
            let known = self.cases.get(case.id.as_str());
            if known.is_none_or(|entry| Ok(&entry.inputs) != inputs(case, goldens).as_ref()) {
                stale.cases.push(case.id.to_string());
            }
        }
        stale.gone = self.cases.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
        Ok(stale)
    }
}

impl Stale {
    /// A sentence, if anything is stale.
    pub fn sentence(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        let count = self.cases.len() + self.gone.len();
        let pairs = match self.pairs.len() {
            0 => String::new(),
            pairs => format!(", and {pairs} pairs of dialects differ in other decisions now"),
        };
        Some(format!(
            "golden/divergence.txt is out of date for {count} cases{pairs}: `cargo xtask dialects --why` finds them anew"
        ))
    }
}

impl Cause {
    fn parse(text: &str) -> Result<Self> {
        match text {
            UNEXPLAINED => return Ok(Self::Unexplained),
            UNMET => return Ok(Self::Unmet),
            _ => {}
        }
        let mut decisions = BTreeMap::new();
        for word in text.split(' ') {
            let Some((decision, rules)) = word.split_once('=') else { bail!("`{word}` is no decision=rule") };
            decisions.insert(decision.to_owned(), rules.split('+').map(str::to_owned).collect());
        }
        Ok(Self::Decisions(decisions))
    }

    fn print(&self) -> String {
        match self {
            Self::Unexplained => UNEXPLAINED.to_owned(),
            Self::Unmet => UNMET.to_owned(),
            Self::Decisions(decisions) => {
                let word = |(decision, rules): (&String, &BTreeSet<String>)| {
                    format!("{decision}={}", rules.iter().map(String::as_str).collect::<Vec<_>>().join("+"))
                };
                decisions.iter().map(word).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn pair_of(text: &str) -> Result<[String; 2]> {
    match text.split(' ').collect::<Vec<_>>()[..] {
        [left, right] => Ok([left.to_owned(), right.to_owned()]),
        _ => bail!("`{text}` is no pair of dialects"),
    }
}

/// What two dialects differ in, as a digest.
///
/// # Errors
/// There is no such dialect.
pub fn delta_digest([left, right]: [&str; 2]) -> Result<String> {
    let line = |flip: &Flip| format!("{}={}/{}\n", flip.decision, flip.left, flip.right);
    let text: String = delta(dialect::find(left)?, dialect::find(right)?).iter().map(line).collect();
    Ok(short(text.as_bytes()))
}

/// What an attribution is found from: everything in the case's directory and all its goldens, as a digest.
///
/// # Errors
/// A file cannot be read.
pub fn inputs(case: &Case, goldens: &Goldens) -> Result<String, String> {
    let read = || -> Result<String> {
        let mut text = String::new();
        for root in [case.dir.clone(), goldens.root().join(case.id.as_str())] {
            for path in files::below(&root)? {
                let bytes = match std::fs::read_link(&path) {
                    Ok(target) => target.into_os_string().into_encoded_bytes(),
                    Err(_) => std::fs::read(&path).with_context(|| format!("read {}", path.display()))?,
                };
                let name = path.strip_prefix(&root).unwrap_or(&path);
                let _ = writeln!(text, "{} {}", name.display(), Digest::of(&bytes));
            }
        }
        Ok(short(text.as_bytes()))
    };
    read().map_err(|error| format!("{error:#}"))
}

fn short(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()[..16].to_owned()
}

impl Checkout {
    /// Why dialects part, case by case.
    pub fn attributions(&self) -> std::path::PathBuf {
        self.root().join("golden/divergence.txt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::DIALECTS;

    fn some() -> Attributions {
        let pair = ["classic@20.10", "buildkit@20.10"].map(str::to_owned);
        let rules = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        let decisions = BTreeMap::from([
            ("copy.directory_parents".to_owned(), rules(&["mode", "owner"])),
            ("history.text".to_owned(), rules(&["history"])),
        ]);
        let entry = |inputs: &str, cause| Entry {
            inputs: inputs.to_owned(),
            pairs: BTreeMap::from([(pair.clone(), cause)]),
        };
        Attributions {
            deltas: BTreeMap::from([(pair.clone(), "00ff".to_owned())]),
            cases: BTreeMap::from([
                ("a/b".to_owned(), entry("1", Cause::Decisions(decisions))),
                ("a/c".to_owned(), entry("2", Cause::Unexplained)),
                ("a/d".to_owned(), Entry { inputs: "3".to_owned(), pairs: BTreeMap::new() }),
            ]),
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let text = some().print();
        assert!(text.contains("\na/b 1\n  classic@20.10 buildkit@20.10: copy.directory_parents=mode+owner history.text=history\n"), "{text}");
        assert_eq!(Attributions::parse(&text).unwrap(), some());
        let error = format!("{:#}", Attributions::parse("a/b 1\n  nonsense\n").unwrap_err());
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn every_dialect_is_in_a_pair() {
        for dialect in DIALECTS {
            assert!(PAIRS.iter().flatten().any(|id| *id == dialect.id), "{} is in no pair", dialect.id);
        }
        for pair in PAIRS {
            delta_digest(*pair).unwrap();
        }
    }

    #[test]
    fn a_case_is_stale_when_a_byte_of_it_or_of_a_golden_changes() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/b");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("Dockerfile"), "FROM scratch\n").unwrap();
        let load = || crate::cases::load(dir.path(), &Default::default()).unwrap();
        let goldens = Goldens::at(dir.path().join("golden"));
        let cases = load();
        let cases: Vec<&Case> = cases.iter().collect();
        let mut known = Attributions::default();
        for pair in PAIRS {
            known.deltas.insert(pair.map(str::to_owned), delta_digest(*pair).unwrap());
        }
        assert_eq!(known.stale(&cases, &goldens).unwrap().cases, ["a/b"]);
        let inputs = inputs(cases[0], &goldens).unwrap();
        known.cases.insert("a/b".to_owned(), Entry { inputs, pairs: BTreeMap::new() });
        assert_eq!(known.stale(&cases, &goldens).unwrap(), Stale::default());
        std::fs::create_dir_all(dir.path().join("golden/a/b/observed")).unwrap();
        std::fs::write(dir.path().join("golden/a/b/observed/x.snap"), "x").unwrap();
        let stale = known.stale(&cases, &goldens).unwrap();
        assert!(stale.cases == ["a/b"] && stale.sentence().unwrap().contains("1 cases"), "{stale:?}");
        assert_eq!(known.stale(&[], &goldens).unwrap().gone, ["a/b"]);
    }
}
