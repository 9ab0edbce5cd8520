//! Docker archives: what `docker save` writes, old (`<id>/layer.tar`, a repeated layer as a symbolic link) and new (blobs
//! of a layout, with a manifest.json besides). Read in place, nothing unpacked; written for `docker load`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::at::At;
use crate::digest::Digest;
use crate::files::Files;
use crate::image::{Compression, Image};
use crate::layer_tar::{self, SaveError};
use crate::layer_write::TarStyle;
use crate::layout::{self, is_named};
use crate::manifest::ArchiveRow;
use crate::read::{self, Loaded, ReadError, ReadOptions};
use crate::source::{Source, Window};
use crate::stored::{Stored, StoredLayer};
use crate::tar_error::TarError;
use crate::tar_header::BLOCK;
use crate::tar_input::Jump;
use crate::tar_pax::Records;
use crate::tar_read::{End, Members, TarLimits};
use crate::tar_write::{self, Fields};

/// A tar whose files can be read where they lie.
pub struct Archive {
    source: Arc<dyn Source>,
    members: BTreeMap<At, Slot>,
}

enum Slot {
    File { offset: u64, size: u64 },
    Link(At),
}

/// More links than this in a row are a loop.
const HOPS: usize = 16;

impl Archive {
    /// Finds every file; contents are not read.
    pub fn open(source: Arc<dyn Source>) -> Result<Self, ReadError> {
        let io = |error| ReadError::Io { what: source.name(), error };
        if Compression::of_source(&*source).map_err(io)? != Compression::None {
            let why = "the archive is compressed as a whole; uncompress it first, with `gunzip` or `zstd -d`";
            return Err(ReadError::Unsupported { what: source.name(), why: why.to_owned() });
        }
        let mut members = BTreeMap::new();
        let walked = Arc::clone(&source);
        let mut reader = Members::new(Jump::new(&*walked).map_err(io)?, TarLimits::default());
        while let Some(member) = reader.next()? {
            let at = At::clean(&member.header.name);
            let slot = match member.header.flag {
                // Nobody stores an image's parts with holes; what says so is not found.
                0 | b'0' | b'7' if member.sparse.is_none() => {
                    Slot::File { offset: member.offset, size: member.header.size.unsigned_abs() }
                }
                b'1' => Slot::Link(At::clean(&member.header.link)),
                b'2' => Slot::Link(relative(&at, &member.header.link)),
                _ => continue,
            };
            members.insert(at, slot);
        }
        let (entries, offset) = (reader.entries(), reader.offset());
        let (_, end, _) = reader.finish();
        if end == End::Missing {
            return Err(TarError::NoEnd { entries, offset }.into());
        }
        Ok(Self { source, members })
    }

    /// Whether there is such a file.
    pub fn contains(&self, name: &str) -> bool {
        self.members.contains_key(&At::from(name))
    }

    /// Reads the image that is wanted, as manifest.json has it.
    pub fn read(&self, options: &ReadOptions) -> Result<Loaded, ReadError> {
        self.find(options)?.load(options)
    }

    /// Finds the image that is wanted, as manifest.json has it; its layers are not opened.
    pub fn find(&self, options: &ReadOptions) -> Result<Stored, ReadError> {
        let what = "manifest.json";
        let rows: Vec<ArchiveRow> = read::json(&read::small(self, what, what)?, what)?;
        let row = self.choose(&rows, options)?;
        let bytes = read::small(self, &row.config, "the configuration")?;
        let config_digest = Digest::of(&bytes);
        if let Some(want) = digest_in(&row.config)
            && want != config_digest
        {
            let what = "the configuration".to_owned();
            return Err(ReadError::DigestMismatch { what, want, got: config_digest });
        }
        let config: Map<String, Value> = read::json(&bytes, "the configuration")?;
        let diff_ids = layout::diff_ids(&config)?;
        if diff_ids.len() != row.layers.len() {
            return Err(ReadError::LayerCount { layers: row.layers.len(), diff_ids: diff_ids.len() });
        }
        let mut layers = Vec::new();
        for (number, (name, diff_id)) in row.layers.iter().zip(diff_ids).enumerate() {
            let source = read::open(self, name, &read::nth_layer(number))?;
            layers.push(StoredLayer { source, stated: None, diff_id: Some(diff_id), media_type: None });
        }
        Ok(Stored { config, config_digest, layers, names: row.repo_tags.clone(), manifest: None })
    }

