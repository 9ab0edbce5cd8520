//! Registries: an image's blobs streamed to disk and back. How to speak to one is `oci-client`'s; here is what we believe of
//! the answers: nothing whose digest is not right, nothing that ends early.

pub mod credentials;
pub mod layers;
mod offer;
mod outline;
mod pull;
mod push;
mod retry;

pub use offer::offer;
pub use outline::outline;
pub use pull::{Pulled, fetch, pull};
pub(crate) use push::push_with;
pub use push::{push, push_blobs};

use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use samebuild_image::Digest;
use samebuild_image::read::ReadError;
use tokio::runtime::Runtime;

use credentials::Credentials;

use super::names;

/// Why an image did not come from a registry, or go to one. Every text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("understand the name of the image: {0}")]
    Name(String),
    #[error("find credentials: {0}")]
    Credentials(String),
    #[error("reach {registry}: {why}")]
    Unreachable { registry: String, why: String },
    #[error("{what}: {registry} says {status}; it is busy or ill, try again later")]
    Busy { what: String, registry: String, status: u16 },
    #[error("{what}: the connection to {registry} broke: {why}")]
    Broke { what: String, registry: String, why: String },
    #[error("find {image}: {registry} has no such image")]
    NoSuchImage { image: String, registry: String },
    #[error(
        "{what}: {registry} denies it {how}; `docker login {registry}`, or set DOCKER_CONFIG to where you are logged in"
    )]
    Denied { what: String, registry: String, how: String },
    #[error(
        "read {what}: it ended after {got} of {want} bytes; it is truncated, nothing of it is used: try again"
    )]
    Truncated { what: String, got: u64, want: u64 },
    #[error("read {what}: it has more than the {want} bytes that are stated; nothing of it is used")]
    TooLong { what: String, want: u64 },
    #[error("read {what}: its digest is not {want}; nothing of it is used")]
    WrongDigest { what: String, want: String },
    #[error("understand {what}: {why}")]
    Odd { what: String, why: String },
    #[error(transparent)]
    Image(#[from] ReadError),
    #[error("{what}: {why}")]
    Disk { what: String, why: String },
    #[error("{what}: {why}")]
    Other { what: String, why: String },
}

impl RegistryError {
    /// Whether the image may well be somewhere else: the registry has nothing, or nothing for us.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Name(_) | Self::Unreachable { .. } | Self::NoSuchImage { .. } | Self::Denied { .. }
        )
    }
}

/// A connection to one registry, with who we are to it.
pub(crate) struct Registry {
    client: Client,
    auth: RegistryAuth,
    /// Who we are, in words.
    how: String,
    host: String,
}

