//! `ci/gate.toml` as a value: minimums per profile and the planted canary. Whether a run meets them is `mod.rs`'s
//! question.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// What CI demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatePolicy {
    /// Minimums by profile.
    pub profiles: BTreeMap<String, Minimums>,
    pub canary: Canary,
}

/// The least a run of a profile must have exercised and found green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minimums {
    /// Checks (case × dialect, and live: × what they were held against) that came out `same` or `known`.
    pub conform: usize,
    /// Of these, checks of something that was built live.
    #[serde(default)]
    pub live: usize,
}

/// A check planted to fail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The case.
    pub case: String,
    /// The dialect it is built in.
    pub dialect: String,
    /// The dialect whose golden it is held against.
    pub against: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: BTreeMap<String, Minimums>,
    canary: Canary,
}

/// Profiles there are; a file that lacks one would let it pass with nothing exercised.
const PROFILES: [&str; 4] = ["live", "root", "rootless", "unprivileged"];

impl GatePolicy {
    /// Reads `path`.
    ///
    /// # Errors
    /// It cannot be read, a key is unknown, a profile is missing, unknown or demands nothing, or the canary compares
    /// a dialect with itself; each with the place in the file or the accepted values.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        let found: Vec<&str> = file.profile.keys().map(String::as_str).collect();
        if found != PROFILES {
            anyhow::bail!("the profiles must be {}; they are {}", PROFILES.join(", "), found.join(", "));
        }
        if let Some((name, _)) = file.profile.iter().find(|(_, minimums)| minimums.conform == 0) {
            anyhow::bail!("[profile.{name}] demands nothing; a minimum is at least 1");
        }
        if file.profile.get("live").is_none_or(|minimums| minimums.live == 0) {
            anyhow::bail!("[profile.live] demands nothing live; say `live = ` how many checks at least");
        }
        if file.canary.dialect == file.canary.against {
            anyhow::bail!("[canary] holds {} against itself, which can find nothing", file.canary.dialect);
        }
        Ok(Self { profiles: file.profile, canary: file.canary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[profile.root]\nconform = 2\n[profile.rootless]\nconform = 1\n[profile.unprivileged]\nconform = 1\n[profile.live]\nconform = 1\nlive = 1\n\
                        [canary]\ncase = \"a/b\"\ndialect = \"x@1\"\nagainst = \"y@1\"\n";

    #[test]
    fn the_policy_of_this_checkout_is_read() {
        let policy = GatePolicy::parse(include_str!("../../../../ci/gate.toml")).unwrap();
        let demanded = ["root", "rootless", "unprivileged"].map(|name| policy.profiles[name].conform);
        assert!(demanded.is_sorted_by(|more, less| more >= less), "{demanded:?}");
    }

    #[test]
    fn a_policy_that_demands_nothing_is_refused() {
        assert!(GatePolicy::parse(GOOD).is_ok());
        for (from, to, says) in [
            ("conform = 2", "conform = 0", "demands nothing"),
            (
                "[profile.live]\nconform = 1\nlive = 1\n",
                "",
                "the profiles must be live, root, rootless, unprivileged",
            ),
            ("live = 1\n", "", "demands nothing live"),
            ("\"y@1\"", "\"x@1\"", "against itself"),
            ("conform = 2", "confrom = 2", "unknown field `confrom`"),
        ] {
            let error = GatePolicy::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
