//! Heads of HTTP/1.1 messages: read whole, passed on as they are, understood only as far as it takes to know where the
//! message ends.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest head we pass on; Docker's are below 16 KiB.
const MOST_BYTES: usize = 256 << 10;
const MOST_HEADERS: usize = 256;

/// The head of a request.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Body,
}

/// The head of a response.
pub(super) struct Response {
    pub(super) bytes: Vec<u8>,
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether another request may follow on the connection.
    pub(super) closes: bool,
}

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    /// With the connection, or never: an upgrade, a hijacked connection, a response without a length.
    Stream,
}

/// Reads to the end of a head. `None` at the end of the connection.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            return if bytes.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let seen = bytes.len();
        bytes.extend_from_slice(available);
        let added = available.len();
        if let Some(end) = end_of_head(&bytes, seen) {
            bytes.truncate(end);
            from.consume(end - seen);
            return Ok(Some(bytes));
        }
        from.consume(added);
        if bytes.len() > MOST_BYTES {
            return Err(wrong(format!("a head of more than {MOST_BYTES} bytes")));
        }
    }
}

/// The index after the empty line, of which the first `seen` bytes are known to hold none.
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    bytes[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4)
}

impl Request {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Request> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&bytes).map_err(|error| wrong(format!("no HTTP request: {error}")))?;
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(wrong("no HTTP request: it has no method".to_owned()));
        };
        let (method, target) = (method.to_owned(), target.to_owned());
        let body = match length(parsed.headers)? {
            Some(body) => body,
            None => Body::Length(0),
        };
        Ok(Request { bytes, method, target, body })
    }

    /// Sends it as a request of another version of the API, if it names one. What is logged stays as it came.
    pub(super) fn speak(&mut self, version: &str) {
        let Some(own) = super::rule::version(&self.target) else { return };
        // Method, a space, the target.
        let at = self.method.len() + " /v".len();
        if self.bytes.get(at..at + own.len()) == Some(own.as_bytes()) {
            self.bytes.splice(at..at + own.len(), version.bytes());
        }
    }
}

impl Response {
    /// The response to a request of `method`.
    pub(super) fn parse(bytes: Vec<u8>, method: &str) -> Result<Response> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        parsed.parse(&bytes).map_err(|error| wrong(format!("no HTTP response: {error}")))?;
        let status = parsed.code.unwrap_or(0);
        let http_1_0 = parsed.version == Some(0);
        let closes = http_1_0 || parsed.headers.iter().any(|header| says(header, "connection", "close"));
        let body = match status {
            101 => Body::Stream,
            100..200 | 204 | 304 => Body::Length(0),
            _ if method == "HEAD" => Body::Length(0),
            _ => length(parsed.headers)?.unwrap_or(Body::Stream),
        };
        Ok(Response { bytes, status, body, closes })
    }

    /// `100 Continue` and its kin: the answer is yet to come.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// RFC 9112 section 6.3. Lengths that contradict each other are refused: the two sides could disagree about them.
fn length(headers: &[httparse::Header<'_>]) -> Result<Option<Body>> {
    if headers.iter().any(|header| says(header, "transfer-encoding", "chunked")) {
        return Ok(Some(Body::Chunked));
    }
    let mut found = None;
    for header in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-length")) {
        let text = String::from_utf8_lossy(header.value);
        let length: u64 =
            text.trim().parse().map_err(|_| wrong(format!("content-length `{text}` is no number")))?;
        if found.is_some_and(|other| other != length) {
            return Err(wrong("two values of content-length".to_owned()));
        }
        found = Some(length);
    }
    Ok(found.map(Body::Length))
}

/// Whether a header with a list as its value has this item.
fn says(header: &httparse::Header<'_>, name: &str, item: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
        && String::from_utf8_lossy(header.value).split(',').any(|word| word.trim().eq_ignore_ascii_case(item))
}

pub(super) fn wrong(why: String) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_where_its_headers_say() {
        let body = |head: &str| {
            Request::parse(format!("POST /b HTTP/1.1\r\n{head}\r\n").into_bytes()).map(|r| r.body)
        };
        assert_eq!(body("").unwrap(), Body::Length(0));
        assert_eq!(body("content-LENGTH: 7\r\n").unwrap(), Body::Length(7));
        assert_eq!(body("Transfer-Encoding: Chunked\r\nContent-Length: 7\r\n").unwrap(), Body::Chunked);
        assert!(body("Content-Length: 7\r\nContent-Length: 8\r\n").is_err());
        assert!(body("Content-Length: -1\r\n").is_err());
    }

    #[test]
    fn a_request_speaks_another_version_of_the_api_and_says_nothing_else() {
        let spoken = |head: &str| {
            let mut request = Request::parse(format!("{head}\r\n\r\n").into_bytes()).unwrap();
            request.speak("1.41");
            String::from_utf8(request.bytes).unwrap().trim_end().to_owned()
        };
        assert_eq!(spoken("GET /v1.53/info?v=/v1.53 HTTP/1.1"), "GET /v1.41/info?v=/v1.53 HTTP/1.1");
        for head in ["GET /_ping HTTP/1.1", "POST /volumes/v1.53 HTTP/1.1"] {
            assert_eq!(spoken(head), head);
        }
    }

    #[test]
    fn a_response_ends_by_its_status_and_the_method_too() {
        let body = |method: &str, text: &str| Response::parse(text.as_bytes().to_vec(), method).unwrap().body;
        assert_eq!(body("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), Body::Length(0));
        assert_eq!(body("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"), Body::Length(0));
        assert_eq!(body("POST", "HTTP/1.1 101 UPGRADED\r\n\r\n"), Body::Stream);
        assert_eq!(body("POST", "HTTP/1.1 200 OK\r\n\r\n"), Body::Stream);
        assert!(Response::parse(b"SSH-2.0-x\r\n\r\n".to_vec(), "GET").is_err());
    }

    #[tokio::test]
    async fn a_head_is_taken_to_its_empty_line_and_no_further() {
        let text = b"GET / HTTP/1.1\r\na: b\r\n\r\nrest";
        // However the pieces fall.
        for size in 1..text.len() {
            let mut from = tokio::io::BufReader::with_capacity(size, text.as_slice());
            let head = read(&mut from).await.unwrap().unwrap();
            assert_eq!(head, &text[..text.len() - 4], "in pieces of {size}");
            let mut rest = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut from, &mut rest).await.unwrap();
            assert_eq!(rest, b"rest", "in pieces of {size}");
        }
        assert!(read(&mut b"".as_slice()).await.unwrap().is_none());
        assert!(read(&mut b"GET".as_slice()).await.is_err());
    }
}
