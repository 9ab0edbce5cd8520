//! One check: two observations of a case in a dialect, held against each other and judged. Where the observations come from
//! is `suite.rs`'s affair.

use samebuild_compare::{Difference, Options, Page, Where, compare_outcome};
use samebuild_image::golden::{self, Observation};

use super::judge::{Ended, Judgement, Side, judge};
use super::verdict::Verdict;
use crate::builders::{Answer, Ground, Step};
use crate::cases::{Case, Known, Outcome};

/// What came of one check.
#[derive(Clone, Debug)]
pub struct Check {
    pub case: String,
    pub dialect: String,
    /// What was held against what: `golden`, `live docker-20.10`, `live docker-20.10 against its golden`.
    pub against: String,
    pub verdict: Verdict,
    /// One sentence; empty for `same`, unless both sides failed alike.
    pub why: String,
    /// Every difference, documented ones too, in the order of the comparison.
    pub differences: Vec<Found>,
    /// Whether it is one dialect against another: knowledge, not infidelity.
    pub is_divergence: bool,
}

/// A difference in its case.
#[derive(Clone, Debug)]
pub struct Found {
    pub difference: Difference,
    /// Why it is known, if case.toml says so.
    pub known: Option<String>,
    /// Line of the instruction that made the layer it is in.
    pub line: Option<usize>,
    /// Why it is there, where that was asked.
    pub cause: Option<&'static Page>,
    /// What is particular to it, of that cause: `the header's time is 1 and 2`. May be empty.
    pub said: String,
}

impl From<Difference> for Found {
    fn from(difference: Difference) -> Self {
        Self { difference, known: None, line: None, cause: None, said: String::new() }
    }
}

/// One side: who, and what came of it.
pub struct Party<'a> {
    pub name: &'a str,
    pub answer: &'a Answer,
}

/// Holds left against right. `knowns` count only where a prediction is held against a real builder.
pub fn check(
    case: &Case,
    dialect: &str,
    against: impl Into<String>,
    ground: &Ground,
    parties: [&Party<'_>; 2],
    with_knowns: bool,
) -> Check {
    let [left, right] = parties;
    let expected = case.outcome(dialect);
    let knowns: Vec<&Known> =
        case.known.iter().filter(|known| with_knowns && known.dialect == dialect).collect();
    let mut sides = [side(left), side(right)];
    let differences = match (left.answer, right.answer) {
        (Answer::Ended(left), Answer::Ended(right)) => {
            match differences(&left.observation, &right.observation, ground) {
                Ok(differences) => differences,
                Err(error) => {
                    sides[0].ended = Ended::Broken(error.to_string());
                    Vec::new()
                }
            }
        }
        _ => Vec::new(),
    };
    let judgement = judge(&expected, &sides[0], &sides[1], differences, &knowns, |known, difference| {
        covers(known, difference)
    });
    let steps = if let Answer::Ended(left) = left.answer { &left.steps[..] } else { &[] };
    Check {
        case: case.id.to_string(),
        dialect: dialect.to_owned(),
        against: against.into(),
        verdict: judgement.verdict,
        why: judgement.why.clone(),
        differences: found(judgement, &knowns, steps),
        is_divergence: false,
    }
}

/// A check that could not be made, or need not be.
pub fn unmade(
    case: &Case,
    dialect: &str,
    against: impl Into<String>,
    verdict: Verdict,
    why: String,
) -> Check {
    let (case, dialect) = (case.id.to_string(), dialect.to_owned());
    let (against, differences) = (against.into(), Vec::new());
    Check { case, dialect, against, verdict, why, differences, is_divergence: false }
}

/// What two observations differ in, on the base at hand.
///
/// # Errors
/// A content cannot be read.
pub fn differences(
    left: &Observation,
    right: &Observation,
    ground: &Ground,
) -> Result<Vec<Difference>, samebuild_compare::CompareError> {
    let epochs = ground.epochs(None);
    let options = Options { left: epochs, right: epochs, base: Some(ground.image()), ..Options::strict() };
    compare_outcome(left, right, &options)
}

fn side<'a>(party: &Party<'a>) -> Side<'a> {
    let ended = match party.answer {
        Answer::Ended(ended) => match &ended.observation.outcome {
            golden::Outcome::Built(_) => Ended::Built,
            golden::Outcome::Failed(failure) => Ended::Failed(failure.clone()),
        },
        Answer::Unmet(need) => Ended::Unmet(need.clone()),
        Answer::Broken(what) => Ended::Broken(what.clone()),
    };
    Side { name: party.name, ended }
}

