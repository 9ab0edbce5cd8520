//! Divergence: where nobody recorded anything, the dialects are held against one another, each against the first. That they
//! differ is knowledge; which decisions make them differ is asked of `dialects::attribute`.

use std::collections::BTreeSet;
use std::time::Duration;

use samebuild_builder::dialect::find;
use samebuild_image::golden::Outcome;

use super::check::{Check, Found, Party, check, differences, hangs, unmade};
use super::judge::{Ended as How, against_expectation};
use super::suite::{CaseResult, Suite, guarded, unmet};
use super::verdict::Verdict;
use crate::builders::{Answer, Ended, Ground, Order};
use crate::cases::Case;
use crate::dialects::attribute::{Why, attribute};

/// Every dialect against the first one; with an engine, its builders against their dialects too.
pub(super) fn against_one_another(suite: &Suite<'_>, case: &Case, ground: &Ground) -> CaseResult {
    if let Some(need) = unmet(case) {
        let check = unmade(case, "every dialect", "one another", Verdict::Skipped, need);
        return CaseResult { checks: vec![check], ..CaseResult::default() };
    }
    let answers: Vec<(&str, Answer)> = suite
        .dialects
        .iter()
        .map(|dialect| (*dialect, or_unmet(predicted(suite, case, dialect, ground), &ground.base.reference)))
        .collect();
    let mut result = CaseResult::default();
    for (dialect, answer) in &answers {
        result.checks.extend(as_expected(case, dialect, answer));
        if let Answer::Ended(ended) = answer {
            result.stand_ins.extend(ended.stand_ins.iter().cloned());
        }
        if let Some(builder) = suite.live.get(dialect) {
            let built = guarded(builder.as_ref(), &Order::new(case, dialect, ground));
            let sides =
                [Party { name: "the reference", answer }, Party { name: suite.engine, answer: &built }];
            result.checks.push(free(case, dialect, format!("live {}", suite.engine), ground, &sides));
        }
    }
    let Some(((first, left), rest)) = answers.split_first() else { return result };
    let mut hint = BTreeSet::new();
    for (dialect, right) in rest {
        let sides = [Party { name: first, answer: left }, Party { name: dialect, answer: right }];
        let check = free(case, dialect, (*first).to_owned(), ground, &sides);
        let is_apart = matches!(check.verdict, Verdict::Different | Verdict::Failed);
        if let (true, Answer::Ended(left), Answer::Ended(right)) = (is_apart, left, right) {
            let why = why(suite, case, ground, [(first, left), (dialect, right)], &mut hint);
            result.because.insert((*dialect).to_owned(), why);
        }
        let is_said = check.verdict == Verdict::Failed && is_as_said(case, [(first, left), (dialect, right)]);
        let verdict = if is_said { Verdict::Known } else { check.verdict };
        result.checks.push(Check { is_divergence: true, verdict, ..check });
    }
    result
}

fn predicted(suite: &Suite<'_>, case: &Case, dialect: &str, ground: &Ground) -> Answer {
    if hangs(case, dialect) {
        return Answer::Unmet(format!("{dialect} never ends here, and nobody waits for it"));
    }
    guarded(suite.reference, &Order::new(case, dialect, ground))
}

/// What somebody said would come of it, if it came otherwise or as said.
fn as_expected(case: &Case, dialect: &str, answer: &Answer) -> Option<Check> {
    let expected = case.said_outcome(dialect)?;
    let Answer::Ended(ended) = answer else { return None };
    let how = match &ended.observation.outcome {
        Outcome::Built(_) => How::Built,
        Outcome::Failed(failure) => How::Failed(failure.clone()),
    };
    let side = super::judge::Side { name: dialect, ended: how };
    let against = "what its rules say";
    Some(match against_expectation(&expected, &side) {
        None => unmade(case, dialect, against, Verdict::Same, String::new()),
        Some(why) => {
            unmade(case, dialect, against, Verdict::Failed, why.replace("case.toml says", "its rules say"))
        }
    })
}

