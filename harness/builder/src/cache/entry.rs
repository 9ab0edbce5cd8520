//! What is kept of a step: the layer it made, if it made one, its line in the history, the working directory it left; and
//! what the layer's tar does not say of the files. Written as an OCI image of one layer, so that every place that keeps
//! images can keep it, the same bytes everywhere. Of a layer that an image has it is the listing alone (`named`).

use samebuild_image::manifest::{Descriptor, Manifest, Media, Role};
use samebuild_image::{Compression, Digest, Mtime};
use serde_json::{Map, Value, json};

use super::key::Key;
use crate::history::{CopyLine, Line};

/// The field of the configuration in which everything stands that no image has.
const OURS: &str = "dev.samebuild.cache";
/// Changes when older entries cannot be read any more.
const FORM: u64 = 1;
/// What times and modes a tar does not hold; see `fixes`.
const FIXES: &str = "application/vnd.samebuild.cache.fixes.v1";
/// What the tar does say of its files; see `listing`.
const LISTING: &str = "application/vnd.samebuild.cache.listing.v1";

/// What is kept of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// When the step ran, in seconds since 1970.
    pub created: i64,
    /// The instruction as it was written then, for people.
    pub instruction: String,
    pub line: Line,
    /// What WORKDIR made of its path.
    pub working_dir: Option<String>,
    pub layer: Option<Kept>,
    /// What the layer's tar does not say of the files, and its size.
    pub fixes: Option<(Digest, u64)>,
    /// What it does say of them, and its size; older entries have none.
    pub listing: Option<(Digest, u64)>,
}

/// A layer as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub diff_id: Digest,
    /// Size of the uncompressed tar in bytes.
    pub tar_size: u64,
    pub digest: Digest,
    pub size: u64,
}

/// How kept layers are compressed.
pub const COMPRESSION: Compression = Compression::Gzip;

