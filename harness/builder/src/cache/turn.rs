//! One build's turn at the cache: each step's key is taken and looked up; what is found stands in for the step, and what is
//! not is carried out and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use samebuild_dockerfile::{Instruction, InstructionKind};
use samebuild_image::digest::HashWriter;
use samebuild_image::{Digest, Image, Layer, Mtime, Tree, layer_write};

use super::backend::{Backend, BackendError};
use super::behind::Noticed;
use super::entry::{COMPRESSION, Entry};
use super::key::{Key, Parts};
use super::keys::Facts;
use super::parts;
use super::unread::{self, Later};
use super::upload::{Job, Made, Uploader};
use super::{Fate, LayerCache, Looked, Used};
use super::{fixes, flaws, locked};
use crate::request::Event;
use crate::session::{Session, StepError};
use crate::stage::Stage;

/// One build's turn.
pub struct Turn<'a> {
    pub cache: &'a LayerCache,
    uploader: Mutex<Option<Uploader>>,
    looked: Mutex<Vec<Looked>>,
    /// Places that could not be asked: they are not asked again in this build.
    silent: Mutex<BTreeSet<String>>,
    warnings: Mutex<Vec<String>>,
    damage: &'a Damage,
    settled: Mutex<BTreeMap<usize, Tree>>,
    /// Images by name and platform, so that what is behind their listings is read once.
    named: Mutex<BTreeMap<(String, String), (Image, Tree)>>,
}

/// What was found in earlier attempts of a build, and in this one, not to be what it says.
#[derive(Debug, Default)]
pub struct Damage {
    /// What is kept under these is passed over.
    pub keys: BTreeSet<Key>,
    pub noticed: Noticed,
}

impl<'a> Turn<'a> {
    /// Begins.
    pub fn new(cache: &'a LayerCache, uploader: Uploader, damage: &'a Damage) -> Self {
        Self {
            cache,
            uploader: Mutex::new(Some(uploader)),
            looked: Mutex::default(),
            silent: Mutex::default(),
            warnings: Mutex::default(),
            damage,
            settled: Mutex::default(),
            named: Mutex::default(),
        }
    }

    /// Whether the result of that step was found.
    pub fn was_found(&self, number: usize) -> bool {
        let looked = locked(&self.looked);
        looked.last().is_some_and(|looked| looked.number == number && matches!(looked.fate, Fate::Found(_)))
    }

    /// Waits until everything is kept, and tells what became of each step.
    pub fn finish(&self) -> Used {
        let uploaded = locked(&self.uploader).take().map(Uploader::finish).unwrap_or_default();
        let mut warnings = std::mem::take(&mut *locked(&self.warnings));
        warnings.extend(uploaded.warnings);
        Used {
            looked: std::mem::take(&mut *locked(&self.looked)),
            warnings,
            packed: uploaded.packed,
            kept: uploaded.kept,
        }
    }

    pub(super) fn noticed(&self) -> &Noticed {
        &self.damage.noticed
    }

    /// Keeps a result while the build goes on.
    pub(super) fn keep(&self, job: Job) {
        if let Some(uploader) = locked(&self.uploader).as_ref() {
            uploader.keep(job);
        }
    }

    pub(super) fn warn(&self, warning: String) {
        locked(&self.warnings).push(warning);
    }

    pub(super) fn settled(&self, stage: usize) -> Option<Tree> {
        locked(&self.settled).get(&stage).cloned()
    }

    pub(super) fn remember(&self, stage: usize, tree: &Tree) {
        locked(&self.settled).insert(stage, tree.clone());
    }

    pub(super) fn named(&self, known: &(String, String)) -> Option<(Image, Tree)> {
        locked(&self.named).get(known).cloned()
    }

    pub(super) fn remember_named(&self, known: (String, String), found: &(Image, Tree)) {
        locked(&self.named).insert(known, found.clone());
    }

    /// The entry, and where it is.
    fn find(&self, key: &Key) -> Option<(Entry, Arc<dyn Backend>)> {
        self.find_in(key, |_| true)
    }

    /// The same on this machine.
    pub(super) fn find_near(&self, key: &Key) -> Option<(Entry, Arc<dyn Backend>)> {
        self.find_in(key, |place| place.is_near())
    }

