//! The names in an open directory, in order, with few requests and few allocations: thousands of directories are listed to
//! find out that nothing changed.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::RawDir;

/// What one request may bring: hundreds of names.
const BUFFER: usize = 32 * 1024;

/// Lists one directory after the other.
pub(super) struct Names {
    buffer: Vec<MaybeUninit<u8>>,
}

/// The names in one directory.
pub(super) struct Sorted {
    /// Each with the zero at its end.
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { buffer: vec![MaybeUninit::uninit(); BUFFER] }
    }

    /// Everything but `.` and `..`, by its bytes.
    pub(super) fn of(&mut self, dir: BorrowedFd) -> io::Result<Sorted> {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        let mut entries = RawDir::new(dir, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes_with_nul();
            if name != b".\0" && name != b"..\0" {
                let start = bytes.len();
                bytes.extend_from_slice(name);
                spans.push(start..bytes.len());
            }
        }
        spans.sort_unstable_by(|left, right| bytes.get(left.clone()).cmp(&bytes.get(right.clone())));
        Ok(Sorted { bytes, spans })
    }
}

impl Sorted {
    pub(super) fn iter(&self) -> impl Iterator<Item = &CStr> {
        let name = |span: &Range<usize>| CStr::from_bytes_with_nul(self.bytes.get(span.clone())?).ok();
        self.spans.iter().filter_map(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn more_names_than_one_request_brings_come_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(200);
        let mut want: Vec<String> =
            (0..300).map(|n| format!("{n}{long}")).chain(["a".into(), "B".into()]).collect();
        for name in &want {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        want.sort();
        let (mut names, fd) = (Names::new(), std::fs::File::open(dir.path()).unwrap());
        let found = names.of(fd.as_fd()).unwrap();
        assert!(found.iter().map(|name| name.to_str().unwrap()).eq(want.iter().map(String::as_str)));
        let empty = tempfile::tempdir().unwrap();
        let fd = std::fs::File::open(empty.path()).unwrap();
        assert_eq!(names.of(fd.as_fd()).unwrap().iter().count(), 0);
    }
}
