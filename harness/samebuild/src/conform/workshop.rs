//! What a run needs before it can build: scratch space, base images, perhaps an engine. Made once, gone when it drops.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use samebuild_builder::dialect;

use super::goldens::Goldens;
use super::suite::Suite;
use crate::builders::{self, Builder, Ground, Means};
use crate::cases::Case;
use crate::checkout;
use crate::engines::{self, Engine, Progress, cache_dir};
use crate::scratch::{Place, Scratch};
use crate::step_costs::{self, Heard, StepCosts};
use crate::{bases, conform};

/// Everything but cases and goldens.
pub struct Workshop {
    scratch: Scratch,
    unpacked: PathBuf,
    /// Base images by the name cases call them.
    pub grounds: BTreeMap<String, Ground>,
    /// The engine asked for, with the dialect each of its builders speaks.
    pub engine: Option<(Engine, BTreeMap<String, String>)>,
}

impl Workshop {
    /// Provides the bases of `cases`, and opens `engine`: a row of `ci/engines.toml`, or `host`.
    ///
    /// # Errors
    /// No scratch space, no base, no engine; each says what was tried and what to do.
    pub fn open(cases: &[&Case], place: Place, engine: Option<&str>, progress: Progress) -> Result<Self> {
        let cache = cache_dir()?;
        let unpacked = cache.join("unpacked");
        std::fs::create_dir_all(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
        let mut grounds = BTreeMap::new();
        for name in cases.iter().map(|case| case.base.as_str()).collect::<BTreeSet<_>>() {
            let base = bases::provide(name, &cache, progress)?;
            let ground = Ground::new(base).with_context(|| format!("read the base `{name}`"))?;
            grounds.insert(name.to_owned(), ground);
        }
        let engine = engine.map(|name| open_engine(name, progress)).transpose()?;
        let scratch = Scratch::at(place, &cache)?;
        Ok(Self { scratch, unpacked, grounds, engine })
    }

    /// What builders are made from.
    pub fn means<'a>(&'a self, goldens: Option<&'a Goldens>) -> Means<'a> {
        Means {
            work: self.scratch.path().to_owned(),
            unpacked: self.unpacked.clone(),
            goldens,
            engine: self.engine.as_ref().map(|(engine, _)| engine),
        }
    }

    /// The real builders there are, by the dialect they speak.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn live<'a>(&'a self, means: &'a Means<'a>) -> Result<BTreeMap<&'a str, Box<dyn Builder + 'a>>> {
        let mut live = BTreeMap::new();
        for (builder, dialect) in self.engine.iter().flat_map(|(_, dialects)| dialects) {
            let opened = builders::open(builder, means).map_err(anyhow::Error::msg)?;
            live.insert(dialect.as_str(), opened);
        }
        Ok(live)
    }

    /// The engine's name; empty without one.
    pub fn engine_name(&self) -> &str {
        self.engine.as_ref().map_or("", |(engine, _)| engine.name())
    }

    /// The engine and the machine, for records; without a name or a path of either.
    ///
    /// # Errors
    /// There is no engine, or it does not answer.
    pub fn engine_words(&self) -> Result<String> {
        let (engine, _) = self.engine.as_ref().context("name an engine with --engine")?;
        place_words(Some(engine))
    }

    /// Runs a suite of these cases; see [`Suite::run`].
    ///
    /// # Errors
    /// A builder cannot be opened at all.
    pub fn run(
        &self,
        cases: &[&Case],
        dialects: &[&'static str],
        goldens: Option<&Goldens>,
        costs: Option<&StepCosts>,
        told: impl FnMut(&conform::CaseResult),
        done: impl FnMut(usize),
    ) -> Result<Vec<conform::CaseResult>> {
        let means = self.means(goldens);
        let reference = builders::open("reference", &means).map_err(anyhow::Error::msg)?;
        let mut live = self.live(&means)?;
        let heard = |builder, by: &str, costs| Heard { builder, by: by.to_owned(), costs };
        let reference: Box<dyn Builder + '_> = match costs {
            Some(costs) => Box::new(heard(reference, step_costs::REFERENCE, costs)),
            None => reference,
        };
        if let Some(costs) = costs {
            let named = live.into_iter().map(|(dialect, builder)| {
                let builder: Box<dyn Builder + '_> = Box::new(heard(builder, self.engine_name(), costs));
                (dialect, builder)
            });
            live = named.collect();
        }
        let suite = Suite {
            cases,
            dialects,
            grounds: &self.grounds,
            reference: reference.as_ref(),
            goldens,
            live,
            engine: self.engine_name(),
        };
        Ok(suite.run(told, done))
    }
}

