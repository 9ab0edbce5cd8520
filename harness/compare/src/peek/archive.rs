//! Archives in images, looked into: gzip, tar, tar in gzip, zip. What their members are, without what is in them; hostile
//! ones answer `None`. How layers are read is not this file's affair, but it is the same reader.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use samebuild_image::source::Bytes;
use samebuild_image::{Digest, Kind};

/// Bytes an archive may unpack to.
const MOST: u64 = 32 << 20;

/// The header of a gzip stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipHead {
    /// Seconds since 1970; 0 where none is stated.
    pub mtime: u32,
    /// Extra flags: how hard it was compressed.
    pub level: u8,
    /// The system that compressed it.
    pub system: u8,
}

/// The head of a gzip stream, if it is one.
pub fn gzip_head(bytes: &[u8]) -> Option<GzipHead> {
    let head = bytes.get(..10)?;
    let mtime = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    head.starts_with(&[0x1f, 0x8b, 8]).then_some(GzipHead { mtime, level: head[8], system: head[9] })
}

/// What a gzip stream holds, if that is whole and not too much.
pub fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    gzip_head(bytes)?;
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).take(MOST + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= MOST).then_some(out)
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// A digest of what is in it, or of what its link says.
    pub content: Vec<u8>,
    /// When it is said to be of; in the archive's own form.
    pub mtime: String,
    /// Everything else: mode, owner, method.
    pub rest: String,
}

/// The members of an archive by name, in the order in which it has them beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub by_name: BTreeMap<Vec<u8>, Member>,
    pub order: Vec<Vec<u8>>,
}

/// The members of a tar, a tar in gzip, or a zip.
pub fn members(bytes: &[u8]) -> Option<Members> {
    if let Some(inner) = gunzip(bytes) {
        return tar(&inner);
    }
    zip(bytes).or_else(|| tar(bytes))
}

fn tar(bytes: &[u8]) -> Option<Members> {
    (bytes.get(257..262)? == b"ustar").then_some(())?;
    let source = Arc::new(Bytes::new(bytes));
    let options = samebuild_image::layer_read::LayerOptions::default();
    let read = samebuild_image::layer_read::index(source, &options).ok()?;
    let mut members = Members::default();
    for entry in read.layer.entries {
        let content = match &entry.kind {
            Kind::File(content) => content.digest().ok()?.to_string().into_bytes(),
            Kind::Symlink(target) => target.clone(),
            Kind::Hardlink(at) => at.as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let meta = &entry.meta;
        let rest = format!("{} {:04o} {}:{}", entry.kind.word(), meta.mode, meta.uid, meta.gid);
        let name = entry.path();
        members.order.push(name.clone());
        members.by_name.insert(name, Member { content, mtime: meta.mtime.to_string(), rest });
    }
    Some(members)
}

/// From the central directory at the end: names, sums, times.
fn zip(bytes: &[u8]) -> Option<Members> {
    let end = bytes.windows(4).rposition(|four| four == b"PK\x05\x06")?;
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let count = u16_at(end + 10)?;
    let mut at = u32_at(end + 16)? as usize;
    let mut members = Members::default();
    for _ in 0..count {
        (bytes.get(at..at + 4)? == b"PK\x01\x02").then_some(())?;
        let (time, date) = (u16_at(at + 12)?, u16_at(at + 14)?);
        let (sum, size) = (u32_at(at + 16)?, u32_at(at + 24)?);
        let [name, extra, comment] = [28, 30, 32].map(|field| u16_at(at + field).map(usize::from));
        let (name, extra, comment) = (name?, extra?, comment?);
        let called = bytes.get(at + 46..at + 46 + name)?.to_vec();
        members.order.push(called.clone());
        let member = Member {
            content: [sum.to_le_bytes(), size.to_le_bytes()].concat(),
            mtime: dos_time(date, time),
            rest: format!("method {} attributes {:x}", u16_at(at + 10)?, u32_at(at + 38)?),
        };
        members.by_name.insert(called, member);
        at += 46 + name + extra + comment;
    }
    Some(members)
}

fn dos_time(date: u16, time: u16) -> String {
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}", time >> 11, time >> 5 & 63, (time & 31) * 2)
}

/// A digest of bytes, for comparing what was unpacked.
pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_archive_or_a_broken_one_has_no_members() {
        for bytes in [
            &b""[..],
            b"PK\x05\x06",
            b"\x1f\x8b\x08\0\0\0\0\0\0\0",
            &[0; 600],
            b"PK\x05\x06\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(members(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_head_of_gzip_has_its_time_level_and_system() {
        let head = gzip_head(b"\x1f\x8b\x08\0\x01\0\0\0\x02\x03").unwrap();
        assert_eq!(head, GzipHead { mtime: 1, level: 2, system: 3 });
        assert_eq!(gzip_head(b"\x1f\x8b\x09\0\x01\0\0\0\x02\x03"), None);
    }
}
