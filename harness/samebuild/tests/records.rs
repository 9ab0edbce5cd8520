//! Answers: does what is kept in records/ still hold where it can be played again without an engine? Each shortest
//! schedule of a way of pruning that loses images breaks the promise that it is recorded to break.
//! Leaves how a schedule is found to `samebuild-store`.

use std::path::Path;

use samebuild_store::explore;
use samebuild_store::schedule::Schedule;

#[test]
fn each_recorded_schedule_breaks_the_promise_it_is_recorded_to_break() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../records/race-model.json");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let columns: Vec<&str> =
        record["columns"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    let rows = record["rows"].as_array().unwrap();
    let cell = |row: &serde_json::Value, name: &str| {
        let column = columns.iter().position(|column| *column == name).unwrap();
        row[column].as_str().unwrap().to_owned()
    };
    let mut caught = Vec::new();
    for row in rows.iter().filter(|row| cell(row, "schedule") != "-") {
        let schedule: Schedule = cell(row, "schedule").parse().unwrap();
        let broken = explore::replay(&schedule).unwrap().map(|failure| failure.violated.to_string());
        assert_eq!(broken, Some(cell(row, "what it breaks")), "{schedule}");
        caught.push(cell(row, "strategy"));
    }
    caught.dedup();
    let faulty = samebuild_store::strategies::STRATEGIES
        .iter()
        .filter(|row| matches!(row.expected, samebuild_store::strategies::Expected::CaughtIn(_)))
        .map(|row| row.id.to_owned());
    assert_eq!(caught, faulty.collect::<Vec<_>>(), "cargo xtask repro-race --record writes them");
}
