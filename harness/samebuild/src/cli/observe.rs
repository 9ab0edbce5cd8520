//! `observe --engine E`: builds the cases live and writes what came out to `golden/**/observed/`. The only one who may.

use anyhow::{Result, bail};

use super::conform::choose;
use super::terminal::{Bar, out, say};
use super::verbs::Observe;
use crate::builders::{Answer, Order};
use crate::checkout::Checkout;
use crate::conform::{Exit, Workshop, unmet};
use crate::scratch::Place;

pub(crate) fn run(args: &Observe) -> Result<Exit> {
    let checkout = Checkout::find()?;
    let (all, goldens) = (checkout.cases()?, checkout.goldens());
    let cases = choose(&all, &args.filters)?;
    let workshop = Workshop::open(&cases, Place::Memory, Some(&args.engine), &say)?;
    let means = workshop.means(Some(&goldens));
    let live = workshop.live(&means)?;
    if live.is_empty() {
        bail!("observe {}: none of its builders has a dialect", args.engine);
    }
    let bar = Bar::new(cases.len(), "cases");
    let (mut seen, mut changed, mut lost) = (0, 0, Vec::new());
    for (index, case) in cases.iter().enumerate() {
        if let Some(need) = unmet(case) {
            bar.line(&format!("{}: skipped: {need}", case.id));
            continue;
        }
        for (dialect, builder) in &live {
            let Some(ground) = workshop.grounds.get(&case.base) else { continue };
            if crate::cases::Outcome::Hangs == case.outcome(dialect) {
                continue;
            }
            match builder.build(&Order::new(case, dialect, ground)) {
                Answer::Ended(ended) => {
                    seen += 1;
                    if goldens.observe(&case.id, ended.observation)? {
                        changed += 1;
                        bar.line(&format!("{} {dialect}: written", case.id));
                    }
                }
                Answer::Unmet(why) => bar.line(&format!("{} {dialect}: skipped: {why}", case.id)),
                Answer::Broken(why) => lost.push(format!("{} {dialect}: {why}", case.id)),
            }
        }
        bar.at(index + 1);
    }
    drop(bar);
    out!("{seen} builds observed on {}, {changed} goldens written", workshop.engine_name());
    for line in &lost {
        eprintln!("broken: {line}");
    }
    Ok(match (lost.is_empty(), seen) {
        (false, _) => Exit::Broken,
        (true, 0) => Exit::Nothing,
        (true, _) => Exit::Same,
    })
}
