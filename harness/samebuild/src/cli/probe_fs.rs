//! `samebuild probe-fs DIR…`: what file systems do with times, as a table, and what a reader of stats can miss there.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::terminal::out;
use super::verbs::Format;
use crate::conform::Exit;
use crate::engines::cache_dir;
use crate::lag::blind::{lags, misses};
use crate::lag::file_system::{Change, Measured, measure};
use crate::scratch::Scratch;

#[derive(Debug, Args)]
pub(crate) struct ProbeFs {
    /// Directories to measure in; where the roots of RUN lie if left out. Files are made there, and removed.
    dirs: Vec<PathBuf>,
    /// How often each change is tried.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pairs: u32,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &ProbeFs) -> Result<Exit> {
    // It goes away when we end, and the roots of builds lie beside it.
    let work = Scratch::on_disk(&cache_dir()?)?;
    let own = [work.path().to_owned()];
    let dirs = if args.dirs.is_empty() { &own[..] } else { &args.dirs };
    let all = dirs.iter().map(|dir| {
        let measured = measure(dir, args.pairs);
        let measured = measured.with_context(|| {
            format!("measure in {}; name a directory that exists and can be written to", dir.display())
        })?;
        Ok((dir.display().to_string(), measured))
    });
    let all: Vec<(String, Measured)> = all.collect::<Result<_>>()?;
    match args.format {
        Format::Text => all.iter().for_each(|(dir, measured)| tell(dir, measured)),
        Format::Json => {
            out!("{}", Value::Array(all.iter().map(|(dir, measured)| as_json(dir, measured)).collect()))
        }
    }
    Ok(Exit::Same)
}

/// A place, what was measured, and what follows.
pub(super) fn as_json(place: &str, measured: &Measured) -> Value {
    json!({ "place": place, "measured": measured, "lags": lags(measured), "can_miss": misses(measured) })
}

fn tell(dir: &str, measured: &Measured) {
    out!("{dir} ({})", measured.file_system);
    let rows = [
        ("a time that is set is kept to", nanos(measured.kept_ns)),
        ("times of new files are apart by at least", measured.tick_ns.map_or("?".to_owned(), nanos)),
        (
            "a rewrite shows after",
            match measured.still_after_ms {
                None => "less than 12 ms".to_owned(),
                Some(wait) => format!("more than {wait} ms"),
            },
        ),
        ("birth times", if measured.has_birth { "yes" } else { "no" }.to_owned()),
    ];
    for (what, value) in rows {
        out!("  {what:<42} {value}");
    }
    out!("  {:<42} {:>8} {:>8} {:>8}", "of 100 changes, as it was before", "mtime", "ctime", "inode");
    for Change { done: what, pairs, .. } in measured.changes() {
        let cell = |same: u32| percent(same, pairs.tried);
        out!(
            "  {what:<42} {:>8} {:>8} {:>8}",
            cell(pairs.same_mtime),
            cell(pairs.same_ctime),
            cell(pairs.same_inode)
        );
    }
    let lag = if lags(measured) { "times lag here" } else { "times do not lag here" };
    out!("  {lag}; a stat-based reader can miss:");
    for miss in misses(measured) {
        out!("    {}", miss.sentence());
    }
}

pub(super) fn percent(part: u32, of: u32) -> String {
    format!("{:.1}", f64::from(part) * 100.0 / f64::from(of.max(1)))
}

pub(super) fn nanos(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", nanos / 1_000_000),
        _ => format!("{} s", nanos / 1_000_000_000),
    }
}
