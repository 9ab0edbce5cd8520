//! Who we are to a registry: what `docker login` left in `config.json`, or a credential helper that it names. Nothing of it
//! is ever printed but user names.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

/// What a registry is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Anonymous,
    Basic { user: String, password: String },
}

/// Credentials and where they are from, in words that can be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    pub credentials: Credentials,
    pub from: String,
}

/// The credentials for `registry`, a host with its port, as `docker.io` or `localhost:5000`.
///
/// # Errors
/// The configuration or a helper's answer cannot be understood; the text says which and why.
pub fn find(registry: &str) -> Result<Found, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let Some(dir) = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker"))) else {
        return Ok(anonymous("without credentials: neither DOCKER_CONFIG nor HOME is set"));
    };
    find_in(&dir.join("config.json"), registry, &ask)
}

/// Asks the helper of a name for the credentials of a server; `None` if it has none.
type Helper<'a> = &'a dyn Fn(&str, &str) -> Result<Option<Answer>, String>;

fn find_in(path: &Path, registry: &str, helper: Helper<'_>) -> Result<Found, String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(anonymous(&format!("without credentials: there is no {}", path.display())));
        }
        Err(error) => return Err(format!("read {}: {error}", path.display())),
    };
    let file: File =
        serde_json::from_slice(&text).map_err(|error| format!("read {}: {error}", path.display()))?;
    let host = host_of(registry);
    let own = file.cred_helpers.iter().find(|(key, _)| host_of(key) == host).map(|(_, name)| name);
    if let Some(name) = own.or(file.creds_store.as_ref()).filter(|name| !name.is_empty()) {
        let server = if host == HUB { HUB_KEY } else { registry };
        if let Some(answer) = helper(name, server)? {
            return answer.found(&format!("docker-credential-{name}"));
        }
    }
    let exact = file.auths.get(registry);
    let entry =
        exact.or_else(|| file.auths.iter().find(|(key, _)| host_of(key) == host).map(|(_, entry)| entry));
    match entry {
        Some(entry) => entry.found(path, registry),
        None => Ok(anonymous(&format!("without credentials: {} has none for {registry}", path.display()))),
    }
}

/// What `docker login` calls Docker Hub, and the host that this means.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB: &str = "index.docker.io";

/// The host that a key of `auths` is about: keys are hosts, or addresses of long ago.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match rest.split('/').next().unwrap_or(rest) {
        "docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

fn anonymous(from: &str) -> Found {
    Found { credentials: Credentials::Anonymous, from: from.to_owned() }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

impl Entry {
    fn found(&self, path: &Path, registry: &str) -> Result<Found, String> {
        let place = || format!("read the credentials for {registry} in {}", path.display());
        if !self.identitytoken.is_empty() {
            return Err(format!("{}: an identity token is not supported; log in with a password", place()));
        }
        let (user, password) = if self.auth.is_empty() {
            (self.username.clone(), self.password.clone())
        } else {
            let bytes = STANDARD.decode(&self.auth).or_else(|_| STANDARD_NO_PAD.decode(&self.auth));
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = text.as_deref().and_then(|text| text.split_once(':'));
            let (user, password) =
                pair.ok_or_else(|| format!("{}: `auth` is not the base64 of user:password", place()))?;
            // Docker pads them.
            (user.to_owned(), password.trim_end_matches('\0').to_owned())
        };
        if user.is_empty() {
            return Ok(anonymous(&format!(
                "without credentials: {} has none for {registry}",
                path.display()
            )));
        }
        let from = format!("as {user}, of {}", path.display());
        Ok(Found { credentials: Credentials::Basic { user, password }, from })
    }
}

/// What a helper says.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Answer {
    fn found(self, helper: &str) -> Result<Found, String> {
        if self.username == "<token>" {
            return Err(format!("use the identity token of {helper}: not supported; log in with a password"));
        }
        let from = format!("as {}, of {helper}", self.username);
        Ok(Found { credentials: Credentials::Basic { user: self.username, password: self.secret }, from })
    }
}