    fn find_in(
        &self,
        key: &Key,
        is_asked: impl Fn(&dyn Backend) -> bool,
    ) -> Option<(Entry, Arc<dyn Backend>)> {
        if self.damage.keys.contains(key) {
            return None;
        }
        for place in self.cache.from.iter().filter(|place| is_asked(place.as_ref())) {
            let name = place.name();
            if locked(&self.silent).contains(&name) {
                continue;
            }
            match self.entry(key, place.as_ref()) {
                Ok(Some(entry)) => {
                    place.used(key);
                    return Some((entry, Arc::clone(place)));
                }
                Ok(None) => {}
                Err(error) => {
                    self.warn(format!("look into the cache {name}: {error}"));
                    if !place.is_near() {
                        locked(&self.silent).insert(name);
                    }
                }
            }
        }
        None
    }

    fn entry(&self, key: &Key, place: &dyn Backend) -> Result<Option<Entry>, BackendError> {
        let Some(manifest) = place.manifest(key)? else { return Ok(None) };
        let (entry, _) = read(key, &manifest, place)?;
        if self.cache.is_too_old(entry.created) {
            return Ok(None);
        }
        // What is near is known to be there, or not; the rest is seen when it is fetched.
        if place.is_near() {
            let layer = entry.layer.map(|kept| (kept.digest, kept.size));
            for (digest, size) in layer.into_iter().chain(entry.fixes) {
                place.blob(&digest, size)?;
            }
        }
        Ok(Some(entry))
    }
}

/// Reads an entry whose manifest is at hand; and its configuration's digest.
///
/// # Errors
/// It is damaged, or none.
pub fn read(key: &Key, manifest: &[u8], place: &dyn Backend) -> Result<(Entry, Digest), BackendError> {
    let bad = |why: String| BackendError { what: format!("read the entry {key}"), why };
    let manifest = Entry::manifest(manifest).map_err(bad)?;
    let (digest, size) = (manifest.config.digest, manifest.config.size);
    let source = place.blob(&digest, size)?;
    let mut config = Vec::new();
    let read = source.open(0, size).and_then(|mut reader| {
        use std::io::Read as _;
        reader.by_ref().take(16 << 20).read_to_end(&mut config)
    });
    read.map_err(|error| bad(error.to_string()))?;
    if Digest::of(&config) != digest {
        return Err(bad("the digest of its configuration is another; it is damaged".to_owned()));
    }
    Ok((Entry::read(key, &manifest, &config).map_err(bad)?, digest))
}

/// Carries out an instruction with `carry_out`, unless what it would do is known.
pub fn step(
    stage: &mut Stage,
    session: &Session<'_>,
    node: &Instruction,
    carry_out: impl FnOnce(&mut Stage) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let Some(turn) = &session.cache else { return carry_out(stage) };
    let rules = turn.cache.keys;
    flaws::look_ahead(stage, session, node)?;
    let facts = Facts { stage, session, node, parts: None };
    let left = (rules.writes)(&facts);
    if !(rules.keeps)(node) {
        // A step that nobody keeps may still need files, and make some.
        match parts::is_kept(node) {
            true => turn.carry_out(stage, session, node, None, carry_out)?,
            false => carry_out(stage)?,
        }
        stage.written.extend(left);
        return Ok(());
    }
    let parts = match parts::of(stage, session, node, false) {
        Ok(parts) => parts,
        Err(why) => {
            turn.tell(session, node, None, Fate::Unkept(why));
            turn.carry_out(stage, session, node, None, carry_out)?;
            stage.written.extend(left);
            return Ok(());
        }
    };
    let key = (rules.key)(&Facts { stage, session, node, parts: Some(&parts) });
    stage.written.extend(left);
    if let Some((entry, place)) = turn.find(&key) {
        let name = place.name();
        replay(stage, session, flaws::found(entry, session, stage, node), place)?;
        (session.progress())(Event::Cached { number: session.step_number(), place: &name });
        turn.tell(session, node, Some((key, parts)), Fate::Found(name));
        return Ok(());
    }
    // Somebody may ask why; the files one by one are worth that, where the step is carried out anyway.
    let parts = parts::of(stage, session, node, true).unwrap_or(parts);
    turn.tell(session, node, Some((key, parts)), Fate::CarriedOut);
    turn.carry_out(stage, session, node, Some(key), carry_out)
}

