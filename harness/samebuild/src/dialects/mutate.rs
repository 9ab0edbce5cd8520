//! Keeps the table honest: every decision of every dialect is turned to each other variant, and some case must notice. A
//! decision that can be turned unnoticed decides nothing, or no case asks about it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use samebuild_builder::dialect::{Choice, DIALECTS};
use samebuild_builder::{Dialect, dialect};
use samebuild_image::golden::Outcome;

use super::reasons::reason;
use crate::builders::{Answer, Builder, Ended, Ground, Order};
use crate::cases::Case;
use crate::conform::check::differences;

/// A decision of a dialect turned to another variant.
#[derive(Debug, Clone)]
pub struct Turn {
    pub dialect: &'static str,
    /// `copy.setuid`.
    pub decision: String,
    pub from: &'static str,
    pub to: &'static str,
}

/// What a turn did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    /// This case changed, by this rule first.
    By { case: String, rule: String },
    /// None did, as it must be.
    Excused(&'static str),
    /// None did.
    Nobody,
}

/// Every turn there is of `dialects`.
pub fn turns(dialects: &[&'static str]) -> Vec<Turn> {
    let wanted = |dialect: &&&'static Dialect| dialects.is_empty() || dialects.contains(&dialect.id);
    let of = |dialect: &'static Dialect, choice: Choice| {
        let others = choice.decision.variants.iter().filter(move |variant| variant.name != choice.variant);
        others.map(move |variant| Turn {
            dialect: dialect.id,
            decision: choice.name(),
            from: choice.variant,
            to: variant.name,
        })
    };
    DIALECTS
        .iter()
        .filter(wanted)
        .flat_map(|dialect| dialect.choices().into_iter().flat_map(move |choice| of(dialect, choice)))
        .collect()
}

/// Takes every turn and asks the cases, on all cores; `told` as each is decided, in no order. In the order of `turns`.
///
/// # Errors
/// A dialect does not exist, or a case cannot be built at all.
pub fn run(
    turns: &[Turn],
    cases: &[&Case],
    grounds: &BTreeMap<String, Ground>,
    reference: &dyn Builder,
    told: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Noticed>> {
    let straight = built_straight(turns, cases, grounds, reference)?;
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<Noticed>>>> = Mutex::new(turns.iter().map(|_| None).collect());
    // Cases that noticed something lately are asked first: they mostly notice its like.
    let lately: Mutex<Vec<usize>> = Mutex::new((0..cases.len()).collect());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(turn) =
                    turns.get(next.fetch_add(1, Ordering::Relaxed)).map(|turn| (turn, &straight))
                {
                    let index =
                        turns.iter().position(|other| std::ptr::eq(other, turn.0)).unwrap_or_default();
                    let noticed = take(turn.0, cases, grounds, reference, turn.1, &lately);
                    if let Ok(mut results) = results.lock() {
                        results[index] = Some(noticed);
                    }
                    told(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.into_iter().map(|result| result.unwrap_or(Ok(Noticed::Nobody))).collect()
}

type Straight = BTreeMap<(&'static str, usize), Option<Ended>>;

/// What each case is in each dialect with nothing turned; `None` where the reference lacks what it takes.
fn built_straight(
    turns: &[Turn],
    cases: &[&Case],
    grounds: &BTreeMap<String, Ground>,
    reference: &dyn Builder,
) -> Result<Straight> {
    let dialects: std::collections::BTreeSet<&'static str> = turns.iter().map(|turn| turn.dialect).collect();
    let mut out = Straight::new();
    for id in dialects {
        let spoken = dialect::find(id)?;
        for (index, case) in cases.iter().enumerate() {
            out.insert((spoken.id, index), ended(case, id, spoken, grounds, reference)?);
        }
    }
    Ok(out)
}

fn take(
    turn: &Turn,
    cases: &[&Case],
    grounds: &BTreeMap<String, Ground>,
    reference: &dyn Builder,
    straight: &Straight,
    lately: &Mutex<Vec<usize>>,
) -> Result<Noticed> {
    let mut turned = dialect::find(turn.dialect)?.clone();
    turned.set(&turn.decision, turn.to)?;
    let order = lately.lock().map_or_else(|_| (0..cases.len()).collect(), |order| order.clone());
    for index in order {
        let Some(before) = straight.get(&(turn.dialect, index)) else { continue };
        let case = cases[index];
        let after = ended(case, turn.dialect, &turned, grounds, reference)?;
        let rule = match (before, &after) {
            (Some(before), Some(after)) => rule_that_tells(before, after, case, grounds)?,
            // It cannot be built any more, or now it can: that is noticed too.
            (Some(_), None) | (None, Some(_)) => Some("unmet".to_owned()),
            (None, None) => None,
        };
        if let Some(rule) = rule {
            if let Ok(mut order) = lately.lock() {
                order.retain(|other| *other != index);
                order.insert(0, index);
            }
            return Ok(Noticed::By { case: case.id.to_string(), rule });
        }
    }
    Ok(reason(&turn.decision, turn.dialect, turn.to).map_or(Noticed::Nobody, Noticed::Excused))
}

fn ended(
    case: &Case,
    id: &str,
    spoken: &Dialect,
    grounds: &BTreeMap<String, Ground>,
    reference: &dyn Builder,
) -> Result<Option<Ended>> {
    let Some(ground) = grounds.get(&case.base) else { return Ok(None) };
    let order = Order { spoken: Some(spoken), ..Order::new(case, id, ground) };
    match reference.build(&order) {
        Answer::Ended(ended) => Ok(Some(*ended)),
        Answer::Unmet(_) => Ok(None),
        Answer::Broken(why) => anyhow::bail!("build {} in {id}: {why}", case.id),
    }
}

fn rule_that_tells(
    before: &Ended,
    after: &Ended,
    case: &Case,
    grounds: &BTreeMap<String, Ground>,
) -> Result<Option<String>> {
    let Some(ground) = grounds.get(&case.base) else { return Ok(None) };
    // A failure that is worded otherwise is the same failure.
    if let (Outcome::Failed(left), Outcome::Failed(right)) =
        (&before.observation.outcome, &after.observation.outcome)
    {
        let same = left.class == right.class && left.step == right.step;
        return Ok((!same).then(|| "failure".to_owned()));
    }
    let found = differences(&before.observation, &after.observation, ground)?;
    Ok(found.first().map(|difference| difference.rule.to_owned()))
}
