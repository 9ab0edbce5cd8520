//! Images in and out of an engine.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use bollard::query_parameters::{
    ImportImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};

use super::build::{Context, chunks};
use super::engine::{DEADLINE, Engine};
use super::error::{EngineError, IoContext};
use super::policy::Store;

/// Names under the reserved top-level domain `.test`, which nobody can answer for.
pub const OUR_NAMES: &str = "samebuild.test/";

impl Engine {
    /// Loads a docker-archive (as `docker save` writes) that is to be known as `name`, e.g. `samebuild.test/base:1`.
    /// Returns the image's id. The name is given to the image if the archive has one image and no name.
    ///
    /// # Errors
    /// The file is unreadable, the engine refuses it, or nothing of this name came out of it.
    pub fn load_base(&self, name: &str, docker_archive: &Path) -> Result<String, EngineError> {
        let what = format!("load {} as {name}", docker_archive.display());
        self.only_our_name(&what, name)?;
        if !self.is_private() {
            // Loading would move whatever names the archive has.
            let names = names_in(docker_archive).io(|| format!("{what}: read its manifest.json"))?;
            names.iter().try_for_each(|name| self.only_our_name(&what, name))?;
        }
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let archive = chunks(&Context::File(docker_archive.to_owned()))?;
        let archive = bollard::body_try_stream(archive.map_ok(Into::into));
        let exchange = async {
            let mut stream = self.docker.import_image(options, archive, None);
            let mut said = String::new();
            while let Some(info) = stream.next().await {
                said.push_str(&info?.stream.unwrap_or_default());
            }
            Ok(said)
        };
        let said = self.call(&what, DEADLINE, exchange)?;
        if let Some(id) = said.lines().find_map(|line| line.strip_prefix("Loaded image ID: ")) {
            self.tag(id.trim(), name)?;
        }
        self.image_id(name).map_err(|error| EngineError::Api {
            what,
            why: format!("it holds no image of that name; the engine said: {} ({error})", said.trim()),
        })
    }

