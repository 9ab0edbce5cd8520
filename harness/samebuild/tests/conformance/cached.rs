//! The metamorphic claim over the corpus: every case, built with an empty cache, a full one and half of one, is what it is
//! without; a trial a case. And all cases with one cache, where steps of one could be taken for steps of another.
//!
//! In the dialects of `twice`; `SAMEBUILD_BUDGET=full` asks in all that are cached.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed, Trial};
use samebuild::builders::reference::Room;
use samebuild::cases::Case;
use samebuild::conform::cached::{self, Judged};
use samebuild::conform::{Workshop, twice};
use samebuild::fetch::{Http, Limits};
use samebuild::scratch::Place;
use samebuild_builder::cache::keys::{KEYS, Keys, OURS};
use samebuild_builder::dialect::DIALECTS;

/// One for each case, and two for all of them.
pub fn trials(cases: &Arc<Vec<Case>>) -> Vec<Trial> {
    let each = (0..cases.len()).map(|index| {
        let shared = Arc::clone(cases);
        Trial::ignorable_test(format!("cached/{}", cases[index].id), move || each(&shared[index]))
    });
    let (ours, others) = (Arc::clone(cases), Arc::clone(cases));
    let all = [
        Trial::ignorable_test("cached/all-cases-with-one-cache", move || {
            let judged = together(&ours, &OURS)?;
            said(&judged)
        }),
        // If this fails, the one before proves nothing.
        Trial::ignorable_test("cached/keys-that-leave-something-out-are-found-among-all-cases", move || {
            let kaniko = KEYS.into_iter().find(|keys| keys.name == "kaniko-2018-09").ok_or("no such keys")?;
            let judged = together(&others, kaniko)?;
            match judged.wrong.is_empty() {
                true => Err(format!("{} builds, and none was another's", judged.held).into()),
                false => Ok(Completion::Completed),
            }
        }),
    ];
    each.chain(all).collect()
}

fn dialects() -> Vec<&'static str> {
    match std::env::var("SAMEBUILD_BUDGET").as_deref() {
        Ok("full") => DIALECTS.iter().map(|row| row.id).filter(|id| !id.starts_with("kaniko")).collect(),
        _ => twice::DIALECTS.to_vec(),
    }
}

fn each(case: &Case) -> Result<Completion, Failed> {
    let workshop = Workshop::open(&[case], Place::Memory, None, &|line| eprintln!("{line}"))?;
    let ground = workshop.grounds.get(&case.base).ok_or("its base is not there")?;
    said(&in_room(&workshop, |room| cached::judge(case, &dialects(), ground, room))?)
}

fn together(cases: &[Case], keys: &'static Keys) -> Result<Judged, Failed> {
    let all: Vec<&Case> = cases.iter().collect();
    let workshop = Workshop::open(&all, Place::Memory, None, &|line| eprintln!("{line}"))?;
    let grounded = cases.iter().filter_map(|case| Some((case, workshop.grounds.get(&case.base)?)));
    Ok(in_room(&workshop, |room| cached::together(grounded, "buildkit@head", keys, room))?)
}

fn in_room<T>(workshop: &Workshop, judge: impl FnOnce(Room<'_>) -> T) -> T {
    let (means, http) = (workshop.means(None), Http::new(Limits::USUAL));
    judge(Room { work: &means.work, unpacked: &means.unpacked, http: &http, cache: None, progress: &|_| {} })
}

/// Wrong, or ignored where nothing was held against anything, with the reason.
fn said(judged: &Judged) -> Result<Completion, Failed> {
    match (judged.wrong.is_empty(), judged.held) {
        (false, _) => Err(judged.wrong.join("\n").into()),
        (true, 0) => Ok(Completion::ignored_with(judged.unmet.join("; "))),
        (true, _) => Ok(Completion::Completed),
    }
}
