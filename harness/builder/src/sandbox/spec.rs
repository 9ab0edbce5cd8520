//! What the parent tells the sandboxed child, and what the child reports back. Doing it is `child` and `mounts`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::request::Network;

/// One command to run. All paths on disk are absolute or relative to `work`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// Scratch directory of this run; the child's mount point and report are in it.
    pub work: PathBuf,
    pub root: Root,
    pub mounts: Vec<Mount>,
    /// Mount points that may be missing in the root. Those to be made are made before the mounts; the ones that are not
    /// kept are removed afterwards if they are still empty, and the directories around them keep the time of that.
    pub stubs: Vec<Stub>,
    /// The whole command; the first word is looked up in `PATH` of `env`.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Working directory inside the root; made by the rootfs.
    pub cwd: String,
    pub owner: Owner,
    pub hostname: String,
    #[serde(with = "network")]
    pub network: Network,
}

/// The root file system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Root {
    /// An overlay of `lowers` (top first, paths relative to `work`) with this upper and work directory. `images` are EROFS
    /// images, and which lower directories they are first mounted on.
    Overlay { lowers: Vec<String>, images: Vec<(PathBuf, String)>, upper: String, workdir: String },
    /// A plain directory, written to in place.
    Dir(PathBuf),
}

/// A mount point to make where there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stub {
    /// Where, inside the root, symbolic links already resolved.
    pub at: String,
    pub is_dir: bool,
    /// Whether it stays afterwards even if it is empty.
    pub keep: bool,
    /// Whether directories made above it go with it, and those around them get the time back that they had before that.
    pub parents_too: bool,
}

/// Something mounted over the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Where, inside the root, symbolic links already resolved.
    pub at: String,
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum MountKind {
    Bind(Bind),
    Tmpfs { size: Option<u64>, mode: u32 },
}

/// A directory or file of the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    pub source: PathBuf,
    pub read_only: bool,
}

/// Who the command runs as.
#[derive(Debug, Clone, Serialize, Deserialize, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What the child has to say when there is no exit code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report {
    Setup { what: String, error: String },
    NotStarted { class: String, message: String },
    NeedsRoot { what: String },
}

impl Spec {
    pub(super) fn report_path(&self) -> PathBuf {
        self.work.join("report.json")
    }

    pub(super) fn read_report(&self) -> Option<Report> {
        serde_json::from_slice(&std::fs::read(self.report_path()).ok()?).ok()
    }

    /// Where the root is mounted while the command runs.
    pub(super) fn merged(&self) -> PathBuf {
        match &self.root {
            Root::Overlay { .. } => self.work.join("merged"),
            Root::Dir(dir) => dir.clone(),
        }
    }

    pub(super) fn read(path: &Path) -> std::io::Result<Self> {
        serde_json::from_slice(&std::fs::read(path)?).map_err(std::io::Error::other)
    }
}

mod network {
    use super::Network;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(network: &Network, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*network == Network::Host)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        Ok(if bool::deserialize(deserializer)? { Network::Host } else { Network::None })
    }
}
