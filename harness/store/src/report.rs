//! Answers: what does a person read after a search? Plain text: the numbers, the first failing seed, the
//! timeline, the replay command. Colours and tables are the rim's business.

use crate::exhaust::Exhausted;
use crate::explore::{Failure, Found, Outcome};
use crate::schedule::Schedule;
use crate::stage::Setting;
use crate::strategies::Row;
use crate::timeline;

/// The report on one search.
pub fn text(outcome: &Outcome) -> String {
    let Outcome { race, strategy, chooser, seed, schedules, failures, .. } = outcome;
    let mut text = format!(
        "{race} with {strategy}: {failures} of {schedules} schedules failed (chooser {}, seeds from {seed})\n",
        chooser.id()
    );
    if let Some(found) = &outcome.first_failing {
        text.push_str(&failure(found));
    }
    text
}

/// The report on one exhaustive search.
pub fn exhausted(setting: &Setting, row: &Row, found: &Exhausted) -> String {
    let Exhausted { states, schedules, longest, complete, .. } = found;
    let verdict = match (&found.failure, complete) {
        (Some(_), _) => "a schedule failed",
        (None, true) => "no schedule failed, every state was seen",
        (None, false) => "no schedule failed, but the bound on states was met before the end",
    };
    let mut text = format!(
        "{} with {} on {}, {} old images: {verdict}; {states} states, {schedules} runs of at most {longest} turns\n",
        setting.race.id,
        row.id,
        setting.mode.id(),
        setting.old,
    );
    if let Some(found) = &found.failure {
        text.push_str(&failure(found));
    }
    text
}

/// The report on one failing schedule. Ends with the command that replays it.
pub fn failure(failure: &Failure) -> String {
    let Failure { found, schedule, violated, timeline } = failure;
    let mut text = match found {
        Some(found) => format!("first failing schedule: number {}, seed {}\n", found.tries, found.seed),
        None => format!("{} with {}, replayed\n", schedule.race, schedule.strategy),
    };
    text.push_str(&format!("breaks {violated}\n\n{}\n", timeline::render(timeline)));
    if let Some(found) = found {
        text.push_str(&format!("replay from the seed:\n  {}\n", seed_command(found, schedule)));
    }
    text.push_str(&format!("replay from the schedule, put into FILE:\n  {schedule}\n"));
    text.push_str(&format!("  samebuild race {} --replay FILE\n", schedule.race));
    text
}

fn seed_command(found: &Found, schedule: &Schedule) -> String {
    let Schedule { race, strategy, mode, old, .. } = schedule;
    let (engine, chooser, seed) = (mode.id(), found.chooser.id(), found.seed);
    format!(
        "samebuild race {race} --strategy {strategy} --engine {engine} --old {old} --chooser {chooser} --seed {seed}"
    )
}
