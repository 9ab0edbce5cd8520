//! An engine of our own on disk: images as an OCI layout that other tools can read, names and containers beside it.
//! Several processes may use one at a time, and one may be killed at any moment: every change is made under a lock on
//! the directory and becomes visible with one rename; what a killed process left is swept by the next change.
//!
//! An image is one small layer: this is for races, not for content. Its builds have a cache like Docker's: equal content
//! gives the image that is there, else a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::Hash;
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use samebuild_image::Digest;
use samebuild_store::engine::{
    Answer, Build, Call, Container, Delete, Deleted, Engine, EngineError, Summary,
};
use samebuild_store::floor::{Floor, Guard};
use samebuild_store::names::{Content, ImageId, Name, Reference, Repository};
use serde::{Deserialize, Serialize};

use super::spelling::Spelling;

/// One process's handle. Calls take their turns on its floor.
pub struct DiskEngine {
    floor: Rc<Floor>,
    store: Rc<Store>,
}

struct Store {
    dir: PathBuf,
    /// Symbols are this process's own.
    spelling: std::cell::RefCell<Spelling>,
}

/// What there is. It is kept in an annotation of `index.json`, so that one rename changes both.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Seconds; goes up with each image, whatever the clock of the machine says.
    clock: u32,
    /// By ID.
    images: BTreeMap<String, Image>,
    /// `repository:tag` to ID.
    names: BTreeMap<String, String>,
    containers: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Image {
    content: u16,
    created: u32,
    size: u64,
    /// Digests of the blobs it needs, its configuration's and its layer's.
    blobs: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    image: String,
    running: bool,
}

const INDEX: &str = "index.json";
const STATE: &str = "test.samebuild.state";
const NEW: &str = ".new-";

impl DiskEngine {
    /// Opens the store in `dir`, or begins one there. `repositories` are numbers 0, 1, … of this process.
    ///
    /// # Errors
    /// The directory cannot be made, or holds something else.
    pub fn open(dir: &Path, floor: Rc<Floor>, repositories: &[&str]) -> Result<Self> {
        fs::create_dir_all(dir.join("blobs/sha256"))?;
        let store = Store { dir: dir.to_owned(), spelling: Spelling::new(repositories).into() };
        store.change(|store, _| store.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#))?;
        Ok(Self { floor, store: Rc::new(store) })
    }

    /// The same store, and the same symbols, on another floor.
    #[must_use]
    pub fn on(&self, floor: Rc<Floor>) -> Self {
        Self { floor, store: Rc::clone(&self.store) }
    }

    /// The symbol of a new image of `content`, named; for what a race begins with.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&self, content: Content, names: impl Fn(ImageId) -> Vec<Name>) -> Result<ImageId> {
        self.store.change(|store, state| {
            let id = store.new_image(state, content)?;
            let symbol = store.spelling.borrow_mut().image(&id);
            for name in names(symbol) {
                state.names.insert(store.spelling.borrow().spell_name(name), id.clone());
            }
            Ok(symbol)
        })
    }

    /// One call in one turn.
    fn call<'a, T: Hash + 'static>(
        &'a self,
        work: impl FnOnce(&Store) -> Result<Answer<T>> + 'static,
    ) -> Call<'a, Answer<T>> {
        let (floor, store) = (Rc::clone(&self.floor), Rc::clone(&self.store));
        Box::pin(self.floor.request(async move {
            floor.turn(Guard::Always).await;
            // A disk that fails is to its client an engine that went away.
            let answer = work(&store).unwrap_or(Err(EngineError::ConnectionLost));
            floor.see(&answer);
            if let Err(error) = &answer {
                floor.say(|| error.to_string());
            }
            answer
        }))
    }
}