/// Whether somebody said that the one builds and the other does not.
fn is_as_said(case: &Case, sides: [(&str, &Answer); 2]) -> bool {
    let checks = sides.map(|(dialect, answer)| as_expected(case, dialect, answer));
    checks.iter().any(Option::is_some) && checks.iter().flatten().all(|check| check.verdict == Verdict::Same)
}

/// How long the steps of two builds may take for the decisions that part them to be searched for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Which decisions make two dialects part; `hint` is what was found before, and grows.
fn why(
    suite: &Suite<'_>,
    case: &Case,
    ground: &Ground,
    sides: [(&str, &Ended); 2],
    hint: &mut BTreeSet<String>,
) -> Why {
    let took: Duration =
        sides.iter().flat_map(|(_, ended)| &ended.times).filter_map(|step| step.elapsed).sum();
    let [(left, one), (right, other)] = sides;
    if took > PATIENCE {
        return Why::Unmet(format!(
            "two builds took {:.0} s, and it takes dozens; `samebuild dialects --explain {left} {right} {}` asks all the same",
            took.as_secs_f64(),
            case.id
        ));
    }
    let seen = [&one.observation, &other.observation];
    let found = match (find(left), find(right)) {
        (Ok(left), Ok(right)) => attribute(case, ground, [left, right], seen, suite.reference, hint),
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
    };
    let why = found.unwrap_or_else(|error| Why::Unmet(format!("{error:#}")));
    if let Why::Because(because) = &why {
        hint.extend(because.iter().map(|because| because.flip.decision.clone()));
    }
    why
}

/// An image that nobody has says nothing about the Dockerfile: dialects that all miss it agree on nothing.
fn or_unmet(answer: Answer, base: &str) -> Answer {
    let Answer::Ended(ended) = &answer else { return answer };
    let Outcome::Failed(failure) = &ended.observation.outcome else { return answer };
    if failure.class != "image-not-found" {
        return answer;
    }
    Answer::Unmet(format!(
        "{}; nothing is pulled: start FROM scratch or {base}, let a base of ours stand in ([bases] in samebuild.toml), or give \
         it with `samebuild build DIR --build-context NAME=oci-layout://DIR`",
        failure.message.trim()
    ))
}

/// How a build failed, in a few words.
fn failed(answer: &Ended) -> Option<String> {
    let Outcome::Failed(failure) = &answer.observation.outcome else { return None };
    let line = failure.line.map_or(String::new(), |line| format!(", line {line}"));
    Some(format!("{}{line}", failure.class))
}

/// A check without an expectation: both may build, or both fail. Where one fails alone, that is the finding.
fn free(case: &Case, dialect: &str, against: String, ground: &Ground, sides: &[Party<'_>; 2]) -> Check {
    let [left, right] = sides;
    match (left.answer, right.answer) {
        (Answer::Ended(one), Answer::Ended(other)) => {
            match differences(&one.observation, &other.observation, ground) {
                Ok(found) if found.is_empty() => {
                    let why = failed(one).map_or(String::new(), |how| format!("all fail: {how}"));
                    unmade(case, dialect, against, Verdict::Same, why)
                }
                Ok(found) => {
                    let (verdict, why) = match (failed(one), failed(other)) {
                        (Some(how), None) => {
                            (Verdict::Failed, format!("{} fails ({how}), {} builds", left.name, right.name))
                        }
                        (None, Some(how)) => {
                            (Verdict::Failed, format!("{} fails ({how}), {} builds", right.name, left.name))
                        }
                        _ => (Verdict::Different, counted(found.len(), left.name, right.name)),
                    };
                    let mut check = unmade(case, dialect, against, verdict, why);
                    check.differences = found.into_iter().map(Found::from).collect();
                    check
                }
                Err(error) => unmade(case, dialect, against, Verdict::Broken, error.to_string()),
            }
        }
        _ => check(case, dialect, against, ground, [left, right], false),
    }
}

fn counted(number: usize, left: &str, right: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} difference{plural} between {left} and {right}")
}