    fn choose<'r>(&self, rows: &'r [ArchiveRow], options: &ReadOptions) -> Result<&'r ArchiveRow, ReadError> {
        let have = rows.iter().flat_map(|row| row.repo_tags.iter().cloned()).collect();
        let set = Files::name(self);
        if let Some(wanted) = &options.name {
            let row = rows.iter().find(|row| row.repo_tags.iter().any(|tag| is_named(tag, wanted)));
            return row.ok_or_else(|| ReadError::NoSuchImage { wanted: wanted.clone(), set, have });
        }
        match rows {
            [] => Err(ReadError::NoSuchImage { wanted: "of any name".to_owned(), set, have }),
            [first, rest @ ..] if rest.iter().all(|row| row.config == first.config) => Ok(first),
            _ => Err(ReadError::Ambiguous { set, have }),
        }
    }
}

impl Files for Archive {
    fn source(&self, name: &str) -> io::Result<Arc<dyn Source>> {
        let mut at = At::from(name);
        for _ in 0..HOPS {
            match self.members.get(&at) {
                Some(Slot::File { offset, size }) => {
                    let window = Window::new(Arc::clone(&self.source), *offset, *size, name.to_owned());
                    return Ok(Arc::new(window));
                }
                Some(Slot::Link(target)) => at = target.clone(),
                None => return Err(io::Error::new(io::ErrorKind::NotFound, format!("{at} is missing"))),
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is a link that leads nowhere")))
    }

    fn name(&self) -> String {
        self.source.name()
    }
}

/// What to write, and how.
#[derive(Debug, Clone)]
pub struct ArchiveOptions {
    /// The image's names, as `name:tag`.
    pub names: Vec<String>,
    pub style: TarStyle,
}

/// Writes `image` as an archive that every Docker can load, uncompressed; the same image gives the same bytes, built just now
/// or read from a store. Each layer is read once: its size, which a tar states first, follows from its entries, and it is
/// called by its number, because the digest of a new one is known too late. The digest of the configuration is returned.
pub fn write(image: &Image, out: &mut dyn Write, options: &ArchiveOptions) -> Result<Digest, SaveError> {
    let mut diff_ids = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let size = layer_tar::tar_size(layer, number, options.style)?;
        let name = format!("{number}/layer.tar");
        member(out, &name, size)?;
        let (diff_id, written) = layer_tar::save_tar(layer, number, options.style, &mut *out)?;
        if written != size {
            return Err(SaveError::Changed { layer: number });
        }
        pad(out, size)?;
        diff_ids.push(diff_id);
        names.push(name);
    }
    let config = layer_tar::to_json(&layer_tar::config_with(&image.config, &diff_ids)?)?;
    let digest = Digest::of(&config);
    let row = ArchiveRow {
        config: format!("{}.json", digest.hex()),
        repo_tags: options.names.clone(),
        layers: names,
    };
    let manifest = layer_tar::to_json(&[&row])?;
    for (name, bytes) in [(&row.config[..], &config), ("manifest.json", &manifest)] {
        member(out, name, bytes.len() as u64)?;
        out.write_all(bytes)?;
        pad(out, bytes.len() as u64)?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.flush()?;
    Ok(digest)
}

fn member(out: &mut dyn Write, name: &str, size: u64) -> io::Result<()> {
    let fields = Fields {
        path: name.as_bytes(),
        link: b"",
        flag: b'0',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size,
        secs: 0,
        nanos: 0,
        uname: b"",
        gname: b"",
        major: 0,
        minor: 0,
    };
    let mut head = Vec::new();
    tar_write::encode(&fields, Records::new(), &mut head).map_err(io::Error::other)?;
    out.write_all(&head)
}

fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    out.write_all(&[0; BLOCK][..padding as usize])
}

/// What a symbolic link at `at` names.
fn relative(at: &At, target: &[u8]) -> At {
    if target.starts_with(b"/") {
        return At::clean(target);
    }
    let dir = at.parent().unwrap_or_default();
    At::clean([dir.as_bytes(), b"/", target].concat())
}

/// The digest that a configuration's name states: `<hex>.json`, `blobs/sha256/<hex>`, or kaniko's `sha256:<hex>`.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.strip_suffix(".json").unwrap_or(last);
    Digest::from_hex(last.strip_prefix("sha256:").unwrap_or(last))
}
