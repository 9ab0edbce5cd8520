//! The proxy between real sockets: a client that writes bytes, an engine of a few routes, and what of the one reaches
//! the other, and when.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use samebuild::proxy::{Entry, Proxy, What};

const PATIENCE: Duration = Duration::from_secs(10);

const PING: &str = "GET /v1.41/_ping HTTP/1.1\r\nHost: docker\r\n\r\n";
const PONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
const TAG: &str = "POST /v1.41/images/a/tag?repo=r HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n";
const TAGGED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
const DELETE: &str = "DELETE /v1.41/images/a?force=1 HTTP/1.1\r\nHost: docker\r\n\r\n";
const DELETED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
const GATE: &str = "hold DELETE /images/* until POST */tag == 201";

#[test]
fn requests_on_one_connection_pass_one_after_the_other() {
    let room = Room::open(&[]);
    let mut client = room.client();
    for _ in 0..3 {
        client.send(PING);
        client.hear(PONG);
        client.send(TAG);
        client.hear(TAGGED);
    }
    assert_eq!(room.answered(), ["GET 200", "POST 201", "GET 200", "POST 201", "GET 200", "POST 201"]);
}

#[test]
fn chunks_pass_as_they_come_in_both_directions() {
    let room = Room::open(&[]);
    let mut client = room.client();
    client.send("POST /v1.41/build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    // The engine has this chunk before the next one is sent.
    assert_eq!(room.engine_got(), "POST /v1.41/build");
    assert_eq!(room.engine_got(), "hello");
    client.send("3;ext=1\r\nyou\r\n0\r\n\r\n");
    assert_eq!(room.engine_got(), "you");
    client.hear("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nstep\r\n0\r\n\r\n");
    client.send(PING);
    client.hear(PONG);
}

/// attach and exec; a client that has said everything can still hear the rest.
#[test]
fn a_connection_that_is_upgraded_or_hijacked_is_a_stream_in_both_directions() {
    for (route, head) in [
        ("exec/1/start", "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"),
        ("containers/1/attach", "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"),
    ] {
        let room = Room::open(&[]);
        let mut client = room.client();
        client.send(&format!("POST /v1.41/{route} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"));
        client.hear(head);
        client.send("GET / not http any more");
        client.hear("GET / not http any more");
        client.stream.shutdown(Shutdown::Write).unwrap();
        client.hear("bye");
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "{route}");
    }
}

#[test]
fn a_held_delete_reaches_the_engine_after_the_tag_was_answered() {
    let room = Room::open(&[GATE]);
    let (mut pruner, mut builder) = (room.client(), room.client());
    pruner.send(DELETE);
    room.until(|what| matches!(what, What::Held { .. }));
    builder.send(TAG);
    builder.hear(TAGGED);
    pruner.hear(DELETED);
    assert_eq!(
        [room.engine_got(), room.engine_got()],
        ["POST /v1.41/images/a/tag", "DELETE /v1.41/images/a"]
    );
    // The event counts from the beginning: this one finds the gate open.
    pruner.send(DELETE);
    pruner.hear(DELETED);
    assert_eq!(room.answered(), ["POST 201", "DELETE 200", "DELETE 200"]);
}

/// As measured with Skaffold: the client has exited, and the daemon deletes all the same.
#[test]
fn a_held_request_reaches_the_engine_though_its_client_has_gone() {
    let room = Room::open(&[GATE]);
    let mut pruner = room.client();
    pruner.send(DELETE);
    room.until(|what| matches!(what, What::Held { .. }));
    drop(pruner);
    let mut builder = room.client();
    builder.send(TAG);
    builder.hear(TAGGED);
    room.until(|what| matches!(what, What::Answered { status: 200, .. }));
    assert!(room.proxy.settle(PATIENCE));
}

#[test]
fn opened_gates_let_go_and_hold_nothing_any_more() {
    let room = Room::open(&["hold DELETE /images/* until next POST /never"]);
    let mut client = room.client();
    client.send(DELETE);
    room.until(|what| matches!(what, What::Held { .. }));
    room.proxy.open();
    client.hear(DELETED);
    room.until(|what| matches!(what, What::Released { by: "the end", .. }));
    client.send(DELETE);
    client.hear(DELETED);
}

#[test]
fn a_client_that_goes_away_is_gone_for_the_engine_too() {
    let room = Room::open(&[]);
    let mut client = room.client();
    client.send("GET /v1.41/wait HTTP/1.1\r\n\r\n");
    assert_eq!(room.engine_got(), "GET /v1.41/wait");
    drop(client);
    assert_eq!(room.engine_got(), "gone");
}

#[test]
fn a_hold_has_an_end_where_the_rule_gives_one_and_counts_only_what_comes_next_if_asked() {
    let room = Room::open(&["hold DELETE#1 /images/* until next POST */tag or 50"]);
    let mut client = room.client();
    client.send(TAG);
    client.hear(TAGGED);
    client.send(DELETE);
    client.hear(DELETED);
    room.until(|what| matches!(what, What::Released { by: "time", .. }));
    client.send(DELETE);
    client.hear(DELETED);
    let held = room.entries().iter().filter(|entry| matches!(entry.what, What::Held { .. })).count();
    assert_eq!(held, 1, "only the first is meant");
}

#[test]
fn a_refused_request_never_reaches_the_engine() {
    let room = Room::open(&["error DELETE /images/* with 409"]);
    let mut client = room.client();
    client.send(DELETE);
    let mut said = String::new();
    client.stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 409 ") && said.ends_with(r#"with 409"}"#), "{said}");
    assert!(room.got.lock().unwrap().try_recv().is_err());
}

