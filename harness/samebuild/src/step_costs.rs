//! What each step of each case costs each builder, side by side: listening while a suite runs, then a file for programs and
//! a table for people. What a step is and how long it took, the builders tell.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::builders::{Answer, Builder, Order, StepTime};
use crate::files;

/// The version of the file's shape.
pub const SCHEMA: u32 = 1;
/// The environment's way to name the file.
pub const VARIABLE: &str = "SAMEBUILD_BENCHMARK_FILE";
/// No table for people is longer.
const SHOWN: usize = 20;

/// Whose build of what: case, dialect, builder.
type Build = (String, String, String);

/// Collects, from several threads.
#[derive(Debug, Default)]
pub struct StepCosts(Mutex<BTreeMap<Build, Vec<StepTime>>>);

impl StepCosts {
    /// One build. Of the same build again only the first counts: later ones are made to explain it.
    pub fn add(&self, case: &str, dialect: &str, by: &str, steps: Vec<StepTime>) {
        let key = (case.to_owned(), dialect.to_owned(), by.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(steps);
    }

    fn builds(&self) -> std::sync::MutexGuard<'_, BTreeMap<Build, Vec<StepTime>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything: by case, then by dialect and builder.
    pub fn json(&self) -> Value {
        let mut cases: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        let builds = self.builds();
        for ((case, dialect, by), steps) in builds.iter() {
            let steps: Vec<Value> = steps.iter().map(step).collect();
            cases.entry(case).or_default().push(json!({ "dialect": dialect, "by": by, "steps": steps }));
        }
        let cases = cases.into_iter().map(|(case, builds)| json!({ "case": case, "builds": builds }));
        json!({ "schema": SCHEMA, "cases": cases.collect::<Vec<_>>() })
    }

    /// Writes the file, which appears whole or not at all.
    ///
    /// # Errors
    /// The disk is full, or nobody may write there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.json()).context("write down what steps cost")?;
        files::write(path, format!("{json}\n").as_bytes())
    }

    /// The dearest steps, a row each, the builders of a dialect side by side; in milliseconds.
    pub fn table(&self) -> String {
        let builds = self.builds();
        let mut builders: Vec<&str> = builds.keys().map(|(_, _, by)| by.as_str()).collect();
        builders.sort_unstable_by_key(|by| (*by != REFERENCE, *by));
        builders.dedup();
        let mut rows: BTreeMap<(&str, &str, Place<'_>), BTreeMap<&str, &StepTime>> = BTreeMap::new();
        for ((case, dialect, by), steps) in builds.iter() {
            for step in steps {
                let place = Place { number: step.number, text: first_line(&step.instruction) };
                rows.entry((case, dialect, place)).or_default().insert(by, step);
            }
        }
        let dearest = |row: &BTreeMap<&str, &StepTime>| row.values().filter_map(|step| step.elapsed).max();
        let mut rows: Vec<_> = rows.into_iter().filter(|(_, row)| dearest(row).is_some()).collect();
        let all = rows.len();
        rows.sort_by_key(|(_, row)| Reverse(dearest(row)));
        rows.truncate(SHOWN);
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let heads = ["case", "dialect", "step", "instruction"].map(str::to_owned);
        table.set_header(heads.into_iter().chain(builders.iter().map(|by| format!("{by}, ms"))));
        for ((case, dialect, place), row) in &rows {
            let number = place.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let cells = [(*case).to_owned(), (*dialect).to_owned(), number, shortened(place.text)];
            table.add_row(cells.into_iter().chain(builders.iter().map(|by| cell(row.get(by).copied()))));
        }
        for column in table.column_iter_mut().skip(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let shown = rows.len();
        format!("the {shown} dearest of {all} steps:\n{}", table.trim_fmt())
    }
}

/// What the reference is called.
pub const REFERENCE: &str = "reference";

/// Where a step stands in its file; what stands nowhere comes last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    number: Option<u32>,
    text: &'a str,
}

fn step(step: &StepTime) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    json!({
        "number": step.number,
        "line": step.line,
        "instruction": step.instruction,
        "elapsed_ns": step.elapsed.map(nanos),
        "cached": step.cached,
    })
}

fn cell(step: Option<&StepTime>) -> String {
    match step.and_then(|step| Some((step.elapsed?, step.cached))) {
        None => "-".to_owned(),
        Some((time, cached)) => {
            let cached = if cached { " (cached)" } else { "" };
            format!("{:.1}{cached}", time.as_secs_f64() * 1000.0)
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn shortened(text: &str) -> String {
    const WIDTH: usize = 40;
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// A builder that is listened to.
pub struct Heard<'a> {
    pub builder: Box<dyn Builder + 'a>,
    pub by: String,
    pub costs: &'a StepCosts,
}

impl Builder for Heard<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        let answer = self.builder.build(order);
        // One with decisions changed, or with another snapshotter, is no build of the dialect.
        if let (Answer::Ended(ended), None, None) = (&answer, order.spoken, order.snapshotter) {
            self.costs.add(order.case.id.as_str(), order.dialect, &self.by, ended.times.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(number: u32, text: &str, ms: Option<u64>) -> StepTime {
        StepTime {
            number: Some(number),
            line: Some(number),
            instruction: text.to_owned(),
            elapsed: ms.map(Duration::from_millis),
            cached: false,
        }
    }

    #[test]
    fn builders_stand_side_by_side_and_the_dearest_step_comes_first() {
        let costs = StepCosts::default();
        let (from, run) = ("FROM base", "RUN make \\\n  all");
        costs.add("a", "classic@20.10", "reference", vec![took(1, from, Some(1)), took(2, run, Some(5))]);
        costs.add("a", "classic@20.10", "docker-20.10", vec![took(1, from, Some(30)), took(2, run, None)]);
        let table = costs.table();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0].join(" "), "the 2 dearest of 2 steps:");
        assert_eq!(lines[1].join(" "), "case dialect step instruction reference, ms docker-20.10, ms");
        assert_eq!(lines[2].join(" "), "a classic@20.10 1 FROM base 1.0 30.0");
        assert_eq!(lines[3].join(" "), "a classic@20.10 2 RUN make \\ 5.0 -");
    }

    #[test]
    fn a_long_table_is_cut_and_says_so() {
        let costs = StepCosts::default();
        let steps = (1..=100).map(|number| took(number, "RUN x", Some(number.into()))).collect();
        costs.add("a", "classic@20.10", "reference", steps);
        let table = costs.table();
        assert!(table.starts_with("the 20 dearest of 100 steps"), "{table}");
        assert_eq!(table.lines().count(), 22);
    }

    #[test]
    fn only_the_first_build_of_a_case_counts_and_the_file_has_a_schema() {
        let costs = StepCosts::default();
        costs.add("a", "d", "reference", vec![took(1, "FROM x", Some(1))]);
        costs.add("a", "d", "reference", vec![took(1, "FROM x", Some(900))]);
        let json = costs.json();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["cases"][0]["builds"][0]["steps"][0]["elapsed_ns"], 1_000_000);
    }
}
