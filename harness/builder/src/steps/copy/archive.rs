//! Whether a file is an archive that ADD unpacks, and what is in it: tar, plain or compressed with gzip, bzip2, xz or zstd.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use samebuild_image::compression::{self, Expansion};
use samebuild_image::layer_read::{self, LayerOptions};
use samebuild_image::{At, Kind, Layer, Tree};

use super::Archives;
use crate::disk::FileSource;
use crate::failure::StepFailure;

/// The entries of the archive at `at`; `None` if it is not one, and is copied as it is. `spool` makes a directory in
/// which the decompressed archive lies as long as its entries are needed.
pub(super) fn open(
    tree: &Tree,
    at: &At,
    archives: Archives,
    spool: &dyn Fn() -> Result<std::path::PathBuf, StepFailure>,
) -> Result<Option<Layer>, StepFailure> {
    let Some(Kind::File(content)) = tree.get(at).map(|inode| &inode.kind) else { return Ok(None) };
    let failed = |error: io::Error| StepFailure::new("bad-archive", format!("unpack {at}: {error}"));
    // What cannot be decompressed, or begins with no tar header, is an ordinary file, whatever it is called.
    let begins = decompress(content.open().map_err(failed)?).is_ok_and(layer_read::begins);
    if archives == Archives::AnyCompressed {
        let mut head = Vec::new();
        content.open().map_err(failed)?.take(6).read_to_end(&mut head).map_err(failed)?;
        refuse_misread(at, &head, begins)?;
    }
    if !begins {
        return Ok(None);
    }
    let plain = decompress(content.open().map_err(failed)?).map_err(failed)?;
    let source = spooled(plain, &spool()?.join("archive.tar")).map_err(failed)?;
    let options = LayerOptions { accept_missing_end: true, archive: true, ..LayerOptions::default() };
    let read = layer_read::index(Arc::new(source), &options)
        .map_err(|error| StepFailure::new("bad-archive", format!("unpack {at}: {error}")))?;
    Ok(Some(read.layer))
}

/// Where everything compressed counts as an archive, some of it is none, and some is not understood.
fn refuse_misread(at: &At, head: &[u8], is_tar: bool) -> Result<(), StepFailure> {
    let understood = matches!(head, [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', ..]);
    let compressed =
        understood || matches!(head, [0xfd, b'7', b'z', b'X', b'Z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..]);
    if !compressed || understood && is_tar {
        return Ok(());
    }
    let why = if understood {
        "it is compressed, and no tar"
    } else {
        "it is compressed in a way that is not understood"
    };
    Err(StepFailure::new("bad-archive", format!("unpack {at}: {why}; decompress it first")))
}

fn spooled(mut plain: impl Read, path: &Path) -> io::Result<FileSource> {
    let mut file = File::create(path)?;
    io::copy(&mut plain, &mut file)?;
    file.flush()?;
    let size = file.stream_position()?;
    Ok(FileSource::new(path, size))
}

fn decompress<'r>(mut reader: impl Read + Send + 'r) -> io::Result<Box<dyn Read + Send + 'r>> {
    let mut head = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut head)?;
    let whole = io::Cursor::new(head.clone()).chain(reader);
    let limit = Expansion::default().total;
    Ok(match head.as_slice() {
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::read::MultiBzDecoder::new(whole).take(limit)),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Box::new(liblzma::read::XzDecoder::new_multi_decoder(whole).take(limit))
        }
        _ => compression::reader(whole, Expansion::default())?.1,
    })
}
