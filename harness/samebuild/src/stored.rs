//! Images on disk: an OCI layout in a directory, or a file that is a docker-archive or a tar of a layout. The formats
//! are `samebuild-image`'s; here are only paths.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use samebuild_builder::disk::FileSource;
use samebuild_image::archive::{self, ArchiveOptions};
use samebuild_image::files::{Files, NewFiles};
use samebuild_image::layout::{self, LayoutOptions};
use samebuild_image::manifest::Media;
use samebuild_image::read::{self, Loaded, ReadOptions};
use samebuild_image::{Compression, Image, Source, Stored, TarStyle};

use crate::tag::Tag;

/// Nothing is where an image was said to be: whoever said so is mistaken.
#[derive(Debug, thiserror::Error)]
#[error("read the image {}: {source}; name an OCI layout, an archive of one or a docker-archive", path.display())]
pub struct NotThere {
    path: PathBuf,
    source: io::Error,
}

impl NotThere {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// Something is there, but it is no image that could be read.
#[derive(Debug, thiserror::Error)]
#[error("read the image {}: it is not an OCI layout, an archive of one or a docker-archive, nor a layer's tar", path.display())]
pub struct NotAnImage {
    path: PathBuf,
}

impl NotAnImage {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

/// Reads the image at `path`. Contents stay where they are: the files must not go before the image does.
///
/// # Errors
/// There is nothing, or it is not an image, is damaged or truncated; each names the path and what is accepted.
pub fn read_image(path: &Path) -> Result<Loaded> {
    let place = || format!("read the image {}", path.display());
    find_image(path)?.load(&ReadOptions::default()).with_context(place)
}

/// Finds the image at `path`: only its manifest and configuration are read.
///
/// # Errors
/// As [`read_image`], but for what is wrong with its layers.
pub fn find_image(path: &Path) -> Result<Stored> {
    find_image_of(path, &ReadOptions::default())
}

/// As [`find_image`], the one of several that `options` want.
///
/// # Errors
/// As [`find_image`].
pub fn find_image_of(path: &Path, options: &ReadOptions) -> Result<Stored> {
    let place = || format!("read the image {}", path.display());
    let missing = |source| NotThere { path: path.to_owned(), source };
    let stat = std::fs::metadata(path).map_err(missing)?;
    let loaded = if stat.is_dir() {
        layout::find(&Dir::new(path), options)
    } else if stat.is_file() {
        let read = read::find_image(Arc::new(FileSource::new(path, stat.len())), options);
        if read.is_err() && !may_be_tar(path).with_context(place)? {
            bail!("{}: it is not an OCI layout, an archive of one or a docker-archive", place());
        }
        read
    } else {
        bail!("{}: it is not an OCI layout, an archive of one or a docker-archive", place())
    };
    loaded.with_context(place)
}

/// Whether a file begins as tars do since 1988, or as compressed ones do: if so, what is wrong with it is worth telling.
fn may_be_tar(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(512).read_to_end(&mut head)?;
    let is_tar = head.get(257..262) == Some(b"ustar");
    let is_compressed =
        [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd]].iter().any(|magic| head.starts_with(magic));
    Ok(is_tar || is_compressed)
}

/// Writes `image` as an OCI layout at `dir`, in whose index it is called `name`, and which appears whole or not at all.
///
/// # Errors
/// `dir` is there and not empty, the disk is full, a content cannot be read.
pub fn write_layout(image: &Image, name: Option<&Tag>, dir: &Path, style: TarStyle) -> Result<()> {
    let name = name.map(|name| name.tag().to_owned());
    let options = LayoutOptions { name, style, compression: Compression::Gzip, media: Media::Oci };
    crate::files::fill_dir(dir, |at| {
        layout::write(image, &Dir::new(at), &options).with_context(|| format!("write {}", dir.display()))?;
        Ok(())
    })
}

/// Writes `image` as a docker-archive at `file`, which appears whole or not at all.
///
/// # Errors
/// The disk is full, a content cannot be read.
pub fn write_archive(image: &Image, names: &[Tag], file: &Path, style: TarStyle) -> Result<()> {
    let options = ArchiveOptions { names: names.iter().map(ToString::to_string).collect(), style };
    crate::files::fill_file(file, |at| {
        let place = || format!("write {}", file.display());
        let mut out = io::BufWriter::new(std::fs::File::create(at).with_context(place)?);
        archive::write(image, &mut out, &options).with_context(place)?;
        out.flush().with_context(place)
    })
}

/// The files of a directory; no name leaves it.
pub(crate) struct Dir {
    root: PathBuf,
}

impl Dir {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Dir {
    fn place(&self, name: &str) -> io::Result<PathBuf> {
        if name.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            let why = format!("`{name}` is no name of a file in a layout");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(self.root.join(name))
    }
}

impl NewFiles for Dir {
    fn put(&self, fill: &mut dyn FnMut(&mut (dyn io::Write + Send)) -> io::Result<String>) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        let name = {
            let mut out = io::BufWriter::new(file.as_file_mut());
            let name = fill(&mut out)?;
            out.flush()?;
            name
        };
        let path = self.place(&name)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        crate::files::publish(file, &path)
    }

    fn has(&self, name: &str, size: u64) -> bool {
        let found = self.place(name).and_then(std::fs::symlink_metadata);
        found.is_ok_and(|stat| stat.is_file() && stat.len() == size)
    }
}

impl Files for Dir {
    fn source(&self, name: &str) -> io::Result<Arc<dyn Source>> {
        let path = self.place(name)?;
        let stat = std::fs::metadata(&path)?;
        if !stat.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is no file", path.display())));
        }
        Ok(Arc::new(FileSource::new(path, stat.len())))
    }

    fn name(&self) -> String {
        self.root.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_no_layout_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let error = format!("{:#}", read_image(dir.path()).unwrap_err());
        assert!(error.contains("index.json is missing in"), "{error}");
    }

    #[test]
    fn a_name_never_leaves_the_layout() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["../x", "a/../../x", "/etc/passwd", "", "a//b"] {
            let error = Dir::new(dir.path()).source(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}
