//! The files of a store: an OCI layout, changed under a lock and by one rename.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::PathBuf;

use samebuild_image::Digest;
use samebuild_store::engine::{Answer, Delete, Deleted, EngineError, Summary};
use samebuild_store::names::{Content, Reference};
use serde::{Deserialize, Serialize};

use crate::races::Spelling;

pub(super) struct Store {
    pub(super) dir: PathBuf,
    /// Symbols are this process's own.
    pub(super) spelling: RefCell<Spelling>,
}

/// What there is. It is kept in an annotation of `index.json`, so that one rename changes both.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Seconds; goes up with each image, whatever the clock of the machine says.
    clock: u32,
    /// By ID.
    pub(super) images: BTreeMap<String, Image>,
    /// `repository:tag` to ID.
    pub(super) names: BTreeMap<String, String>,
    pub(super) containers: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) content: u16,
    created: u32,
    pub(super) size: u64,
    /// Digests of the blobs it needs, its configuration's and its layer's.
    blobs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) image: String,
    pub(super) running: bool,
}

const INDEX: &str = "index.json";
const STATE: &str = "test.samebuild.state";
const NEW: &str = ".new-";

impl State {
    pub(super) fn has_container(&self, id: &str) -> bool {
        self.containers.iter().any(|run| run.image == id)
    }

    fn names_of(&self, id: &str) -> usize {
        self.names.values().filter(|target| *target == id).count()
    }
}

