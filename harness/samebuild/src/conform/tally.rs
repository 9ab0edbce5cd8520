//! What many builds of the same came to, as numbers, and as a record: how many layers, trees, images and digests there
//! were. Who built is `repeat.rs`'s affair.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::verdict::Verdict;

/// The builds of one case by one builder. Counts are of builds, most first: `[4, 1]` is one of five that was different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub case: String,
    pub dialect: &'static str,
    /// `docker-20.10`, `the reference`.
    pub by: String,
    pub verdict: Verdict,
    pub endings: BTreeMap<Ending, usize>,
    /// Builds by flattened file system, times of the run apart; empty where nothing was built.
    pub trees: Vec<usize>,
    /// Builds by image (or failure), as goldens tell images apart.
    pub images: Vec<usize>,
    /// Builds by the ID the engine gave the image: clocks are in there.
    pub digests: Vec<usize>,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// With so many layers on top of the base.
    Built { layers: usize },
    /// With a failure of this class.
    Failed { class: String },
}

/// A table for records/, with every case below it.
#[derive(Clone, Debug, Serialize)]
pub struct RepeatRecord {
    pub about: String,
    pub when: String,
    #[serde(rename = "where")]
    pub place: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Case by case; the page shows the rows.
    pub details: Value,
}

/// The tallies as a record. `when` is a day, `place` the engine and the machine in words.
pub fn record(tallies: &[Tally], times: usize, when: String, place: String) -> RepeatRecord {
    let columns = [
        "dialect",
        "built by",
        "cases",
        "always as many layers, or failing alike",
        "always the same files",
        "always the same image, clocks apart",
        "always the same ID",
        "unstable",
    ];
    let mut groups: BTreeMap<(usize, &str), Vec<&Tally>> = BTreeMap::new();
    let dialect =
        |id: &str| crate::cases::DIALECTS.iter().position(|known| *known == id).unwrap_or(usize::MAX);
    for tally in tallies {
        groups.entry((dialect(tally.dialect), &tally.by)).or_default().push(tally);
    }
    let row = |((_, by), group): (&(usize, &str), &Vec<&Tally>)| {
        let count =
            |is_it: &dyn Fn(&Tally) -> bool| group.iter().filter(|tally| is_it(tally)).count().to_string();
        let ids = group.iter().filter(|tally| !tally.digests.is_empty()).count();
        let unstable: Vec<&str> = group
            .iter()
            .filter(|tally| tally.verdict == Verdict::Unstable)
            .map(|tally| &*tally.case)
            .collect();
        vec![
            group.first().map_or(String::new(), |tally| tally.dialect.to_owned()),
            (*by).to_owned(),
            group.len().to_string(),
            count(&|tally| tally.endings.len() == 1),
            count(&|tally| tally.trees.len() <= 1),
            count(&|tally| tally.images.len() == 1),
            match ids {
                0 => "-".to_owned(),
                ids => format!("{} of {ids} images", count(&|tally| tally.digests.len() == 1)),
            },
            if unstable.is_empty() { "none".to_owned() } else { unstable.join(", ") },
        ]
    };
    RepeatRecord {
        about: format!("every case {times} times, cold: does one builder make one image?"),
        when,
        place,
        columns: columns.map(str::to_owned).to_vec(),
        rows: groups.iter().map(row).collect(),
        details: tallies.iter().map(Tally::json).collect(),
    }
}

impl Tally {
    /// As data: what there was one of is left out nowhere, what there was none of is.
    pub(crate) fn json(&self) -> Value {
        let layers: BTreeMap<String, usize> = self
            .endings
            .iter()
            .filter_map(|(ending, count)| match ending {
                Ending::Built { layers } => Some((layers.to_string(), *count)),
                Ending::Failed { .. } => None,
            })
            .collect();
        let failed: BTreeMap<&str, usize> = self
            .endings
            .iter()
            .filter_map(|(ending, count)| match ending {
                Ending::Built { .. } => None,
                Ending::Failed { class } => Some((&**class, *count)),
            })
            .collect();
        let mut value = json!({
            "case": self.case,
            "dialect": self.dialect,
            "by": self.by,
            "verdict": self.verdict.word(),
            "images": self.images,
        });
        for (key, part) in [
            ("layers", json!(layers)),
            ("failed", json!(failed)),
            ("trees", json!(self.trees)),
            ("ids", json!(self.digests)),
        ] {
            if !matches!(&part, Value::Object(map) if map.is_empty()) && part != json!([]) {
                value[key] = part;
            }
        }
        value
    }
}

/// `1 tree`, `2 trees (4+1)`; nothing where there was none to count.
pub(crate) fn kinds_of(counts: &[usize], what: &str) -> Option<String> {
    match counts {
        [] => None,
        [_] => Some(format!("1 {what}")),
        _ => {
            let builds: Vec<String> = counts.iter().map(ToString::to_string).collect();
            Some(format!("{} {what}s ({})", counts.len(), builds.join("+")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(case: &str, images: &[usize], verdict: Verdict) -> Tally {
        Tally {
            case: case.to_owned(),
            dialect: "classic@20.10",
            by: "docker-20.10".to_owned(),
            verdict,
            endings: BTreeMap::from([(Ending::Built { layers: 2 }, 5)]),
            trees: images.to_vec(),
            images: images.to_vec(),
            digests: vec![1; 5],
        }
    }

    #[test]
    fn a_record_counts_cases_and_names_those_that_are_unstable() {
        let tallies = [tally("a", &[5], Verdict::Same), tally("b", &[4, 1], Verdict::Unstable)];
        let record = record(&tallies, 5, "today".into(), "here".into());
        assert_eq!(record.rows[0].len(), record.columns.len());
        assert_eq!(record.rows[0].join(" "), "classic@20.10 docker-20.10 2 2 1 1 0 of 2 images b");
        assert_eq!(record.details[1]["images"], json!([4, 1]));
        assert_eq!(record.details[0]["layers"], json!({ "2": 5 }));
    }
}