impl Entry {
    /// The configuration and the manifest.
    ///
    /// # Errors
    /// Something in it cannot be written as JSON.
    pub fn write(&self) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
        let created = Mtime::secs(self.created).to_string();
        let diff_ids: Vec<Digest> = self
            .layer
            .iter()
            .map(|layer| layer.diff_id)
            .chain(self.fixes.iter().chain(&self.listing).map(|(digest, _)| *digest))
            .collect();
        let config = json!({
            "created": created,
            "architecture": std::env::consts::ARCH,
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": [{ "created": created, "created_by": self.instruction }],
            OURS: {
                "form": FORM,
                "key": self.key.hex(),
                "seconds": self.created,
                "line": line_out(&self.line),
                "workingDir": self.working_dir,
                "tarSize": self.layer.map(|layer| layer.tar_size),
                "hasFixes": self.fixes.is_some(),
                "hasListing": self.listing.is_some(),
            },
        });
        let config = serde_json::to_vec(&config)?;
        let descriptor = |media_type: &str, digest, size| Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: Default::default(),
        };
        let layer_type = Role::Layer(COMPRESSION).media_type(Media::Oci);
        let layer = self.layer.map(|layer| descriptor(layer_type, layer.digest, layer.size));
        let fixes = self.fixes.map(|(digest, size)| descriptor(FIXES, digest, size));
        let listing = self.listing.map(|(digest, size)| descriptor(LISTING, digest, size));
        let manifest = Manifest {
            schema_version: 2,
            media_type: Role::Manifest.media_type(Media::Oci).to_owned(),
            config: descriptor(Role::Config.media_type(Media::Oci), Digest::of(&config), config.len() as u64),
            layers: layer.into_iter().chain(fixes).chain(listing).collect(),
            annotations: Default::default(),
        };
        Ok((config, serde_json::to_vec(&manifest)?))
    }

    /// Where the configuration of an entry is.
    ///
    /// # Errors
    /// It is no manifest.
    pub fn manifest(bytes: &[u8]) -> Result<Manifest, String> {
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match manifest.layers.len() {
            0..=3 => Ok(manifest),
            n => Err(format!("it has {n} layers, and entries of the cache have at most three")),
        }
    }

    /// Reads what [`Entry::write`] wrote under `key`.
    ///
    /// # Errors
    /// It is something else, or of another key: then it must not be used.
    pub fn read(key: &Key, manifest: &Manifest, config: &[u8]) -> Result<Self, String> {
        let config: Map<String, Value> = serde_json::from_slice(config).map_err(|error| error.to_string())?;
        let ours = config.get(OURS).ok_or("it is no entry of this cache")?;
        let lacks = |field: &str| format!("its `{field}` is missing or odd");
        if ours.get("form").and_then(Value::as_u64) != Some(FORM) {
            return Err(lacks("form"));
        }
        if ours.get("key").and_then(Value::as_str) != Some(&key.hex()) {
            return Err("it is the entry of another key".to_owned());
        }
        let history = config.get("history").and_then(|history| history.get(0));
        let instruction = history.and_then(|entry| entry.get("created_by")).and_then(Value::as_str);
        let diff_ids = config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids"));
        let diff_ids: Vec<Digest> = diff_ids
            .and_then(|ids| serde_json::from_value(ids.clone()).ok())
            .ok_or_else(|| lacks("rootfs"))?;
        if diff_ids.len() != manifest.layers.len() {
            return Err(lacks("rootfs"));
        }
        let mut stored = manifest.layers.iter().zip(diff_ids);
        let layer = ours.get("tarSize").and_then(Value::as_u64).map(|tar_size| {
            let (descriptor, diff_id) = stored.next().ok_or_else(|| lacks("layer"))?;
            Ok::<_, String>(Kept { diff_id, tar_size, digest: descriptor.digest, size: descriptor.size })
        });
        let layer = layer.transpose()?;
        let mut beside = |field: &str| match ours.get(field).and_then(Value::as_bool).unwrap_or(false) {
            true => stored.next().map(|(descriptor, _)| (descriptor.digest, descriptor.size)),
            false => None,
        };
        let (fixes, listing) = (beside("hasFixes"), beside("hasListing"));
        if stored.next().is_some() {
            return Err(lacks("layer"));
        }
        Ok(Self {
            key: *key,
            created: ours.get("seconds").and_then(Value::as_i64).ok_or_else(|| lacks("seconds"))?,
            instruction: instruction.ok_or_else(|| lacks("history"))?.to_owned(),
            line: ours.get("line").and_then(line_in).ok_or_else(|| lacks("line"))?,
            working_dir: ours.get("workingDir").and_then(Value::as_str).map(str::to_owned),
            layer,
            fixes,
            listing,
        })
    }
}

fn line_out(line: &Line) -> Value {
    match line {
        Line::Metadata(text) => json!({ "metadata": text }),
        Line::Workdir(path) => json!({ "workdir": path }),
        Line::Whole(text) => json!({ "whole": text }),
        Line::Run { args, command } => json!({ "run": { "args": args, "command": command } }),
        Line::Copy(copy) => json!({ "copy": {
            "keyword": copy.keyword,
            "content": [copy.content.0, copy.content.1],
            "sources": copy.sources,
            "dest": copy.dest,
            "chown": copy.chown,
            "chmod": copy.chmod,
            "parents": copy.parents,
        } }),
    }
}

