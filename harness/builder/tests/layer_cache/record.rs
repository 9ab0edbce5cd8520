//! What was played, as a record: only where `SAMEBUILD_RECORD` is set, and then with as many as are worth recording.

use std::path::Path;

use serde_json::{Value, json};

/// Puts a row into `records/layer-cache.json`, in place of the one that was there.
pub fn add(what: &str, count: u64, outcome: &str) {
    println!("{what}: {count}, {outcome}");
    if std::env::var_os("SAMEBUILD_RECORD").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../records/layer-cache.json");
    let lock = std::fs::File::create(std::env::temp_dir().join("samebuild-record.lock")).unwrap();
    lock.lock().unwrap();
    let old: Value =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut rows: Vec<Vec<String>> = serde_json::from_value(old["rows"].clone()).unwrap_or_default();
    rows.retain(|row| row.first().is_none_or(|first| first != what));
    rows.push(vec![what.to_owned(), count.to_string(), outcome.to_owned()]);
    rows.sort();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let record = json!({
        "about": "what was done to the layer cache, and what became of the images and of it",
        "when": time::OffsetDateTime::now_utc().date().to_string(),
        "where": format!("{}/{} with {cores} cores", std::env::consts::OS, std::env::consts::ARCH),
        "columns": ["what", "how many", "what came of it"],
        "rows": rows,
    });
    std::fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&record).unwrap())).unwrap();
}
