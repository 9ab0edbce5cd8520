//! Docker engines: which ones there are, fetching one, starting one of our own, and building on it.
//!
//! An engine is *private* (fetched, started and torn down by us; everything in it is ours) or the *host*'s
//! (somebody else's: only names under `samebuild.test/` are touched, nothing is pruned). What an image looks
//! like inside is left to `samebuild-image`; what a case needs is left to the harness.
//!
//! Every `main` that may start a private engine calls [`child::run_if_asked`] before anything else.

mod apt;
mod apt_sources;
mod build;
mod cache;
pub mod child;
mod client;
mod debian;
mod engine;
mod error;
mod events;
mod fetch;
mod images;
mod killer;
mod libraries;
mod one_of_us;
mod policy;
mod private;
mod run_dir;
mod session_build;
mod signals;
mod step_times;
mod tools;

pub use build::{BuildOutcome, BuildRequest, Builder, Context, Network};
pub use cache::cache_dir;
pub use client::ClientBuild;
pub use debian::{Debian, Package, PackagePin};
pub use engine::{Engine, Info};
pub use error::EngineError;
pub use events::FailedStep;
pub use fetch::{Fetched, fetch};
pub use images::OUR_NAMES;
pub use killer::Killer;
pub use one_of_us::{OneOfUs, Underway};
pub use policy::{EngineSpec, Policy, Store};
pub use step_times::TimedStep;
pub use tools::{Tools, tools};

/// Told what is going on, a line at a time; the caller decides whether and where to show it.
pub type Progress<'a> = &'a dyn Fn(&str);

/// Opens the engine that `--engine NAME` asks for: `host`, or a row of `ci/engines.toml`.
///
/// # Errors
/// An unknown name lists the known ones; else whatever [`fetch`], [`Engine::start`] or [`Engine::host`] say.
pub fn open(name: &str, policy: &Policy, progress: Progress) -> Result<Engine, EngineError> {
    if name == "host" {
        return Engine::host();
    }
    let spec = policy.engine(name)?;
    private::needs_root(name)?; // before anything is downloaded
    let fetched = fetch(spec, &cache_dir()?, progress)?;
    Engine::start(spec, &fetched, progress)
}