/// Asks a helper; `None` if it knows of nothing.
fn ask(name: &str, server: &str) -> Result<Option<Answer>, String> {
    let program = format!("docker-credential-{name}");
    let failed = |why: String| format!("ask {program} for the credentials of {server}: {why}");
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(failed("that is no name of a helper".to_owned()));
    }
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("{error}; put it on PATH, or take it out of config.json")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen says so by its answer.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        let answer = serde_json::from_slice(&output.stdout);
        return answer.map(Some).map_err(|_| failed("its answer is not what a helper says".to_owned()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("credentials not found") {
        return Ok(None);
    }
    Err(failed(said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, registry: &str) -> Result<(Option<String>, String), String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        let helper = |name: &str, server: &str| match name {
            "known" => Ok(Some(Answer { username: format!("of {server}"), secret: "s".into() })),
            "empty" => Ok(None),
            _ => Err(format!("no helper {name}")),
        };
        find_in(&path, registry, &helper).map(|found| {
            let pair = match found.credentials {
                Credentials::Anonymous => None,
                Credentials::Basic { user, password } => Some(format!("{user}/{password}")),
            };
            (pair, found.from.replace(&path.display().to_string(), "FILE"))
        })
    }

    fn pair(config: &str, registry: &str) -> Option<String> {
        found(config, registry).unwrap().0
    }

    #[test]
    fn a_registry_is_found_however_its_key_is_spelled() {
        // me:secret
        let with = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#);
        for key in ["localhost:5000", "https://localhost:5000", "http://localhost:5000/v2/"] {
            assert_eq!(pair(&with(key), "localhost:5000").as_deref(), Some("me/secret"), "{key}");
        }
        assert_eq!(pair(&with("https://index.docker.io/v1/"), "docker.io").as_deref(), Some("me/secret"));
        assert_eq!(pair(&with("other:5000"), "localhost:5000"), None);
        assert_eq!(
            pair(r#"{"auths":{"r":{"username":"a","password":"b:c"}}}"#, "r").as_deref(),
            Some("a/b:c")
        );
        assert_eq!(pair(r#"{"auths":{"r":{}}}"#, "r"), None);
    }

    #[test]
    fn a_helper_is_asked_first_and_what_it_lacks_is_looked_for_in_the_file() {
        let rest = r#""auths":{"r":{"auth":"bWU6c2VjcmV0"}}}"#;
        let own = format!(r#"{{"credHelpers":{{"r":"known"}},"credsStore":"broken",{rest}"#);
        assert_eq!(pair(&own, "r").as_deref(), Some("of r/s"));
        assert_eq!(pair(&format!(r#"{{"credsStore":"empty",{rest}"#), "r").as_deref(), Some("me/secret"));
        assert_eq!(pair(r#"{"credsStore":"known"}"#, "docker.io").unwrap(), format!("of {HUB_KEY}/s"));
        assert_eq!(found(&own, "q").unwrap_err(), "no helper broken");
    }

    #[test]
    fn what_cannot_be_understood_is_an_error_that_shows_no_secret() {
        for (config, part) in [
            ("{", "FILE"),
            (r#"{"auths":{"r":{"auth":"c2VjcmV0"}}}"#, "base64 of user:password"),
            (r#"{"auths":{"r":{"identitytoken":"secret"}}}"#, "identity token"),
        ] {
            let error = found(config, "r").err().unwrap_or_default();
            assert!(error.contains(part) || error.contains("config.json"), "{error}");
            assert!(!error.contains("secret") && !error.contains("c2VjcmV0"), "{error}");
        }
    }

    #[test]
    fn without_a_file_nobody_is_asked() {
        let nowhere = find_in(Path::new("/no/such/config.json"), "r", &|_, _| panic!("asked"));
        assert!(nowhere.is_ok_and(|found| found.credentials == Credentials::Anonymous));
    }
}
