//! From what was seen to a verdict: a pure function. What two images differ in is `samebuild-compare`'s question; which
//! differences a case documents is the case's; here is only what follows from both.

use samebuild_image::golden::Failure;

use super::verdict::Verdict;
use crate::cases::Outcome;

/// How one side of a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Built,
    Failed(Failure),
    /// It was not tried: the sentence says what is missing.
    Unmet(String),
    /// It crashed, hung or lost its daemon: nobody knows.
    Broken(String),
}

/// One side: who, and how it ended.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    pub name: &'a str,
    pub ended: Ended,
}

/// A verdict and what it rests on. `D` is a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement<D> {
    pub verdict: Verdict,
    /// One sentence; empty for `same`.
    pub why: String,
    /// Differences that exactly one known covers, with its index.
    pub covered: Vec<(usize, D)>,
    /// All others.
    pub open: Vec<D>,
    /// Knowns that cover nothing.
    pub stale: Vec<usize>,
}

/// Judges a check. `differences` are those of the two sides, both built or both failed; `knowns` are the case's for this
/// dialect, and `covers` says whether one speaks of a difference.
pub fn judge<K, D>(
    expected: &Outcome,
    left: &Side<'_>,
    right: &Side<'_>,
    differences: Vec<D>,
    knowns: &[K],
    covers: impl Fn(&K, &D) -> bool,
) -> Judgement<D> {
    if let Some(judgement) = not_comparable(expected, left, right) {
        return judgement;
    }
    let mut judgement = weigh(differences, knowns, covers);
    let (verdict, why) = if !judgement.open.is_empty() {
        (Verdict::Different, undocumented(&judgement, left, right))
    } else if !judgement.stale.is_empty() {
        let count = judgement.stale.len();
        (Verdict::Stale, format!("{count} of the [[known]] in case.toml no longer happen: remove them"))
    } else if !judgement.covered.is_empty() {
        (Verdict::Known, format!("{} differences, all in case.toml", judgement.covered.len()))
    } else {
        (Verdict::Same, String::new())
    };
    judgement.verdict = verdict;
    judgement.why = why;
    judgement
}

/// The class of a build that does not end.
const HANGS: &str = "hangs";

/// A verdict that no comparison can change.
fn not_comparable<D>(expected: &Outcome, left: &Side<'_>, right: &Side<'_>) -> Option<Judgement<D>> {
    for side in [left, right] {
        if let Ended::Broken(what) = &side.ended {
            return Some(verdict(Verdict::Broken, format!("{}: {what}", side.name)));
        }
    }
    for side in [left, right] {
        if let Ended::Unmet(need) = &side.ended {
            return Some(verdict(Verdict::Skipped, need.clone()));
        }
    }
    for side in [left, right] {
        if let Some(why) = against_expectation(expected, side) {
            return Some(verdict(Verdict::Failed, why));
        }
    }
    None
}

/// How an ending contradicts what was expected, in a sentence.
pub(super) fn against_expectation(expected: &Outcome, side: &Side<'_>) -> Option<String> {
    let name = side.name;
    match (expected, &side.ended) {
        (Outcome::Builds, Ended::Failed(failure)) => {
            Some(format!("{name} failed, and case.toml says it builds: {}", said(failure)))
        }
        (Outcome::Fails { .. } | Outcome::Hangs, Ended::Built) => {
            Some(format!("{name} built it, and case.toml says it does not"))
        }
        (Outcome::Hangs, Ended::Failed(failure)) if failure.class == HANGS => None,
        (Outcome::Hangs, Ended::Failed(failure)) => {
            Some(format!("{name} failed, and case.toml says it hangs: {}", said(failure)))
        }
        (Outcome::Fails { step, class }, Ended::Failed(failure)) => {
            // A builder that does not say which step failed cannot contradict the case.
            if let Some(found) = failure.step.filter(|found| found != step) {
                return Some(format!(
                    "{name} failed in step {found}, and case.toml says in {step}: {}",
                    said(failure)
                ));
            }
            let class = class.as_ref().filter(|class| **class != failure.class)?;
            Some(format!("{name} failed, but not as `{class}`, as case.toml says: {}", said(failure)))
        }
        _ => None,
    }
}

fn said(failure: &Failure) -> String {
    format!("{} ({})", failure.message.trim(), failure.class)
}

fn verdict<D>(verdict: Verdict, why: String) -> Judgement<D> {
    Judgement { verdict, why, covered: Vec::new(), open: Vec::new(), stale: Vec::new() }
}

/// Gives each difference to the one known that covers it. Two that cover the same one contradict each other, so it
/// stays open.
fn weigh<K, D>(differences: Vec<D>, knowns: &[K], covers: impl Fn(&K, &D) -> bool) -> Judgement<D> {
    let mut judgement = verdict(Verdict::Same, String::new());
    let mut used = vec![false; knowns.len()];
    for difference in differences {
        let by: Vec<usize> = (0..knowns.len()).filter(|index| covers(&knowns[*index], &difference)).collect();
        for index in &by {
            used[*index] = true;
        }
        match by[..] {
            [index] => judgement.covered.push((index, difference)),
            _ => judgement.open.push(difference),
        }
    }
    judgement.stale = (0..knowns.len()).filter(|index| !used[*index]).collect();
    judgement
}

