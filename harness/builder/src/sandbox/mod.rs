//! Runs one command in a root file system, shut off as Docker shuts off a RUN. What is in the root, and what of it
//! becomes a layer, is `rootfs` and `snapshot`.
//!
//! The parent writes a [`Spec`] to a file and starts `child CHILD spec` (a fresh single-threaded process, safe beside
//! threads and async runtimes). That process enters new namespaces, mounts the root ([`mounts`]), and starts itself once
//! more as the first process of the new PID namespace ([`child`]), which drops its privileges ([`limits`]) and becomes
//! the command. No `fork` without `exec` anywhere.

mod child;
mod limits;
mod mounts;
mod notice;
mod seccomp;
mod spec;
mod standing;
mod stubs;
mod userns;

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub use child::become_child_if_asked;
pub use spec::{Bind, Mount, MountKind, Owner, Report, Root, Spec, Stub};
pub use standing::{Standing, become_root_if_possible, standing};

/// The first argument that makes a program of ours the sandboxed child.
pub const CHILD: &str = "__samebuild-sandbox";

/// The first argument that makes it the holder of a user namespace.
const HOLDER: &str = "__samebuild-user-namespace";

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code; 128 + n when signal n killed it.
    Exit(i32),
    /// It could not be started; `class` is a slug (`exec-not-found`, `user-not-found`, …), `message` our words.
    NotStarted { class: String, message: String },
    /// It ran longer than allowed and was killed.
    TimedOut(Duration),
    /// It asked for what only root is given, in our words, and so says nothing about what it does as root.
    NeedsRoot(String),
}

/// Why the sandbox itself failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("start the sandbox: {0}")]
    Start(#[from] std::io::Error),
    #[error("set up the sandbox: {what}: {error}")]
    Setup { what: String, error: String },
}

/// Runs the command of `spec`, telling `output` of everything it prints; `program` is described at [`CHILD`].
pub fn run(
    program: &Path,
    spec: &Spec,
    limit: Duration,
    output: &mut dyn FnMut(&[u8]),
) -> Result<Ended, SandboxError> {
    let spec_path = spec.work.join("spec.json");
    std::fs::write(&spec_path, serde_json::to_vec(spec).map_err(std::io::Error::other)?)?;
    let _ = std::fs::remove_file(spec.report_path());
    let (reader, writer) = std::io::pipe()?;
    let mut command = Command::new(program);
    command
        .arg(CHILD)
        .arg(&spec_path)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .env_clear()
        .process_group(0);
    let mut child = command.spawn()?;
    drop(command);
    let timed_out = stream_until(reader, child.id(), limit, output)?;
    let status = child.wait()?;
    if timed_out {
        return Ok(Ended::TimedOut(limit));
    }
    match spec.read_report() {
        Some(Report::Setup { what, error }) => Err(SandboxError::Setup { what, error }),
        Some(Report::NotStarted { class, message }) => Ok(Ended::NotStarted { class, message }),
        Some(Report::NeedsRoot { what }) => Ok(Ended::NeedsRoot(what)),
        None => Ok(Ended::Exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))),
    }
}

/// Passes on what comes from `reader` until it closes; kills the group of `pid` after `limit`. Whether it did.
fn stream_until(
    reader: std::io::PipeReader,
    pid: u32,
    limit: Duration,
    output: &mut dyn FnMut(&[u8]),
) -> std::io::Result<bool> {
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<u8>>();
    let mut timed_out = false;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut reader = reader;
            let mut buffer = [0; 16 * 1024];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let deadline = std::time::Instant::now() + limit;
        loop {
            match receiver.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())) {
                Ok(bytes) => output(&bytes),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    timed_out = true;
                    if let Some(group) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                    }
                    break;
                }
            }
        }
    });
    Ok(timed_out)
}
