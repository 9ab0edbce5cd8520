//! A base in the cache: the busybox it was made from, the image as an OCI layout and as a docker-archive. Whole or not
//! there: it is written beside its place and renamed, and what does not hold what it should is written anew.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::manifest::Index;
use samebuild_image::{Digest, Image, layout};
use serde_json::json;

use super::busybox::{Found, record};
use super::make::Made;
use super::policy::BasePolicy;
use crate::cases::gnu_tar::{Member, What, Writer};

/// Where the files are.
pub(super) struct Places {
    pub(super) layout: PathBuf,
    pub(super) archive: PathBuf,
}

const BUSYBOX: &str = "busybox";
const RECORD: &str = "busybox.txt";
const LAYOUT: &str = "oci";
const ARCHIVE: &str = "docker-archive.tar";

/// Waits until no other process makes the base at `dir`, and keeps others waiting while the value lives.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let parent = dir.parent().unwrap_or(dir);
    fs::create_dir_all(parent)?;
    let file = File::create(dir.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

/// The busybox in the cache, if it is the one that was put there.
pub(super) fn busybox(dir: &Path) -> Result<Found, String> {
    let bytes: Arc<[u8]> = match fs::read(dir.join(BUSYBOX)) {
        Ok(bytes) => bytes.into(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{} has none yet", dir.display()));
        }
        Err(e) => return Err(format!("{}: {e}", dir.join(BUSYBOX).display())),
    };
    let record =
        fs::read_to_string(dir.join(RECORD)).map_err(|e| format!("{}: {e}", dir.join(RECORD).display()))?;
    let (digest, from) = record.split_once('\n').unwrap_or_default();
    if digest != Digest::of(&bytes).to_string() {
        return Err(format!(
            "{} is damaged: it is not what {RECORD} beside it says",
            dir.join(BUSYBOX).display()
        ));
    }
    Ok(Found { bytes, from: from.trim_end().to_owned() })
}

/// The image as it was kept, its layers unread; `None` where it is not there or not whole.
pub(super) fn outline(dir: &Path) -> Option<Image> {
    let dir = dir.join(LAYOUT);
    let index: Index = serde_json::from_slice(&fs::read(dir.join("index.json")).ok()?).ok()?;
    layout::outline(&crate::stored::Dir::new(&dir), index.manifests.first()?).ok()
}

/// Makes sure that all files of the base are in `dir`.
pub(super) fn keep(dir: &Path, policy: &BasePolicy, found: &Found, made: &Made) -> io::Result<Places> {
    let files = files(policy, found, made)?;
    let intact = |(name, bytes): &(String, Arc<[u8]>)| {
        fs::read(dir.join(name)).is_ok_and(|on_disk| on_disk == **bytes)
    };
    if !files.iter().all(intact) {
        write(dir, &files)?;
    }
    Ok(Places { layout: dir.join(LAYOUT), archive: dir.join(ARCHIVE) })
}

fn write(dir: &Path, files: &[(String, Arc<[u8]>)]) -> io::Result<()> {
    let parent = dir.parent().unwrap_or(dir);
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(parent)?;
    let staged = new.path().join("base");
    for (name, bytes) in files {
        let path = staged.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&staged))?;
        fs::write(&path, bytes)?;
    }
    if dir.exists() {
        // Goes when `new` goes.
        fs::rename(dir, new.path().join("old"))?;
    }
    fs::rename(&staged, dir)
}

/// Name and bytes of everything in the base's directory.
fn files(policy: &BasePolicy, found: &Found, made: &Made) -> io::Result<Vec<(String, Arc<[u8]>)>> {
    let tag = policy.image.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": made.manifest.digest.to_string(),
            "size": made.manifest.bytes.len(),
            "annotations": { "org.opencontainers.image.ref.name": tag },
        }],
    });
    let text = |text: String| Arc::from(text.into_bytes());
    let mut files = vec![
        (BUSYBOX.to_owned(), found.bytes.clone()),
        (RECORD.to_owned(), text(record(found))),
        (format!("{LAYOUT}/oci-layout"), text(json!({ "imageLayoutVersion": "1.0.0" }).to_string())),
        (format!("{LAYOUT}/index.json"), text(index.to_string())),
        (ARCHIVE.to_owned(), archive(policy, made)?.into()),
    ];
    for blob in [&made.layer, &made.config, &made.manifest] {
        files.push((format!("{LAYOUT}/blobs/sha256/{}", blob.digest.hex()), blob.bytes.clone()));
    }
    Ok(files)
}

/// What `docker load` takes: a manifest that names the configuration and the layers.
fn archive(policy: &BasePolicy, made: &Made) -> io::Result<Vec<u8>> {
    let config = format!("{}.json", made.config.digest.hex());
    let layer = format!("{}.tar", made.layer.digest.hex());
    let manifest = json!([{ "Config": config, "RepoTags": [policy.image], "Layers": [layer] }]).to_string();
    let mut writer = Writer::default();
    for (path, bytes) in [
        (config.as_str(), &*made.config.bytes),
        (&layer, &*made.layer.bytes),
        ("manifest.json", manifest.as_bytes()),
    ] {
        let member = Member {
            path: path.as_bytes(),
            what: What::File(bytes),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: policy.time.secs,
        };
        writer.append(&member).map_err(io::Error::other)?;
    }
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bases::{Policy, make};

    #[test]
    fn what_was_damaged_in_the_cache_is_written_anew() {
        let policy = Policy::compiled_in().unwrap();
        let policy = policy.base("busybox").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let dir = cache.path().join("bases/busybox-0");
        let _lock = lock(&dir).unwrap();
        assert!(busybox(&dir).is_err_and(|why| why.contains("none yet")));
        let found = Found { bytes: (*b"one").into(), from: "a test".to_owned() };
        let made = make::make(policy, &found.bytes).unwrap();
        let places = keep(&dir, policy, &found, &made).unwrap();
        assert_eq!(busybox(&dir).unwrap().from, "a test");
        let blob = places.layout.join("blobs/sha256").join(made.layer.digest.hex());
        let whole = fs::read(&blob).unwrap();
        fs::write(&blob, "damaged").unwrap();
        fs::write(dir.join(BUSYBOX), "damaged").unwrap();
        assert!(busybox(&dir).is_err_and(|why| why.contains("damaged")));
        keep(&dir, policy, &found, &made).unwrap();
        assert_eq!(fs::read(&blob).unwrap(), whole);
        assert_eq!(*busybox(&dir).unwrap().bytes, *b"one");
        let left: Vec<_> =
            fs::read_dir(cache.path().join("bases")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the base and its lock, nothing half-written: {left:?}");
    }
}
