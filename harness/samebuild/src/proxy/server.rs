//! A proxy that runs: its socket, its thread, its end.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::connection;
use super::gates::Gates;
use super::log::Log;
use super::rule::Rule;

/// Runs until it is dropped; its socket goes with it. Whatever it holds then is let go of unsent.
pub struct Proxy {
    listen: PathBuf,
    gates: Arc<Gates>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a proxy does not run. Every text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("listen on {}: {why}", path.display())]
    Listen { path: PathBuf, why: String },
    #[error("reach an engine at {}: {why}; --upstream is the path of its socket, e.g. /var/run/docker.sock", path.display())]
    Upstream { path: PathBuf, why: String },
}

impl Proxy {
    /// Listens at `listen` (mode 0600) for clients of the engine at `upstream`.
    ///
    /// # Errors
    /// There is something other than an abandoned socket at `listen`, or nothing answers at `upstream`.
    pub fn start(upstream: &Path, listen: &Path, rules: Vec<Rule>, log: Log) -> Result<Self, ProxyError> {
        let unreachable = |error: std::io::Error| ProxyError::Upstream {
            path: upstream.to_owned(),
            why: error.to_string(),
        };
        std::os::unix::net::UnixStream::connect(upstream).map_err(unreachable)?;
        let listener = bind(listen).map_err(|why| ProxyError::Listen { path: listen.to_owned(), why })?;
        let cannot =
            |error: std::io::Error| ProxyError::Listen { path: listen.to_owned(), why: error.to_string() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::from_std(listener).map_err(cannot)?
        };
        let gates = Arc::new(Gates::new(rules, log));
        let (stop, stopped) = oneshot::channel();
        let (upstream, shared) = (upstream.to_owned(), Arc::clone(&gates));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, upstream, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { listen: listen.to_owned(), gates, stop: Some(stop), thread: Some(thread) })
    }

    /// The socket for clients.
    #[must_use]
    pub fn socket(&self) -> &Path {
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
        let _ = std::fs::remove_file(&self.listen);
    }
}

async fn accept(listener: UnixListener, upstream: PathBuf, gates: Arc<Gates>) {
    for number in 1.. {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors, most likely: they come back.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (upstream, gates) = (upstream.clone(), Arc::clone(&gates));
        tokio::spawn(async move {
            match UnixStream::connect(&upstream).await {
                Ok(engine) => connection::serve(client, engine, &gates, number).await,
                Err(error) => gates.broke(number, format!("connect to {}: {error}", upstream.display())),
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
