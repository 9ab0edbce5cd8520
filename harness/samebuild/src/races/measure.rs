//! Many trials of one race: how often a strategy loses an image at each pressure, and what it costs. The counts go to
//! records/ as a table like any other there.

use std::collections::BTreeSet;
use std::time::Duration;

use samebuild_store::stage::Setting;
use samebuild_store::strategies::{Expected, Row};
use serde::{Deserialize, Serialize};

use super::cast::{beginning, has_ties};
use super::ground::{Ground, LiveError};
use super::trial::{Fate, Outcome, free};
use crate::proxy::Rule;

/// The slow prunes that are tried, in milliseconds before each DELETE.
pub const DELAYS_MS: [u64; 4] = [0, 100, 500, 1500];

/// Trials that begin in one engine, to share the seconds between their images' ages. No more, because on the containerd
/// store the classic builder looks at every image there is before it finds the cached one (40 images: 1.5 s).
const TOGETHER: usize = 6;

/// What is done to provoke the race. A deployment takes its time: its container is created when every old image could
/// have been deleted since it was asked for, and a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Each DELETE waits for so many milliseconds.
    Delay(u64),
    /// Each DELETE waits until a name was given: the worst order of events, whatever the speed of the machine. Who
    /// gives no name before its DELETE is answered goes on after 1.5 s.
    Gate,
}

impl Pressure {
    /// Every one, mildest first.
    pub fn all() -> impl Iterator<Item = Pressure> {
        DELAYS_MS.into_iter().map(Pressure::Delay).chain([Pressure::Gate])
    }

    /// In words, for a table.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Delay(ms) => format!("{ms} ms"),
            Self::Gate => "event gate".to_owned(),
        }
    }

    /// As rules of the proxy.
    #[must_use]
    pub fn rules(self, setting: &Setting) -> Vec<Rule> {
        const LITTLE_MS: u64 = 300;
        let deletes = u64::from(setting.old.max(1));
        let (held, deploys_after) = match self {
            Self::Delay(0) => (None, LITTLE_MS),
            Self::Delay(ms) => (Some(format!("delay DELETE /images/* by {ms}")), ms * deletes + LITTLE_MS),
            Self::Gate => {
                let held = "hold DELETE /images/* until POST */tag == 201 or 1500";
                (Some(held.to_owned()), LITTLE_MS)
            }
        };
        let deploys = format!("delay POST /containers/create by {deploys_after}");
        held.into_iter().chain([deploys]).filter_map(|text| text.parse().ok()).collect()
    }
}

/// What came out of the trials of one strategy at one pressure.
#[derive(Clone, Debug)]
pub struct Count {
    pub strategy: &'static str,
    /// Older images at the beginning.
    pub old: u8,
    pub pressure: Pressure,
    /// A fate for each trial.
    pub fates: Vec<Fate>,
    /// Median time to the last build's report, in milliseconds.
    pub ready_ms: Option<u64>,
    /// Median time to the end of the prune, in milliseconds.
    pub pruned_ms: Option<u64>,
}

impl Count {
    /// Trials in which a promise was broken.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.fates.iter().filter(|fate| fate.is_lost()).count()
    }

    /// Whether this is what is known of the strategy: a faulty one is caught at the event gate (where time decides it may
    /// lose or not), one that survives loses nothing. Not every trial at the gate has to lose: `lease` gives two names,
    /// the gate opens at the first, and containerd's store may let the second name win.
    #[must_use]
    pub fn as_known(&self, setting: &Setting, row: &Row) -> bool {
        if setting.race.survivors.contains(&row.id) {
            return self.lost() == 0;
        }
        let is_here = row.expected == Expected::CaughtIn(setting.race.id);
        self.pressure != Pressure::Gate || !is_here || self.lost() > 0
    }
}

/// Runs `trials` trials. Each is told with its number, from 1.
///
/// # Errors
/// The first trial that could not be carried out.
pub fn measure(
    ground: &Ground,
    setting: &Setting,
    row: &Row,
    pressure: Pressure,
    trials: usize,
    told: &mut dyn FnMut(usize, &Outcome),
) -> Result<Count, LiveError> {
    let world = beginning(setting)?;
    // What needs luck, and what touches every image of the engine, is alone there.
    let together = if has_ties(&world) || !world.containers().is_empty() { 1 } else { TOGETHER };
    let (mut fates, mut ready, mut pruned) = (Vec::new(), Vec::new(), Vec::new());
    while fates.len() < trials {
        let made = ground.set_up(&world, together.min(trials - fates.len()));
        for spelling in ground.runtime.block_on(made)? {
            let outcome = free(ground, setting, row.strategy, pressure, spelling)?;
            fates.push(outcome.fate);
            told(fates.len(), &outcome);
            ready.extend(outcome.ready_after);
            pruned.extend(outcome.pruned_after);
        }
    }
    let old = setting.old;
    Ok(Count { strategy: row.id, old, pressure, fates, ready_ms: median(ready), pruned_ms: median(pruned) })
}

