//! A file written through a mapping: the one way to change a content that moves no time while a page is dirty.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::raw::c_void;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MsFlags, ProtFlags, mmap, msync, munmap};

/// The first bytes of a file, shared with it.
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapped {
    /// Maps the first `length` bytes, which the file has to have.
    ///
    /// # Errors
    /// The file is shorter, empty, or cannot be mapped.
    #[expect(unsafe_code, reason = "mmap(2) is unsafe for those who make references of it; nobody does here")]
    pub fn new(file: &File, length: usize) -> io::Result<Self> {
        let has = file.metadata()?.len();
        let length = NonZeroUsize::new(length)
            .filter(|length| u64::try_from(length.get()).is_ok_and(|length| length <= has))
            .ok_or_else(|| io::Error::other(format!("map {length} bytes of a file of {has}")))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses a place that nothing else is at.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self { start, length })
    }

    /// Stores bytes at the beginning, as many as there is room for.
    #[expect(unsafe_code, reason = "a mapping is written to by its address")]
    pub fn store(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.length.get());
        // SAFETY: at least `length` bytes are mapped for writing, and we are the only ones that know where.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().cast(), length) }
    }

    /// Waits until what was stored is on disk.
    ///
    /// # Errors
    /// It cannot be written.
    #[expect(unsafe_code, reason = "msync(2) takes an address")]
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: it is mapped until we drop.
        unsafe { msync(self.start, self.length.get(), MsFlags::MS_SYNC) }.map_err(io::Error::from)
    }
}

impl Drop for Mapped {
    #[expect(unsafe_code, reason = "munmap(2) takes an address")]
    fn drop(&mut self) {
        // SAFETY: nobody else knows the address.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_stored_is_in_the_file_and_no_more_than_has_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "aaaa").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut mapped = Mapped::new(&file, 4).unwrap();
        mapped.store(b"bbbbbbbb");
        mapped.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bbbb");
    }

    #[test]
    fn more_than_the_file_has_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapped::new(&file, 1).is_err());
        assert!(Mapped::new(&file, 0).is_err());
    }
}
