//! What was measured, as a table with a verdict for each goal, and as a record.

use std::fmt;

use serde_json::{Value, json};

use super::cost::Cost;
use super::workloads::{Goal, What, Workload};
use crate::races::Record;

/// All rounds of one builder with one workload.
#[derive(Clone, Debug)]
pub struct Measured {
    /// `reference`, or a peer's id.
    pub who: &'static str,
    /// Spoken by the reference; a peer is compared with the reference in this one.
    pub dialect: Option<String>,
    pub costs: Vec<Cost>,
}

impl Measured {
    /// Nothing yet.
    #[must_use]
    pub fn new(who: &'static str, dialect: Option<&str>) -> Self {
        Self { who, dialect: dialect.map(str::to_owned), costs: Vec::new() }
    }

    /// The median of what was measured; `None` if nothing was, or not of this builder.
    #[must_use]
    pub fn median(&self, what: What) -> Option<f64> {
        let mut found: Vec<f64> = self.costs.iter().filter_map(|cost| of(cost, what)).collect();
        found.sort_by(f64::total_cmp);
        let (low, high) = (found.get(found.len().checked_sub(1)? / 2)?, found.get(found.len() / 2)?);
        Some((low + high) / 2.0)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.who, &self.dialect) {
            ("reference", Some(dialect)) => write!(f, "reference as {dialect}"),
            _ => f.write_str(self.who),
        }
    }
}

fn of(cost: &Cost, what: What) -> Option<f64> {
    match what {
        What::Wall => Some(cost.wall_s),
        What::Cpu => Some(cost.cpu_s),
        What::Peak => cost.peak_mb,
    }
}

/// One workload, built by all.
#[derive(Clone, Debug)]
pub struct Run {
    pub workload: &'static Workload,
    /// The reference, by dialect.
    pub ours: Vec<Measured>,
    pub theirs: Vec<Measured>,
    /// Who is not here, and why.
    pub absent: Vec<(String, String)>,
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met,
    NotMet,
    NotExercised,
    /// Nothing was promised; it is only told.
    Told,
}

impl Verdict {
    /// As the table has it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::NotExercised => "not exercised",
            Self::Told => "-",
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub cells: Vec<String>,
    pub verdict: Verdict,
    /// Why a goal was not exercised.
    pub why: Option<String>,
}

/// What the cells of a row are.
pub const COLUMNS: [&str; 8] =
    ["workload", "dialect", "measured", "reference", "peer", "peer's", "ratio or value, at most", "verdict"];

impl Run {
    /// Nothing yet.
    #[must_use]
    pub fn of(workload: &'static Workload) -> Self {
        Self { workload, ours: Vec::new(), theirs: Vec::new(), absent: Vec::new() }
    }