fn line_in(value: &Value) -> Option<Line> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| -> Option<Vec<String>> { value.as_array()?.iter().map(text).collect() };
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "metadata" => Line::Metadata(text(value)?),
        "workdir" => Line::Workdir(text(value)?),
        "whole" => Line::Whole(text(value)?),
        "run" => {
            let args = value.get("args").filter(|args| !args.is_null());
            let args = match args {
                Some(args) => Some(list(args)?),
                None => None,
            };
            Line::Run { args, command: list(value.get("command")?)? }
        }
        "copy" => {
            let known = |all: &[&'static str], wanted: &Value| {
                let wanted = wanted.as_str()?;
                all.iter().find(|word| **word == wanted).copied()
            };
            let content = value.get("content")?;
            Line::Copy(CopyLine {
                keyword: known(&["COPY", "ADD"], value.get("keyword")?)?,
                content: (known(&["", "file", "dir", "multi"], content.get(0)?)?, text(content.get(1)?)?),
                sources: list(value.get("sources")?)?,
                dest: text(value.get("dest")?)?,
                chown: value.get("chown").and_then(text),
                chmod: value.get("chmod").and_then(text),
                parents: value.get("parents")?.as_bool()?,
            })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: Line, layer: bool, fixes: bool, listing: bool) -> Entry {
        let digest = Digest::of(b"x");
        Entry {
            key: Key::of(Digest::of(b"key")),
            created: 1_600_000_000,
            instruction: "COPY a b".to_owned(),
            line,
            working_dir: Some("/a b".to_owned()),
            layer: layer.then_some(Kept { diff_id: Digest::of(b"tar"), tar_size: 9, digest, size: 1 }),
            fixes: fixes.then(|| (Digest::of(b"fixes"), 5)),
            listing: listing.then(|| (Digest::of(b"listing"), 7)),
        }
    }

    fn lines() -> Vec<Line> {
        let copy = CopyLine {
            keyword: "ADD",
            content: ("dir", "12".to_owned()),
            sources: vec!["a b".to_owned(), String::new()],
            dest: "/x".to_owned(),
            chown: Some("1:2".to_owned()),
            chmod: None,
            parents: true,
        };
        vec![
            Line::Metadata("ENV A=1".to_owned()),
            Line::Workdir("/w".to_owned()),
            Line::Whole("COPY a b".to_owned()),
            Line::Run { args: None, command: vec!["sh".to_owned(), String::new()] },
            Line::Run { args: Some(vec!["A=1".to_owned()]), command: Vec::new() },
            Line::Copy(copy),
        ]
    }

    #[test]
    fn what_is_written_reads_back() {
        for line in lines() {
            for n in 0..8 {
                let entry = entry(line.clone(), n & 1 == 0, n & 2 == 0, n & 4 == 0);
                let (config, manifest) = entry.write().unwrap();
                let manifest = Entry::manifest(&manifest).unwrap();
                assert_eq!(manifest.config.digest, Digest::of(&config));
                assert_eq!(Entry::read(&entry.key, &manifest, &config), Ok(entry));
            }
        }
    }

    #[test]
    fn an_entry_of_another_key_is_refused() {
        let entry = entry(lines().remove(0), true, false, true);
        let (config, manifest) = entry.write().unwrap();
        let manifest = Entry::manifest(&manifest).unwrap();
        let other = Key::of(Digest::of(b"other"));
        assert!(Entry::read(&other, &manifest, &config).unwrap_err().contains("another key"));
    }

    #[test]
    fn every_field_that_is_gone_or_odd_is_refused_or_harmless_and_nothing_panics() {
        let whole = entry(lines().remove(5), true, true, true);
        let (config, manifest) = whole.write().unwrap();
        let manifest = Entry::manifest(&manifest).unwrap();
        let fields: Value = serde_json::from_slice(&config).unwrap();
        for key in fields[OURS].as_object().unwrap().keys() {
            for odd in [Value::Null, json!(7), json!("x"), json!([]), json!({})] {
                let mut changed = fields.clone();
                changed[OURS][key] = odd;
                let bytes = serde_json::to_vec(&changed).unwrap();
                if let Ok(read) = Entry::read(&whole.key, &manifest, &bytes) {
                    // The only fields that may be absent.
                    assert!(["workingDir", "seconds", "tarSize"].contains(&key.as_str()), "{key}");
                    assert_eq!(read.line, whole.line);
                }
            }
        }
        assert!(Entry::read(&whole.key, &manifest, b"[]").is_err());
    }
}
