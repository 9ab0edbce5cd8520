//! Why a tar cannot be read. Truncation is a kind of its own: nothing that is missing may pass for deleted.

use bstr::BString;

use crate::compression::Bomb;

/// Why a tar cannot be read; `entry` counts from 0, `offset` is in bytes of the uncompressed tar.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    #[error(
        "read the tar: it is truncated: it ends inside {part} of entry {entry}, at byte {offset}; fetch or build it again"
    )]
    Truncated { entry: u64, offset: u64, part: Part },
    #[error(
        "read the tar: it is truncated: it ends at byte {offset}, after {entries} entries, without the two zero blocks \
         that close a tar; fetch or build it again"
    )]
    NoEnd { entries: u64, offset: u64 },
    #[error("read the tar: entry {entry}, at byte {offset}, is damaged: {why}")]
    Damaged { entry: u64, offset: u64, why: String },
    #[error("read the tar: entry {entry}, at byte {offset}, `{path}`, is {what}, which is not supported")]
    Unsupported { entry: u64, offset: u64, path: BString, what: String },
    #[error("read the tar: entry {entry}, at byte {offset}, goes beyond the limit of {limit} {what}")]
    Limit { entry: u64, offset: u64, what: &'static str, limit: u64 },
    #[error("read the tar: at byte {offset}: {bomb}")]
    Bomb { offset: u64, bomb: Bomb },
    #[error("read the tar: at byte {offset}: the compressed data is damaged: {error}")]
    Compressed { offset: u64, error: std::io::Error },
    #[error("read the tar: at byte {offset}: {error}")]
    Io { offset: u64, error: std::io::Error },
}

/// Where in an entry a tar ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Header,
    ExtendedHeader,
    Content,
    Padding,
    Compressed,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::ExtendedHeader => "the extended header",
            Self::Content => "the content",
            Self::Padding => "the padding",
            Self::Compressed => "the compressed data",
        })
    }
}

impl TarError {
    /// Whether the bytes stop too early, wherever that was noticed.
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::NoEnd { .. })
    }

    /// What a reader's error means for the tar read from it.
    pub(crate) fn from_io(error: std::io::Error, entry: u64, offset: u64) -> Self {
        use std::io::ErrorKind;
        if let Some(bomb) = error.get_ref().and_then(|inner| inner.downcast_ref::<Bomb>()) {
            return Self::Bomb { offset, bomb: bomb.clone() };
        }
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Truncated { entry, offset, part: Part::Compressed },
            ErrorKind::InvalidData | ErrorKind::InvalidInput => Self::Compressed { offset, error },
            _ => Self::Io { offset, error },
        }
    }
}