    /// The id of an image by its name: the digest of the configuration, or of the manifest in containerd's store.
    ///
    /// # Errors
    /// There is no such image.
    pub fn image_id(&self, name: &str) -> Result<String, EngineError> {
        let inspected =
            self.call(&format!("find image {name}"), DEADLINE, self.docker.inspect_image(name))?;
        inspected.id.ok_or_else(|| EngineError::Api {
            what: format!("find image {name}"),
            why: "the engine gives no id for it".into(),
        })
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// [`EngineError::NotOurs`] for a name that is not ours on the host's engine; there is no such image.
    pub fn call_it(&self, image: &str, name: &str) -> Result<(), EngineError> {
        self.only_our_name(&format!("tag {image} as {name}"), name)?;
        self.tag(image, name)
    }

    fn tag(&self, image: &str, name: &str) -> Result<(), EngineError> {
        let (repo, tag) =
            name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((name, "latest"));
        let options = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
        self.call(&format!("tag {image} as {name}"), DEADLINE, self.docker.tag_image(image, Some(options)))
    }

    /// Writes the image as a docker-archive (`docker save`); a file of that name appears whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::EmptyExport`] for an image without layers; no such image; the file cannot be written.
    pub fn export(&self, image: &str, to: &Path) -> Result<(), EngineError> {
        let what = format!("export {image} to {}", to.display());
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file =
            tempfile::NamedTempFile::new_in(dir).io(|| format!("create a file in {}", dir.display()))?;
        let mut written = Ok(());
        let exchange = async {
            let mut stream = std::pin::pin!(self.docker.export_image(image));
            while let Some(bytes) = stream.next().await {
                written = file.write_all(&bytes?);
                if written.is_err() {
                    break;
                }
            }
            Ok(())
        };
        self.call(&what, DEADLINE, exchange).map_err(|error| match error {
            EngineError::Api { why, .. } if why.contains("empty export") => {
                EngineError::EmptyExport { image: image.to_owned() }
            }
            other => other,
        })?;
        written.io(|| format!("write {}", to.display()))?;
        file.persist(to).map_err(|error| error.error).io(|| format!("write {}", to.display()))?;
        Ok(())
    }

    /// The image's configuration, byte for byte as a private engine stores it. `image_id` is as [`Engine::build`] and
    /// [`Engine::image_id`] give it.
    ///
    /// # Errors
    /// [`EngineError::NotOurs`] on the host's engine, whose files we do not read; the id is unknown.
    pub fn inspect_config(&self, image_id: &str) -> Result<Vec<u8>, EngineError> {
        let what = format!("read the configuration of {image_id}");
        let (Some(private), Some(store)) = (&self.private, self.store) else {
            return Err(EngineError::NotOurs { what, why: "only a private engine's files are read".into() });
        };
        let data = private.data_root()?;
        let digest = hex_digest(image_id).ok_or_else(|| EngineError::Api {
            what: what.clone(),
            why: "an id is `sha256:` and 64 hexadecimal digits".into(),
        })?;
        let read =
            |path: std::path::PathBuf| fs::read(&path).io(|| format!("{what}: read {}", path.display()));
        match store {
            Store::Overlay2 | Store::Vfs => {
                let images = data.join("image").join(store.driver());
                read(images.join("imagedb/content/sha256").join(digest))
            }
            Store::Containerd => {
                let blobs = data.join("containerd/daemon/io.containerd.content.v1.content/blobs/sha256");
                let blob = read(blobs.join(digest))?;
                config_of(&blob, &|digest| read(blobs.join(digest))).unwrap_or(Ok(blob))
            }
        }
    }

    /// Removes a name, and the image with it if it was its last.
    ///
    /// # Errors
    /// [`EngineError::NotOurs`] for any other name than ours on the host's engine; there is no such image.
    pub fn remove(&self, image: &str) -> Result<(), EngineError> {
        let what = format!("remove image {image}");
        self.only_our_name(&what, image)?;
        let options = RemoveImageOptionsBuilder::new().force(self.is_private()).build();
        self.call(&what, DEADLINE, self.docker.remove_image(image, Some(options), None)).map(drop)
    }

    /// On an engine that is not ours, refuses every name that is not.
    pub(super) fn only_our_name(&self, what: &str, name: &str) -> Result<(), EngineError> {
        if self.is_private() || name.starts_with(OUR_NAMES) {
            return Ok(());
        }
        let why = format!("only names under `{OUR_NAMES}` are touched there, not `{name}`");
        Err(EngineError::NotOurs { what: what.to_owned(), why })
    }
}

/// The names that a docker-archive gives its images.
fn names_in(docker_archive: &Path) -> std::io::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Image {
        repo_tags: Option<Vec<String>>,
    }
    const MANIFEST_BYTES: u64 = 1 << 20;
    let mut archive = tar::Archive::new(fs::File::open(docker_archive)?);
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.components().next_back().is_some_and(|last| last.as_os_str() == "manifest.json") {
            let images: Vec<Image> = serde_json::from_reader(entry.take(MANIFEST_BYTES))?;
            return Ok(images.into_iter().filter_map(|image| image.repo_tags).flatten().collect());
        }
    }
    Err(std::io::Error::other("it has none; a docker-archive is what `docker save` writes"))
}

fn hex_digest(id: &str) -> Option<&str> {
    let digest = id.strip_prefix("sha256:").unwrap_or(id);
    (digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digest)
}

/// Follows an index to its first manifest and a manifest to its configuration; `None` if `blob` is neither.
fn config_of(
    blob: &[u8],
    read: &dyn Fn(&str) -> Result<Vec<u8>, EngineError>,
) -> Option<Result<Vec<u8>, EngineError>> {
    let json: serde_json::Value = serde_json::from_slice(blob).ok()?;
    let digest = |value: &serde_json::Value| hex_digest(value.get("digest")?.as_str()?).map(str::to_owned);
    if let Some(config) = json.get("config").and_then(digest) {
        return Some(read(&config));
    }
    let manifest = json.get("manifests")?.as_array()?.first().and_then(digest)?;
    match read(&manifest) {
        Ok(blob) => config_of(&blob, read),
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_becomes_part_of_a_path() {
        let digest = "a".repeat(64);
        assert_eq!(hex_digest(&format!("sha256:{digest}")), Some(digest.as_str()));
        assert_eq!(hex_digest("sha256:../../../etc/passwd"), None);
        assert_eq!(hex_digest(""), None);
    }

    #[test]
    fn a_configuration_is_found_through_index_and_manifest() {
        let (m, c) = ("1".repeat(64), "2".repeat(64));
        let index = format!(r#"{{"manifests":[{{"digest":"sha256:{m}"}}]}}"#);
        let manifest = format!(r#"{{"config":{{"digest":"sha256:{c}"}}}}"#);
        let read =
            |digest: &str| Ok(if digest == m { manifest.clone().into_bytes() } else { b"config".to_vec() });
        assert_eq!(config_of(index.as_bytes(), &read).unwrap().unwrap(), b"config");
        assert!(config_of(br#"{"architecture":"amd64","rootfs":{}}"#, &read).is_none());
    }
}
