//! A file on disk as a [`Source`]: opened when it is read, never before, so that a context of any size needs no open
//! files. Which files there are is [`super::scan`]'s answer.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use samebuild_image::{Content, Source};

/// A regular file, by path. Its last component is never followed if it is a symbolic link.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
    size: u64,
}

impl FileSource {
    /// The file at `path`, which had `size` bytes when it was last looked at.
    pub fn new(path: impl Into<PathBuf>, size: u64) -> Self {
        Self { path: path.into(), size }
    }

    /// All of the file as content, its digest taken when first asked for.
    pub fn content(self) -> Content {
        let size = self.size;
        Content::lazy(Arc::new(self), 0, size)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opened without waiting: a file that has become a FIFO must not hang the build.
    fn file(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(CWD, &self.path, flags, Mode::empty())?;
        let file = File::from(fd);
        let found = file.metadata()?;
        if !found.is_file() || found.len() != self.size {
            return Err(io::Error::other(format!(
                "it changed while it was used: it was a file of {} bytes and is {} of {}",
                self.size,
                if found.is_file() { "one" } else { "something else" },
                found.len(),
            )));
        }
        Ok(file)
    }
}

impl Source for FileSource {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        // A reader has the file opened for itself: where others are in it is no matter.
        let opened = self.file().and_then(|mut file| {
            if offset > 0 {
                file.seek(SeekFrom::Start(offset))?;
            }
            Ok(file.take(len))
        });
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(e) => Err(io::Error::new(e.kind(), format!("read {}: {e}", self.path.display()))),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn a_range_is_read_and_no_more() {
        let (_dir, path) = file(b"0123456789");
        let source = FileSource::new(&path, 10);
        let mut text = String::new();
        source.open(3, 4).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "3456");
    }

    #[test]
    fn a_file_that_grew_since_the_scan_is_an_error_that_names_it() {
        let (_dir, path) = file(b"0123456789");
        let content = FileSource::new(&path, 9).content();
        let error = content.digest().unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("changed"), "{error}");
    }

    #[test]
    fn a_file_that_became_a_link_or_a_fifo_is_not_read() {
        let (dir, path) = file(b"secret");
        let link = dir.path().join("l");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(FileSource::new(&link, 6).open(0, 6).is_err());
        let fifo = dir.path().join("p");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(FileSource::new(&fifo, 0).open(0, 0).is_err());
    }
}
