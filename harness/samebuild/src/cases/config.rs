//! `samebuild.toml`: how somebody's own Dockerfiles are to be built, in rules. All rules that match a Dockerfile apply, in
//! the order in which they stand; where two say something of the same key, or of the same name in `args`, `secrets`,
//! `flags` or `outcome`, the later one counts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use samebuild_compare::ignore::Ignore;
use serde::Deserialize;
use toml::Spanned;

use super::case::{Build, Case, Network, Outcome, Secret};
use super::check;
use super::dialects::{Vocabulary, matches as dialect_matches};
use super::format::{BuildToml, OutcomeToml};
use super::glob;
use super::ignores::IgnoreToml;
use super::problem::{CaseError, Problem, Text};
use crate::bases::Policy;

/// What it is called beside somebody's Dockerfiles.
const CONFIG: &str = "samebuild.toml";

/// A file of rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    path: PathBuf,
    rules: Vec<Rule>,
    /// Globs of names that FROM may say, and the base of ours that stands in for them.
    stand_ins: Vec<(String, String)>,
    /// What a comparison is to leave out.
    pub(super) ignores: Vec<Ignore>,
}

#[derive(Clone, Debug)]
struct Rule {
    glob: String,
    line: usize,
    build: Build,
    says_network: bool,
    outcomes: BTreeMap<String, Outcome>,
    never_twice: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigToml {
    #[serde(default)]
    bases: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default, rename = "match")]
    rules: Vec<MatchToml>,
    #[serde(default, rename = "ignore")]
    ignores: Vec<Spanned<IgnoreToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchToml {
    dockerfile: Spanned<String>,
    target: Option<String>,
    #[serde(default)]
    args: BTreeMap<String, String>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    platform: Option<Spanned<String>>,
    network: Option<Network>,
    #[serde(default)]
    flags: BTreeMap<Spanned<String>, Vec<String>>,
    #[serde(default)]
    outcome: BTreeMap<Spanned<String>, Spanned<OutcomeToml>>,
    volatile: Option<Spanned<String>>,
}

impl Config {
    /// Reads `path`.
    ///
    /// # Errors
    /// It cannot be read, a key is unknown, a value makes no sense, a base does not exist; with the line and what is
    /// accepted.
    pub(super) fn read(path: &Path, vocabulary: &Vocabulary) -> Result<Self, CaseError> {
        let content = std::fs::read_to_string(path).map_err(|error| {
            CaseError::about(path, error.to_string(), "make it readable, or name another file with --config")
        })?;
        let text = Text { path: path.to_owned(), content: content.into() };
        Self::parse(&text, vocabulary).map_err(|problem| problem.within(&text))
    }

    /// The file in `dir`, if there is one.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub(super) fn beside(dir: &Path, vocabulary: &Vocabulary) -> Result<Self, CaseError> {
        let path = dir.join(CONFIG);
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            _ => Self::read(&path, vocabulary),
        }
    }

    fn parse(text: &Text, vocabulary: &Vocabulary) -> Result<Self, Problem> {
        let written: ConfigToml =
            toml::from_str(&text.content).map_err(|error| Problem::from_toml(&error))?;
        let mut config = Self { path: text.path.clone(), ..Self::default() };
        for (glob, base) in &written.bases {
            pattern(glob)?;
            let known = Policy::compiled_in().and_then(|policy| policy.base(base.get_ref()).map(drop));
            known.map_err(|error| {
                Problem::at(base.span(), error.to_string(), "name one of them to stand in for others")
            })?;
            config.stand_ins.push((glob.get_ref().clone(), base.get_ref().clone()));
        }
        for rule in written.rules {
            config.rules.push(rule.checked(text, vocabulary)?);
        }
        for ignore in written.ignores {
            config.ignores.push(IgnoreToml::checked(ignore)?);
        }
        Ok(config)
    }

    /// Makes `case`, whose Dockerfile lies at `path`, what the rules say, and marks those that spoke.
    ///
    /// # Errors
    /// Two bases stand in for images of one Dockerfile.
    pub(super) fn apply(&self, case: &mut Case, path: &str, spoke: &mut Spoke) -> Result<(), CaseError> {
        for (number, rule) in self.rules.iter().enumerate() {
            if glob::matches(&rule.glob, path).unwrap_or(false) {
                rule.apply(case);
                spoke.0.insert(number, true);
            }
        }
        for (glob, base) in &self.stand_ins {
            if !case.stands_for.is_empty() && case.base != *base {
                let found = format!("both {} and {base} are to stand in for images", case.base);
                return Err(CaseError::about(&self.path, found, "let one base stand in for all of them"));
            }
            case.base.clone_from(base);
            case.stands_for.push(glob.clone());
        }
        Ok(())
    }

    /// A sentence for every rule that spoke of none of `count` Dockerfiles.
    pub(super) fn silent(&self, spoke: &Spoke, count: usize) -> Vec<String> {
        let silent = self.rules.iter().enumerate().filter(|(number, _)| !spoke.0.contains_key(number));
        let sentence = |(_, rule): (usize, &Rule)| {
            let (path, line, glob) = (self.path.display(), rule.line, &rule.glob);
            let plural = if count == 1 { "" } else { "s" };
            format!(
                "{path}:{line}: the rule `dockerfile = \"{glob}\"` matches none of {count} Dockerfile{plural}"
            )
        };
        silent.map(sentence).collect()
    }
}

