//! What rules do to requests: which are held, until what, and what has passed. Shared by all connections of a proxy.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::head::Request;
use super::log::{Entry, Log, What};
use super::rule::{Action, Rule};

pub(super) struct Gates {
    rules: Vec<Gate>,
    log: Log,
    /// The number of the last entry; locked while it is written, so that entries come in order.
    seq: Mutex<u64>,
    began: Instant,
    exchanges: AtomicU64,
    under_way: AtomicUsize,
}

/// More than any event passes.
const OPEN: u64 = u64::MAX / 2;

/// A rule and what it has seen.
struct Gate {
    rule: Rule,
    requests: AtomicU32,
    /// How often its event has passed.
    passed: watch::Sender<u64>,
}

/// A request on its way.
pub(super) struct Exchange<'a> {
    gates: &'a Gates,
    number: u64,
    connection: u64,
    method: String,
    target: String,
}

/// What is to become of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// It waited: its client may be long gone, and it goes to the engine all the same.
    pub(super) held: bool,
    /// Answered here, by this rule.
    pub(super) refuse: Option<(u16, String)>,
    /// The version of the API it is sent as, if not its own.
    pub(super) version: Option<String>,
    /// The connection ends after so many bytes of the response.
    pub(super) drop_after: Option<(u64, String)>,
    /// One bit of this byte of the response is turned.
    pub(super) flip_at: Option<u64>,
    /// The response passes no faster.
    pub(super) bytes_a_second: Option<u64>,
}

impl Gates {
    pub(super) fn new(rules: Vec<Rule>, log: Log) -> Self {
        let gate = |rule| Gate { rule, requests: AtomicU32::new(0), passed: watch::Sender::new(0) };
        Self {
            rules: rules.into_iter().map(gate).collect(),
            log,
            seq: Mutex::new(0),
            began: Instant::now(),
            exchanges: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
        }
    }

    /// A request has come.
    pub(super) fn begin(&self, connection: u64, request: &Request) -> Exchange<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let number = self.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
        let (method, target) = (request.method.clone(), request.target.clone());
        let exchange = Exchange { gates: self, number, connection, method, target };
        exchange.tell(What::Request);
        exchange
    }

    /// Requests that came and whose response has not passed yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Lets go of everything, now and from now on.
    pub(super) fn open(&self) {
        self.rules.iter().for_each(|gate| gate.passed.send_modify(|count| *count = OPEN));
    }

    /// A connection broke between requests.
    pub(super) fn broke(&self, connection: u64, why: String) {
        self.tell(connection, 0, "", "", What::Broken { why });
    }

    fn tell(&self, connection: u64, exchange: u64, method: &str, target: &str, what: What) {
        let mut seq = self.seq.lock().unwrap_or_else(PoisonError::into_inner);
        *seq += 1;
        let ms = (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let (method, target) = (method.to_owned(), target.to_owned());
        (self.log)(&Entry { seq: *seq, ms, connection, exchange, method, target, what });
    }
}

impl Exchange<'_> {
    /// Waits for as long as the rules say, and tells what is to be done then.
    pub(super) async fn obey(&self) -> Orders {
        let mut orders = Orders::default();
        for gate in &self.gates.rules {
            if !gate.rule.matches.is(&self.method, &self.target) {
                continue;
            }
            let count = gate.requests.fetch_add(1, Ordering::SeqCst) + 1;
            if gate.rule.nth.is_some_and(|nth| nth != count) {
                continue;
            }
            let rule = gate.rule.to_string();
            match &gate.rule.action {
                Action::Hold { until, at_most } => {
                    let before = *gate.passed.borrow();
                    let wanted = if until.next { before + 1 } else { 1 };
                    if before >= wanted.min(OPEN) {
                        continue;
                    }
                    orders.held = true;
                    self.tell(What::Held { rule: rule.clone() });
                    let mut passed = gate.passed.subscribe();
                    let event = passed.wait_for(|count| *count >= wanted);
                    let by = match at_most {
                        None => by(event.await.map(|count| *count).ok()),
                        Some(time) => match tokio::time::timeout(*time, event).await {
                            Ok(passed) => by(passed.map(|count| *count).ok()),
                            Err(_) => "time",
                        },
                    };
                    self.tell(What::Released { rule, by });
                }
                Action::Delay(time) => {
                    orders.held = true;
                    self.tell(What::Held { rule: rule.clone() });
                    tokio::time::sleep(*time).await;
                    self.tell(What::Released { rule, by: "time" });
                }
                Action::Speak(version) => orders.version = Some(version.clone()),
                Action::Flip { at } => orders.flip_at = Some(*at),
                Action::Slow { bytes_a_second } => orders.bytes_a_second = Some(*bytes_a_second),
                Action::Drop { after } => orders.drop_after = Some((*after, rule)),
                Action::Error(status) => {
                    self.tell(What::Refused { rule: rule.clone(), status: *status });
                    orders.refuse = Some((*status, rule));
                    break;
                }
            }
        }
        orders
    }

    /// The response has passed, to its last byte: what waited for it may go.
    pub(super) fn answered(&self, status: u16, bytes: u64, client_gone: bool) {
        self.tell(What::Answered { status, bytes, client_gone });
        for gate in &self.gates.rules {
            if let Action::Hold { until, .. } = &gate.rule.action
                && until.is(&self.method, &self.target, status)
            {
                gate.passed.send_modify(|count| *count += 1);
            }
        }
    }

    pub(super) fn tell(&self, what: What) {
        self.gates.tell(self.connection, self.number, &self.method, &self.target, what);
    }
}

/// What a hold ended by, of which so many events had passed.
fn by(passed: Option<u64>) -> &'static str {
    if passed.is_some_and(|count| count < OPEN) { "its event" } else { "the end" }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.gates.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
