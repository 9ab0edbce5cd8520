//! Metadata of a file as bytes, as the cache keeps it beside layers. Which files it is of is told by who writes it.

use std::collections::BTreeMap;

use samebuild_image::{Meta, Mtime};

use crate::framing::{array, put, take};

/// In bytes: without attributes.
pub(super) const SMALLEST: usize = 36;

/// Appends it. A time that only a golden has is written as 0.
pub(super) fn write(meta: &Meta, out: &mut Vec<u8>) {
    let (secs, nanos) = meta.mtime.timestamp().unwrap_or_default();
    out.extend(meta.mode.to_be_bytes());
    out.extend(meta.uid.to_be_bytes());
    out.extend(meta.gid.to_be_bytes());
    out.extend(secs.to_be_bytes());
    out.extend(nanos.to_be_bytes());
    out.extend(u32::try_from(meta.xattrs.len()).unwrap_or(u32::MAX).to_be_bytes());
    for (name, value) in &meta.xattrs {
        put(out, name);
        put(out, value);
    }
}

/// Reads what [`write`] wrote; `None` where less is there.
pub(super) fn read(from: &mut &[u8]) -> Option<Meta> {
    let mode = u32::from_be_bytes(array(from)?);
    let uid = u64::from_be_bytes(array(from)?);
    let gid = u64::from_be_bytes(array(from)?);
    let secs = i64::from_be_bytes(array(from)?);
    let nanos = u32::from_be_bytes(array(from)?);
    let mut xattrs = BTreeMap::new();
    for _ in 0..u32::from_be_bytes(array(from)?) {
        let name = take(from)?.to_vec();
        xattrs.insert(name, take(from)?.to_vec());
    }
    Some(Meta { mode, uid, gid, mtime: Mtime::At { secs, nanos }, xattrs })
}