fn found(judgement: Judgement<Difference>, knowns: &[&Known], steps: &[Step]) -> Vec<Found> {
    let covered = judgement
        .covered
        .into_iter()
        .map(|(index, difference)| (difference, knowns.get(index).map(|known| known.why.clone())));
    let mut all: Vec<Found> = covered
        .chain(judgement.open.into_iter().map(|difference| (difference, None)))
        .map(|(difference, known)| Found {
            line: line_of(&difference, steps),
            known,
            ..Found::from(difference)
        })
        .collect();
    all.sort_by(|a, b| a.difference.at.cmp(&b.difference.at));
    all
}

/// Line of the instruction that made the layer a difference is in, if the builder told.
pub(crate) fn line_of(difference: &Difference, steps: &[Step]) -> Option<usize> {
    match &difference.at {
        Where::Entry(number, _) | Where::Layer(number) => {
            steps.iter().rev().find(|step| step.layer == Some(number.left)).map(|step| step.line)
        }
        _ => None,
    }
}

fn covers(known: &Known, difference: &Difference) -> bool {
    if known.rule != difference.rule {
        return false;
    }
    match &known.at {
        None => true,
        Some(glob) => difference.at.path().is_some_and(|at| glob_matches(glob, &at.to_string())),
    }
}

/// Whether `glob` matches the whole of `path`: `*` is anything within a component, `**` anything at all.
pub(crate) fn glob_matches(glob: &str, path: &str) -> bool {
    match glob.split_once('*') {
        None => glob == path,
        Some((before, rest)) => {
            let Some(left) = path.strip_prefix(before) else { return false };
            let (deep, rest) = match rest.strip_prefix('*') {
                Some(rest) => (true, rest),
                None => (false, rest),
            };
            let reach = if deep { left.len() } else { left.find('/').unwrap_or(left.len()) };
            (0..=reach)
                .filter(|taken| left.is_char_boundary(*taken))
                .any(|taken| glob_matches(rest, &left[taken..]))
        }
    }
}

/// Whether a case says that a builder of this dialect never ends with it.
pub fn hangs(case: &Case, dialect: &str) -> bool {
    case.outcome(dialect) == Outcome::Hangs
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::At;

    #[test]
    fn a_known_covers_its_rule_at_its_places_only() {
        let known = |at: Option<&str>| Known {
            dialect: "x@1".to_owned(),
            rule: "owner".to_owned(),
            at: at.map(str::to_owned),
            why: "because".to_owned(),
        };
        let difference = |rule, path: &str| Difference {
            rule,
            at: Where::Rootfs(At::from(path)),
            left: String::new(),
            right: String::new(),
            seen: None,
            entries: Default::default(),
        };
        for (at, rule, path, covered) in [
            (None, "owner", "srv/a", true),
            (None, "mode", "srv/a", false),
            (Some("/srv/**"), "owner", "srv/a/b", true),
            (Some("/srv/*"), "owner", "srv/a", true),
            (Some("/srv/*"), "owner", "srv/a/b", false),
            (Some("/srv/*/b"), "owner", "srv/a/b", true),
            (Some("/srv"), "owner", "srv", true),
            (Some("/srv"), "owner", "srv/a", false),
            (Some("/**/x"), "owner", "a/b/x", true),
        ] {
            assert_eq!(covers(&known(at), &difference(rule, path)), covered, "{at:?} {rule} {path}");
        }
    }
}
