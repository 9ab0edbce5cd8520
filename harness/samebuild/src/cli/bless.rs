//! `bless`: writes what the reference builder makes to `golden/**/reference/`, where nobody observed a real one. Observed
//! goldens are never touched.

use anyhow::Result;

use super::conform::{choose, spoken};
use super::terminal::{out, say};
use super::verbs::Bless;
use crate::builders::{self, Answer, Order};
use crate::checkout::Checkout;
use crate::conform::goldens::Origin;
use crate::conform::{Exit, Workshop, origin, unmet};
use crate::scratch::Place;

pub(crate) fn run(args: &Bless) -> Result<Exit> {
    let checkout = Checkout::find()?;
    let (all, goldens) = (checkout.cases()?, checkout.goldens());
    let cases = choose(&all, &args.filters)?;
    let workshop = Workshop::open(&cases, Place::Memory, None, &say)?;
    let means = workshop.means(Some(&goldens));
    let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
    let dialects = spoken(&[], Some(&goldens), &all)?;
    let (mut blessed, mut observed, mut exit) = (0, 0, Exit::Same);
    for case in cases {
        if let Some(need) = unmet(case) {
            out!("{}: skipped: {need}", case.id);
            continue;
        }
        for dialect in dialects.iter().copied() {
            if origin(&goldens, case, dialect)? == Some(Origin::Observed) {
                observed += 1;
                continue;
            }
            let Some(ground) = workshop.grounds.get(&case.base) else { continue };
            match reference.build(&Order::new(case, dialect, ground)) {
                Answer::Ended(ended) => {
                    if goldens.bless(&case.id, dialect, &ended.observation)? {
                        blessed += 1;
                        out!("{} {dialect}: written", case.id);
                    }
                }
                Answer::Unmet(why) => out!("{} {dialect}: skipped: {why}", case.id),
                Answer::Broken(why) => {
                    eprintln!("broken: {} {dialect}: {why}", case.id);
                    exit = Exit::Broken;
                }
            }
        }
    }
    out!("{blessed} goldens written; {observed} were observed and stay as they are");
    Ok(exit)
}
