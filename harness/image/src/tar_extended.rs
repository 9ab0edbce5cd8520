//! What the extended headers before a member say of it, put in its place as Go's `archive/tar` does.

use crate::tar_header::Header;
use crate::tar_pax::{self, Records, XATTR};

/// What extended headers say about the member that follows.
#[derive(Default)]
pub(crate) struct Extended {
    pub(crate) records: Records,
    pub(crate) any: bool,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
}

impl Extended {
    pub(crate) fn is_empty(&self) -> bool {
        !self.any && self.name.is_none() && self.link.is_none()
    }

    /// Puts everything in its place; nanoseconds, extended attributes and the keys of what has no place are returned. An
    /// empty value changes nothing.
    pub(crate) fn apply(self, header: &mut Header) -> Result<(u32, Records, Vec<Vec<u8>>), String> {
        let mut xattrs = Records::new();
        let mut others = Vec::new();
        let mut nanos = 0;
        for (key, value) in self.records {
            if let Some(name) = key.strip_prefix(XATTR) {
                xattrs.insert(name.to_vec(), value);
                continue;
            }
            if value.is_empty() {
                continue;
            }
            match &key[..] {
                b"path" => header.name = value,
                b"linkpath" => header.link = value,
                b"uname" => header.uname = value,
                b"gname" => header.gname = value,
                b"uid" => header.uid = decimal(&key, &value)?,
                b"gid" => header.gid = decimal(&key, &value)?,
                b"size" => header.size = decimal(&key, &value)?,
                b"mtime" => {
                    let time = tar_pax::parse_time(&value);
                    (header.mtime, nanos) = time.ok_or_else(|| bad_record(&key, &value))?;
                }
                _ => others.push(key),
            }
        }
        header.name = self.name.unwrap_or_else(|| std::mem::take(&mut header.name));
        header.link = self.link.unwrap_or_else(|| std::mem::take(&mut header.link));
        Ok((nanos, xattrs, others))
    }
}

fn decimal(key: &[u8], value: &[u8]) -> Result<i64, String> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad_record(key, value))
}

fn bad_record(key: &[u8], value: &[u8]) -> String {
    let value = &value[..value.len().min(80)];
    format!("its PAX record {}={:?} is not a number", bstr::BStr::new(key), bstr::BStr::new(value))
}
