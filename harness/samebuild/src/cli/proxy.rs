//! `samebuild proxy`: any client's way to an engine, with rules on it; a JSON line for all that passes.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::terminal::{Usage, say};
use crate::conform::Exit;
use crate::proxy::{self, End, Entry, Rule, RuleError};

/// A rule is one of:
///
///   hold METHOD PATH until [next] METHOD PATH [== STATUS] [or MS]
///   reorder METHOD PATH after METHOD PATH
///   delay METHOD PATH by MS
///   drop METHOD PATH after BYTES
///   flip METHOD PATH at BYTE
///   slow METHOD PATH to BYTES-A-SECOND
///   error METHOD PATH with STATUS
///   speak METHOD PATH as VERSION
///
/// `*` stands for anything, the API's version is left out, METHOD#2 means the second such request only, times are in
/// milliseconds. Point a client at the proxy with DOCKER_HOST=unix://LISTEN.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Proxy {
    /// The engine's socket, or tcp://127.0.0.1:PORT of a registry.
    #[arg(long, value_name = "SOCK|PORT")]
    upstream: String,
    /// The socket for clients, which is removed in the end; or tcp://127.0.0.1:PORT, 0 being any port.
    #[arg(long, value_name = "SOCK|PORT")]
    listen: String,
    /// Such as 'hold DELETE /images/* until POST */tag == 201'. May be repeated.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// Where the log goes; to stdout if left out.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Runs until Ctrl-C.
pub(crate) fn run(args: &Proxy) -> Result<Exit> {
    let rules = parse(&args.rules).map_err(|error| Usage(error.to_string()))?;
    let end = |text: &str| text.parse::<End>().map_err(Usage);
    let (upstream, listen) = (end(&args.upstream)?, end(&args.listen)?);
    let out: Box<dyn std::io::Write + Send> = match &args.log {
        Some(path) => {
            Box::new(std::fs::File::create(path).with_context(|| format!("write {}", path.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    let out = Mutex::new(out);
    let log = Arc::new(move |entry: &Entry| {
        if let Ok(line) = serde_json::to_string(entry) {
            // Nobody reads it any more: no reason to hold up a client.
            let _ = writeln!(out.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
    });
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listen for Ctrl-C")?;
    let proxy = proxy::Proxy::between(&upstream, &listen, rules, log)?;
    say(&match proxy.end() {
        End::Socket(_) => format!("DOCKER_HOST={} leads to {upstream}; Ctrl-C ends it", proxy.end()),
        End::Port(address) => format!("{address} leads to {upstream}; Ctrl-C ends it"),
    });
    signals.forever().next();
    drop(proxy);
    Ok(Exit::Same)
}

fn parse(rules: &[String]) -> Result<Vec<Rule>, RuleError> {
    rules.iter().map(|rule| rule.parse()).collect()
}
