//! What races measured, written to the checkout's records/.

use anyhow::{Context as _, Result};

use super::terminal::say;
use crate::checkout::Checkout;
use crate::files;
use crate::races::{self, Record};

/// Writes a table to the checkout's records/. Rows that were measured on the same day and engine and are about something
/// else, another strategy or race, stay.
pub(super) fn write(record: &Record, name: &str) -> Result<()> {
    let path = Checkout::find()?.records().join(format!("{name}.json"));
    let before = std::fs::read(&path).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let record = before.map_or_else(|| record.clone(), |before| record.beside(before));
    let json = serde_json::to_string_pretty(&record).context("write the record")?;
    files::write(&path, format!("{json}\n").as_bytes())?;
    say(&format!("{} written", path.display()));
    Ok(())
}

/// The picture of what is recorded of a race, on every engine.
pub(super) fn draw(race: &str) -> Result<()> {
    let checkout = Checkout::find()?;
    let policy = checkout.engines()?;
    let mut records: Vec<Record> = Vec::new();
    for engine in policy.engines() {
        let path = checkout.records().join(format!("race-{race}-{}.json", engine.name));
        let Ok(json) = std::fs::read(&path) else { continue };
        records.push(
            serde_json::from_slice(&json).with_context(|| format!("read the record {}", path.display()))?,
        );
    }
    if let Some(svg) = races::plot(&records) {
        files::write(&checkout.records().join(format!("race-{race}.svg")), svg.as_bytes())?;
    }
    Ok(())
}

pub(super) fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}
