//! A proxy on an engine's socket that holds requests back until something else has happened: what races by
//! milliseconds races by events here, under any client that speaks Docker's API. The same between ports of this machine,
//! where a registry can be made slow, cut short or wrong.
//!
//! What passes, passes byte for byte: keep-alive, chunked streams, `100 Continue`, upgrades (BuildKit's sessions) and
//! hijacked connections (attach, exec); only `speak` changes something, a number in a path, and
//! `flip`, one bit. A client that goes away is gone for the daemon too, unless its request was held:
//! then the daemon gets it all the same, as it would have got it without us. What a rule is, is `rule`'s affair; what
//! rules are good for, `races`'.

mod connection;
mod ends;
mod gates;
mod head;
mod log;
mod pass;
mod rule;
mod server;

pub use ends::End;
pub use log::{Entry, Log, What};
pub use rule::{Rule, RuleError};
pub use server::{Proxy, ProxyError};
