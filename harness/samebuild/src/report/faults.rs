//! What lags: each way of finding changes, with and without modification times that lag.

use anyhow::Result;

use super::table::table;
use crate::faults::mtime_lag::losses;

pub(super) fn section() -> Result<String> {
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
         into the image? The default of the Docker dialects reads the overlay's upper directory, trusts no time, and is not \
         in the table.\n\n{}",
        table(&rows)
    ))
}
