//! Answers: what does a person read after a search? Plain text: the numbers, the first failing seed, the
//! timeline, the replay command. Colours and tables are the rim's business.

use crate::exhaust::Exhausted;
use crate::explore::{Failure, Found, Outcome};
use crate::repro::Trial;
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

/// The report on a strategy in its races: a line for each, then the first counterexample, shrunk.
pub fn trials(trials: &[Trial]) -> String {
    let mut text = String::new();
    for trial in trials {
        let Trial { strategy, race, mode, schedules, failures, price, .. } = trial;
        let verdict = match (trial.survives, *failures) {
            (false, 0) => "NOT CAUGHT".to_owned(),
            (true, 0) => "survives".to_owned(),
            (false, _) => format!("caught after {schedules}"),
            (true, failures) => format!("FAILED {failures} times"),
        };
        let ready = price.ready.map_or("no build".to_owned(), |turns| format!("ready after {turns} turns"));
        let states =
            trial.states.map_or(String::new(), |states| format!(", all {states} states of the small model"));
        text.push_str(&format!(
            "{strategy:<12} {race:<18} {:<10} {verdict:<16} {schedules} schedules{states}; {ready}, {} rebuilt\n",
            mode.id(),
            price.rebuilt,
        ));
    }
    if let Some(failed) = trials.iter().find(|trial| trial.first_failing.is_some()) {
        text.push_str(&trial(failed));
    }
    text
}

/// The first failure of a trial with its seed, and the most telling one, shrunk, with its timeline. Empty without one.
pub fn trial(trial: &Trial) -> String {
    let mut text: String = trial.first_failing.iter().map(first_line).collect();
    text.extend(trial.shortest.iter().map(|short| format!("shortest: {}", failure(short))));
    text
}

fn first_line(failure: &Failure) -> String {
    let seed =
        failure.found.map_or(String::new(), |found| format!(", {}", seed_command(&found, &failure.schedule)));
    format!("first failure: {}{seed}\n", failure.violated)
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
