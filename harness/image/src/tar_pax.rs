//! PAX records, `LENGTH KEY=VALUE\n`, and the times in them: read and written as Go's `archive/tar` does. Which records
//! an entry needs is [`crate::tar_write`]'s affair, what they mean [`crate::tar_read`]'s.

use std::collections::BTreeMap;

use bstr::{BStr, ByteSlice};

/// Before an extended attribute's name.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";

/// Records by key; a later one replaces an earlier one.
pub(crate) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Reads the content of an extended header; the error says which record is wrong.
pub(crate) fn parse(mut bytes: &[u8]) -> Result<Records, String> {
    let mut records = Records::new();
    while !bytes.is_empty() {
        let (key, value, rest) = parse_one(bytes).ok_or_else(|| {
            let line = bytes.lines().next().unwrap_or_default();
            format!("its PAX record {:?} is not `LENGTH KEY=VALUE`", BStr::new(&line[..line.len().min(80)]))
        })?;
        bytes = rest;
        // Of these there are many, and only their order tells them apart: the map of a sparse file, in its first form.
        if matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
            let map = records.entry(b"GNU.sparse.map".to_vec()).or_default();
            map.extend_from_slice(if map.is_empty() { b"" } else { b"," });
            map.extend_from_slice(value);
            continue;
        }
        records.insert(key.to_vec(), value.to_vec());
    }
    Ok(records)
}

/// Appends one record.
pub(crate) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let bare = key.len() + value.len() + 3;
    let mut len = bare + digits(bare);
    if bare + digits(len) != len {
        len = bare + digits(len);
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Whether the record can be written at all: a key with `=`, or a NUL where the standard has text, cannot.
pub(crate) fn is_valid(key: &[u8], value: &[u8]) -> bool {
    if key.is_empty() || key.contains(&b'=') {
        return false;
    }
    match key {
        b"path" | b"linkpath" | b"uname" | b"gname" => !value.contains(&0),
        _ => !key.contains(&0),
    }
}

/// Reads `SECONDS[.FRACTION]`; digits beyond nanoseconds are dropped. The nanoseconds count upwards, also before 1970.
pub(crate) fn parse_time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{:0<9.9}", fraction).parse().ok()?;
    if nanos > 0 && whole.starts_with('-') {
        return Some((secs.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((secs, nanos))
}

/// Writes a time with as many digits of the fraction as it needs.
pub(crate) fn format_time(secs: i64, nanos: u32) -> String {
    if nanos == 0 {
        return secs.to_string();
    }
    let (sign, secs, nanos) = if secs < 0 {
        ("-", secs.wrapping_add(1).unsigned_abs(), 1_000_000_000 - nanos)
    } else {
        ("", secs.unsigned_abs(), nanos)
    };
    format!("{sign}{secs}.{nanos:09}").trim_end_matches('0').to_owned()
}

/// Key, value, and what follows.
type Record<'b> = (&'b [u8], &'b [u8], &'b [u8]);

fn parse_one(bytes: &[u8]) -> Option<Record<'_>> {
    let space = bytes.find_byte(b' ')?;
    let len: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    if len <= space + 1 || len > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(len);
    let (key, value) = record[space + 1..].strip_suffix(b"\n")?.split_once_str("=")?;
    is_valid(key, value).then_some((key, value, rest))
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_length_counts_its_own_digits() {
        for size in [1, 5, 80, 90, 91, 92, 93, 980, 989, 990, 991, 992, 9980, 9990] {
            let mut out = Vec::new();
            push(&mut out, b"path", &vec![b'x'; size]);
            let stated: usize = out.to_str_lossy().split(' ').next().unwrap().parse().unwrap();
            assert_eq!(stated, out.len(), "a value of {size} bytes");
            assert_eq!(parse(&out).unwrap()[&b"path"[..]].len(), size);
        }
    }

    #[test]
    fn times_are_read_and_written_as_go_does() {
        // The rows of Go's TestFormatPAXTime.
        let rows = [
            (1_350_244_992, 0, "1350244992"),
            (1_350_244_992, 300_000_000, "1350244992.3"),
            (1_350_244_992, 23_960_100, "1350244992.0239601"),
            (1, 1_000_000, "1.001"),
            (-2, 999_000_000, "-1.001"),
            (-1, 999_999_999, "-0.000000001"),
            (i64::MIN, 0, "-9223372036854775808"),
        ];
        for (secs, nanos, text) in rows {
            assert_eq!(format_time(secs, nanos), text);
            assert_eq!(parse_time(text.as_bytes()), Some((secs, nanos)), "{text}");
        }
        assert_eq!(parse_time(b"1.0000000019"), Some((1, 1)), "digits beyond nanoseconds are dropped");
        assert_eq!(parse_time(b"1.5e3"), None);
        assert_eq!(parse_time(b""), None);
    }

    #[test]
    fn broken_records_are_errors() {
        for bytes in
            [&b"6 k=1"[..], b"5 k=1\n", b"7 k=1\n", b"x", b"99 k=1\n", b"0 k=1\n", b"7 a\0=1\n", b"6 =11\n"]
        {
            assert!(parse(bytes).is_err(), "{:?}", BStr::new(bytes));
        }
    }
}
