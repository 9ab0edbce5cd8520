//! Part (d) of `samebuild lag`: which file systems here lag. What is ours to mount has to; of the machine's own it is told.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::probe_fs::{as_json, nanos, percent};
use super::race_records::today;
use super::terminal::out;
use crate::lag::blind::lags;
use crate::lag::file_system::Measured;
use crate::lag::places::{Place, places};
use crate::races::Record;

/// How often each change is tried.
const PAIRS: u32 = 200;
/// Memory, where it is a file system.
const MEMORY: &str = "/dev/shm";

/// A place, and what was measured there or why nothing was.
pub(super) struct Looked {
    place: Place,
    measured: Result<Measured, String>,
}

/// Looks at the directory of builds, at memory, at what `named` adds, and at what can be mounted.
pub(super) fn look(named: &[PathBuf], work: &Path) -> Result<Vec<Looked>> {
    let memory = Some(PathBuf::from(MEMORY)).filter(|dir| dir.is_dir());
    let dirs: Vec<PathBuf> =
        [work.to_owned()].into_iter().chain(memory).chain(named.iter().cloned()).collect();
    let mut places = places(&dirs, work);
    if let Some(first) = places.first_mut() {
        // A run's own directory has another name each time.
        "where builds work".clone_into(&mut first.name);
    }
    let look = |place: Place| {
        let measured = place.measure(PAIRS);
        let measured = measured.with_context(|| format!("measure the times of {}", place.name))?;
        Ok(Looked { place, measured })
    };
    places.into_iter().map(look).collect()
}

impl Looked {
    /// What is known beforehand came out; what could not be tried is neither right nor wrong.
    pub(super) fn is_fine(&self) -> bool {
        match (&self.measured, self.place.lags) {
            (Ok(measured), Some(known)) => lags(measured) == known,
            (Ok(_), None) | (Err(_), _) => true,
        }
    }

    pub(super) fn json(&self) -> Value {
        match &self.measured {
            Ok(measured) => as_json(&self.place.name, measured),
            Err(why) => json!({ "place": self.place.name, "not_exercised": why }),
        }
    }

    pub(super) fn tell(&self) {
        let name = &self.place.name;
        match &self.measured {
            Err(why) => out!("file system {name}: not exercised: {why}"),
            Ok(measured) => {
                let lag = if lags(measured) { "lags" } else { "does not lag" };
                let wrong = if self.is_fine() { "" } else { ", which is NOT predicted" };
                out!("file system {name} ({}): {lag}{wrong}", measured.file_system);
            }
        }
    }

    fn row(&self) -> Option<Vec<String>> {
        let measured = self.measured.as_ref().ok()?;
        let kinds = [
            measured.rewritten,
            measured.synced,
            measured.replaced,
            measured.made_again,
            measured.put_back,
            measured.mapped,
            measured.mapped_synced,
            measured.mapped_after_sync,
        ];
        let mut row = vec![
            self.place.name.clone(),
            measured.file_system.clone(),
            nanos(measured.kept_ns),
            measured.tick_ns.map_or("?".to_owned(), nanos),
            measured.still_after_ms.map_or("no".to_owned(), |wait| format!("{wait} ms")),
        ];
        row.extend(kinds.iter().map(|pairs| percent(pairs.same_mtime, pairs.tried)));
        row.push(percent(measured.put_back.same_ctime, measured.put_back.tried));
        row.push(percent(measured.replaced.same_inode, measured.replaced.tried));
        row.push(if measured.has_birth { "yes" } else { "no" }.to_owned());
        row.push(if lags(measured) { "yes" } else { "no" }.to_owned());
        Some(row)
    }
}

/// The table of those that were measured.
pub(super) fn record(looked: &[Looked]) -> Record {
    let columns = [
        "place",
        "file system",
        "a time that is set is kept to",
        "least tick",
        "still after",
        "written again",
        "written again and synced",
        "replaced by rename",
        "removed and made again",
        "time put back",
        "stored to through a mapping",
        "the same, then synced",
        "synced, then the same",
        "ctime too when the time was put back",
        "inode too when replaced",
        "birth times",
        "lags",
    ];
    let kernel = nix::sys::utsname::uname();
    let kernel = kernel.map(|uname| uname.release().to_string_lossy().into_owned()).unwrap_or_default();
    // What a distribution or a machine calls its kernel is nobody's business.
    let kernel = kernel.split('-').next().unwrap_or_default();
    Record {
        about: "of 100 changes that keep a file's size, after how many its modification time is as before"
            .to_owned(),
        when: today(),
        place: format!("Linux {kernel}"),
        columns: columns.map(str::to_owned).to_vec(),
        rows: looked.iter().filter_map(Looked::row).collect(),
    }
}
