//! Images in files: an OCI layout, a tar of one, a docker-archive. Nobody's directory is replaced.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use samebuild_image::Image;

use super::{Asked, How, Output};
use crate::tag::Tag;
use crate::{files, stored};

pub(super) struct Layout {
    dir: PathBuf,
    name: Option<Tag>,
}

impl Layout {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        Ok(Self { dir: asked.path("oci")?, name: asked.tags()?.into_iter().next() })
    }
}

impl Output for Layout {
    fn check(&self) -> Result<(), String> {
        if files::is_free(&self.dir) { Ok(()) } else { Err(taken(&self.dir)) }
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        stored::write_layout(image, self.name.as_ref(), &self.dir, how.style)?;
        Ok(format!("oci:{} written", self.dir.display()))
    }
}

pub(super) struct LayoutArchive {
    file: PathBuf,
    name: Option<Tag>,
}

impl LayoutArchive {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        Ok(Self { file: asked.path("oci-archive")?, name: asked.tags()?.into_iter().next() })
    }
}

impl Output for LayoutArchive {
    fn check(&self) -> Result<(), String> {
        if self.file.is_dir() { Err(taken(&self.file)) } else { Ok(()) }
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        let room = tempfile::Builder::new().prefix("layout-").tempdir_in(how.work);
        let room = room.with_context(|| format!("make room in {}", how.work.display()))?;
        let dir = room.path().join("layout");
        stored::write_layout(image, self.name.as_ref(), &dir, how.style)?;
        files::fill_file(&self.file, |at| {
            pack(&dir, at).with_context(|| format!("write {}", self.file.display()))
        })?;
        Ok(format!("oci-archive:{} written", self.file.display()))
    }
}

pub(super) struct DockerArchive {
    file: PathBuf,
    names: Vec<Tag>,
}

impl DockerArchive {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        let file = asked.path("docker-archive")?;
        Ok(Self { file, names: asked.tags()? })
    }
}

impl Output for DockerArchive {
    fn check(&self) -> Result<(), String> {
        if self.file.is_dir() { Err(taken(&self.file)) } else { Ok(()) }
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        stored::write_archive(image, &self.names, &self.file, how.style)?;
        Ok(format!("docker-archive:{} written", self.file.display()))
    }
}

fn taken(path: &Path) -> String {
    format!("write {}: it exists already; remove it, or name another place", path.display())
}

/// The layout as a tar: sorted, of nobody, of no time.
fn pack(dir: &Path, to: &Path) -> io::Result<()> {
    let mut tar = tar::Builder::new(io::BufWriter::new(File::create(to)?));
    let below = files::below(dir).map_err(io::Error::other)?;
    for path in below {
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let name = path.strip_prefix(dir).map_err(io::Error::other)?;
        tar.append_data(&mut header, name, file.take(size))?;
    }
    tar.into_inner()?.flush()
}