/// Puts what was found in the place of the step.
fn replay(
    stage: &mut Stage,
    session: &Session<'_>,
    entry: Entry,
    place: Arc<dyn Backend>,
) -> Result<(), StepError> {
    if let Some(dir) = entry.working_dir {
        stage.config.working_dir = dir;
    }
    let later = Later {
        index: entry.layer.map(|_| stage.layers.len()),
        key: entry.key,
        place,
        layer: entry.layer,
        elsewhere: None,
        fixes: entry.fixes,
        listing: entry.listing,
    };
    if let Some(kept) = entry.layer {
        let blob = Some((later.source(&kept)?, COMPRESSION));
        let layer = Layer { diff_id: Some(kept.diff_id), size: kept.tar_size, entries: Vec::new(), blob };
        stage.layers.push(layer);
    }
    stage.record(session.dialect, &entry.line, entry.layer.is_none());
    let layer = entry.layer.map(|kept| kept.diff_id);
    let fixes = entry.fixes.map(|(digest, _)| digest);
    stage.ground = stage.ground.take().map(|ground| ground.with(layer, fixes));
    if later.layer.is_some() || later.fixes.is_some() {
        stage.unread.push(later);
    }
    Ok(())
}

impl Turn<'_> {
    fn tell(&self, session: &Session<'_>, node: &Instruction, known: Option<(Key, Parts)>, fate: Fate) {
        let (key, parts) = known.unzip();
        locked(&self.looked).push(Looked {
            number: session.step_number(),
            line: node.line,
            text: node.original.clone(),
            key,
            parts,
            fate,
        });
    }

    /// The last step that was looked at turned out otherwise.
    fn correct(&self, fate: Fate) {
        if let Some(last) = locked(&self.looked).last_mut() {
            last.fate = fate;
        }
    }

    /// Carries a step out on files that are all there, and keeps its result under `key`.
    fn carry_out(
        &self,
        stage: &mut Stage,
        session: &Session<'_>,
        node: &Instruction,
        key: Option<Key>,
        carry_out: impl FnOnce(&mut Stage) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        if !flaws::stands_on_nothing(session, stage, node) {
            unread::settle(stage, session)?;
        }
        let (below, layers) = (stage.tree.clone(), stage.layers.len());
        stage.told = None;
        carry_out(stage)?;
        let made = stage.layers.get_mut(layers);
        let known = match made {
            None => Some(None),
            Some(layer) => {
                // Its digest is its name for every step above it.
                let (digest, size) =
                    measured(layer, session).map_err(StepError::broken("take a layer's digest"))?;
                (layer.diff_id, layer.size) = (Some(digest), size);
                Some(Some(digest))
            }
        };
        let layer = stage.layers.get(layers).cloned();
        let as_read = layer.as_ref().map_or_else(Layer::default, |layer| as_read(layer, session));
        let fixes = fixes::between(&below, &as_read, &stage.tree);
        let (Some(digest), Some(fixes)) = (known, fixes) else {
            self.correct(Fate::Unkept("its layer does not hold all that it did".to_owned()));
            stage.ground = None;
            return Ok(());
        };
        let written = fixes::write(&fixes);
        let of_fixes = (!written.is_empty()).then(|| Digest::of(&written));
        stage.ground = stage.ground.take().map(|ground| ground.with(digest, of_fixes));
        if let (Some(key), Some((line, _))) = (key, stage.told.clone()) {
            let made = match layer {
                Some(layer) => Made::Layer(layer, fixes::left(&below, &as_read, &stage.tree, &fixes)),
                None => Made::Nothing,
            };
            let is_workdir = matches!(node.kind, InstructionKind::Workdir(_));
            let job = Job {
                key,
                instruction: node.original.clone(),
                line,
                working_dir: is_workdir.then(|| stage.config.working_dir.clone()),
                made,
                fixes,
                created: self.cache.now,
            };
            self.keep(job);
        }
        Ok(())
    }
}

/// The layer as whoever reads its tar will have it.
fn as_read(layer: &Layer, session: &Session<'_>) -> Layer {
    let mut layer = layer.clone();
    if session.dialect.tar_style().times == layer_write::Times::WholeSeconds {
        for entry in &mut layer.entries {
            if let Some((secs, _)) = entry.meta.mtime.timestamp() {
                entry.meta.mtime = Mtime::secs(secs);
            }
        }
    }
    layer
}

/// The digest and the size of a layer's tar.
fn measured(layer: &Layer, session: &Session<'_>) -> Result<(Digest, u64), layer_write::WriteError> {
    let mut out = HashWriter::new(std::io::sink());
    layer_write::write_tar(&layer.entries, session.dialect.tar_style(), &mut out)?;
    let (_, digest, size) = out.finish();
    Ok((digest, size))
}
