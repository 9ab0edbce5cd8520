//! Where goldens lie and who writes them: `golden/<group>/<name>/observed/` only from a real builder,
//! `…/reference/` only from the reference builder and only where nothing was observed. What stands in one is
//! `samebuild_image::golden`'s affair; `cargo insta` understands the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use samebuild_image::golden::Observation;

use crate::cases::CaseId;
use crate::files;

/// The goldens of a checkout.
#[derive(Clone, Debug)]
pub struct Goldens {
    root: PathBuf,
}

/// Who made a golden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A real builder did this.
    Observed,
    /// Nobody was seen doing it; the reference builder does, and somebody read it and agreed.
    Reference,
}

/// One golden and its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    pub origin: Origin,
    /// Relative to the goldens' root: `copy/chown/observed/classic@20.10.snap`.
    pub file: PathBuf,
    pub observation: Observation,
}

impl Origin {
    /// The directory of its goldens.
    pub fn dir(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Reference => "reference",
        }
    }
}

impl Goldens {
    /// Those under `root`, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where they lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All goldens of a case, observed ones first, by file name.
    ///
    /// # Errors
    /// A file cannot be read or understood, or two observations claim the same dialect.
    pub fn of(&self, case: &CaseId) -> Result<Vec<Golden>> {
        let mut goldens = Vec::new();
        for origin in [Origin::Observed, Origin::Reference] {
            for path in snaps_in(&self.dir(case, origin))? {
                let file = path.strip_prefix(&self.root).unwrap_or(&path).to_owned();
                goldens.push(Golden { origin, file, observation: read(&path)? });
            }
            one_each(&goldens, origin)?;
        }
        Ok(goldens)
    }

    /// The dialects that a real builder was seen speaking, in any case.
    ///
    /// # Errors
    /// As [`Goldens::of`].
    pub fn observed_dialects<'a>(
        &self,
        cases: impl IntoIterator<Item = &'a CaseId>,
    ) -> Result<BTreeSet<String>> {
        let mut dialects = BTreeSet::new();
        for case in cases {
            let observed = self.of(case)?.into_iter().filter(|golden| golden.origin == Origin::Observed);
            dialects.extend(observed.flat_map(|golden| golden.observation.seen_by));
        }
        Ok(dialects)
    }

    /// What `dialect` is held against in a case: its observation, else its blessed reference.
    ///
    /// # Errors
    /// As [`Goldens::of`].
    pub fn find(&self, case: &CaseId, dialect: &str) -> Result<Option<Golden>> {
        let mut goldens = self.of(case)?;
        let found =
            goldens.iter().position(|golden| golden.observation.seen_by.iter().any(|id| id == dialect));
        Ok(found.map(|index| goldens.swap_remove(index)))
    }

    /// Writes what a real builder did. Equal observations share a file; a reference golden of the dialect goes, because
    /// now it is known. `true` if anything changed.
    ///
    /// # Errors
    /// The disk, or a golden that is there cannot be understood.
    pub fn observe(&self, case: &CaseId, seen: Observation) -> Result<bool> {
        let dir = self.dir(case, Origin::Observed);
        let goldens = self.of(case)?;
        let before: Vec<Observation> = observations(&goldens, Origin::Observed);
        let after = regroup(before.clone(), seen.clone());
        let mut changed = self.replace(case, &dir, &before, &after)?;
        for dialect in &seen.seen_by {
            changed |= files::remove_if_there(&self.file(case, Origin::Reference, dialect))?;
        }
        remove_if_empty(&self.dir(case, Origin::Reference));
        Ok(changed)
    }

    /// Accepts what the reference builder does in a dialect. `true` if anything changed.
    ///
    /// # Errors
    /// The dialect was observed, and nobody overrules a real builder; the disk.
    pub fn bless(&self, case: &CaseId, dialect: &str, made: &Observation) -> Result<bool> {
        if let Some(golden) = self.find(case, dialect)?
            && golden.origin == Origin::Observed
        {
            bail!("bless {case} in {dialect}: a real builder was observed ({})", golden.file.display());
        }
        let path = self.file(case, Origin::Reference, dialect);
        let text = snap(case, made);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(false);
        }
        files::write(&path, text.as_bytes())?;
        forget_pending(&path);
        Ok(true)
    }

    /// Goldens of cases that are not there, or of dialects nobody speaks: paths below the root, sorted.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn orphans(&self, cases: &BTreeSet<&str>, dialects: &BTreeSet<&str>) -> Result<Vec<PathBuf>> {
        let mut orphans = Vec::new();
        for path in files::below(&self.root)? {
            let Ok(file) = path.strip_prefix(&self.root) else { continue };
            if !is_wanted(file, cases, dialects) {
                orphans.push(file.to_owned());
            }
        }
        Ok(orphans)
    }

    /// The file a golden of this dialect has, or would have if no other shared it.
    pub fn file(&self, case: &CaseId, origin: Origin, dialect: &str) -> PathBuf {
        self.dir(case, origin).join(format!("{dialect}.snap"))
    }

    fn dir(&self, case: &CaseId, origin: Origin) -> PathBuf {
        self.root.join(case.as_str()).join(origin.dir())
    }

    fn replace(
        &self,
        case: &CaseId,
        dir: &Path,
        before: &[Observation],
        after: &[Observation],
    ) -> Result<bool> {
        let files = |observations: &[Observation]| -> BTreeMap<PathBuf, String> {
            observations.iter().map(|seen| (dir.join(file_name(seen)), snap(case, seen))).collect()
        };
        let (before, after) = (files(before), files(after));
        for (path, text) in &after {
            if before.get(path) != Some(text) {
                files::write(path, text.as_bytes())?;
            }
            forget_pending(path);
        }
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            files::remove_if_there(path)?;
        }
        Ok(before != after)
    }
}