/// The engine, if there is one, and the machine, for records; without a name or a path of either.
///
/// # Errors
/// The engine does not answer.
pub fn place_words(engine: Option<&Engine>) -> Result<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = format!("{} with {cores} cores", builders::platform());
    let Some(engine) = engine else { return Ok(machine) };
    let info = engine.info()?;
    let version = info.version.split(['+', '~', '-']).next().unwrap_or(&info.version);
    Ok(format!("Docker Engine {version}, {}, {machine}", info.driver))
}

/// The dialects that are `wanted`, or, where none is named, those that `is_recorded`: nobody can say of the others whether
/// they conform.
///
/// # Errors
/// A wanted one does not exist; there are listed.
pub fn dialects(wanted: &[String], is_recorded: impl Fn(&str) -> bool) -> Result<Vec<&'static str>> {
    for id in wanted {
        if dialect::find(id).is_err()
            && let Some(program) = program_of(id)
        {
            return Err(NotHere { asked: id.clone(), program }.into());
        }
        dialect::find(id)?;
    }
    let is_in = |id: &&'static str| {
        if wanted.is_empty() { is_recorded(id) } else { wanted.iter().any(|wanted| wanted == id) }
    };
    Ok(dialect::DIALECTS.into_iter().map(|dialect| dialect.id).filter(is_in).collect())
}

/// A builder that can only be asked about itself, here.
#[derive(Debug, thiserror::Error)]
#[error(
    "hold {asked} against a prediction: {program} is a program and no engine's, and conform starts none; \
     `samebuild check DIR --builder {program}` holds it against itself"
)]
pub struct NotHere {
    asked: String,
    program: &'static str,
}

/// The builder that is a program and called so, or speaks a dialect of this name.
fn program_of(name: &str) -> Option<&'static str> {
    let program = name.split('@').next().unwrap_or(name);
    builders::programs().find(|known| *known == program)
}

/// The engine called `name`, and the dialects of its builders.
///
/// # Errors
/// There is none of that name, it cannot be started, or the reference speaks none of its dialects.
pub fn open_engine(name: &str, progress: Progress) -> Result<(Engine, BTreeMap<String, String>)> {
    if name == "host" {
        let engine = engines::Engine::host()?;
        let info = engine.info()?;
        let dialects = spoken_by(&info.version);
        if dialects.is_empty() {
            bail!(
                "find a dialect for the host's engine {}; the reference speaks {}",
                info.version,
                dialects_joined()
            );
        }
        return Ok((engine, dialects));
    }
    if let Some(program) = program_of(name) {
        return Err(NotHere { asked: name.to_owned(), program }.into());
    }
    let policy = checkout::engines_at_hand()?;
    let dialects = policy.engine(name)?.dialects.clone();
    let known = dialects.iter().filter(|(_, id)| dialect::find(id).is_ok());
    let dialects: BTreeMap<String, String> = known.map(|(b, d)| (b.clone(), d.clone())).collect();
    if dialects.is_empty() {
        bail!(
            "check against `{name}`: the reference speaks none of its dialects, only {}",
            dialects_joined()
        );
    }
    Ok((engines::open(name, &policy, progress)?, dialects))
}

/// Which dialects an engine of this version speaks, by its major and minor numbers.
fn spoken_by(version: &str) -> BTreeMap<String, String> {
    let short: Vec<&str> = version.split('.').take(2).collect();
    ["classic", "buildkit"]
        .iter()
        .map(|builder| ((*builder).to_owned(), format!("{builder}@{}", short.join("."))))
        .filter(|(_, id)| dialect::find(id).is_ok())
        .collect()
}

fn dialects_joined() -> String {
    dialect::DIALECTS.map(|dialect| dialect.id).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_speaks_the_dialects_of_its_version() {
        let spoken = spoken_by("20.10.24+dfsg1");
        assert_eq!(spoken.get("classic").map(String::as_str), Some("classic@20.10"));
        assert!(spoken_by("1.0.0").is_empty());
    }

    #[test]
    fn a_builder_that_is_a_program_is_refused_with_what_can_be_asked_of_it() {
        for asked in ["buildah", "buildah@1.39"] {
            let error = dialects(&[asked.to_owned()], |_| false).unwrap_err().to_string();
            assert!(error.contains(asked) && error.contains("check DIR --builder buildah"), "{error}");
        }
        let error = open_engine("kaniko", &|_| {}).err().unwrap().to_string();
        assert!(error.contains("check DIR --builder kaniko"), "{error}");
        assert_eq!(dialects(&["kaniko@1.24".to_owned()], |_| false).unwrap(), ["kaniko@1.24"]);
    }

    #[test]
    fn an_unknown_dialect_is_an_error_that_lists_the_known_ones() {
        let error = dialects(&["classic@99".to_owned()], |_| true).unwrap_err().to_string();
        assert!(error.contains("classic@99") && error.contains("classic@20.10"), "{error}");
        assert_eq!(dialects(&["classic@20.10".to_owned()], |_| false).unwrap(), ["classic@20.10"]);
    }
}
