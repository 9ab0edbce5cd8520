//! Keeping what was built: packed, read back and put into every place that is to have it, while the build goes on. Awaited
//! at its end; what fails is told, and fails no build.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use samebuild_image::layer_write::{self, TarStyle};
use samebuild_image::{At, Compression, Content, Digest, Kind, Layer, Source, Stated, read};

use super::backend::{Backend, BackendError};
use super::behind::contents;
use super::entry::{COMPRESSION, Entry, Kept};
use super::fixes::{self, Fixes, Left};
use super::key::Key;
use super::{listing, locked};
use crate::disk::FileSource;

/// What is to be kept.
pub struct Job {
    pub key: Key,
    pub instruction: String,
    pub line: crate::history::Line,
    pub working_dir: Option<String>,
    pub made: Made,
    pub fixes: Fixes,
    pub created: i64,
}

/// A layer that is to be kept.
pub enum Made {
    Nothing,
    /// A step's: all of it; and the fixes by its entries, where that can be told: else it is not listed.
    Layer(Layer, Option<Left>),
    /// An image's, which has it: what it says of its files, on this machine alone.
    Elsewhere(Layer),
}

/// What came of it.
#[derive(Default)]
pub struct Uploaded {
    /// What went wrong, a sentence each.
    pub warnings: Vec<String>,
    /// Layers by the digest of their tar, packed, for whoever writes the image.
    pub packed: BTreeMap<Digest, (Arc<dyn Source>, Compression)>,
    /// How many entries were kept, in all places together.
    pub kept: usize,
}

/// Threads that keep things.
pub struct Uploader {
    jobs: Option<Sender<Job>>,
    workers: Vec<JoinHandle<()>>,
    done: Arc<Mutex<Uploaded>>,
}

struct Worker {
    to: Vec<Arc<dyn Backend>>,
    style: TarStyle,
    work: PathBuf,
    done: Arc<Mutex<Uploaded>>,
    /// Places elsewhere that took nothing: nothing more is sent there in this build.
    silent: Arc<Mutex<BTreeSet<String>>>,
}

/// A layer, packed.
struct Packed {
    kept: Kept,
    file: PathBuf,
    listing: Option<Vec<u8>>,
}

impl Uploader {
    /// Keeps everything in all of `to`; `work` is for layers until they are there.
    pub fn start(to: &[Arc<dyn Backend>], style: TarStyle, work: &Path) -> Self {
        let done = Arc::new(Mutex::new(Uploaded::default()));
        let (jobs, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let silent = Arc::default();
        let threads = if to.is_empty() { 0 } else { 2 };
        let worker = |_| {
            let (done, silent) = (Arc::clone(&done), Arc::clone(&silent));
            let worker = Worker { to: to.to_vec(), style, work: work.to_owned(), done, silent };
            let waiting = Arc::clone(&waiting);
            std::thread::spawn(move || worker.run(&waiting))
        };
        let workers = (0..threads).map(worker).collect();
        Self { jobs: Some(jobs), workers, done }
    }

    /// Takes a step's result.
    pub fn keep(&self, job: Job) {
        if let Some(jobs) = self.jobs.as_ref().filter(|_| !self.workers.is_empty()) {
            // Nobody is there to take it only when every worker has panicked, which `finish` tells.
            let _ = jobs.send(job);
        }
    }

    /// Waits until all is kept.
    pub fn finish(mut self) -> Uploaded {
        self.wait();
        std::mem::take(&mut *locked(&self.done))
    }

    fn wait(&mut self) {
        drop(self.jobs.take());
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                let mut done = locked(&self.done);
                done.warnings.push("keep a step in the cache: a thread panicked".to_owned());
            }
        }
    }
}

impl Drop for Uploader {
    /// What is read while it is kept must not go before.
    fn drop(&mut self) {
        self.wait();
    }
}

impl Worker {
    fn run(&self, waiting: &Mutex<Receiver<Job>>) {
        loop {
            let job = locked(waiting).recv();
            let Ok(job) = job else { return };
            let text = job.instruction.lines().next().unwrap_or_default().to_owned();
            if let Err(error) = self.keep(job) {
                let mut done = locked(&self.done);
                done.warnings.push(format!("keep `{text}` in the cache: {error}"));
            }
        }
    }

