//! ADD's way to a network: HTTP, with TLS against the machine's certificates, bounded in time and size, streamed to disk.
//! What becomes of the answer is the builder's.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use samebuild_builder::{Fetch, FetchError, Fetched};
use ureq::http::Response;
use ureq::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, LAST_MODIFIED};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Without a byte.
    pub silence: Duration,
    /// All of it.
    pub whole: Duration,
    /// Bytes of one file, unpacked.
    pub bytes: u64,
}

impl Limits {
    /// Generous: an archive of a few gigabytes over a slow line.
    pub const USUAL: Self = Self {
        connect: Duration::from_secs(20),
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(3600),
        bytes: 16 << 30,
    };
}

/// Fetches by HTTP. As Go's client, which Docker uses: up to ten redirections, `Accept-Encoding: gzip`, proxies from the
/// environment.
pub struct Http {
    limits: Limits,
    agent: OnceLock<Agent>,
}

impl Http {
    /// Nothing is opened before the first fetch.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, agent: OnceLock::new() }
    }

    fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| {
            let crypto = Arc::new(rustls::crypto::ring::default_provider());
            let roots = rustls_native_certs::load_native_certs().certs;
            let roots: Vec<Certificate<'static>> =
                roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned()).collect();
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(crypto)
                .root_certs(RootCerts::Specific(Arc::new(roots)))
                .build();
            let config = Agent::config_builder()
                .tls_config(tls)
                .http_status_as_error(false)
                .max_redirects(10)
                .accept_encoding("gzip")
                .user_agent(concat!("samebuild/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(self.limits.connect))
                .timeout_per_read(Some(self.limits.silence))
                .timeout_global(Some(self.limits.whole));
            Agent::new_with_config(config.build())
        })
    }
}

impl Fetch for Http {
    fn fetch(&self, url: &str, to: &Path) -> Result<Fetched, FetchError> {
        let failed = |error: ureq::Error| FetchError::Failed(sentence(&error, self.limits));
        let mut answer = self.agent().get(url).call().map_err(failed)?;
        let fetched = Fetched {
            status: answer.status().as_u16(),
            size: 0,
            last_modified: header(&answer, LAST_MODIFIED),
            disposition: header(&answer, CONTENT_DISPOSITION),
        };
        if fetched.status >= 400 {
            return Ok(fetched);
        }
        let is_gzip =
            header(&answer, CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let body = answer.body_mut().with_config().limit(self.limits.bytes.saturating_add(1)).reader();
        let written = match is_gzip {
            true => self.write(MultiGzDecoder::new(body), to),
            false => self.write(body, to),
        };
        Ok(Fetched { size: written?, ..fetched })
    }
}

impl Http {
    fn write(&self, body: impl io::Read, to: &Path) -> Result<u64, FetchError> {
        let failed = |error: io::Error| FetchError::Failed(format!("read the answer: {error}"));
        let mut file = File::create_new(to)
            .map_err(|error| FetchError::Failed(format!("write {}: {error}", to.display())))?;
        let most = self.limits.bytes;
        let written = io::copy(&mut body.take(most.saturating_add(1)), &mut file).map_err(failed)?;
        if written > most {
            return Err(FetchError::Failed(format!("it has more than {most} bytes, which is the limit")));
        }
        Ok(written)
    }
}

fn header(answer: &Response<Body>, name: ureq::http::HeaderName) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// The error, and what to look at.
fn sentence(error: &ureq::Error, limits: Limits) -> String {
    match error {
        ureq::Error::HostNotFound => {
            format!("{error}; is this machine offline? put the file into the context instead")
        }
        ureq::Error::Timeout(_) => format!(
            "{error}; the limits are {} s to connect, {} s of silence, {} s in all",
            limits.connect.as_secs(),
            limits.silence.as_secs(),
            limits.whole.as_secs()
        ),
        _ => error.to_string(),
    }
}

/// Fetches for a case: from its own server alone, unless it says that it needs the machine's network.
pub struct Only<'a> {
    /// `http://127.0.0.1:40123`, if the case has one.
    pub server: Option<&'a str>,
    /// Whether the rest of the world may be asked too.
    pub anywhere: bool,
    pub http: &'a Http,
}

