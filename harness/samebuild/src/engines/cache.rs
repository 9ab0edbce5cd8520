//! Where fetched things are kept between runs, and the lock that lets several runs share the place.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Progress;
use super::error::{EngineError, IoContext};

/// `$SAMEBUILD_CACHE`, else `$XDG_CACHE_HOME/samebuild`, else `~/.cache/samebuild`. Not created here.
///
/// # Errors
/// None of the three variables is an absolute path.
pub fn cache_dir() -> Result<PathBuf, EngineError> {
    choose(|name| std::env::var_os(name).map(PathBuf::from))
}

fn choose(var: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, EngineError> {
    let absolute = |name: &str| var(name).filter(|path| path.is_absolute());
    absolute("SAMEBUILD_CACHE")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|dir| dir.join("samebuild")))
        .or_else(|| absolute("HOME").map(|dir| dir.join(".cache/samebuild")))
        .ok_or_else(|| {
            EngineError::fetch(
                "anything",
                "there is no cache directory: set SAMEBUILD_CACHE, XDG_CACHE_HOME or HOME to an absolute path",
            )
        })
}

/// Held as long as the value lives; other processes wait for it.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for `dir/.lock`, saying so if it has to.
    pub(super) fn take(dir: &Path, progress: Progress) -> Result<Self, EngineError> {
        std::fs::create_dir_all(dir).io(|| format!("create {}", dir.display()))?;
        let path = dir.join(".lock");
        let file = File::create(&path).io(|| format!("create {}", path.display()))?;
        if file.try_lock().is_err() {
            progress(&format!("waiting for another samebuild that holds {}", path.display()));
            file.lock().io(|| format!("lock {}", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(vars: &[(&str, &str)]) -> Option<PathBuf> {
        choose(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v))).ok()
    }

    #[test]
    fn our_own_variable_wins_and_relative_ones_do_not_count() {
        let home = ("HOME", "/h");
        assert_eq!(chosen(&[home, ("XDG_CACHE_HOME", "/x"), ("SAMEBUILD_CACHE", "/s")]), Some("/s".into()));
        assert_eq!(chosen(&[home, ("XDG_CACHE_HOME", "/x")]), Some("/x/samebuild".into()));
        assert_eq!(chosen(&[home, ("XDG_CACHE_HOME", "x")]), Some("/h/.cache/samebuild".into()));
        assert_eq!(chosen(&[]), None);
    }
}