impl Engine for DiskEngine {
    fn list(&self, repository: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        self.call(move |store| {
            let state = store.read()?;
            let mut images: Vec<Summary> = state.images.keys().map(|id| store.summary(&state, id)).collect();
            images.retain(|image| image.names.iter().any(|name| name.repository == repository));
            images.sort_by_key(|image| std::cmp::Reverse(image.created));
            Ok(Ok(images))
        })
    }

    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        self.call(move |store| {
            let state = store.read()?;
            Ok(store.find(&state, Reference::Id(id)).map(|id| store.summary(&state, &id)))
        })
    }

    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        self.call(move |store| {
            let state = store.read()?;
            Ok(store.find(&state, Reference::Name(name)).map(|id| store.spelling.borrow_mut().image(&id)))
        })
    }

    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        self.call(|store| {
            let state = store.read()?;
            let containers = state.containers.iter().map(|run| {
                let image = store.spelling.borrow_mut().image(&run.image);
                Container { reference: Reference::Id(image), image, running: run.running }
            });
            Ok(Ok(containers.collect()))
        })
    }

    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        self.call(|store| {
            let state = store.read()?;
            let _bytes: u64 = state.images.values().map(|image| image.size).sum();
            Ok(Ok(()))
        })
    }

    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        self.call(move |store| {
            store.change(|store, state| {
                let cached = state.images.iter().find(|(_, image)| image.content == request.content.0);
                let id = match cached {
                    Some((id, _)) => id.clone(),
                    None => store.new_image(state, request.content)?,
                };
                state.names.insert(store.spelling.borrow().spell_name(request.name), id.clone());
                Ok(Ok(store.spelling.borrow_mut().image(&id)))
            })
        })
    }

    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        self.call(move |store| {
            store.change(|store, state| {
                let found = store.find(state, Reference::Id(id));
                Ok(found.map(|id| {
                    state.names.insert(store.spelling.borrow().spell_name(name), id);
                }))
            })
        })
    }

    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        self.call(move |store| store.change(|store, state| Ok(store.delete(state, target, options))))
    }

    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        self.call(|store| {
            store.change(|store, state| {
                let mut deleted = Deleted::default();
                let unused: Vec<String> =
                    state.images.keys().filter(|id| !state.has_container(id)).cloned().collect();
                for id in unused {
                    store.remove(state, &id, &mut deleted);
                }
                Ok(Ok(deleted))
            })
        })
    }

    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        self.call(move |store| {
            store.change(|store, state| {
                let found = store.find(state, image);
                Ok(found.map(|image| state.containers.push(Run { image, running })))
            })
        })
    }
}

impl State {
    fn has_container(&self, id: &str) -> bool {
        self.containers.iter().any(|run| run.image == id)
    }

    fn names_of(&self, id: &str) -> usize {
        self.names.values().filter(|target| *target == id).count()
    }
}

impl Store {
    /// What is there. No lock: a rename shows the old state or the new one.
    fn read(&self) -> Result<State> {
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
    fn change<T>(&self, change: impl FnOnce(&Store, &mut State) -> Result<T>) -> Result<T> {
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
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
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
    fn new_image(&self, state: &mut State, content: Content) -> Result<String> {
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

    fn find(&self, state: &State, reference: Reference) -> Answer<String> {
        let spelling = self.spelling.borrow();
        let id = match reference {
            Reference::Name(name) => state.names.get(&spelling.spell_name(name)).cloned(),
            Reference::Id(id) | Reference::ShortId(id) | Reference::Digest(_, id) => {
                Some(spelling.spell_image(id))
            }
        };
        id.filter(|id| state.images.contains_key(id)).ok_or(EngineError::NoSuchImage(reference))
    }

    fn summary(&self, state: &State, id: &str) -> Summary {
        let mut spelling = self.spelling.borrow_mut();
        let names = state.names.iter().filter(|(_, target)| *target == id);
        let names = names.filter_map(|(name, _)| spelling.name(name)).collect();
        let created = state.images.get(id).map_or(0, |image| image.created);
        Summary { id: spelling.image(id), created, names, parent: None }
    }

    /// As Docker does it: by name, the image with its last name; by ID, every name and the image.
    fn delete(&self, state: &mut State, target: Reference, options: Delete) -> Answer<Deleted> {
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

    fn remove(&self, state: &mut State, id: &str, deleted: &mut Deleted) {
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
