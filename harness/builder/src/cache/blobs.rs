//! A directory of blobs, each under its digest, and files that appear whole or not at all: written under a temporary name,
//! flushed to the disk, renamed, the directory flushed too. Whoever dies on the way leaves a temporary file, which `gc`
//! finds; whoever writes the same at the same time writes the same.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use samebuild_image::{Digest, Source, Stated, layout};

use super::backend::BackendError;
use crate::disk::FileSource;

/// How temporary files begin; none of ours does otherwise.
pub const TEMPORARY: &str = ".new-";

/// What is no larger is written again, whatever is there: nobody knows whether that is whole.
const SMALL: u64 = 64 * 1024;

/// Blobs below a directory, as an OCI layout has them.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Those of the layout at `root`; nothing is made yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(layout::blob_name(digest))
    }

    /// The blob, to be read later, if it is there in its full size.
    ///
    /// # Errors
    /// It is missing, or of another size.
    pub fn source(&self, digest: &Digest, size: u64) -> Result<Arc<dyn Source>, BackendError> {
        let path = self.path(digest);
        let what = || format!("find {}", path.display());
        let stat = fs::symlink_metadata(&path).map_err(|error| BackendError::new(what(), error))?;
        if !stat.is_file() || stat.len() != size {
            let why = format!("it has {} bytes and should have {size}", stat.len());
            return Err(BackendError::new(what(), why));
        }
        Ok(Arc::new(Stated::new(Arc::new(FileSource::new(path, size)), *digest)))
    }

    /// A small blob, verified.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn small(&self, digest: &Digest) -> Result<Vec<u8>, BackendError> {
        let path = self.path(digest);
        let what = || format!("read {}", path.display());
        let bytes = fs::read(&path).map_err(|error| BackendError::new(what(), error))?;
        match Digest::of(&bytes) == *digest {
            true => Ok(bytes),
            false => Err(BackendError::new(what(), "its digest is another; it is damaged")),
        }
    }

    /// Keeps a blob that is in memory.
    ///
    /// # Errors
    /// The disk is full; nothing is kept.
    pub fn put_small(&self, bytes: &[u8]) -> Result<Digest, BackendError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        // What is there may be damaged: small ones are written again.
        write(&path, bytes).map_err(|error| BackendError::new(format!("keep {}", path.display()), error))?;
        Ok(digest)
    }

    /// Keeps a copy of a file.
    ///
    /// # Errors
    /// The disk is full; nothing is kept.
    pub fn put(&self, digest: &Digest, size: u64, from: &Path) -> Result<(), BackendError> {
        let path = self.path(digest);
        let there = fs::symlink_metadata(&path).is_ok_and(|stat| stat.is_file() && stat.len() == size);
        if there && size > SMALL {
            // To whoever cleans up it is as young as if it was written now. Where it is somebody else's, that is his affair.
            let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            return Ok(());
        }
        copy(from, &path).map_err(|error| BackendError::new(format!("keep {}", path.display()), error))
    }

    /// Removes a blob, if it is there.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&self, digest: &Digest) -> Result<(), BackendError> {
        let path = self.path(digest);
        remove(&path).map_err(|error| BackendError::new(format!("remove {}", path.display()), error))
    }
}

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// The disk is full; what was there before is still there.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    publish(path, |file| file.write_all(bytes))
}

fn copy(from: &Path, path: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    publish(path, |file| io::copy(&mut source, file).map(drop))
}

fn publish(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(dir)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Without this the name may be gone after a power cut, though nothing that was not written is ever found.
    File::open(dir)?.sync_all()
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