/// The text of a `.snap` file without what insta puts above it.
pub fn body(snap: &str) -> &str {
    let Some(rest) = snap.strip_prefix("---\n") else { return snap };
    rest.split_once("\n---\n").map_or(snap, |(_, body)| body)
}

fn snap(case: &CaseId, observation: &Observation) -> String {
    format!("---\nsource: dockerfiles/{case}/Dockerfile\n---\n{observation}")
}

fn read(path: &Path) -> Result<Observation> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Observation::parse(body(&text)).with_context(|| format!("read the golden {}", path.display()))
}

fn file_name(observation: &Observation) -> String {
    format!("{}.snap", observation.seen_by.first().map_or("nobody", String::as_str))
}

fn observations(goldens: &[Golden], origin: Origin) -> Vec<Observation> {
    goldens.iter().filter(|golden| golden.origin == origin).map(|golden| golden.observation.clone()).collect()
}

/// Puts `seen` in place of what its dialects were seen doing before; equal ones become one.
fn regroup(before: Vec<Observation>, seen: Observation) -> Vec<Observation> {
    let mut after: Vec<Observation> = before
        .into_iter()
        .map(|mut old| {
            old.seen_by.retain(|id| !seen.seen_by.contains(id));
            old
        })
        .filter(|old| !old.seen_by.is_empty())
        .collect();
    match after.iter_mut().find(|old| old.outcome == seen.outcome && old.platform == seen.platform) {
        Some(same) => {
            same.seen_by.extend(seen.seen_by);
            same.seen_by.sort();
        }
        None => after.push(seen),
    }
    after.sort_by(|a, b| a.seen_by.cmp(&b.seen_by));
    after
}

/// One observation for each dialect.
fn one_each(goldens: &[Golden], origin: Origin) -> Result<()> {
    let mut files: BTreeMap<&str, &Path> = BTreeMap::new();
    for golden in goldens.iter().filter(|golden| golden.origin == origin) {
        for dialect in &golden.observation.seen_by {
            if let Some(other) = files.insert(dialect, &golden.file) {
                let (one, two) = (other.display(), golden.file.display());
                bail!("both {one} and {two} say what {dialect} does; delete the wrong one");
            }
        }
    }
    Ok(())
}

fn is_wanted(file: &Path, cases: &BTreeSet<&str>, dialects: &BTreeSet<&str>) -> bool {
    let Some(text) = file.to_str() else { return false };
    if !text.contains('/') {
        // A page about the goldens, and why dialects part.
        return text.ends_with(".md") || text == "divergence.txt";
    }
    let Some((dir, name)) = text.rsplit_once('/') else { return false };
    let Some((case, origin)) = dir.rsplit_once('/') else { return false };
    let origin_known = [Origin::Observed, Origin::Reference].iter().any(|known| known.dir() == origin);
    let dialect_known = name.strip_suffix(".snap").is_some_and(|dialect| dialects.contains(dialect));
    origin_known && dialect_known && cases.contains(case)
}

