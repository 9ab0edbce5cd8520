//! What a case serves over loopback while it is built: `[[serve]]`. A server that answers GET and HEAD with fixed pages,
//! for whoever builds the case, the reference builder or a real engine on this machine.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The build argument that holds the server's address, `http://127.0.0.1:PORT`.
pub const ARGUMENT: &str = "SERVER";

/// Nobody waits longer for a request or for room to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request's head is no longer.
const HEAD: usize = 16 << 10;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Without query: `/dir/a.txt`.
    pub path: String,
    pub status: u16,
    /// In their order; `Content-Length` and `Connection` are added.
    pub headers: Vec<(String, String)>,
    pub body: Arc<[u8]>,
}

/// A server; it ends with this value.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Listens on loopback, at a port of the system's choice.
    ///
    /// # Errors
    /// There is no loopback to listen on.
    pub fn start(pages: Vec<Page>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ending);
        let pages: Arc<BTreeMap<String, Page>> =
            Arc::new(pages.into_iter().map(|page| (page.path.clone(), page)).collect());
        let thread = std::thread::Builder::new().name("served".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if seen.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let pages = Arc::clone(&pages);
                // A client that goes away mid-answer is its own affair.
                std::thread::spawn(move || drop(answer(stream, &pages)));
            }
        })?;
        Ok(Self { address, ending, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes it, so that it sees.
        drop(TcpStream::connect_timeout(&self.address, PATIENCE));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn answer(mut stream: TcpStream, pages: &BTreeMap<String, Page>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some((method, path)) = request(&mut stream)? else { return Ok(()) };
    let lost =
        Page { path: String::new(), status: 404, headers: Vec::new(), body: Arc::from(*b"nothing here\n") };
    let page = pages.get(&path).unwrap_or(&lost);
    let mut head = format!("HTTP/1.1 {} {}\r\n", page.status, reason(page.status));
    for (name, value) in &page.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", page.body.len()));
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&page.body)?;
    }
    stream.flush()
}

/// Method and path of a request; `None` if it is none.
fn request(stream: &mut TcpStream) -> io::Result<Option<(String, String)>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 || head.len() + read > HEAD {
            return Ok(None);
        }
        head.extend_from_slice(&buffer[..read]);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if request.parse(&head).is_err() {
        return Ok(None);
    }
    let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
    Ok(Some((request.method.unwrap_or_default().to_owned(), path.to_owned())))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}
