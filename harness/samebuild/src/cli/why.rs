//! `dialects --why`: finds which decisions make dialects part, for every case, and keeps it in golden/divergence.txt.
//! `dialects --explain A B CASE`: for one case, on the terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use samebuild_builder::dialect::find;
use samebuild_builder::sandbox::standing;

use super::conform::choose;
use super::terminal::{Bar, out, say};
use crate::builders::{self, Builder};
use crate::cases::Case;
use crate::checkout::{Checkout, load};
use crate::conform::crew::on_all_cores;
use crate::conform::goldens::Goldens;
use crate::conform::{Exit, Workshop};
use crate::dialects::attribute::{Because, Why, build_and_attribute};
use crate::dialects::attributions::{Attributions, Cause, Entry, PAIRS, Stale, delta_digest, inputs};
use crate::scratch::Place;

/// Finds anew what is stale.
pub(super) fn why() -> Result<Exit> {
    let checkout = Checkout::find()?;
    let (all, goldens) = (checkout.cases()?, checkout.goldens());
    let cases: Vec<&Case> = all.iter().collect();
    let path = checkout.attributions();
    let mut known = Attributions::read(&path)?;
    let stale = known.stale(&cases, &goldens)?;
    if stale == Stale::default() {
        out!("golden/divergence.txt is up to date");
        return Ok(Exit::Same);
    }
    if !standing().is_root() {
        bail!(
            "explain {} cases: RUN needs root, and what is written must not depend on who you are",
            stale.cases.len()
        );
    }
    let is_asked =
        |case: &&&Case| !stale.pairs.is_empty() || stale.cases.iter().any(|name| name == case.id.as_str());
    let asked: Vec<&Case> = cases.iter().filter(is_asked).copied().collect();
    let workshop = Workshop::open(&asked, Place::Memory, None, &say)?;
    let means = workshop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let search = Search {
        workshop: &workshop,
        reference: reference.as_ref(),
        known: &known,
        stale: &stale,
        goldens: &goldens,
        lately: Mutex::default(),
    };
    let bar = Bar::new(asked.len(), "cases");
    let found = on_all_cores(&asked, |case| search.case(case), |_| {}, |done| bar.at(done));
    drop(bar);
    let mut unexplained = 0;
    for (case, found) in asked.iter().zip(found) {
        let entry = found.with_context(|| format!("explain {}", case.id))?;
        unexplained += entry.pairs.values().filter(|cause| **cause == Cause::Unexplained).count();
        known.cases.insert(case.id.to_string(), entry);
    }
    for name in &stale.gone {
        known.cases.remove(name);
    }
    let digest = |pair: &[&str; 2]| Ok((pair.map(str::to_owned), delta_digest(*pair)?));
    known.deltas = PAIRS.iter().map(digest).collect::<Result<_>>()?;
    known.write(&path)?;
    out!("golden/divergence.txt written: {} cases looked at, {unexplained} pairs unexplained", asked.len());
    Ok(Exit::Same)
}

struct Search<'a> {
    workshop: &'a Workshop,
    reference: &'a dyn Builder,
    known: &'a Attributions,
    stale: &'a Stale,
    goldens: &'a Goldens,
    /// What was needed last, by pair: mostly the next case needs its like.
    lately: Mutex<BTreeMap<[String; 2], BTreeSet<String>>>,
}

impl Search<'_> {
    fn case(&self, case: &Case) -> Result<Entry> {
        let before = self.known.cases.get(case.id.as_str());
        let is_changed = self.stale.cases.iter().any(|name| name == case.id.as_str());
        let mut pairs = BTreeMap::new();
        for pair in PAIRS {
            let key = pair.map(str::to_owned);
            let known = before.and_then(|entry| entry.pairs.get(&key));
            let cause = if is_changed || self.stale.pairs.contains(&key) {
                self.pair(case, &key, known)?
            } else {
                known.cloned()
            };
            pairs.extend(cause.map(|cause| (key, cause)));
        }
        let inputs = inputs(case, self.goldens).map_err(anyhow::Error::msg)?;
        Ok(Entry { inputs, pairs })
    }

    fn pair(&self, case: &Case, pair: &[String; 2], known: Option<&Cause>) -> Result<Option<Cause>> {
        let ground = self.workshop.grounds.get(&case.base).context("find the case's base")?;
        let hint = match known {
            Some(Cause::Decisions(decisions)) => decisions.keys().cloned().collect(),
            _ => self.lately.lock().ok().and_then(|lately| lately.get(pair).cloned()).unwrap_or_default(),
        };
        let [left, right] = pair;
        let why = build_and_attribute(case, ground, [find(left)?, find(right)?], self.reference, &hint)?;
        Ok(match why {
            Why::Same => None,
            Why::Unexplained => Some(Cause::Unexplained),
            Why::Unmet(_) => Some(Cause::Unmet),
            Why::Because(because) => {
                let decisions: BTreeMap<String, BTreeSet<String>> = because
                    .into_iter()
                    .map(|because| (because.flip.decision, because.rules.into_keys().collect()))
                    .collect();
                if let Ok(mut lately) = self.lately.lock() {
                    lately.insert(pair.clone(), decisions.keys().cloned().collect());
                }
                Some(Cause::Decisions(decisions))
            }
        })
    }
}

/// One case, a line a decision.
pub(super) fn explain(left: &str, right: &str, name: &str) -> Result<Exit> {
    let (left, right) = (find(left)?, find(right)?);
    let cases = match Path::new(name) {
        dir if dir.is_dir() => load(dir)?,
        _ => Checkout::find()?.cases()?,
    };
    let chosen =
        if Path::new(name).is_dir() { cases.iter().collect() } else { choose(&cases, &[name.to_owned()])? };
    let workshop = Workshop::open(&chosen, Place::Memory, None, &say)?;
    let means = workshop.means(None);
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let mut exit = Exit::Nothing;
    for case in chosen {
        let ground = workshop.grounds.get(&case.base).context("find the case's base")?;
        let why = build_and_attribute(case, ground, [left, right], reference.as_ref(), &BTreeSet::new())?;
        let now = match why {
            Why::Same => {
                out!("{}: {} and {} make the same of it", case.id, left.id, right.id);
                Exit::Same
            }
            Why::Unmet(need) => {
                out!("{}: skipped: {need}", case.id);
                continue;
            }
            Why::Unexplained => {
                out!("{}: {} and {} differ, and no decisions explain it", case.id, left.id, right.id);
                Exit::Different
            }
            Why::Because(because) => {
                out!("{}: {} becomes {} by", case.id, left.id, right.id);
                because.iter().for_each(|because| out!("  {}", sentence(because)));
                Exit::Different
            }
        };
        exit = if exit == Exit::Nothing { now } else { exit.max(now) };
    }
    Ok(exit)
}

/// `copy.setuid: kept → cleared (mode 1)`.
fn sentence(because: &Because) -> String {
    let rules: Vec<String> = because.rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    let flip = &because.flip;
    format!("{}: {} → {} ({})", flip.decision, flip.left, flip.right, rules.join(", "))
}