    /// A row for each goal, and one for everything else that was measured beside a peer.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for goal in self.workload.goals {
            match goal.peer {
                None => rows.extend(self.ours.iter().map(|ours| self.alone(goal, ours))),
                Some(id) => match self.theirs.iter().find(|theirs| theirs.who == id) {
                    Some(theirs) => rows.extend(self.beside(goal.what, theirs, Some(goal.at_most))),
                    None => rows.push(self.missing(goal, id)),
                },
            }
            if goal.peer.is_none() && self.ours.is_empty() {
                rows.push(self.missing(goal, "reference"));
            }
        }
        let is_goal =
            |what, id| self.workload.goals.iter().any(|goal| (goal.what, goal.peer) == (what, Some(id)));
        for theirs in &self.theirs {
            for what in [What::Wall, What::Cpu] {
                if !is_goal(what, theirs.who) {
                    rows.extend(self.beside(what, theirs, None));
                }
            }
        }
        rows
    }

    fn alone(&self, goal: &Goal, ours: &Measured) -> Row {
        let measured = ours.median(goal.what);
        let verdict = match measured {
            Some(value) if value <= goal.at_most => Verdict::Met,
            Some(_) => Verdict::NotMet,
            None => Verdict::NotExercised,
        };
        let dialect = ours.dialect.as_deref().unwrap_or("all");
        let target = format!("{} of {}", number(measured), goal.at_most);
        self.row(dialect, goal.what, measured, ("-", None), target, verdict)
    }

    fn beside(&self, what: What, theirs: &Measured, at_most: Option<f64>) -> Option<Row> {
        let ours = self.ours.iter().find(|ours| ours.dialect == theirs.dialect)?;
        let (left, right) = (ours.median(what)?, theirs.median(what)?);
        let ratio = left / right;
        let verdict = match at_most {
            None => Verdict::Told,
            Some(most) if ratio <= most => Verdict::Met,
            Some(_) => Verdict::NotMet,
        };
        let target = match at_most {
            Some(most) => format!("{ratio:.3} of {most}"),
            None => format!("{ratio:.3}"),
        };
        let dialect = ours.dialect.as_deref().unwrap_or("all");
        Some(self.row(dialect, what, Some(left), (theirs.who, Some(right)), target, verdict))
    }

    fn missing(&self, goal: &Goal, id: &'static str) -> Row {
        let why = self.absent.iter().find(|(who, _)| who == id);
        let why = why.map_or_else(|| "it was not asked".to_owned(), |(_, why)| why.clone());
        let peer = if goal.peer.is_some() { id } else { "-" };
        let row = self.row(
            "-",
            goal.what,
            None,
            (peer, None),
            format!("- of {}", goal.at_most),
            Verdict::NotExercised,
        );
        Row { why: Some(format!("{} beside {id}: {why}", self.workload.id)), ..row }
    }

    fn row(
        &self,
        dialect: &str,
        what: What,
        ours: Option<f64>,
        (peer, theirs): (&str, Option<f64>),
        target: String,
        verdict: Verdict,
    ) -> Row {
        let cells = vec![
            self.workload.id.to_owned(),
            dialect.to_owned(),
            what.words().to_owned(),
            number(ours),
            peer.to_owned(),
            number(theirs),
            target,
            verdict.words().to_owned(),
        ];
        Row { cells, verdict, why: None }
    }

    fn json(&self) -> Value {
        let all = self.ours.iter().chain(&self.theirs);
        let told = |measured: &Measured| json!({ "by": measured.who, "dialect": measured.dialect, "runs": measured.costs });
        json!({ "workload": self.workload.id, "about": self.workload.about, "measured": all.map(told).collect::<Vec<_>>() })
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// All of it for a program to read.
#[must_use]
pub fn json(runs: &[Run]) -> Value {
    let rows: Vec<Value> = runs
        .iter()
        .flat_map(Run::rows)
        .map(|row| json!(COLUMNS.iter().zip(&row.cells).collect::<std::collections::BTreeMap<_, _>>()))
        .collect();
    json!({ "schema": 1, "goals": rows, "runs": runs.iter().map(Run::json).collect::<Vec<_>>() })
}

/// All of it for records/; the single runs are its details.
#[must_use]
pub fn record(runs: &[Run], what: &str, times: usize, when: String, place: String) -> (Record, Value) {
    let record = Record {
        about: format!("what {what} cost, the reference beside its peers, medians of {times}"),
        when,
        place,
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: runs.iter().flat_map(Run::rows).map(|row| row.cells).collect(),
    };
    (record, runs.iter().map(Run::json).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workloads::find;

    fn measured(who: &'static str, cpu: &[f64]) -> Measured {
        let cost =
            |cpu: &f64| Cost { wall_s: 1.0, cpu_s: *cpu, peak_mb: (who == "reference").then_some(44.0) };
        Measured { costs: cpu.iter().map(cost).collect(), ..Measured::new(who, Some("buildkit@26.1")) }
    }

    fn verdicts(run: &Run) -> Vec<(String, &'static str)> {
        run.rows().iter().map(|row| (row.cells[4].clone(), row.verdict.words())).collect()
    }

    #[test]
    fn a_goal_is_met_by_the_median_and_not_exercised_without_its_peer() {
        let absent = vec![("kaniko".to_owned(), "there is none".to_owned())];
        let run = Run {
            ours: vec![measured("reference", &[9.0, 1.0, 1.2])],
            theirs: vec![measured("buildkit", &[8.0, 8.0, 7.0])],
            absent,
            ..Run::of(find("small-files").unwrap())
        };
        let told = verdicts(&run);
        assert_eq!(told[0], ("buildkit".to_owned(), "met"), "1.2 of 8");
        assert_eq!(told[1], ("kaniko".to_owned(), "not exercised"));
        assert_eq!(told[2], ("-".to_owned(), "met"));
        assert!(run.rows()[1].why.as_ref().unwrap().contains("there is none"));
        let slow = Run { ours: vec![measured("reference", &[1.3])], ..run };
        assert_eq!(verdicts(&slow)[0].1, "not met");
    }

    #[test]
    fn rows_have_a_cell_for_each_column() {
        let run = Run { ours: vec![measured("reference", &[1.0])], ..Run::of(find("small-files").unwrap()) };
        assert!(run.rows().iter().all(|row| row.cells.len() == COLUMNS.len()));
        assert!(
            Run::of(find("all-cases").unwrap()).rows().iter().all(|row| row.verdict == Verdict::NotExercised)
        );
    }
}