/// Which rules have matched something.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoke(BTreeMap<usize, bool>);

/// Applies the rules of `config`, else of the `samebuild.toml` in `dir`, to those of the cases below `dir` that nobody
/// described, and says which rules spoke of none.
///
/// # Errors
/// The rules cannot be read, or contradict themselves.
pub fn configure(
    dir: &Path,
    config: Option<&Path>,
    cases: &mut [Case],
    vocabulary: &Vocabulary,
) -> Result<Vec<String>, CaseError> {
    let config = match config {
        Some(path) => Config::read(path, vocabulary)?,
        None => Config::beside(dir, vocabulary)?,
    };
    let mut spoke = Spoke::default();
    let mut count = 0;
    for case in cases.iter_mut().filter(|case| case.about.is_none()) {
        let path = case.dir.strip_prefix(dir).unwrap_or(&case.dir).join(&case.dockerfile_name);
        config.apply(case, &path.to_string_lossy(), &mut spoke)?;
        count += 1;
    }
    Ok(config.silent(&spoke, count))
}

impl MatchToml {
    fn checked(self, text: &Text, vocabulary: &Vocabulary) -> Result<Rule, Problem> {
        pattern(&self.dockerfile)?;
        let before = text.content.get(..self.dockerfile.span().start).unwrap_or_default();
        let never_twice = self.volatile.as_ref().map(|why| check::said("volatile", why)).transpose()?;
        let outcomes = check::outcomes(&self.outcome, vocabulary)?;
        let said = BuildToml {
            target: self.target,
            args: self.args,
            secrets: self.secrets,
            platform: self.platform,
            network: self.network,
            flags: self.flags,
        };
        Ok(Rule {
            glob: self.dockerfile.into_inner(),
            line: before.matches('\n').count() + 1,
            says_network: said.network.is_some(),
            build: check::build(&said)?,
            outcomes,
            never_twice,
        })
    }
}

impl Rule {
    fn apply(&self, case: &mut Case) {
        let (ours, theirs) = (&self.build, &mut case.build);
        theirs.args.extend(ours.args.clone());
        theirs.flags.extend(ours.flags.clone());
        for secret in &ours.secrets {
            theirs.secrets.retain(|other: &Secret| other.id != secret.id);
            theirs.secrets.push(secret.clone());
        }
        theirs.target = ours.target.clone().or(theirs.target.take());
        theirs.platform = ours.platform.clone().or(theirs.platform.take());
        if self.says_network {
            theirs.network = ours.network;
        }
        case.never_twice = self.never_twice.clone().or(case.never_twice.take());
        // By name, because a later glob may be about some dialects of an earlier one.
        for dialect in super::DIALECTS {
            let exact = self.outcomes.get(*dialect);
            let fitting = || self.outcomes.iter().find(|(glob, _)| dialect_matches(glob, dialect));
            if let Some(outcome) = exact.or_else(|| fitting().map(|(_, outcome)| outcome)) {
                case.outcomes.insert((*dialect).to_owned(), outcome.clone());
            }
        }
    }
}

