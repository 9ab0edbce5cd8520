//! What lags: each way of finding changes, with and without modification times that lag.

use anyhow::Result;

use super::Known;
use super::table::table;
use crate::cases::Expect;
use crate::faults::mtime_lag::losses;

pub(super) fn section(known: &Known) -> Result<String> {
    let head = [
        "snapshotter",
        "takes a file for unchanged when",
        "no lag",
        "times cut to 2 s",
        "times frozen for 2 s",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let word = |kept: bool| if kept { "kept" } else { "LOST" }.to_owned();
    for loss in losses()? {
        rows.push(vec![
            loss.snapshotter.to_owned(),
            loss.means_unchanged.to_owned(),
            word(loss.kept),
            word(loss.kept_truncated),
            word(loss.kept_frozen),
        ]);
    }
    Ok(format!(
        "## What lags\n\nA file is written, and a second later written again with as many bytes: does the second content get \
         into the image? The Docker dialects on overlay2 read the upper directory, trust no time, and are not in the table; \
         those on containerd's store walk, and compare sizes and times (docs/mtime.md).\n\n{}\n### Cases under a fault\n\nEach is built with the fault and without, and held against itself.\n\n{}",
        table(&rows),
        table(&cases(known)),
    ))
}

fn cases(known: &Known) -> Vec<Vec<String>> {
    let mut rows = vec![["case", "fault", "with", "dialects", "the image is"].map(str::to_owned).to_vec()];
    for row in &known.cases {
        for under in &row.case.under {
            let with: Vec<String> =
                under.with.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let expected = match under.expect {
                Expect::Same => "the same",
                Expect::Different => "another: something is lost",
            };
            rows.push(vec![
                row.case.id.to_string(),
                under.fault.clone(),
                with.join(", "),
                if under.dialects.is_empty() { "all".to_owned() } else { under.dialects.join(", ") },
                expected.to_owned(),
            ]);
        }
    }
    rows
}