fn snaps_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut snaps = files::below(dir)?;
    snaps.retain(|path| path.extension().is_some_and(|extension| extension == "snap"));
    Ok(snaps)
}

/// What `cargo insta` would still offer for review is settled now.
fn forget_pending(path: &Path) {
    let _ = std::fs::remove_file(path.with_extension("snap.new"));
}

fn remove_if_empty(dir: &Path) {
    let _ = std::fs::remove_dir(dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::golden::{Failure, Outcome};

    fn seen(dialects: &[&str], class: &str) -> Observation {
        Observation {
            seen_by: dialects.iter().map(|id| (*id).to_owned()).collect(),
            builder: format!("builder of {}", dialects[0]),
            platform: "linux/amd64".to_owned(),
            outcome: Outcome::Failed(Failure {
                step: Some(2),
                line: None,
                class: class.to_owned(),
                message: "no".to_owned(),
            }),
        }
    }

    fn goldens() -> (tempfile::TempDir, Goldens, CaseId) {
        let dir = tempfile::tempdir().unwrap();
        let goldens = Goldens::at(dir.path());
        (dir, goldens, "copy/x".parse().unwrap())
    }

    fn files_of(goldens: &Goldens) -> Vec<String> {
        let below = files::below(goldens.root()).unwrap();
        below.iter().map(|p| p.strip_prefix(goldens.root()).unwrap().display().to_string()).collect()
    }

    #[test]
    fn equal_observations_share_a_file_until_they_part() {
        let (_dir, goldens, case) = goldens();
        assert!(goldens.observe(&case, seen(&["b@1"], "x")).unwrap());
        assert!(goldens.observe(&case, seen(&["a@1"], "x")).unwrap());
        assert_eq!(files_of(&goldens), ["copy/x/observed/a@1.snap"]);
        assert!(!goldens.observe(&case, seen(&["a@1"], "x")).unwrap());
        assert!(goldens.observe(&case, seen(&["a@1"], "y")).unwrap());
        assert_eq!(files_of(&goldens), ["copy/x/observed/a@1.snap", "copy/x/observed/b@1.snap"]);
        let found = goldens.find(&case, "b@1").unwrap().unwrap();
        assert_eq!(found.observation.outcome, seen(&["b@1"], "x").outcome);
        assert_eq!(goldens.find(&case, "c@1").unwrap(), None);
    }

    #[test]
    fn an_observation_replaces_a_blessed_golden_and_is_never_overruled() {
        let (_dir, goldens, case) = goldens();
        assert!(goldens.bless(&case, "a@1", &seen(&["a@1"], "mine")).unwrap());
        assert!(!goldens.bless(&case, "a@1", &seen(&["a@1"], "mine")).unwrap());
        goldens.observe(&case, seen(&["a@1"], "theirs")).unwrap();
        assert_eq!(files_of(&goldens), ["copy/x/observed/a@1.snap"]);
        let refused = goldens.bless(&case, "a@1", &seen(&["a@1"], "mine")).unwrap_err();
        assert!(refused.to_string().contains("a real builder was observed"), "{refused}");
    }

    #[test]
    fn goldens_without_a_case_or_a_dialect_are_orphans() {
        let (dir, goldens, case) = goldens();
        goldens.observe(&case, seen(&["a@1"], "x")).unwrap();
        goldens.observe(&"copy/gone".parse().unwrap(), seen(&["a@1"], "x")).unwrap();
        goldens.bless(&case, "z@1", &seen(&["z@1"], "x")).unwrap();
        std::fs::write(dir.path().join("README.md"), "x").unwrap();
        let orphans = goldens.orphans(&BTreeSet::from(["copy/x"]), &BTreeSet::from(["a@1"])).unwrap();
        assert_eq!(
            orphans,
            [Path::new("copy/gone/observed/a@1.snap"), Path::new("copy/x/reference/z@1.snap")]
        );
    }

    #[test]
    fn two_files_that_claim_one_dialect_are_refused() {
        let (dir, goldens, case) = goldens();
        goldens.observe(&case, seen(&["a@1"], "x")).unwrap();
        let observed = dir.path().join("copy/x/observed");
        std::fs::copy(observed.join("a@1.snap"), observed.join("b@1.snap")).unwrap();
        let refused = goldens.of(&case).unwrap_err().to_string();
        assert!(refused.contains("say what a@1 does"), "{refused}");
    }
}
