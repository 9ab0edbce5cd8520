//! A proxy that runs: its socket, its thread, its end.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

use super::connection;
use super::ends::{End, Listener};
use super::gates::Gates;
use super::log::Log;
use super::rule::Rule;

/// Runs until it is dropped; its socket goes with it. Whatever it holds then is let go of unsent.
pub struct Proxy {
    listen: End,
    gates: Arc<Gates>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a proxy does not run. Every text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("listen on {end}: {why}")]
    Listen { end: End, why: String },
    #[error(
        "reach anybody at {end}: {why}; --upstream is the path of an engine's socket, e.g. /var/run/docker.sock, or tcp://127.0.0.1:PORT"
    )]
    Upstream { end: End, why: String },
}

impl Proxy {
    /// Listens at `listen` (mode 0600) for clients of the engine at `upstream`.
    ///
    /// # Errors
    /// There is something other than an abandoned socket at `listen`, or nothing answers at `upstream`.
    pub fn start(upstream: &Path, listen: &Path, rules: Vec<Rule>, log: Log) -> Result<Self, ProxyError> {
        Self::between(&End::Socket(upstream.to_owned()), &End::Socket(listen.to_owned()), rules, log)
    }

    /// The same for any two ends.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn between(upstream: &End, listen: &End, rules: Vec<Rule>, log: Log) -> Result<Self, ProxyError> {
        let unreachable =
            |error: std::io::Error| ProxyError::Upstream { end: upstream.clone(), why: error.to_string() };
        upstream.answers().map_err(unreachable)?;
        let cannot = |why: String| ProxyError::Listen { end: listen.clone(), why };
        let broken = |error: std::io::Error| cannot(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
        let inside = runtime.enter();
        let (listener, listen) = match listen {
            End::Socket(path) => {
                let listener = bind(path).map_err(cannot)?;
                (Listener::Unix(UnixListener::from_std(listener).map_err(broken)?), listen.clone())
            }
            End::Port(address) => {
                let listener = std::net::TcpListener::bind(address).map_err(broken)?;
                listener.set_nonblocking(true).map_err(broken)?;
                let address = listener.local_addr().map_err(broken)?;
                (Listener::Tcp(TcpListener::from_std(listener).map_err(broken)?), End::Port(address))
            }
        };
        drop(inside);
        let gates = Arc::new(Gates::new(rules, log));
        let (stop, stopped) = oneshot::channel();
        let (upstream, shared) = (upstream.clone(), Arc::clone(&gates));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, upstream, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { listen, gates, stop: Some(stop), thread: Some(thread) })
    }

    /// The socket for clients; of a proxy that listens on a port, none.
    #[must_use]
    pub fn socket(&self) -> &Path {
        match &self.listen {
            End::Socket(path) => path,
            End::Port(_) => Path::new(""),
        }
    }

    /// Where clients go.
    #[must_use]
    pub fn end(&self) -> &End {
        &self.listen
    }

    /// Lets go of everything that is held, and holds nothing any more. For when the events that are waited for cannot come:
    /// the client has ended.
    pub fn open(&self) {
        self.gates.open();
    }

    /// Waits until every request that came has been answered. Whether that was so within `at_most`.
    #[must_use]
    pub fn settle(&self, at_most: Duration) -> bool {
        let began = Instant::now();
        while self.gates.under_way() > 0 {
            if began.elapsed() > at_most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let End::Socket(path) = &self.listen {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn accept(listener: Listener, upstream: End, gates: Arc<Gates>) {
    for number in 1.. {
        let Ok(client) = listener.accept().await else {
            // Out of descriptors, most likely: they come back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (upstream, gates) = (upstream.clone(), Arc::clone(&gates));
        tokio::spawn(async move {
            match upstream.connect().await {
                Ok(engine) => connection::serve(client, engine, &gates, number).await,
                Err(error) => gates.broke(number, format!("connect to {upstream}: {error}")),
            }
        });
    }
}

/// A new socket; one that nobody listens on any more is replaced.
fn bind(path: &Path) -> Result<std::os::unix::net::UnixListener, String> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err("something that is no socket is there; name another path".into());
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err("somebody listens there already; name another path".into());
        }
        std::fs::remove_file(path).map_err(|error| error.to_string())?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(|error| error.to_string())?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(listener)
}
