//! A tar, written block by block, in the forms that layers come in. What is in it is the caller's.

use std::io::{self, Write};

use super::THEN;

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) uname: &'static str,
    pub(crate) mtime: i64,
    pub(crate) link: Vec<u8>,
    pub(crate) device: (u32, u32),
    /// PAX records before it.
    pub(crate) records: Vec<(&'static str, Vec<u8>)>,
    /// GNU's magic instead of POSIX's.
    pub(crate) gnu: bool,
    pub(crate) data: Vec<u8>,
}

impl Member {
    pub(crate) fn file(name: impl Into<Vec<u8>>, data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), ..Self::of(name, b'0', 0o644) }
    }

    pub(crate) fn dir(name: &str) -> Self {
        Self::of(format!("{name}/"), b'5', 0o755)
    }

    pub(crate) fn symlink(name: &str, target: &str) -> Self {
        Self { link: target.into(), ..Self::of(name, b'2', 0o777) }
    }

    pub(crate) fn hardlink(name: &str, target: &str) -> Self {
        Self { link: target.into(), ..Self::of(name, b'1', 0o644) }
    }

    pub(crate) fn of(name: impl Into<Vec<u8>>, flag: u8, mode: u32) -> Self {
        Self {
            name: name.into(),
            flag,
            mode,
            uid: 0,
            gid: 0,
            uname: "root",
            mtime: THEN,
            link: Vec::new(),
            device: (0, 0),
            records: Vec::new(),
            gnu: false,
            data: Vec::new(),
        }
    }

    pub(crate) fn record(mut self, key: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.records.push((key, value.into()));
        self
    }

    /// Writes header and data, padded.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.records.is_empty() {
            let mut text = Vec::new();
            for (key, value) in &self.records {
                let bare = key.len() + value.len() + 3;
                let len = (bare + 1..).find(|len| bare + len.to_string().len() == *len).unwrap_or(bare);
                text.extend_from_slice(format!("{len} {key}=").as_bytes());
                text.extend_from_slice(value);
                text.push(b'\n');
            }
            let header = Self { data: text, ..Self::of("PaxHeaders/x", b'x', 0o644) };
            header.write(out)?;
        }
        self.write_header(out, self.data.len() as u64)?;
        out.write_all(&self.data)?;
        pad(out, self.data.len() as u64)
    }

    /// Writes the header of `size` bytes that come from elsewhere.
    pub(crate) fn write_header(&self, out: &mut dyn Write, size: u64) -> io::Result<()> {
        out.write_all(&self.header(size))
    }

    fn header(&self, size: u64) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}", self.mode).as_bytes());
        put(108, format!("{:07o}", self.uid).as_bytes());
        put(116, format!("{:07o}", self.gid).as_bytes());
        put(124, format!("{:011o}", size).as_bytes());
        put(136, format!("{:011o}", self.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link[..self.link.len().min(100)]);
        put(257, if self.gnu { b"ustar  \0" } else { b"ustar\x0000" });
        put(265, self.uname.as_bytes());
        put(297, self.uname.as_bytes());
        put(329, format!("{:07o}", self.device.0).as_bytes());
        put(337, format!("{:07o}", self.device.1).as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// Fills the last block.
pub(crate) fn pad(out: &mut dyn Write, len: u64) -> io::Result<()> {
    let rest = (len.next_multiple_of(512) - len) as usize;
    out.write_all(&[0; 512][..rest])
}

/// Ends a tar.
pub(crate) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 1024])
}

/// A whole tar in memory.
pub(crate) fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = members.iter().try_for_each(|member| member.write(&mut bytes)).and_then(|()| end(&mut bytes));
    bytes
}