impl Store {
    /// What is there. No lock: a rename shows the old state or the new one.
    pub(super) fn read(&self) -> Result<State> {
        let path = self.dir.join(INDEX);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::default()),
            bytes => bytes?,
        };
        let parse = || -> Option<State> {
            let index: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            serde_json::from_str(index.get("annotations")?.get(STATE)?.as_str()?).ok()
        };
        parse().ok_or_else(|| {
            let why = format!("{} has no state of ours; open an empty directory", path.display());
            Error::new(ErrorKind::InvalidData, why)
        })
    }

    /// Changes the state under the lock. Blobs are written before the state that needs them, and removed after the one
    /// that needs them no more.
    pub(super) fn change<T>(&self, change: impl FnOnce(&Store, &mut State) -> Result<T>) -> Result<T> {
        let path = self.dir.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(path)?;
        lock.lock()?;
        let before = self.read()?;
        let mut state = before.clone();
        let value = change(self, &mut state)?;
        if state != before {
            self.write(INDEX, &index(&state)?)?;
        }
        self.sweep(&state)?;
        Ok(value)
    }

    /// Writes a file that appears whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let to = self.dir.join(name);
        let dir = to.parent().unwrap_or(&self.dir);
        let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&to).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    }

    fn blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = Digest::of(bytes).to_string();
        let hex = digest.trim_start_matches("sha256:");
        let name = format!("blobs/sha256/{hex}");
        // What is there is whole, and was made of the same bytes.
        if !self.dir.join(&name).exists() {
            self.write(&name, bytes)?;
        }
        Ok(digest)
    }

    /// Removes what no image needs: of the last change, or left by a process that was killed in the middle of one.
    fn sweep(&self, state: &State) -> Result<()> {
        let needed: BTreeSet<&str> = state
            .images
            .iter()
            .flat_map(|(id, image)| image.blobs.iter().chain([id]))
            .filter_map(|digest| digest.strip_prefix("sha256:"))
            .collect();
        let blobs = self.dir.join("blobs/sha256");
        for dir in [&self.dir, &blobs] {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let unneeded = *dir == blobs && !needed.contains(&*name);
                if name.starts_with(NEW) || unneeded {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Writes the blobs of a new image; its ID is its manifest's digest.
    pub(super) fn new_image(&self, state: &mut State, content: Content) -> Result<String> {
        state.clock += 1;
        let created = state.clock;
        let layer = layer(content)?;
        let layer_digest = self.blob(&layer)?;
        let time = time::OffsetDateTime::from_unix_timestamp(i64::from(created)).map_err(Error::other)?;
        let time = time.format(&time::format_description::well_known::Rfc3339).map_err(Error::other)?;
        let config = serde_json::json!({
            "created": time, "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        });
        let config = config.to_string();
        let config_digest = self.blob(config.as_bytes())?;
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config_digest, "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer_digest, "size": layer.len(),
            }],
        });
        let manifest = manifest.to_string();
        let id = self.blob(manifest.as_bytes())?;
        let size = manifest.len() as u64;
        let image = Image { content: content.0, created, size, blobs: vec![config_digest, layer_digest] };
        state.images.insert(id.clone(), image);
        Ok(id)
    }

    pub(super) fn find(&self, state: &State, reference: Reference) -> Answer<String> {
        let spelling = self.spelling.borrow();
        let id = match reference {
            Reference::Name(name) => state.names.get(&spelling.spell_name(name)).cloned(),
            Reference::Id(id) | Reference::ShortId(id) | Reference::Digest(_, id) => {
                Some(spelling.spell_image(id))
            }
        };
        id.filter(|id| state.images.contains_key(id)).ok_or(EngineError::NoSuchImage(reference))
    }

    pub(super) fn summary(&self, state: &State, id: &str) -> Summary {
        let mut spelling = self.spelling.borrow_mut();
        let names = state.names.iter().filter(|(_, target)| *target == id);
        let names = names.filter_map(|(name, _)| spelling.name(name)).collect();
        let created = state.images.get(id).map_or(0, |image| image.created);
        Summary { id: spelling.image(id), created, names, parent: None }
    }

    /// As Docker does it: by name, the image with its last name; by ID, every name and the image.
    pub(super) fn delete(&self, state: &mut State, target: Reference, options: Delete) -> Answer<Deleted> {
        let id = self.find(state, target)?;
        let symbol = self.spelling.borrow_mut().image(&id);
        let mut deleted = Deleted::default();
        if let Reference::Name(name) = target
            && state.names_of(&id) > 1
        {
            state.names.remove(&self.spelling.borrow().spell_name(name));
            deleted.names.push(name);
            return Ok(deleted);
        }
        if state.containers.iter().any(|run| run.image == id && run.running) {
            return Err(EngineError::HardConflict(symbol));
        }
        if !options.force && (state.names_of(&id) > 1 || state.has_container(&id)) {
            return Err(EngineError::SoftConflict(symbol));
        }
        self.remove(state, &id, &mut deleted);
        Ok(deleted)
    }

    pub(super) fn remove(&self, state: &mut State, id: &str, deleted: &mut Deleted) {
        let mut spelling = self.spelling.borrow_mut();
        state.names.retain(|name, target| {
            if target == id {
                deleted.names.extend(spelling.name(name));
            }
            target != id
        });
        state.images.remove(id);
        deleted.images.push(spelling.image(id));
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The layout's index: a descriptor for each name, and one for each image without.
fn index(state: &State) -> Result<Vec<u8>> {
    let descriptor = |id: &String, name: Option<&String>| {
        let size = state.images.get(id).map_or(0, |image| image.size);
        let mut json = serde_json::json!({ "mediaType": MANIFEST, "digest": id, "size": size });
        if let Some(name) = name {
            json["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": name });
        }
        json
    };
    let named = state.names.iter().map(|(name, id)| descriptor(id, Some(name)));
    let nameless = state.images.keys().filter(|id| state.names_of(id) == 0).map(|id| descriptor(id, None));
    let manifests: Vec<_> = named.chain(nameless).collect();
    Ok(serde_json::to_vec_pretty(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
        "annotations": { STATE: serde_json::to_string(state)? },
    }))?)
}

/// A tar with one file that says which content it is.
fn layer(content: Content) -> Result<Vec<u8>> {
    let text = format!("content {}\n", content.0);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, "content", text.as_bytes())?;
    tar.into_inner()
}
