//! An engine of our own: its configuration, its start, its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Progress;
use super::child::{self, DATA, EXITED, INIT_PID, LIES, LOG, PLAN, Plan};
use super::error::{EngineError, IoContext};
use super::fetch::Fetched;
use super::killer::Killer;
use super::policy::{EngineSpec, Store};
use super::run_dir;
use super::signals;
use crate::held::HeldDir;
use crate::programs::Around;

/// How long the supervisor may take to kill everything and delete the data.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// Stops when dropped.
#[derive(Debug)]
pub(super) struct Private {
    supervised: Arc<Supervised>,
}

/// The part that a signal handler's thread has to reach.
#[derive(Debug)]
pub(super) struct Supervised {
    dir: HeldDir,
    supervisor: Mutex<Option<Child>>,
}

impl Private {
    /// Starts the processes; whether the daemon answers is for the caller to find out.
    pub(super) fn start(
        spec: &EngineSpec,
        fetched: &Fetched,
        around: Around<'_>,
        progress: Progress,
    ) -> Result<Self, EngineError> {
        let cannot = |why: String| EngineError::Start { name: spec.name.clone(), why };
        needs_root(&spec.name)?;
        let dockerd =
            fetched.program("dockerd").ok_or_else(|| cannot("its packages have no `dockerd`".into()))?;
        run_dir::sweep(progress);
        let dir = run_dir::create()?;
        let config = dir.path().join("daemon.json");
        let args = vec!["--config-file".to_owned(), config.display().to_string()];
        let plan = Plan {
            dockerd: dockerd.to_owned(),
            args,
            search_path: fetched.search_path(),
            library_path: fetched.library_path(),
            overlays: spec.store != Store::Vfs,
            zone: around.zone.map(str::to_owned),
            lag: around.lag.map(|shape| shape.to_string()),
        };
        let key_path = fetched.packages.iter().any(|p| p.name == "docker.io" && p.version.contains("20.10."));
        write_json(&config, &daemon_config(dir.path(), spec.store, key_path))?;
        write_json(&dir.path().join(PLAN), &json!(plan))?;
        for sub in ["tmp", "exec"] {
            fs::create_dir(dir.path().join(sub))
                .io(|| format!("create {sub} in {}", dir.path().display()))?;
        }
        let supervisor = Mutex::new(Some(child::spawn(dir.path())?));
        let supervised = Arc::new(Supervised { dir, supervisor });
        signals::watch(&supervised);
        Ok(Self { supervised })
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket(self.supervised.dir.path())
    }

    /// The daemon's data root as its own mount namespace has it (it may be a tmpfs there).
    pub(super) fn data_root(&self) -> Result<PathBuf, EngineError> {
        let dir = self.supervised.dir.path();
        let pid = fs::read_to_string(dir.join(INIT_PID)).io(|| "find the engine's process".into())?;
        let data = dir.join(DATA);
        Ok(Path::new("/proc").join(pid.trim()).join("root").join(data.strip_prefix("/").unwrap_or(&data)))
    }

    /// Its init.
    pub(super) fn root_process(&self) -> Option<u32> {
        fs::read_to_string(self.supervised.dir.path().join(INIT_PID)).ok()?.trim().parse().ok()
    }

    /// What kills its daemon, so that another one starts.
    pub(super) fn killer(&self) -> Killer {
        Killer::new(self.supervised.dir.path())
    }

    /// How the engine ended, if it did.
    pub(super) fn ended(&self) -> Option<String> {
        if let Ok(how) = fs::read_to_string(self.supervised.dir.path().join(EXITED)) {
            return Some(how);
        }
        let mut supervisor = self.supervised.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        match supervisor.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => Some(format!("its supervisor ended with {status}")),
            Some(Err(error)) => Some(format!("its supervisor cannot be waited for: {error}")),
            None => Some("it was stopped".to_owned()),
        }
    }

    /// How many lines the log of wrong times has.
    pub(super) fn lies(&self) -> usize {
        let log = fs::read(self.supervised.dir.path().join(LIES)).unwrap_or_default();
        log.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The last lines of the daemon's log, for error messages.
    pub(super) fn log_tail(&self) -> String {
        const LINES: usize = 15;
        let log = fs::read(self.supervised.dir.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        signals::forget(&self.supervised);
        self.supervised.stop();
    }
}

impl Supervised {
    /// Closes the pipe the supervisor reads, and waits until it has cleaned up. Can be called twice.
    pub(super) fn stop(&self) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut child) = supervisor.take() else { return };
        drop(child.stdin.take());
        let started = Instant::now();
        while let Ok(None) = child.try_wait() {
            if started.elapsed() > STOP_DEADLINE {
                let _ = child.kill(); // the engine dies with it
                let _ = child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.dir.path().exists() {
            let _ = run_dir::remove(self.dir.path());
        }
    }
}

/// Namespaces, mounts, control groups and devices: none of it goes without.
pub(super) fn needs_root(name: &str) -> Result<(), EngineError> {
    if samebuild_builder::sandbox::standing().is_root() {
        return Ok(());
    }
    let why = "a private engine needs root: run as root, or use `--engine host`".to_owned();
    Err(EngineError::Start { name: name.to_owned(), why })
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("docker.sock")
}

/// Everything is said in the configuration file; the defaults that touch the machine's network or its files are off.
fn daemon_config(dir: &Path, store: Store, key_path: bool) -> serde_json::Value {
    let path = |name: &str| dir.join(name).display().to_string();
    let mut config = json!({
        "data-root": path(DATA),
        "exec-root": path("exec"),
        "pidfile": path("dockerd.pid"),
        "hosts": [format!("unix://{}", socket(dir).display())],
        "group": "0",
        "bridge": "none",
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "ip-masq": false,
        "userland-proxy": false,
        // Whatever service manager the machine runs, it is not asked.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        // A name of its own, so that what a killed engine leaves there can be removed.
        "cgroup-parent": dir.file_name().map(|name| name.to_string_lossy()),
        "features": { "buildkit": true, "containerd-snapshotter": store == Store::Containerd },
    });
    if store != Store::Containerd {
        config["storage-driver"] = json!(store.driver());
    }
    if key_path {
        // Where /etc/docker does not exist, nothing can be mounted over it.
        config["deprecated-key-path"] = json!(path("key.json"));
    }
    config
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), EngineError> {
    fs::write(path, format!("{value:#}\n")).io(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_in_the_daemons_configuration_is_in_the_run_directory() {
        let config = daemon_config(Path::new("/tmp/samebuild-engine-x"), Store::Overlay2, true);
        let text = config.to_string();
        for part in text.split('"').filter(|part| part.contains('/')) {
            assert!(part.trim_start_matches("unix://").starts_with("/tmp/samebuild-engine-x/"), "{part}");
        }
        assert_eq!(config["storage-driver"], "overlay2");
        assert_eq!(config["iptables"], false);
    }

    #[test]
    fn the_containerd_store_is_a_feature_and_names_no_graph_driver() {
        let config = daemon_config(Path::new("/tmp/x"), Store::Containerd, false);
        assert_eq!(config["features"]["containerd-snapshotter"], true);
        assert!(config.get("storage-driver").is_none() && config.get("deprecated-key-path").is_none());
    }
}
