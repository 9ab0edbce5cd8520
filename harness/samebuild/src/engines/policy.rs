//! `ci/engines.toml`: which engines samebuild can fetch, and which dialects their builders speak.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::debian::PackagePin;
use super::error::EngineError;

/// The whole file, read and checked.
#[derive(Debug, Clone)]
pub struct Policy {
    path: PathBuf,
    engines: BTreeMap<String, EngineSpec>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSpec {
    /// As `--engine` takes it, e.g. `docker-20.10`.
    pub name: String,
    /// One line for `--help` and reports.
    pub about: String,
    /// Where the engine keeps images.
    pub store: Store,
    /// Builder name (`classic`, `buildkit`) to the dialect it speaks, e.g. `classic@20.10`.
    pub dialects: BTreeMap<String, String>,
    /// What is unpacked; the first row whose package has a program of some name provides it.
    pub packages: Vec<PackagePin>,
    /// The Debian release that shared libraries missing on this machine are taken from.
    pub libraries: String,
}

/// Where an engine keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// Docker's own image store on the overlay2 graph driver.
    Overlay2,
    /// containerd's image store on its overlayfs snapshotter.
    Containerd,
    /// Docker's own image store on plain directories, which are copied, and compared by walking. No row has it: it is for
    /// experiments on what such a walk misses.
    #[serde(skip)]
    Vfs,
}

impl Store {
    /// What `docker info` calls the storage driver then.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Containerd => "overlayfs",
            Self::Vfs => "vfs",
        }
    }
}

impl Policy {
    /// The file as it was committed when this program was built, for where there is no checkout.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn built_in() -> Result<Self, EngineError> {
        Self::parse(include_str!("../../../../ci/engines.toml"), Path::new("ci/engines.toml"))
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`EngineError::Policy`]: unreadable, not TOML, an unknown key or value (with the line and the valid ones),
    /// an engine without packages or dialects.
    pub fn read(path: &Path) -> Result<Self, EngineError> {
        let wrong = |why: String| EngineError::Policy { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, EngineError> {
        let wrong = |why: String| EngineError::Policy { path: path.to_owned(), why };
        let file: File = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        let mut engines = BTreeMap::new();
        for (name, row) in file.engine {
            if name == "host" {
                return Err(wrong("the name `host` means the engine of the machine; choose another".into()));
            }
            if row.packages.is_empty() {
                return Err(wrong(format!("engine `{name}` has no packages; give at least `docker.io`")));
            }
            if let Some(odd) = row.dialects.keys().find(|k| !BUILDERS.contains(&k.as_str())) {
                return Err(wrong(format!(
                    "engine `{name}` has a dialect for `{odd}`; valid are `classic` and `buildkit`"
                )));
            }
            if row.dialects.is_empty() {
                return Err(wrong(format!(
                    "engine `{name}` names no dialect; give `classic`, `buildkit` or both"
                )));
            }
            let Row { about, store, dialects, packages, libraries } = row;
            let spec = EngineSpec { name: name.clone(), about, store, dialects, packages, libraries };
            engines.insert(name, spec);
        }
        Ok(Self { path: path.to_owned(), engines })
    }

    /// All rows, by name.
    pub fn engines(&self) -> impl Iterator<Item = &EngineSpec> {
        self.engines.values()
    }

    /// The row of this name.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] lists the known names.
    pub fn engine(&self, name: &str) -> Result<&EngineSpec, EngineError> {
        self.engines.get(name).ok_or_else(|| EngineError::Unknown {
            name: name.to_owned(),
            known: format!("{} ({})", self.names(), self.path.display()),
        })
    }

    fn names(&self) -> String {
        self.engines.keys().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
    }
}

const BUILDERS: [&str; 2] = ["classic", "buildkit"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    engine: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    about: String,
    store: Store,
    dialects: BTreeMap<String, String>,
    packages: Vec<PackagePin>,
    libraries: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, EngineError> {
        Policy::parse(text, Path::new("ci/engines.toml"))
    }

    const GOOD: &str = r#"
        [engine."docker-20.10"]
        about = "a"
        store = "overlay2"
        libraries = "bookworm"
        dialects = { classic = "classic@20.10" }
        packages = [{ name = "docker.io", release = "bookworm", upstream = "20.10.24" }]
    "#;

    #[test]
    fn the_committed_policy_is_valid_and_has_the_three_engines() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml");
        let names: Vec<_> = Policy::read(&path).unwrap().engines().map(|e| e.name.clone()).collect();
        assert_eq!(names, ["docker-20.10", "docker-26.1", "docker-26.1-containerd"]);
        assert_eq!(Policy::built_in().unwrap().engines, Policy::read(&path).unwrap().engines);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_line_and_the_valid_keys() {
        let text = format!("{GOOD}\n        stoer = 1\n");
        let error = parse(&text).unwrap_err().to_string();
        for part in ["line 9", "stoer", "`about`", "`store`", "`dialects`", "`packages`", "`libraries`"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn an_unknown_store_is_an_error_with_the_valid_ones() {
        let error = parse(&GOOD.replace("\"overlay2\"", "\"vfs\"")).unwrap_err().to_string();
        assert!(
            error.contains("vfs") && error.contains("`overlay2`") && error.contains("`containerd`"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_builder_is_an_error_with_the_valid_ones() {
        let error = parse(&GOOD.replace("classic =", "clasic =")).unwrap_err().to_string();
        assert!(error.contains("clasic") && error.contains("`classic` and `buildkit`"), "{error}");
    }

    #[test]
    fn an_unknown_engine_lists_the_known_ones() {
        let error = parse(GOOD).unwrap().engine("docker-9").unwrap_err().to_string();
        assert!(error.contains("docker-9") && error.contains("`docker-20.10`"), "{error}");
    }
}
