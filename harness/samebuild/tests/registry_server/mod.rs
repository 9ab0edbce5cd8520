//! A registry of a few lines on a loopback port, that can misbehave: what a real one does only on a bad day.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use samebuild_image::Digest;

/// What goes wrong with one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection goes away halfway.
    Cut,
    /// It states and sends half, as if that were all.
    Short,
    /// One byte is another.
    Flipped,
    /// There is more.
    Longer,
    /// It never was there.
    Missing,
}

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// `me:secret`, as htpasswd has it.
    Basic,
    /// `me:secret` gets a token, and the token gets the rest.
    Token,
}

#[derive(Default)]
struct State {
    /// Path below /v2/ → media type and bytes.
    files: BTreeMap<String, (String, Vec<u8>)>,
    /// With how often yet.
    faults: BTreeMap<String, (Fault, u32)>,
    requests: Vec<String>,
}

/// Runs until the process ends.
pub struct Server {
    /// `127.0.0.1:PORT`.
    pub host: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, own) = (Arc::clone(&state), host.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                std::thread::spawn(move || drop(answer(stream, door, &own, &shared)));
            }
        });
        Self { host, state }
    }

    pub fn add(&self, path: &str, media_type: &str, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.files.insert(path.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }

    pub fn set_fault(&self, path: &str, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.set_fault_times(path, fault, u32::MAX),
            None => drop(self.state.lock().unwrap().faults.remove(path)),
        }
    }

    /// So many times, and then no more.
    pub fn set_fault_times(&self, path: &str, fault: Fault, times: u32) {
        self.state.lock().unwrap().faults.insert(path.to_owned(), (fault, times));
    }

    /// The path of the largest that begins so.
    pub fn largest(&self, prefix: &str) -> String {
        let state = self.state.lock().unwrap();
        let all = state.files.iter().filter(|(path, _)| path.starts_with(prefix));
        all.max_by_key(|(_, (_, bytes))| bytes.len()).unwrap().0.clone()
    }

    /// Every path that begins so.
    pub fn paths(&self, prefix: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.files.keys().filter(|path| path.starts_with(prefix)).cloned().collect()
    }

    /// Whether it has something at a path below /v2/.
    pub fn has(&self, path: &str) -> bool {
        self.state.lock().unwrap().files.contains_key(path)
    }

    /// What it has at a path below /v2/; nothing if nothing.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.state.lock().unwrap().files.get(path).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }

    /// Forgets what is at a path below /v2/.
    pub fn forget(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path);
    }

    /// Paths asked for since the last time.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

/// `me:secret`
const BASIC: &str = "Basic bWU6c2VjcmV0";

fn answer(mut stream: TcpStream, door: Door, host: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let (mut authorization, mut content_type, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.trim().to_owned(),
            "content-type" => content_type = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut sent = Vec::new();
    reader.take(length).read_to_end(&mut sent)?;
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {path}"));
    let query = path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
    let path = path.split('?').next().unwrap_or("").to_owned();
    if path == "/token" {
        let body = if authorization == BASIC { br#"{"token":"open"}"#.as_slice() } else { b"{}" };
        let status = if authorization == BASIC { "200 OK" } else { "401 Unauthorized" };
        return send(&mut stream, status, "application/json", "", body.len(), body);
    }
    let (wanted, challenge) = match door {
        Door::Open => (String::new(), String::new()),
        Door::Basic => (BASIC.to_owned(), "Basic realm=\"here\"".to_owned()),
        Door::Token => {
            ("Bearer open".to_owned(), format!("Bearer realm=\"http://{host}/token\",service=\"s\""))
        }
    };
    if !wanted.is_empty() && authorization != wanted {
        let header = format!("WWW-Authenticate: {challenge}\r\n");
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"log in"}]}"#;
        return send(&mut stream, "401 Unauthorized", "application/json", &header, body.len(), body);
    }
    let name = path.strip_prefix("/v2/").unwrap_or("");
    if name.is_empty() {
        return send(&mut stream, "200 OK", "application/json", "", 2, b"{}");
    }
    if method == "POST" && name.ends_with("/blobs/uploads/") {
        if let Some((from, to)) = mounted(name, &query)
            && let Some(known) = state.files.get(&from).cloned()
        {
            state.files.insert(to, known);
            let header = format!("Location: {path}\r\n");
            return send(&mut stream, "201 Created", "text/plain", &header, 0, b"");
        }
        let header = format!("Location: {path}1\r\n");
        return send(&mut stream, "202 Accepted", "text/plain", &header, 0, b"");
    }
    if method == "PUT" {
        let digest = Digest::of(&sent).to_string();
        let (repository, place) = match name.split_once("/blobs/uploads/") {
            Some((repository, _))
                if query.contains(&digest.replace(':', "%3A")) || query.contains(&digest) =>
            {
                (repository.to_owned(), format!("{repository}/blobs/{digest}"))
            }
            Some(_) => return send(&mut stream, "400 Bad Request", "text/plain", "", 0, b""),
            None => (name.split_once("/manifests/").map_or("", |(it, _)| it).to_owned(), name.to_owned()),
        };
        let header = format!("Location: /v2/{place}\r\n");
        let known = (content_type, sent);
        if place.contains("/manifests/") {
            state.files.insert(format!("{repository}/manifests/{digest}"), known.clone());
        }
        state.files.insert(place, known);
        return send(&mut stream, "201 Created", "text/plain", &header, 0, b"");
    }
    let fault = match state.faults.get_mut(name) {
        Some((fault, left)) if *left > 0 => {
            *left -= u32::from(method == "GET");
            Some(*fault)
        }
        _ => None,
    };
    let Some((media_type, bytes)) = state.files.get(name).filter(|_| fault != Some(Fault::Missing)) else {
        let code = if name.contains("/manifests/") { "MANIFEST_UNKNOWN" } else { "BLOB_UNKNOWN" };
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"unknown"}}]}}"#);
        return send(&mut stream, "404 Not Found", "application/json", "", body.len(), body.as_bytes());
    };
    let (mut body, mut stated) = (bytes.clone(), bytes.len());
    match fault {
        Some(Fault::Cut) => body.truncate(bytes.len() / 2),
        Some(Fault::Short) => {
            body.truncate(bytes.len() / 2);
            stated = body.len();
        }
        Some(Fault::Flipped) => body[0] ^= 1,
        Some(Fault::Longer) => {
            body.push(0);
            stated = body.len();
        }
        Some(Fault::Missing) | None => {}
    }
    let header = format!("Docker-Content-Digest: {}\r\n", Digest::of(bytes));
    let header = if name.contains("/manifests/") && fault.is_none() { header } else { String::new() };
    let body = if method == "HEAD" { &[][..] } else { &body };
    send(&mut stream, "200 OK", media_type, &header, stated, body)
}

/// Where a blob is that is to be taken from another repository, and where it is to be.
fn mounted(name: &str, query: &str) -> Option<(String, String)> {
    let value = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/"))
    };
    let (digest, from) = (value("mount")?, value("from")?);
    let repository = name.strip_suffix("/blobs/uploads/")?;
    Some((format!("{from}/blobs/{digest}"), format!("{repository}/blobs/{digest}")))
}

fn send(
    stream: &mut TcpStream,
    status: &str,
    media_type: &str,
    headers: &str,
    length: usize,
    body: &[u8],
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    stream.flush()
}

/// A layer of one file.
pub fn tar_of(text: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}
