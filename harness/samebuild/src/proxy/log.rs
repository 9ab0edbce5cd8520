//! What passed, in order, a JSON object a line.

use std::sync::Arc;

use serde::Serialize;

/// Told of everything, in order; the caller decides where it goes.
pub type Log = Arc<dyn Fn(&Entry) + Send + Sync>;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// Milliseconds since the proxy began.
    pub ms: f64,
    /// From 1, by connection of a client.
    pub connection: u64,
    /// From 1, by request; 0 where there is none yet.
    pub exchange: u64,
    pub method: String,
    /// As the client wrote it, query included.
    pub target: String,
    #[serde(flatten)]
    pub what: What,
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// It came.
    Request,
    /// A rule keeps it from the engine.
    Held { rule: String },
    /// The rule lets it go: its event came, its time was over, or the gates were opened in the end.
    Released { rule: String, by: &'static str },
    /// A rule answered it in the engine's place.
    Refused { rule: String, status: u16 },
    /// A rule closed the connection after so many bytes of the response.
    Dropped { rule: String, bytes: u64 },
    /// The engine's answer passed, so many bytes with its head.
    Answered { status: u16, bytes: u64, client_gone: bool },
    /// The connection became a stream of the client's and the engine's own.
    Tunnel { status: u16 },
    /// The connection broke, or what passed was no HTTP.
    Broken { why: String },
}