/// A glob that can match something.
fn pattern(glob: &Spanned<String>) -> Result<(), Problem> {
    match glob::matches(glob.get_ref(), "") {
        Ok(_) if !glob.get_ref().is_empty() => Ok(()),
        _ => Err(Problem::at(
            glob.span(),
            format!("`{}` is no glob", glob.get_ref()),
            "accepted: *, ?, [a-z] within a name, ** for any number of directories",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Config, String> {
        let text = Text { path: CONFIG.into(), content: content.into() };
        Config::parse(&text, &Vocabulary::default()).map_err(|problem| problem.within(&text).to_string())
    }

    fn case() -> Case {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        super::super::load_one(dir.path(), "a".parse().unwrap(), &Vocabulary::default()).unwrap()
    }

    const RULES: &str = r#"
[bases]
"debian:*" = "busybox"

[[match]]
dockerfile = "*"
args = { A = "1", B = "1" }
network = "host"
[match.outcome]
"classic@*" = { fails = 2 }

[[match]]
dockerfile = "sub/**"
args = { B = "2" }
secrets = { token = "x" }
flags = { docker = ["--squash"] }
volatile = "it has a clock in it"
target = "final"
[match.outcome]
"classic@26.1" = { builds = true }

[[match]]
dockerfile = "other/*"
"#;

    #[test]
    fn later_rules_count_name_by_name_and_silent_ones_are_told() {
        let config = read(RULES).unwrap();
        let mut spoke = Spoke::default();
        let (mut first, mut second) = (case(), case());
        config.apply(&mut first, "Dockerfile", &mut spoke).unwrap();
        config.apply(&mut second, "sub/x/Dockerfile", &mut spoke).unwrap();
        let args = |case: &Case| case.build.args.values().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!((args(&first), args(&second)), ("1 1".to_owned(), "1 2".to_owned()));
        assert_eq!(second.build.network, Network::Host, "a rule that does not speak of it leaves it");
        assert_eq!(second.build.flags["docker"], ["--squash"]);
        assert_eq!((second.build.target.as_deref(), first.build.target.as_deref()), (Some("final"), None));
        assert_eq!(second.volatile_why(), Some("it has a clock in it"));
        assert_eq!(first.outcome("classic@26.1"), Outcome::Fails { step: 2, class: None });
        assert_eq!(second.outcome("classic@26.1"), Outcome::Builds);
        assert_eq!(second.outcome("classic@20.10"), Outcome::Fails { step: 2, class: None });
        assert_eq!((&*second.base, &*second.stands_for), ("busybox", &["debian:*".to_owned()][..]));
        assert_eq!(
            config.silent(&spoke, 2),
            ["samebuild.toml:23: the rule `dockerfile = \"other/*\"` matches none of 2 Dockerfiles"]
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_what_is_accepted() {
        for (content, says) in [
            (
                "[[match]]\ndockerfil = \"*\"\n",
                "samebuild.toml:2:1: unknown key `dockerfil`; accepted: `dockerfile`, `target`",
            ),
            ("[[match]]\nargs = {}\n", "the key `dockerfile` is missing"),
            ("[[match]]\ndockerfile = \"[\"\n", "samebuild.toml:2:14: `[` is no glob"),
            ("[[match]]\ndockerfile = \"*\"\nplatform = \"x\"\n", "samebuild.toml:3:12: `x` is no platform"),
            ("[[match]]\ndockerfile = \"*\"\nflags = { podman = [] }\n", "`podman` is no builder"),
            ("[[match]]\ndockerfile = \"*\"\noutcome = { \"x@1\" = { fails = 1 } }\n", "is about no dialect"),
            (
                "[bases]\n\"debian:*\" = \"debian\"\n",
                "samebuild.toml:2:14: find the base `debian`; ci/bases.toml has `busybox`",
            ),
            ("[build]\n", "unknown key `build`; accepted: `bases`, `match`, `ignore`"),
            ("[[ignore]]\nwhy = \"x\"\n", "ignore everything: say path=GLOB"),
            ("[[ignore]]\ncause = \"x\"\n", "samebuild.toml:1:1: ignore the cause `x`: there is none"),
            ("[[ignore]]\nside = \"top\"\n", "samebuild.toml:2:8: read side=`top`"),
        ] {
            let error = read(content).unwrap_err();
            assert!(error.contains(says), "{content}: {error}");
        }
    }
}