#[test]
fn a_dropped_response_ends_after_so_many_bytes() {
    let room = Room::open(&["drop GET /_ping after 20"]);
    let mut client = room.client();
    client.send(PING);
    let mut said = String::new();
    client.stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, &PONG[..20]);
}

#[test]
fn what_is_no_http_closes_the_connection_and_nothing_else() {
    let room = Room::open(&[]);
    let mut odd = room.client();
    odd.send("SSH-2.0-x\r\n\r\n");
    let mut said = Vec::new();
    odd.stream.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"");
    let mut client = room.client();
    client.send(PING);
    client.hear(PONG);
}

#[test]
fn the_log_is_one_json_object_an_entry_in_order() {
    let room = Room::open(&[]);
    let mut client = room.client();
    client.send(PING);
    client.hear(PONG);
    let entry = room.until(|what| matches!(what, What::Answered { .. }));
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(json["what"], "answered");
    assert_eq!(json["target"], "/v1.41/_ping");
    assert_eq!(json["bytes"], PONG.len());
    let numbers: Vec<u64> = room.entries().iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_proxy_without_an_engine_or_a_place_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let start = |upstream: &str, listen: &str| {
        Proxy::start(&dir.path().join(upstream), &dir.path().join(listen), Vec::new(), Arc::new(|_| {}))
    };
    let Err(error) = start("none.sock", "l.sock") else { panic!("it runs") };
    assert!(error.to_string().contains("none.sock") && error.to_string().contains("--upstream"), "{error}");
    let _engine = UnixListener::bind(dir.path().join("e.sock")).unwrap();
    std::fs::write(dir.path().join("file"), "precious").unwrap();
    let Err(error) = start("e.sock", "file") else { panic!("it runs") };
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"precious");
    drop(start("e.sock", "l.sock").unwrap());
    assert!(!dir.path().join("l.sock").exists());
}

/// A proxy with an engine behind it.
struct Room {
    proxy: Proxy,
    entries: Arc<Mutex<Vec<Entry>>>,
    /// What the engine got: methods and paths, pieces of bodies, `gone`.
    got: Mutex<Receiver<String>>,
    _dir: tempfile::TempDir,
}

impl Room {
    fn open(rules: &[&str]) -> Room {
        let dir = tempfile::tempdir().unwrap();
        let got = engine(dir.path().join("engine.sock"));
        let entries = Arc::new(Mutex::new(Vec::new()));
        let log = entries.clone();
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let (upstream, listen) = (dir.path().join("engine.sock"), dir.path().join("proxy.sock"));
        let log = Arc::new(move |entry: &Entry| log.lock().unwrap().push(entry.clone()));
        let proxy = Proxy::start(&upstream, &listen, rules, log).unwrap();
        Room { proxy, entries, got: Mutex::new(got), _dir: dir }
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(self.proxy.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream }
    }

    fn engine_got(&self) -> String {
        self.got.lock().unwrap().recv_timeout(PATIENCE).expect("the engine gets something")
    }

    fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// The first entry of this kind, once it is there.
    fn until(&self, is: impl Fn(&What) -> bool) -> Entry {
        let began = std::time::Instant::now();
        loop {
            if let Some(entry) = self.entries().into_iter().find(|entry| is(&entry.what)) {
                return entry;
            }
            assert!(began.elapsed() < PATIENCE, "never logged; there are {:?}", self.entries());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Method and status of what was answered, in order.
    fn answered(&self) -> Vec<String> {
        assert!(self.proxy.settle(PATIENCE));
        let answered = self.entries().into_iter().filter_map(|entry| match entry.what {
            What::Answered { status, .. } => Some(format!("{} {status}", entry.method)),
            _ => None,
        });
        answered.collect()
    }
}

struct Client {
    stream: UnixStream,
}

impl Client {
    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self, wanted: &str) {
        let mut bytes = vec![0; wanted.len()];
        self.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), wanted);
    }
}

fn engine(path: PathBuf) -> Receiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (tell, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            std::thread::spawn(move || serve(stream, &tell));
        }
    });
    got
}

/// Answers requests of one connection to its end.
fn serve(stream: UnixStream, tell: &Sender<String>) {
    let mut to = stream.try_clone().unwrap();
    let mut from = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if !matches!(from.read_line(&mut first), Ok(1..)) {
            return;
        }
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|count| count > 2) {
            line.clear();
        }
        let path = first.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
        let _ = tell.send(path.clone());
        let answer = match path.rsplit('/').next().unwrap_or_default() {
            "_ping" => PONG.to_owned(),
            "tag" => TAGGED.to_owned(),
            "a" => DELETED.to_owned(),
            "build" => {
                while let Some(chunk) = chunk(&mut from) {
                    let _ = tell.send(chunk);
                }
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nstep\r\n0\r\n\r\n".to_owned()
            }
            "start" | "attach" => {
                let head = match path.ends_with("start") {
                    true => "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
                    false => "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
                };
                let _ = to.write_all(head.as_bytes());
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.write_all(b"bye");
                return;
            }
            "wait" => {
                let _ = from.read_line(&mut line);
                let _ = tell.send("gone".to_owned());
                return;
            }
            other => panic!("no route {other}"),
        };
        if to.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn chunk(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let size = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
    let mut bytes = vec![0; size + 2];
    from.read_exact(&mut bytes).ok()?;
    (size > 0).then(|| String::from_utf8_lossy(&bytes[..size]).into_owned())
}
