//! The deployer of a race as its users are: a program of its own that runs a container of the image a build promised,
//! through the testcontainers library. What it cannot run is the seed's ErrImagePull.
//!
//! A program of its own, because the library reads DOCKER_HOST once in its life, and because a user's program shares
//! nothing with the builder's. It looks at the image first and pulls nothing: the library would, so the gate it goes
//! through refuses every pull. The gate also speaks the engine's version of the API for it, since the library speaks its
//! newest to everybody and 20.10 refuses that.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use bollard::errors::Error as ApiError;
use samebuild_store::engine::EngineError;
use samebuild_store::names::Reference;
use serde::{Deserialize, Serialize};
use testcontainers::core::client::{ClientError, docker_client_instance};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ImageExt as _, TestcontainersError};

use super::docker::LABEL;
use super::ground::LiveError;
use crate::proxy::{Log, Rule};

/// The hidden first argument; repository and tag follow.
const DEPLOY: &str = "__deploy";

/// Where a deployer finds its engine: a socket behind `rules`.
#[derive(Clone, Debug)]
pub(super) struct Deployer {
    pub(super) socket: PathBuf,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deployed {
    /// A container runs.
    Runs,
    /// There is no such image; in whose words.
    NoSuchImage(String),
    /// The engine went away in the middle.
    CutOff(String),
    /// It failed for another reason.
    Failed(String),
}

impl Deployed {
    /// As the store knows it, and in the deployer's words.
    pub(super) fn answer(self, image: Reference) -> Result<(), (EngineError, String)> {
        match self {
            Self::Runs => Ok(()),
            Self::NoSuchImage(why) => Err((EngineError::NoSuchImage(image), why)),
            Self::CutOff(why) => Err((EngineError::ConnectionLost, why)),
            Self::Failed(why) => Err((EngineError::Refused(500), why)),
        }
    }
}

/// What the gate of a deployer does: nothing is pulled, and the engine's version of the API is spoken.
///
/// # Errors
/// `version` is none.
pub(super) fn rules(version: &str) -> Result<Vec<Rule>, LiveError> {
    let texts = ["error POST /images/create with 404".to_owned(), format!("speak * * as {version}")];
    let rules = texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>();
    rules.map_err(|error| LiveError::Api { what: "gate the deployer".into(), why: error.to_string() })
}

/// A log that nobody reads.
pub(super) fn unread() -> Log {
    Arc::new(|_| {})
}

impl Deployer {
    /// Runs a container of `repository:tag`; it goes on running, labelled as ours.
    pub(super) async fn run(&self, repository: &str, tag: &str) -> Deployed {
        let failed = |why: &dyn std::fmt::Display| Deployed::Failed(format!("the deployer: {why}"));
        let mut command = tokio::process::Command::new("/proc/self/exe");
        command.args([DEPLOY, repository, tag]).kill_on_drop(true);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        // It ends before its container does.
        command.env("TESTCONTAINERS_COMMAND", "keep").env_remove("DOCKER_DEFAULT_PLATFORM");
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        match command.output().await {
            Err(error) => failed(&error),
            Ok(output) => match serde_json::from_slice(&output.stdout) {
                Ok(deployed) => deployed,
                Err(error) => failed(&format!("it ended with {} and said no result: {error}", output.status)),
            },
        }
    }
}

/// To be called first in every `main` that may race on a real engine; does not return in a deployer.
pub fn run_if_asked() {
    let args: Vec<OsString> = std::env::args_os().take(5).collect();
    let [_, verb, repository, tag] = args.as_slice() else { return };
    if verb != DEPLOY {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let deployed = match runtime {
        Ok(runtime) => runtime.block_on(deploy(&repository.to_string_lossy(), &tag.to_string_lossy())),
        Err(error) => Deployed::Failed(format!("start an executor: {error}")),
    };
    let said = serde_json::to_string(&deployed).map(|line| println!("{line}"));
    std::process::exit(i32::from(said.is_err()));
}

async fn deploy(repository: &str, tag: &str) -> Deployed {
    // Held to the end: the library makes a client anew when nobody has one.
    let docker = match docker_client_instance().await {
        Ok(docker) => docker,
        Err(error) => return Deployed::Failed(error.to_string()),
    };
    if let Err(error) = docker.inspect_image(&format!("{repository}:{tag}")).await {
        return outcome(&ClientError::CreateContainer(error));
    }
    let request = GenericImage::new(repository, tag)
        .with_cmd(["sleep", "600"])
        .with_network("none")
        .with_label(LABEL, "1");
    match request.start().await {
        Ok(_) => Deployed::Runs,
        Err(TestcontainersError::Client(error)) => outcome(&error),
        Err(error) => Deployed::Failed(error.to_string()),
    }
}

/// A pull that the gate refused says what a missing image does.
fn outcome(error: &ClientError) -> Deployed {
    let said = error.to_string();
    match error {
        ClientError::PullImage { .. } => Deployed::NoSuchImage(said),
        ClientError::ListNetworks(error)
        | ClientError::CreateContainer(error)
        | ClientError::StartContainer(error)
        | ClientError::InspectContainer(error) => match error {
            ApiError::DockerResponseServerError { status_code: 404, .. } => Deployed::NoSuchImage(said),
            ApiError::DockerResponseServerError { .. } => Deployed::Failed(said),
            _ => Deployed::CutOff(said),
        },
        _ => Deployed::Failed(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status_code: u16) -> ApiError {
        ApiError::DockerResponseServerError { status_code, message: "no".into() }
    }

    #[test]
    fn only_an_image_that_is_not_there_is_no_such_image() {
        let pull = ClientError::PullImage { descriptor: "a:b".into(), err: refusal(404) };
        assert!(matches!(outcome(&pull), Deployed::NoSuchImage(_)));
        assert!(matches!(outcome(&ClientError::CreateContainer(refusal(404))), Deployed::NoSuchImage(_)));
        assert!(matches!(outcome(&ClientError::StartContainer(refusal(500))), Deployed::Failed(_)));
        let cut = ClientError::StartContainer(ApiError::RequestTimeoutError);
        assert!(matches!(outcome(&cut), Deployed::CutOff(_)));
    }

    #[test]
    fn the_gate_refuses_pulls_and_speaks_the_engines_version() {
        let texts: Vec<String> = rules("1.41").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["error POST /images/create with 404", "speak * * as 1.41"]);
        assert!(rules("latest").is_err());
    }
}