/// A table of records/: its columns, then a row each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub about: String,
    pub when: String,
    #[serde(rename = "where")]
    pub place: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Record {
    /// This with the rows of `before` that it does not replace: those whose words before the first number are others. A
    /// record of another day, place or shape is replaced whole.
    #[must_use]
    pub fn beside(&self, before: Record) -> Record {
        let same = before.about == self.about
            && before.when == self.when
            && before.place == self.place
            && before.columns == self.columns;
        if !same {
            return self.clone();
        }
        let subject = |row: &[String]| -> Vec<String> {
            let is_number = |cell: &&String| cell.starts_with(|first: char| first.is_ascii_digit());
            row.iter().take_while(|cell| !is_number(cell)).cloned().collect()
        };
        let replaced: BTreeSet<Vec<String>> = self.rows.iter().map(|row| subject(row)).collect();
        let kept = before.rows.into_iter().filter(|row| !replaced.contains(&subject(row)));
        Record { rows: kept.chain(self.rows.iter().cloned()).collect(), ..self.clone() }
    }
}

/// The counts of one race as a table. `when` is a day, `place` the engine and the machine in words.
#[must_use]
pub fn record(setting: &Setting, counts: &[Count], when: String, place: String) -> Record {
    Record {
        about: format!("{} on a real engine: {}", setting.race.id, setting.race.about),
        when,
        place,
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: counts.iter().map(row).collect(),
    }
}

/// The counts of many races as one table.
#[must_use]
pub fn record_many(races: &[(&'static str, Vec<Count>)], when: String, place: String) -> Record {
    let rows = races.iter().flat_map(|(race, counts)| {
        counts.iter().map(|count| std::iter::once((*race).to_owned()).chain(row(count)).collect())
    });
    Record {
        about: "every race that can be had on a real engine".to_owned(),
        when,
        place,
        columns: std::iter::once("race").chain(COLUMNS).map(str::to_owned).collect(),
        rows: rows.collect(),
    }
}

const COLUMNS: [&str; 13] = [
    "strategy",
    "old images",
    "DELETE held",
    "trials",
    "lost",
    "refused",
    "build failed",
    "lost later",
    "cut off",
    "rebuilt",
    "kept",
    "ready, ms",
    "pruned, ms",
];

fn row(count: &Count) -> Vec<String> {
    let of = |wanted: Fate| count.fates.iter().filter(|fate| **fate == wanted).count().to_string();
    let ms = |time: Option<u64>| time.map_or("-".to_owned(), |ms| ms.to_string());
    vec![
        count.strategy.to_owned(),
        count.old.to_string(),
        count.pressure.words(),
        count.fates.len().to_string(),
        count.lost().to_string(),
        of(Fate::Refused),
        of(Fate::BuildFailed),
        of(Fate::LostLater),
        of(Fate::Cut),
        of(Fate::Rebuilt),
        of(Fate::Kept),
        ms(count.ready_ms),
        ms(count.pruned_ms),
    ]
}

fn median(mut times: Vec<Duration>) -> Option<u64> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2)?;
    u64::try_from(middle.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_store::model::Mode;
    use samebuild_store::{races, strategies};

    #[test]
    fn every_rule_of_a_pressure_is_one() {
        let setting =
            Setting { race: races::race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old: 2 };
        let counts: Vec<usize> = Pressure::all().map(|pressure| pressure.rules(&setting).len()).collect();
        assert_eq!(counts, [1, 2, 2, 2, 2]);
    }

    #[test]
    fn a_faulty_strategy_that_is_not_caught_at_the_gate_is_not_as_known() {
        let setting =
            Setting { race: races::race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old: 1 };
        let count = |strategy, pressure, fates: &[Fate]| {
            let count =
                Count { strategy, old: 1, pressure, fates: fates.to_vec(), ready_ms: None, pruned_ms: None };
            count.as_known(&setting, strategies::strategy(strategy).unwrap())
        };
        assert!(count("async-by-id", Pressure::Gate, &[Fate::Kept, Fate::LostLater]));
        assert!(!count("async-by-id", Pressure::Gate, &[Fate::Rebuilt, Fate::Kept]));
        assert!(count("async-by-id", Pressure::Delay(0), &[Fate::Rebuilt, Fate::Kept]));
        assert!(count("generation", Pressure::Gate, &[Fate::Kept, Fate::Rebuilt]));
        assert!(!count("generation", Pressure::Delay(100), &[Fate::Kept, Fate::BuildFailed]));
    }

    #[test]
    fn a_record_replaces_the_rows_it_is_about_and_no_others() {
        let record = |when: &str, rows: &[&str]| Record {
            about: "a race".into(),
            when: when.into(),
            place: "here".into(),
            columns: vec!["strategy".into(), "trials".into()],
            rows: rows.iter().map(|row| row.split(' ').map(str::to_owned).collect()).collect(),
        };
        let before = record("today", &["sync 1", "lease 1", "sync 2"]);
        let after = record("today", &["sync 7"]).beside(before.clone());
        assert_eq!(after, record("today", &["lease 1", "sync 7"]));
        assert_eq!(record("tomorrow", &["sync 7"]).beside(before), record("tomorrow", &["sync 7"]));
    }

    #[test]
    fn a_record_has_a_cell_for_each_column() {
        let setting =
            Setting { race: races::race("skaffold-9251").unwrap(), mode: Mode::Graphdriver, old: 1 };
        let fates = vec![Fate::Refused, Fate::Kept];
        let count = Count {
            strategy: "sync",
            old: 1,
            pressure: Pressure::Delay(5),
            fates,
            ready_ms: Some(7),
            pruned_ms: None,
        };
        let record = record(&setting, &[count], "today".into(), "here".into());
        assert_eq!(record.rows[0].len(), record.columns.len());
        assert_eq!(record.rows[0].join(" "), "sync 1 5 ms 2 1 1 0 0 0 0 1 7 -");
    }
}
