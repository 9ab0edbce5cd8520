//! One 512-byte header block of a tar, taken apart as Go's `archive/tar` does it. What extended headers change is
//! [`crate::tar_read`]'s affair, making headers [`crate::tar_write`]'s.

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 512;

/// One block.
pub(crate) type Block = [u8; BLOCK];

/// What the block itself says; extended headers may know better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: i64,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) size: i64,
    pub(crate) mtime: i64,
    pub(crate) flag: u8,
    pub(crate) uname: Vec<u8>,
    pub(crate) gname: Vec<u8>,
    pub(crate) major: i64,
    pub(crate) minor: i64,
    /// `v7`, `ustar`, `gnu` or `star`.
    pub(crate) format: &'static str,
}

/// A field: its name, where it starts, how long it is.
pub(crate) struct Field(&'static str, usize, usize);

pub(crate) const NAME: Field = Field("name", 0, 100);
pub(crate) const MODE: Field = Field("mode", 100, 8);
pub(crate) const UID: Field = Field("uid", 108, 8);
pub(crate) const GID: Field = Field("gid", 116, 8);
pub(crate) const SIZE: Field = Field("size", 124, 12);
pub(crate) const MTIME: Field = Field("mtime", 136, 12);
pub(crate) const CHECKSUM: Field = Field("checksum", 148, 8);
pub(crate) const FLAG: usize = 156;
pub(crate) const LINK: Field = Field("linkname", 157, 100);
pub(crate) const MAGIC: Field = Field("magic", 257, 8);
pub(crate) const UNAME: Field = Field("uname", 265, 32);
pub(crate) const GNAME: Field = Field("gname", 297, 32);
pub(crate) const MAJOR: Field = Field("devmajor", 329, 8);
pub(crate) const MINOR: Field = Field("devminor", 337, 8);
pub(crate) const PREFIX: Field = Field("prefix", 345, 155);
const STAR_PREFIX: Field = Field("prefix", 345, 131);
const STAR_TRAILER: Field = Field("trailer", 508, 4);

impl Field {
    /// The field's bytes.
    pub(crate) fn of<'b>(&self, block: &'b Block) -> &'b [u8] {
        &block[self.1..self.1 + self.2]
    }

    /// The field's bytes, to write them.
    pub(crate) fn of_mut<'b>(&self, block: &'b mut Block) -> &'b mut [u8] {
        &mut block[self.1..self.1 + self.2]
    }

    /// The size of the field in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.2
    }

    fn text(&self, block: &Block) -> Vec<u8> {
        up_to_nul(self.of(block)).to_vec()
    }

    fn number(&self, block: &Block) -> Result<i64, String> {
        number(self.of(block)).ok_or_else(|| {
            format!("its {} field {:?} is not a number", self.0, bstr::BStr::new(self.of(block)))
        })
    }
}

/// Takes a block apart; the error says which field is wrong.
pub(crate) fn decode(block: &Block) -> Result<Header, String> {
    let stated = CHECKSUM.number(block)?;
    let (unsigned, signed) = checksums(block);
    if stated != unsigned && stated != signed {
        return Err(format!(
            "its checksum is {unsigned:o}, but it states {stated:o}; this is not a tar header"
        ));
    }
    let mut header = Header {
        name: NAME.text(block),
        link: LINK.text(block),
        mode: MODE.number(block)?,
        uid: UID.number(block)?,
        gid: GID.number(block)?,
        size: SIZE.number(block)?,
        mtime: MTIME.number(block)?,
        flag: block[FLAG],
        uname: Vec::new(),
        gname: Vec::new(),
        major: 0,
        minor: 0,
        format: "v7",
    };
    let magic = MAGIC.of(block);
    let (posix, gnu) = (magic.starts_with(b"ustar\0"), magic == b"ustar  \0");
    if !posix && !gnu {
        return Ok(header);
    }
    header.format = if gnu { "gnu" } else { "ustar" };
    header.uname = UNAME.text(block);
    header.gname = GNAME.text(block);
    if matches!(header.flag, b'3' | b'4') {
        header.major = MAJOR.number(block)?;
        header.minor = MINOR.number(block)?;
    }
    if posix {
        let star = STAR_TRAILER.of(block) == b"tar\0";
        if star {
            header.format = "star";
        }
        let prefix = if star { STAR_PREFIX.text(block) } else { PREFIX.text(block) };
        if !prefix.is_empty() {
            header.name = [&prefix[..], b"/", &header.name].concat();
        }
    }
    Ok(header)
}

/// The sum of all bytes, the checksum field taken as blanks; unsigned as the standard wants, signed as some wrote it.
pub(crate) fn checksums(block: &Block) -> (i64, i64) {
    let field = CHECKSUM.1..CHECKSUM.1 + CHECKSUM.2;
    let bytes = block.iter().enumerate().map(|(at, byte)| if field.contains(&at) { b' ' } else { *byte });
    bytes.fold((0, 0), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    })
}

/// Everything before the first NUL.
pub(crate) fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal text, or base-256 two's complement where the first bit is set; blank is 0.
pub(crate) fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        return base256(field, first & 0x40 != 0);
    }
    let is_blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !is_blank(b)).unwrap_or(field.len());
    let end = field.iter().rposition(|b| !is_blank(b)).map_or(start, |last| last + 1);
    let digits = up_to_nul(&field[start..end]);
    digits.iter().try_fold(0i64, |sum, digit| match digit {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn base256(field: &[u8], negative: bool) -> Option<i64> {
    let invert = if negative { 0xff } else { 0 };
    let mut sum = 0u64;
    for (at, byte) in field.iter().enumerate() {
        let byte = (byte ^ invert) & if at == 0 { 0x7f } else { 0xff };
        if sum >> 56 != 0 {
            return None;
        }
        sum = sum << 8 | u64::from(byte);
    }
    let sum = i64::try_from(sum).ok()?;
    Some(if negative { !sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        // The rows of Go's TestParseNumeric that fit 64 bits.
        let rows: [(&[u8], Option<i64>); 16] = [
            (b"", None),
            (b"\x80", Some(0)),
            (b"\x80\x00", Some(0)),
            (b"\xbf", Some((1 << 6) - 1)),
            (b"\xbf\xff", Some((1 << 14) - 1)),
            (b"\xff", Some(-1)),
            (b"\xff\xff", Some(-1)),
            (b"\xc0", Some(-(1 << 6))),
            (b"\xc0\x00", Some(-(1 << 14))),
            (b"\x87\x76\xa2\x22\xeb\x8a\x72\x61", Some(537_795_476_381_659_745)),
            (b"\x80\x00\x00\x00\x07\x76\xa2\x22\xeb\x8a\x72\x61", Some(537_795_476_381_659_745)),
            (b"\xf7\x76\xa2\x22\xeb\x8a\x72\x61", Some(-615_126_028_225_187_231)),
            (b"\x80\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00", None),
            (b" \x0000000000123 ", Some(0o123)),
            (b"0000000\x00", Some(0)),
            (b" 0000123 \x00", Some(0o123)),
        ];
        for (field, expected) in rows {
            assert_eq!(number(field), expected, "{field:?}");
        }
        assert_eq!(number(b"\0\0\0\0"), Some(0), "a blank field");
        assert_eq!(number(b"12389"), None);
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
    }

    #[test]
    fn a_block_that_is_no_header_names_its_checksum() {
        let error = decode(&[b'x'; BLOCK]).unwrap_err();
        assert!(error.contains("checksum"), "{error}");
    }
}
