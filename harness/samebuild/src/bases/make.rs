//! The base image from its policy and a busybox, in memory, byte for byte the same wherever it is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use samebuild_image::{At, Bytes, Compression, Content, Digest, Entry, Image, Kind, Layer, Meta, Tree};
use serde_json::{Value, json};

use super::policy::BasePolicy;
use crate::cases::gnu_tar::{Member, What, Writer};
use crate::cases::plant;

/// Bytes with their name.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) bytes: Arc<[u8]>,
}

impl Blob {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes: bytes.into() }
    }
}

/// The image, as a value and as its stored parts.
pub(super) struct Made {
    pub(super) image: Image,
    pub(super) layer: Blob,
    pub(super) config: Blob,
    pub(super) manifest: Blob,
}

/// Makes it.
///
/// # Errors
/// In words; only a policy that no base can follow.
pub(super) fn make(policy: &BasePolicy, busybox: &Arc<[u8]>) -> Result<Made, String> {
    let tree = tree(policy, busybox)?;
    let (tar, entries) = layer(&tree)?;
    let layer = Blob::new(tar);
    let config = config(policy, &layer.digest)?;
    let config_blob = Blob::new(serde_json::to_vec(&config).map_err(|e| e.to_string())?);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_blob.digest.to_string(),
            "size": config_blob.bytes.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.digest.to_string(),
            "size": layer.bytes.len(),
        }],
    });
    let image_layer = Layer {
        diff_id: Some(layer.digest),
        size: layer.bytes.len() as u64,
        entries,
        blob: Some((Arc::new(Bytes(layer.bytes.clone())), Compression::None)),
    };
    let Value::Object(config) = config else { return Err("the configuration is no object".to_owned()) };
    Ok(Made {
        image: Image { config, layers: vec![image_layer], annotations: BTreeMap::new() },
        layer,
        config: config_blob,
        manifest: Blob::new(serde_json::to_vec(&manifest).map_err(|e| e.to_string())?),
    })
}

fn tree(policy: &BasePolicy, busybox: &Arc<[u8]>) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let time = policy.mtime();
    tree.insert(&At::root(), Kind::Dir, Meta::new(0o755, time));
    plant(&mut tree, &policy.entries, time).map_err(|problem| problem.found)?;
    let binary = At::clean(&policy.binary);
    let dir = binary.parent().unwrap_or_default();
    for parent in binary.parents().filter(|parent| tree.get(parent).is_none()).collect::<Vec<_>>() {
        tree.insert(&parent, Kind::Dir, Meta::new(0o755, time));
    }
    tree.insert(&binary, Kind::File(Content::inline(busybox.clone())), Meta::new(0o755, time));
    for applet in &policy.applets {
        let at = dir.join(applet);
        if at.parent().as_ref() != Some(&dir) || tree.get(&at).is_some() {
            return Err(format!("the applet `{applet}` cannot be a link beside {binary}"));
        }
        tree.insert(&at, Kind::Symlink(binary.name().to_vec()), Meta::new(0o777, time));
    }
    Ok(tree)
}

/// The tree as GNU tar would archive it from inside (`-C DIR .`), and the entries that a reader of that tar sees.
fn layer(tree: &Tree) -> Result<(Vec<u8>, Vec<Entry>), String> {
    let mut writer = Writer::default();
    let mut entries = Vec::new();
    let mut first_names = BTreeMap::new();
    for (at, ino, inode) in tree.iter() {
        let first: &At = first_names.entry(ino).or_insert(at);
        let dotted = |at: &At| [b"./", at.as_bytes()].concat();
        let mut path = dotted(at);
        if inode.kind.is_dir() && !at.is_root() {
            path.push(b'/');
        }
        let (content, target) = match &inode.kind {
            Kind::File(content) => {
                (content.read_up_to(1 << 30).map_err(|e| e.to_string())?.unwrap_or_default(), vec![])
            }
            Kind::Symlink(target) => (Vec::new(), target.clone()),
            _ => (Vec::new(), Vec::new()),
        };
        let first_dotted = dotted(first);
        let (what, kind) = match &inode.kind {
            Kind::File(_) if first != at => (What::Hardlink(&first_dotted), Kind::Hardlink(first.clone())),
            Kind::File(_) => (What::File(&content), inode.kind.clone()),
            Kind::Symlink(_) => (What::Symlink(&target), inode.kind.clone()),
            Kind::Dir => (What::Dir, Kind::Dir),
            other => return Err(format!("{at} is a {}, which no base has needed yet", other.word())),
        };
        let (mtime, _) = inode.meta.mtime.timestamp().unwrap_or_default();
        let (mode, uid, gid) = (inode.meta.mode, inode.meta.uid, inode.meta.gid);
        writer
            .append(&Member { path: &path, what, mode, uid, gid, mtime })
            .map_err(|why| format!("{at}: {why}"))?;
        let mut entry = Entry::new(at.clone(), kind, inode.meta.clone());
        entry.raw = (path != entry.usual_path()).then_some(path);
        entries.push(entry);
    }
    Ok((writer.finish(), entries))
}

fn config(policy: &BasePolicy, layer: &Digest) -> Result<Value, String> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let moment = time::OffsetDateTime::from_unix_timestamp(policy.time.secs).map_err(|e| e.to_string())?;
    let created = moment.format(&time::format_description::well_known::Rfc3339).map_err(|e| e.to_string())?;
    Ok(json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": { "Env": policy.env, "Cmd": policy.cmd },
        "rootfs": { "type": "layers", "diff_ids": [layer.to_string()] },
        "history": [{ "created": created, "created_by": policy.created_by }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bases::Policy;

    fn made(busybox: &[u8]) -> Made {
        make(Policy::compiled_in().unwrap().base("busybox").unwrap(), &busybox.into()).unwrap()
    }

    #[test]
    fn the_tar_and_the_entries_say_the_same() {
        let made = made(b"not really a busybox");
        let mut archive = tar::Archive::new(&made.layer.bytes[..]);
        let paths: Vec<Vec<u8>> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
        let layer = &made.image.layers[0];
        assert_eq!(paths, layer.entries.iter().map(Entry::path).collect::<Vec<_>>());
        assert_eq!(layer.diff_id, Some(Digest::of(&made.layer.bytes)));
        assert_eq!(paths[..3], [b"./".to_vec(), b"./bin/".to_vec(), b"./bin/[".to_vec()]);
    }

    #[test]
    fn another_busybox_changes_its_own_content_and_nothing_else() {
        let (left, right) = (made(b"left").image.tree().unwrap(), made(b"right").image.tree().unwrap());
        let binary = At::from("bin/busybox");
        let line = |tree: &Tree| -> Vec<String> {
            tree.iter()
                .filter(|(at, _, _)| **at != binary)
                .map(|(at, _, inode)| match &inode.kind {
                    Kind::File(content) => format!("{at} {:?} {}", inode.meta, content.digest().unwrap()),
                    kind => format!("{at} {:?} {kind:?}", inode.meta),
                })
                .collect()
        };
        assert_eq!(line(&left), line(&right));
        assert_eq!(left.len(), 268 + 25);
        assert_eq!(left.ino(&At::from("withfile/a")), left.ino(&At::from("withfile/a-hard")));
    }
}