fn undocumented<D>(judgement: &Judgement<D>, left: &Side<'_>, right: &Side<'_>) -> String {
    let (open, covered) = (judgement.open.len(), judgement.covered.len());
    let known = if covered > 0 { format!(", beside {covered} known ones") } else { String::new() };
    let plural = if open == 1 { "" } else { "s" };
    format!("{open} difference{plural} between {} and {}{known}", left.name, right.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(step: Option<u32>, class: &str) -> Failure {
        Failure { step, line: Some(7), class: class.to_owned(), message: "no such file".to_owned() }
    }

    fn fails(step: u32, class: &str) -> Outcome {
        Outcome::Fails { step, class: Some(class.to_owned()) }
    }

    /// A known is a prefix of the differences it covers.
    fn judged(
        expected: &Outcome,
        left: Ended,
        right: Ended,
        differences: &[&'static str],
        knowns: &[&'static str],
    ) -> Judgement<&'static str> {
        let left = Side { name: "reference", ended: left };
        let right = Side { name: "golden", ended: right };
        judge(expected, &left, &right, differences.to_vec(), knowns, |known, difference| {
            difference.starts_with(known)
        })
    }

    fn both_built(differences: &[&'static str], knowns: &[&'static str]) -> Judgement<&'static str> {
        judged(&Outcome::Builds, Ended::Built, Ended::Built, differences, knowns)
    }

    #[test]
    fn exactly_one_known_covers_each_difference() {
        for (differences, knowns, verdict) in [
            (&[][..], &[][..], Verdict::Same),
            (&["owner /a"], &[], Verdict::Different),
            (&["owner /a"], &["owner"], Verdict::Known),
            (&["owner /a", "owner /b"], &["owner"], Verdict::Known),
            (&["owner /a", "mode /a"], &["owner", "mode"], Verdict::Known),
            (&["owner /a", "mode /a"], &["owner"], Verdict::Different),
            (&["owner /a"], &["owner", "own"], Verdict::Different),
            (&[], &["owner"], Verdict::Stale),
            (&["owner /a"], &["owner", "mode"], Verdict::Stale),
            (&["owner /a", "link /a"], &["owner", "mode"], Verdict::Different),
        ] {
            assert_eq!(both_built(differences, knowns).verdict, verdict, "{differences:?} {knowns:?}");
        }
    }

    #[test]
    fn a_known_that_covers_nothing_is_named() {
        let judgement = both_built(&["owner /a"], &["mode", "owner", "link"]);
        assert_eq!(judgement.stale, [0, 2]);
        assert_eq!(judgement.covered, [(1, "owner /a")]);
    }

    #[test]
    fn every_pair_of_endings_against_every_expectation() {
        use Verdict::*;
        let built = || Ended::Built;
        let failed = || Ended::Failed(failure(Some(3), "copy-not-found"));
        let unmet = || Ended::Unmet("needs root".to_owned());
        let broken = || Ended::Broken("hung".to_owned());
        let expected_failure = fails(3, "copy-not-found");
        type End<'a> = &'a dyn Fn() -> Ended;
        let table: [(End, End, Verdict, Verdict); 16] = [
            // left, right, expected built, expected to fail
            (&built, &built, Same, Failed),
            (&built, &failed, Failed, Failed),
            (&built, &unmet, Skipped, Skipped),
            (&built, &broken, Broken, Broken),
            (&failed, &built, Failed, Failed),
            (&failed, &failed, Failed, Same),
            (&failed, &unmet, Skipped, Skipped),
            (&failed, &broken, Broken, Broken),
            (&unmet, &built, Skipped, Skipped),
            (&unmet, &failed, Skipped, Skipped),
            (&unmet, &unmet, Skipped, Skipped),
            (&unmet, &broken, Broken, Broken),
            (&broken, &built, Broken, Broken),
            (&broken, &failed, Broken, Broken),
            (&broken, &unmet, Broken, Broken),
            (&broken, &broken, Broken, Broken),
        ];
        for (left, right, when_built, when_failing) in table {
            let verdict = |expected: &Outcome| judged(expected, left(), right(), &[], &[]).verdict;
            let ends = format!("{:?} {:?}", left(), right());
            assert_eq!(verdict(&Outcome::Builds), when_built, "{ends}");
            assert_eq!(verdict(&expected_failure), when_failing, "{ends}");
        }
    }

    #[test]
    fn a_build_that_fails_elsewhere_or_otherwise_failed_against_expectation() {
        let ended = || Ended::Failed(failure(Some(3), "run-exit"));
        for (expected, verdict) in [
            (fails(3, "run-exit"), Verdict::Same),
            (Outcome::Fails { step: 3, class: None }, Verdict::Same),
            (fails(4, "run-exit"), Verdict::Failed),
            (fails(3, "unknown-flag"), Verdict::Failed),
            (Outcome::Hangs, Verdict::Failed),
        ] {
            assert_eq!(judged(&expected, ended(), ended(), &[], &[]).verdict, verdict, "{expected:?}");
        }
        // A builder that names no step cannot contradict one.
        let silent = || Ended::Failed(failure(None, "run-exit"));
        assert_eq!(judged(&fails(4, "run-exit"), silent(), silent(), &[], &[]).verdict, Verdict::Same);
    }

    #[test]
    fn two_failures_may_differ_too() {
        let ended = || Ended::Failed(failure(Some(3), "run-exit"));
        let judgement = judged(&fails(3, "run-exit"), ended(), ended(), &["message"], &[]);
        assert_eq!(judgement.verdict, Verdict::Different);
        assert_eq!(judgement.why, "1 difference between reference and golden");
    }
}