impl Registry {
    /// Nothing is sent yet.
    pub(crate) fn of(reference: &Reference) -> Result<Self, RegistryError> {
        let host = reference.registry().to_owned();
        let found = credentials::find(&host).map_err(RegistryError::Credentials)?;
        let auth = match found.credentials {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Basic { user, password } => RegistryAuth::Basic(user, password),
        };
        let broken = |why: String| RegistryError::Other { what: format!("speak to {host}"), why };
        // Whoever was first has chosen; all choose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let protocol = if names::is_loopback(&host) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            // A blob goes in one piece, read as it is sent.
            use_monolithic_push: true,
            connect_timeout: Some(Duration::from_secs(20)),
            read_timeout: Some(Duration::from_secs(60)),
            user_agent: concat!("samebuild/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| broken(chain(&error)))?;
        Ok(Self { client, auth, how: found.from, host })
    }

    /// What the name stands for; `None` if for nothing.
    pub(crate) async fn digest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        let asked = retry::patiently(&|_| {}, async || {
            self.log_in(reference, RegistryOperation::Pull).await?;
            let answer = self.client.fetch_manifest_digest(reference, &self.auth).await;
            answer.map_err(|error| self.explain(format!("find {reference}"), reference, &error))
        });
        match asked.await {
            Ok(text) => digest_of(&text).map(Some),
            Err(RegistryError::NoSuchImage { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the manifest of that digest, which is in the repository, the name `reference`; whether it was there.
    pub(crate) async fn name(&self, reference: &Reference, digest: &str) -> Result<bool, RegistryError> {
        let what = || format!("name {digest} {reference}");
        let explain = |error: OciDistributionError| self.explain(what(), reference, &error);
        let by_digest = Reference::with_digest(
            reference.registry().to_owned(),
            reference.repository().to_owned(),
            digest.to_owned(),
        );
        let read = retry::patiently(&|_| {}, async || {
            self.log_in(reference, RegistryOperation::Push).await?;
            let answer = self.client.pull_manifest_raw(&by_digest, &self.auth, &pull::accepted()).await;
            answer.map_err(explain)
        });
        let bytes = match read.await {
            Ok((bytes, _)) => bytes,
            Err(RegistryError::NoSuchImage { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let odd = |why: String| RegistryError::Odd { what: what(), why };
        let fields: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| odd(error.to_string()))?;
        let media_type = fields.get("mediaType").and_then(serde_json::Value::as_str);
        let media_type = media_type.unwrap_or("application/vnd.oci.image.manifest.v1+json");
        let media_type =
            ureq::http::HeaderValue::from_str(media_type).map_err(|error| odd(error.to_string()))?;
        retry::patiently(&|_| {}, async || {
            let (bytes, media_type) = (bytes.clone(), media_type.clone());
            self.client.push_manifest_raw(reference, bytes, media_type).await.map(drop).map_err(explain)
        })
        .await
        .map(|()| true)
    }

    /// Gets a token where the registry gives tokens.
    async fn log_in(&self, reference: &Reference, operation: RegistryOperation) -> Result<(), RegistryError> {
        let what = || format!("log in for {reference}");
        let answer = self.client.auth(reference, &self.auth, operation).await;
        answer.map(drop).map_err(|error| self.explain(what(), reference, &error))
    }

    fn explain(&self, what: String, reference: &Reference, error: &OciDistributionError) -> RegistryError {
        let registry = self.host.clone();
        match kind(error) {
            Kind::Absent => RegistryError::NoSuchImage { image: reference.to_string(), registry },
            Kind::Denied => RegistryError::Denied { what, registry, how: self.how.clone() },
            Kind::Busy(status) => RegistryError::Busy { what, registry, status },
            Kind::Broke => RegistryError::Broke { what, registry, why: chain(error) },
            Kind::Unreachable => RegistryError::Unreachable { registry, why: chain(error) },
            Kind::WrongDigest(want) => RegistryError::WrongDigest { what: reference.to_string(), want },
            Kind::Other => RegistryError::Other { what, why: chain(error) },
        }
    }
}

/// What the name stands for in its registry; `None` if for nothing.
///
/// # Errors
/// See [`RegistryError`].
pub fn digest(reference: &Reference) -> Result<Option<Digest>, RegistryError> {
    let registry = Registry::of(reference)?;
    runtime()?.block_on(registry.digest(reference))
}

/// What speaks to one registry at a time.
pub(crate) fn runtime() -> Result<Runtime, RegistryError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| RegistryError::Other {
        what: "start an executor".to_owned(),
        why: error.to_string(),
    })
}

enum Kind {
    Absent,
    Denied,
    /// With its status.
    Busy(u16),
    Broke,
    Unreachable,
    WrongDigest(String),
    Other,
}

fn kind(error: &OciDistributionError) -> Kind {
    use oci_client::errors::DigestError;
    let of_code = |code: u16| match code {
        404 => Kind::Absent,
        401 | 403 => Kind::Denied,
        429 | 500 | 502..=504 => Kind::Busy(code),
        _ => Kind::Other,
    };
    match error {
        OciDistributionError::RegistryError { envelope, .. } => {
            let has = |codes: &[OciErrorCode]| envelope.errors.iter().any(|e| codes.contains(&e.code));
            if has(&[OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound]) {
                Kind::Absent
            } else if has(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                Kind::Denied
            } else if has(&[OciErrorCode::Toomanyrequests]) {
                Kind::Busy(429)
            } else {
                Kind::Other
            }
        }
        OciDistributionError::ServerError { code, .. } => of_code(*code),
        OciDistributionError::ImageManifestNotFoundError(_) => Kind::Absent,
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            Kind::Denied
        }
        OciDistributionError::DigestError(DigestError::VerificationError { expected, .. }) => {
            Kind::WrongDigest(expected.clone())
        }
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => of_code(status.as_u16()),
            None if error.is_connect() || error.is_timeout() => Kind::Unreachable,
            None if error.is_request() || error.is_body() || error.is_decode() => Kind::Broke,
            None => Kind::Other,
        },
        _ => Kind::Other,
    }
}

/// An error and its causes: those who speak HTTP tell the reason last.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

/// A digest that a registry states.
fn digest_of(text: &str) -> Result<Digest, RegistryError> {
    let odd = |_| RegistryError::Odd {
        what: format!("the digest {text}"),
        why: "only sha256 is understood".to_owned(),
    };
    text.parse().map_err(odd)
}