impl Fetch for Only<'_> {
    fn fetch(&self, url: &str, to: &Path) -> Result<Fetched, FetchError> {
        let ours = self.server.and_then(|server| url.strip_prefix(server));
        if self.anywhere || ours.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            return self.http.fetch(url, to);
        }
        let why = "a case reaches its own server only: say what it answers under [[serve]], and ADD ${SERVER}/…, or say needs = [\"network\"]";
        Err(FetchError::NotHere(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::served::{Page, Served};

    const LIMITS: Limits = Limits {
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(5),
        whole: Duration::from_secs(20),
        bytes: 1000,
    };

    fn page(path: &str, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Page {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Page { path: path.to_owned(), status, headers, body: body.to_vec().into() }
    }

    fn fetched(pages: Vec<Page>, path: &str) -> (Result<Fetched, FetchError>, Option<Vec<u8>>) {
        let server = Served::start(pages).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("file");
        let fetched = Http::new(LIMITS).fetch(&format!("{}{path}", server.url()), &to);
        (fetched, std::fs::read(to).ok())
    }

    #[test]
    fn a_file_is_written_with_its_headers_told() {
        let date = "Sat, 03 Feb 2001 04:05:06 GMT";
        let headers = [("Last-Modified", date), ("Content-Disposition", "attachment; filename=n")];
        let (answer, file) = fetched(vec![page("/a", 200, &headers, b"hello")], "/a?x=1");
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.size, file.unwrap()), (200, 5, b"hello".to_vec()));
        assert_eq!(
            (answer.modified_secs(), answer.disposition_name().unwrap()),
            (Some(981_173_106), "n".into())
        );
    }

    #[test]
    fn redirections_are_followed_and_too_many_are_not() {
        let pages = vec![page("/a", 302, &[("Location", "/b")], b""), page("/b", 200, &[], b"there")];
        assert_eq!(fetched(pages, "/a").1.unwrap(), b"there");
        let (answer, _) = fetched(vec![page("/a", 302, &[("Location", "/a")], b"")], "/a");
        assert!(matches!(answer, Err(FetchError::Failed(_))), "{answer:?}");
    }

    #[test]
    fn an_encoding_is_undone_as_gos_client_does() {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"plain").unwrap();
        let body = gzip.finish().unwrap();
        let (_, file) = fetched(vec![page("/a", 200, &[("Content-Encoding", "gzip")], &body)], "/a");
        assert_eq!(file.unwrap(), b"plain");
        // An archive is only content.
        assert_eq!(fetched(vec![page("/a.gz", 200, &[], &body)], "/a.gz").1.unwrap(), body);
    }

    #[test]
    fn what_is_not_there_is_an_answer_and_nothing_is_written() {
        let (answer, file) = fetched(vec![], "/a");
        assert_eq!((answer.unwrap().status, file), (404, None));
    }

    #[test]
    fn more_than_the_limit_is_refused_whether_packed_or_not() {
        let (answer, _) = fetched(vec![page("/a", 200, &[], &[7; 1001])], "/a");
        assert!(answer.unwrap_err().to_string().contains("1000 bytes"));
        assert!(fetched(vec![page("/a", 200, &[], &[7; 1000])], "/a").0.is_ok());
    }

    #[test]
    fn a_host_that_is_not_there_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error =
            Http::new(LIMITS).fetch(&format!("http://{closed}/a"), &dir.path().join("f")).unwrap_err();
        assert!(matches!(error, FetchError::Failed(_)), "{error}");
    }

    #[test]
    fn a_server_that_speaks_no_tls_is_an_error_of_https_and_no_panic() {
        let server = Served::start(vec![page("/a", 200, &[], b"plain")]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let url = format!("{}/a", server.url().replace("http://", "https://"));
        let error = Http::new(LIMITS).fetch(&url, &dir.path().join("f")).unwrap_err();
        assert!(matches!(error, FetchError::Failed(_)), "{error}");
    }

    #[test]
    fn a_case_reaches_its_own_server_only() {
        let http = Http::new(LIMITS);
        let only = Only { server: Some("http://127.0.0.1:4012"), anywhere: false, http: &http };
        for url in ["http://127.0.0.1:40123/a", "http://example.com/", "http://127.0.0.1:4012@h/"] {
            let refused = only.fetch(url, Path::new("/nowhere"));
            assert!(matches!(refused, Err(FetchError::NotHere(_))), "{url}: {refused:?}");
        }
    }
}