    fn keep(&self, job: Job) -> Result<(), BackendError> {
        let (packed, listed) = match &job.made {
            Made::Nothing => (None, None),
            Made::Layer(layer, left) => (Some(self.pack(layer, left.as_ref())?), None),
            Made::Elsewhere(layer) => match self.list(layer)? {
                Some(listing) => (None, Some(listing)),
                None => return Ok(()),
            },
        };
        let fixes = fixes::write(&job.fixes);
        let fixes = (!fixes.is_empty()).then_some(fixes);
        let listing = packed.as_ref().and_then(|packed| packed.listing.as_ref()).or(listed.as_ref());
        let named = |bytes: &Vec<u8>| (Digest::of(bytes), bytes.len() as u64);
        let entry = Entry {
            key: job.key,
            created: job.created,
            instruction: job.instruction,
            line: job.line,
            working_dir: job.working_dir,
            layer: packed.as_ref().map(|packed| packed.kept),
            fixes: fixes.as_ref().map(named),
            listing: listing.map(named),
        };
        let (config, manifest) =
            entry.write().map_err(|error| BackendError::new("write the entry", error))?;
        let mut failures = Vec::new();
        let is_asked = |backend: &Arc<dyn Backend>| listed.is_none() || backend.is_near();
        for backend in self.to.iter().filter(|backend| is_asked(backend)) {
            let name = backend.name();
            if locked(&self.silent).contains(&name) {
                continue;
            }
            let put = || {
                if let Some(Packed { kept, file, .. }) = &packed {
                    backend.put_blob(&kept.digest, kept.size, file)?;
                }
                for bytes in fixes.iter().chain(listing).chain([&config]) {
                    let file = self.spool(bytes)?;
                    backend.put_blob(&Digest::of(bytes), bytes.len() as u64, file.path())?;
                }
                backend.put_manifest(&job.key, &manifest)
            };
            match put() {
                Ok(()) => locked(&self.done).kept += 1,
                Err(error) if backend.is_near() => failures.push(format!("{name}: {error}")),
                // Several may be on their way there; one tells.
                Err(error) => {
                    if locked(&self.silent).insert(name.clone()) {
                        failures.push(format!("{name}: {error}; nothing more of this build is sent there"));
                    }
                }
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(BackendError { what: "put it".to_owned(), why: failures.join("; ") }),
        }
    }

    fn spool(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, BackendError> {
        let failed = |error| BackendError::new(format!("make room in {}", self.work.display()), error);
        let mut file = tempfile::NamedTempFile::new_in(&self.work).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        Ok(file)
    }

    /// What a layer says of its files; `None` where that cannot be written down.
    fn list(&self, layer: &Layer) -> Result<Option<Vec<u8>>, BackendError> {
        Content::digest_all(&contents(&layer.entries).collect::<Vec<_>>())
            .map_err(|error| BackendError::new("read its files", error))?;
        Ok(listing::write(layer, &Left::default()))
    }

    /// Packs a layer into a file below `work`, and reads it back: what is kept is what the step made, and what the key was
    /// taken of, even if somebody wrote to a file meanwhile.
    fn pack(&self, layer: &Layer, left: Option<&Left>) -> Result<Packed, BackendError> {
        let failed = |why: String| BackendError { what: "pack its layer".to_owned(), why };
        let io = |error: std::io::Error| failed(error.to_string());
        let file = tempfile::NamedTempFile::new_in(&self.work).map_err(io)?;
        let out = BufWriter::new(File::create(file.path()).map_err(io)?);
        let written = layer_write::write(&layer.entries, self.style, COMPRESSION, out)
            .map_err(|error| failed(error.to_string()))?;
        let (_, path) = file.keep().map_err(|error| io(error.error))?;
        let changed = |what: &str| failed(format!("{what} changed while the build ran"));
        if layer.diff_id != Some(written.diff_id) {
            return Err(changed("something"));
        }
        let (digest, size) = (written.blob_digest, written.blob_size);
        let source: Arc<dyn Source> =
            Arc::new(Stated::new(Arc::new(FileSource::new(path.as_path(), size)), digest));
        let read = read::layer(Arc::clone(&source), (digest, size), written.diff_id)
            .map_err(|error| failed(error.to_string()))?;
        if let Some(at) = differs(layer, &read) {
            return Err(changed(&at.to_string()));
        }
        let mut done = locked(&self.done);
        done.packed.insert(written.diff_id, (source, COMPRESSION));
        let kept = Kept { diff_id: written.diff_id, tar_size: written.size, digest, size };
        let places = |layer: &Layer| {
            layer.entries.iter().map(|entry| &entry.at).eq(read.entries.iter().map(|entry| &entry.at))
        };
        let left = left.filter(|_| places(layer));
        Ok(Packed { kept, file: path, listing: left.and_then(|left| listing::write(&read, left)) })
    }
}

/// A file that is not what it was when its digest was taken.
fn differs(made: &Layer, read: &Layer) -> Option<At> {
    let known: BTreeSet<(&At, Digest)> = read
        .entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::File(content) => Some((&entry.at, content.known_digest()?)),
            _ => None,
        })
        .collect();
    made.entries.iter().find_map(|entry| match &entry.kind {
        Kind::File(content) => {
            let digest = content.known_digest()?;
            (!known.contains(&(&entry.at, digest))).then(|| entry.at.clone())
        }
        _ => None,
    })
}
