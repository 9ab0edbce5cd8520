//! How much of what was planted was found, with the right reason, and what was found that nobody planted.

use std::collections::BTreeMap;

use samebuild_image::At;

use super::many::{Planted, SETTINGS, Size};
use crate::difference::{Difference, Where};

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub planted: usize,
    /// Planted differences that a row names.
    pub found: usize,
    /// Those that the right rule names.
    pub right_reason: usize,
    /// Rows about nothing that was planted, nor a consequence of it.
    pub false_rows: Vec<String>,
    /// Rows that only follow: paths that are there because a deletion is not.
    pub consequences: usize,
    /// Planted differences that no row names.
    pub missed: Vec<String>,
}

impl Size {
    /// Holds rows against what was planted.
    pub fn score(&self, rows: &[Difference]) -> Score {
        let planted = self.planted();
        let by_path: BTreeMap<At, &Planted> =
            planted.iter().map(|planted| (At::from(planted.path.as_str()), planted)).collect();
        let mut named: BTreeMap<&At, bool> = BTreeMap::new();
        let mut settings = [false; SETTINGS.len()];
        let mut score = Score { planted: planted.len() + SETTINGS.len(), ..Score::default() };
        for row in rows {
            let place = row.at.to_string();
            let hit = match row.at.path() {
                Some(at) => by_path.get_key_value(at).map(|(at, planted)| {
                    *named.entry(at).or_default() |= planted.class.rule == row.rule;
                    planted.class.rule == row.rule
                }),
                None => (0..SETTINGS.len())
                    .find(|index| !settings[*index] && is_setting(SETTINGS[*index], row, &place))
                    .map(|index| {
                        settings[index] = true;
                        true
                    }),
            };
            match hit {
                Some(true) => {}
                _ if follows(row, &by_path) => score.consequences += 1,
                _ => score.false_rows.push(row.to_string()),
            }
        }
        let found = settings.iter().filter(|found| **found).count();
        score.found = named.len() + found;
        score.right_reason = named.values().filter(|right| **right).count() + found;
        score.missed = by_path.keys().filter(|at| !named.contains_key(at)).map(ToString::to_string).collect();
        score.missed.extend((0..SETTINGS.len()).filter(|n| !settings[*n]).map(|n| SETTINGS[n].0.to_owned()));
        score
    }
}

fn is_setting((what, rule, at): (&str, &str, &str), row: &Difference, place: &str) -> bool {
    let says = |text: &str| row.left.starts_with(text) || row.right.starts_with(text);
    let which = match what {
        "instruction in the history" => says("created_by"),
        "comment in the history" => says("comment"),
        "entry of the history" => row.left == "absent" || row.right == "absent",
        _ => true,
    };
    row.rule == rule && which && if at.ends_with(' ') { place.starts_with(at) } else { place == at }
}

/// Whether the row is about a path below a directory that one side empties.
fn follows(row: &Difference, planted: &BTreeMap<At, &Planted>) -> bool {
    let Where::Rootfs(at) = &row.at else { return false };
    let Some(dir) = at.parent() else { return false };
    row.rule == "paths" && planted.contains_key(&dir.join(".wh..wh..opq"))
}
