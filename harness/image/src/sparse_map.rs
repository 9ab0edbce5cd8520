//! How the map of a sparse file stands in a tar, read as Go's `archive/tar` does: in GNU's old header and the blocks after it,
//! in PAX records (0.0, 0.1), or before the content (1.0). What a map means is [`crate::sparse`]'s affair.

use crate::tar_header::{BLOCK, Block, number};
use crate::tar_pax::Records;

/// Offset and length.
pub(crate) type Segment = (i64, i64);

/// What PAX records say of a sparse file.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) size: Option<i64>,
    pub(crate) map: Where,
}

/// Where the map is.
#[derive(Debug)]
pub(crate) enum Where {
    /// In the records.
    Here(Vec<Segment>),
    /// Before the content.
    Ahead,
}

/// Takes what records say of a sparse file out of them; nothing, where they say nothing that is understood.
pub(crate) fn of_records(records: &mut Records) -> Result<Option<Told>, String> {
    let mut take =
        |key: &str| records.remove(format!("GNU.sparse.{key}").as_bytes()).filter(|v| !v.is_empty());
    let (major, minor, count) = (take("major"), take("minor"), take("numblocks"));
    let (map, name) = (take("map"), take("name"));
    let size = take("realsize").or(take("size"));
    records.retain(|key, _| !key.starts_with(b"GNU.sparse."));
    let map = match (major.as_deref(), minor.as_deref(), map) {
        (Some(b"1"), Some(b"0"), _) => Where::Ahead,
        (None, None, Some(map)) | (Some(b"0"), Some(b"0" | b"1"), Some(map)) => {
            let numbers = map.split(|byte| *byte == b',').map(decimal).collect::<Result<Vec<i64>, _>>()?;
            let count = count.map(|count| decimal(&count)).transpose()?;
            if numbers.len() % 2 != 0 || count.is_some_and(|count| count != numbers.len() as i64 / 2) {
                return Err("the map of a sparse file has not as many numbers as it says".to_owned());
            }
            Where::Here(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
        }
        (None, None, None) => return Ok(None),
        _ => return Err("it is a sparse file of an unknown version".to_owned()),
    };
    Ok(Some(Told { name, size: size.map(|size| decimal(&size)).transpose()?, map }))
}

/// The map in GNU's old header, the size of the file, and whether a block with more follows.
pub(crate) fn of_header(block: &Block) -> Result<(Vec<Segment>, i64, bool), String> {
    let mut segments = Vec::new();
    let size = number(&block[483..495]).ok_or("the size of a sparse file is not a number")?;
    let more = pairs(&block[386..482], &mut segments)? && block[482] != 0;
    Ok((segments, size, more))
}

/// Adds what a block after the header has of the map; whether another follows.
pub(crate) fn of_block(block: &Block, segments: &mut Vec<Segment>) -> Result<bool, String> {
    Ok(pairs(&block[..504], segments)? && block[504] != 0)
}

/// Adds pairs up to the first that is empty; whether there was none.
fn pairs(bytes: &[u8], segments: &mut Vec<Segment>) -> Result<bool, String> {
    for pair in bytes.chunks_exact(24) {
        if pair[0] == 0 {
            return Ok(false);
        }
        let [offset, len] = [&pair[..12], &pair[12..]].map(number);
        segments.push(offset.zip(len).ok_or("the map of a sparse file has something that is no number")?);
    }
    Ok(true)
}

/// A map that is being read from before a content, block by block.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    line: Vec<u8>,
    numbers: Vec<i64>,
}

impl Ahead {
    /// Takes one block; the map, if that was the last. More than `limit` pieces are an error.
    pub(crate) fn take(&mut self, block: &Block, limit: u64) -> Result<Option<Vec<Segment>>, String> {
        for byte in block.iter().take(BLOCK) {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > 20 {
                    return Err("the map of a sparse file has something that is no number".to_owned());
                }
                continue;
            }
            self.numbers.push(decimal(&self.line)?);
            self.line.clear();
            let count = u64::try_from(self.numbers[0]).ok().filter(|count| *count <= limit);
            let count =
                count.ok_or_else(|| format!("the map of a sparse file has more than {limit} pieces"))?;
            if self.numbers.len() as u64 == 1 + 2 * count {
                return Ok(Some(self.numbers[1..].chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()));
            }
        }
        Ok(None)
    }
}

fn decimal(text: &[u8]) -> Result<i64, String> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number.ok_or_else(|| "the map of a sparse file has something that is no number".to_owned())
}
