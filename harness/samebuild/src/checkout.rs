//! A checkout of samebuild: where its cases, goldens, records and policies lie. Not needed to work on other people's
//! directories.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use samebuild_compare::RULES;

use crate::cases::{self, Case, CaseError, DIALECTS, Vocabulary};
use crate::conform::goldens::Goldens;
use crate::{engines, factors, faults, gate};

/// This directory is in no checkout: the command was given in the wrong place.
#[derive(Debug, thiserror::Error)]
#[error("find a checkout of samebuild: {} is in none; cd into one, or name a directory", .0.display())]
pub struct NoCheckout(PathBuf);

/// One checkout.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The one the current directory is in.
    ///
    /// # Errors
    /// It is in none.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("find the current directory")?;
        for dir in here.ancestors() {
            if dir.join("ci/gate.toml").is_file() && dir.join("dockerfiles").is_dir() {
                return Ok(Self::at(dir));
            }
        }
        Err(NoCheckout(here).into())
    }

    /// The one at `root`, unchecked.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of its cases.
    pub fn dockerfiles(&self) -> PathBuf {
        self.root.join("dockerfiles")
    }

    /// Its cases, sorted by name.
    ///
    /// # Errors
    /// The first case that contradicts itself.
    pub fn cases(&self) -> Result<Vec<Case>, CaseError> {
        load(&self.dockerfiles())
    }

    /// Its goldens.
    pub fn goldens(&self) -> Goldens {
        Goldens::at(self.root.join("golden"))
    }

    /// Committed measurements.
    pub fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// The generated report.
    pub fn report(&self) -> PathBuf {
        self.root.join("REPORT.md")
    }

    /// Where a run leaves its own findings; not committed.
    pub fn findings(&self) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
        target.unwrap_or_else(|| self.root.join("target")).join("samebuild")
    }

    /// Which engines can be fetched.
    ///
    /// # Errors
    /// The policy cannot be read.
    pub fn engines(&self) -> Result<engines::Policy, engines::EngineError> {
        engines::Policy::read(&self.root.join("ci/engines.toml"))
    }

    /// What CI demands.
    ///
    /// # Errors
    /// The policy cannot be read, or demands nothing.
    pub fn gate(&self) -> Result<gate::GatePolicy> {
        gate::GatePolicy::read(&self.root.join("ci/gate.toml"))
    }
}

/// Which engines can be fetched: the rows of the checkout this runs in, else those this program was built with.
///
/// # Errors
/// The policy cannot be read.
pub fn engines_at_hand() -> Result<engines::Policy, engines::EngineError> {
    Checkout::find().map_or_else(|_| engines::Policy::built_in(), |checkout| checkout.engines())
}

/// The cases below any directory, their words checked against the rules and faults there are.
///
/// # Errors
/// The first case that contradicts itself, or there is none.
pub fn load(dir: &Path) -> Result<Vec<Case>, CaseError> {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.about().name).collect();
    let (faults, factors) = (faults::names(), factors::names());
    cases::load(dir, &Vocabulary { dialects: DIALECTS, rules: &rules, faults: &faults, factors: &factors })
}
