//! A BuildKit build through Docker's gRPC endpoint, its context served from a session of ours.
//!
//! With containerd's image store, 26.1 does not find a context that was uploaded with `/build`: it looks up the
//! upload's made-up host name in the DNS. Here BuildKit asks the session for the context instead. What is lost is the
//! log with the times of the steps, which comes over a stream that bollard does not open.

use std::path::Path;

use bollard::grpc::build::{
    ImageBuildFrontendOptions, ImageBuildLoadInput, ImageBuildNetworkMode, ImageBuildPlatform,
};
use bollard::grpc::driver::{Build, moby::Moby};
use bollard::grpc::error::GrpcError;

use super::build::{BuildOutcome, BuildRequest, Context, Network};
use super::engine::Engine;
use super::error::{EngineError, IoContext};
use super::events::{FailedStep, dockerfile_line};

pub(super) fn build(
    engine: &Engine,
    request: &BuildRequest,
    what: &str,
) -> Result<BuildOutcome, EngineError> {
    let tar = match &request.context {
        Context::Bytes(bytes) => bytes.clone(),
        Context::File(path) => std::fs::read(path).io(|| format!("read {}", path.display()))?,
    };
    let input = ImageBuildLoadInput::Upload(tar.into());
    let exchange = Moby::new(&engine.docker).docker_build(&request.tag, options(request), input, None, None);
    match engine.block_on(request.deadline, exchange) {
        None => Err(engine.hung(what, request.deadline, "nothing")),
        Some(Ok(())) => {
            let image_id = engine.image_id(&request.tag)?;
            Ok(BuildOutcome::Built { image_id, log: Vec::new(), times: Vec::new() })
        }
        Some(Err(error)) => {
            // BuildKit's errors arrive as a status, and so does a connection that broke.
            if let Some(tail) = engine.gone() {
                return Err(EngineError::Lost { what: what.to_owned(), tail });
            }
            match error {
                GrpcError::TonicStatus { err } => Ok(failed(err.message(), err.details())),
                GrpcError::DockerError { err } => Err(engine.explain(what, &err)),
                other => Err(EngineError::Api { what: what.to_owned(), why: other.to_string() }),
            }
        }
    }
}

fn failed(message: &str, details: &[u8]) -> BuildOutcome {
    let line = dockerfile_line(message).or_else(|| line_in(details));
    let step = line.map(|line| FailedStep { number: None, instruction: String::new(), line: Some(line) });
    BuildOutcome::Failed {
        message: message.trim().to_owned(),
        line,
        step,
        log: Vec::new(),
        times: Vec::new(),
    }
}

/// The first line of the source range that BuildKit attaches to an error, as JSON among other things.
fn line_in(details: &[u8]) -> Option<u32> {
    const LEAD: &str = r#""ranges":[{"start":{"line":"#;
    let text = String::from_utf8_lossy(details);
    let rest = &text[text.find(LEAD)? + LEAD.len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn options(request: &BuildRequest) -> ImageBuildFrontendOptions {
    let mut options = ImageBuildFrontendOptions::builder()
        .dockerfile(Path::new(&request.dockerfile))
        .nocache(request.no_cache)
        .force_network_mode(match request.network {
            Network::None => &ImageBuildNetworkMode::None,
            Network::Host => &ImageBuildNetworkMode::Host,
        });
    for (key, value) in &request.build_args {
        options = options.buildarg(key, value);
    }
    for (key, value) in &request.labels {
        options = options.label(key, value);
    }
    if let Some(target) = &request.target {
        options = options.target(target);
    }
    if let Some(platform) = &request.platform {
        options = options.platforms(&split_platform(platform));
    }
    options.build()
}

/// `os/architecture` or `os/architecture/variant`.
fn split_platform(platform: &str) -> ImageBuildPlatform {
    let mut parts = platform.splitn(3, '/').map(str::to_owned);
    let mut next = || parts.next();
    ImageBuildPlatform {
        os: next().unwrap_or_default(),
        architecture: next().unwrap_or_default(),
        variant: next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_among_an_errors_details() {
        let details =
            br#"x{"info":{"filename":"Dockerfile"},"ranges":[{"start":{"line":12},"end":{"line":12}}]}"#;
        assert_eq!(line_in(details), Some(12));
        assert_eq!(line_in(b"\xff\x00nothing"), None);
    }

    #[test]
    fn a_platform_has_two_or_three_parts() {
        assert_eq!(split_platform("linux/arm64/v8").to_string(), "linux/arm64/v8");
        assert_eq!(split_platform("linux/amd64").to_string(), "linux/amd64");
    }
}
