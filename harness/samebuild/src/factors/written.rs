//! What `check` is to find in a case, as `fixtures/realistic/` writes it down. A test holds `check` against it, and REPORT.md
//! shows it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// All of one case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub found: Vec<Found>,
    /// Files that may differ or not: a machine or an hour decides.
    #[serde(default)]
    pub may: Vec<String>,
    /// Causes that no Dockerfile mends.
    #[serde(default)]
    pub left: Vec<String>,
}

/// One file that differs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The change that shows it; `nothing` where two builds are enough.
    pub factor: String,
    /// Of the Dockerfile, from 1.
    pub line: u64,
    pub at: String,
    pub cause: String,
    /// A part of what is told as the fix.
    pub fix: String,
}

/// Everything that is written below `dir`, by case.
///
/// # Errors
/// A file cannot be read, or has what nobody understands.
pub fn read(dir: &Path) -> Result<BTreeMap<String, Written>> {
    let mut all = BTreeMap::new();
    let entries = std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    for entry in entries {
        let dir = entry?.path();
        let Some(name) = dir.file_name().and_then(|name| name.to_str()).filter(|_| dir.is_dir()) else {
            continue;
        };
        let file = dir.join("found.toml");
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let written = toml::from_str(&text).with_context(|| format!("understand {}", file.display()))?;
        all.insert(name.to_owned(), written);
    }
    Ok(all)
}
