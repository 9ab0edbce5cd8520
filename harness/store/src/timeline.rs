//! Answers: how is a schedule shown to a person? One numbered row a turn, aligned, with the broken promise under
//! the row that broke it. Colours are the rim's business.

use crate::invariants::Violation;

/// One turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// From 1.
    pub turn: usize,
    pub actor: &'static str,
    pub text: String,
    /// The promise this turn broke.
    pub breaks: Option<Violation>,
}

/// The rows as text, a line each.
pub fn render(rows: &[Row]) -> String {
    let number = rows.last().map_or(1, |row| row.turn.to_string().len());
    let name = rows.iter().map(|row| row.actor.len()).max().unwrap_or(0) + 1;
    let mut text = String::new();
    for row in rows {
        let actor = format!("{}:", row.actor);
        text.push_str(&format!("  {:>number$}  {actor:<name$}  {}\n", row.turn, row.text));
        if let Some(violation) = row.breaks {
            text.push_str(&format!("  {:>number$}  {:<name$}  ^ breaks {violation}\n", "", ""));
        }
    }
    text
}
