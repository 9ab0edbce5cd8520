//! Pulling, from a small registry of our own that misbehaves on demand. Nothing needs root, an engine or a network but
//! loopback; a real registry is in `images_live.rs`.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use std::path::Path;
use std::process::{Command, Output};

use registry_server::{Door, Fault, Server, tar_of};
use samebuild::images::names;
use samebuild::images::registry::{self, RegistryError};
use samebuild::images::store::Store;
use samebuild_image::manifest::{Media, Platform, Role};
use samebuild_image::{Compression, Digest, Image};
use serde_json::{Value, json};

const REPO: &str = "some/where";

/// An image of one layer with one file, and where its parts are in a registry.
struct Pushed {
    manifest: Vec<u8>,
    layer: Digest,
    config: Digest,
}

impl Pushed {
    fn new(server: &Server, tag: &str, architecture: &str, text: &str) -> Self {
        let layer = tar_of(text);
        let layer_digest = Digest::of(&layer);
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Env": [format!("ARCH={architecture}")] },
            "rootfs": { "type": "layers", "diff_ids": [layer_digest.to_string()] },
            "history": [{ "created_by": "a test" }],
        });
        let config = config.to_string().into_bytes();
        let config_digest = Digest::of(&config);
        let part = |role: Role, digest: Digest, size: usize| json!({ "mediaType": role.media_type(Media::Oci), "digest": digest.to_string(), "size": size });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": Role::Manifest.media_type(Media::Oci),
            "config": part(Role::Config, config_digest, config.len()),
            "layers": [part(Role::Layer(Compression::None), layer_digest, layer.len())],
        });
        let manifest = manifest.to_string().into_bytes();
        server.add(&blob(layer_digest), "application/octet-stream", &layer);
        server.add(&blob(config_digest), "application/octet-stream", &config);
        let pushed = Self { manifest, layer: layer_digest, config: config_digest };
        for name in [tag, &pushed.digest().to_string()] {
            server.add(&manifest_at(name), Role::Manifest.media_type(Media::Oci), &pushed.manifest);
        }
        pushed
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

fn blob(digest: Digest) -> String {
    format!("{REPO}/blobs/{digest}")
}

fn manifest_at(name: &str) -> String {
    format!("{REPO}/manifests/{name}")
}

#[test]
fn what_an_image_is_made_of_costs_its_manifest_and_configuration_and_no_byte_of_a_layer() {
    let server = Server::start(Door::Open);
    let pushed = Pushed::new(&server, "1", "amd64", "a layer");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::in_cache(dir.path());
    let name = names::parse(&format!("{}/{REPO}:1", server.host)).unwrap();
    let image = registry::outline(&name, &Platform::linux_amd64(), &store, &|_| {}).unwrap();
    let layer_asked = |server: &Server| {
        server.requests().iter().filter(|request| request.contains(&pushed.layer.hex())).count()
    };
    assert_eq!(image.layers[0].diff_id, Some(pushed.layer));
    assert!(image.layers[0].entries.is_empty());
    assert_eq!(layer_asked(&server), 0, "{:?}", server.requests());
    // Who reads it has it fetched, once.
    let (blob, _) = image.layers[0].blob.as_ref().unwrap();
    for _ in 0..2 {
        let (digest, _) = Digest::of_reader(blob.open(0, blob.size().unwrap()).unwrap()).unwrap();
        assert_eq!(digest, pushed.layer);
    }
    assert_eq!(layer_asked(&server), 1);
}

fn pull(server: &Server, tag: &str, store: &Store) -> Result<Image, RegistryError> {
    pull_for(server, tag, store, "linux/amd64")
}

fn pull_for(server: &Server, tag: &str, store: &Store, platform: &str) -> Result<Image, RegistryError> {
    let separator = if tag.starts_with("sha256:") { '@' } else { ':' };
    let reference = names::parse(&format!("{}/{REPO}{separator}{tag}", server.host)).unwrap();
    let platform: Platform = platform.parse().unwrap();
    registry::pull(&reference, &platform, store, &|_| {})
}

fn kept(cache: &Path) -> Vec<String> {
    let dir = std::fs::read_dir(cache.join("images/blobs/sha256")).unwrap();
    dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_image_is_pulled_once_and_its_tag_asked_for_every_time() {
    let (server, cache) = (Server::start(Door::Open), tempfile::tempdir().unwrap());
    let pushed = Pushed::new(&server, "1", "amd64", "hello");
    let store = Store::in_cache(cache.path());
    let image = pull(&server, "1", &store).unwrap();
    assert_eq!(image.layers[0].diff_id, Some(pushed.layer));
    assert_eq!(image.layers[0].entries.len(), 1);
    server.requests();
    pull(&server, "1", &store).unwrap();
    let asked = server.requests();
    assert!(asked.iter().all(|request| !request.contains("/blobs/")), "{asked:?}");
    assert!(asked.iter().any(|request| request.contains("/manifests/1")), "{asked:?}");
    // What is named by its digest cannot have changed.
    pull(&server, &pushed.digest().to_string(), &store).unwrap();
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn a_blob_that_is_not_whole_is_an_error_of_its_own_and_is_never_kept() {
    type Is = fn(&RegistryError) -> bool;
    let faults: [(Fault, Is, &str); 4] = [
        (Fault::Cut, |error| matches!(error, RegistryError::Truncated { .. }), "truncated"),
        (Fault::Short, |error| matches!(error, RegistryError::Truncated { .. }), "truncated"),
        (Fault::Flipped, |error| matches!(error, RegistryError::WrongDigest { .. }), "digest is not sha256:"),
        (Fault::Longer, |error| matches!(error, RegistryError::TooLong { .. }), "more than the"),
    ];
    let server = Server::start(Door::Open);
    let pushed = Pushed::new(&server, "1", "amd64", "hello");
    for (fault, is_it, words) in faults {
        for part in [pushed.layer, pushed.config] {
            let cache = tempfile::tempdir().unwrap();
            let store = Store::in_cache(cache.path());
            server.set_fault(&blob(part), Some(fault));
            let error = pull(&server, "1", &store).unwrap_err();
            assert!(is_it(&error) && !error.is_absence(), "{fault:?}: {error}");
            assert!(
                error.to_string().contains(words) && error.to_string().contains("nothing of it"),
                "{error}"
            );
            assert!(!kept(cache.path()).contains(&part.hex().to_string()), "{fault:?}");
            assert!(kept(cache.path()).iter().all(|name| !name.starts_with('.')), "nothing half-written");
            server.set_fault(&blob(part), None);
            assert_eq!(pull(&server, "1", &store).unwrap().layers.len(), 1, "{fault:?}");
        }
    }
}

#[test]
fn what_is_damaged_in_the_cache_is_fetched_anew() {
    let (server, cache) = (Server::start(Door::Open), tempfile::tempdir().unwrap());
    let pushed = Pushed::new(&server, "1", "amd64", "hello");
    let store = Store::in_cache(cache.path());
    pull(&server, "1", &store).unwrap();
    let path = store.blob(&pushed.layer);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[513] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(pull(&server, "1", &store).unwrap().layers[0].diff_id, Some(pushed.layer));
    std::fs::write(&path, &bytes[..100]).unwrap();
    assert_eq!(pull(&server, "1", &store).unwrap().layers[0].diff_id, Some(pushed.layer));
}

#[test]
fn a_tag_or_digest_that_is_not_there_is_an_absence_and_a_wrong_manifest_is_not() {
    let (server, cache) = (Server::start(Door::Open), tempfile::tempdir().unwrap());
    let pushed = Pushed::new(&server, "1", "amd64", "hello");
    let store = Store::in_cache(cache.path());
    for absent in ["2", &Digest::of(b"x").to_string()] {
        let error = pull(&server, absent, &store).unwrap_err();
        assert!(matches!(error, RegistryError::NoSuchImage { .. }) && error.is_absence(), "{error}");
    }
    let other = Digest::of(b"other").to_string();
    server.add(&manifest_at(&other), Role::Manifest.media_type(Media::Oci), &pushed.manifest);
    let error = pull(&server, &other, &store).unwrap_err();
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
    server.set_fault(&blob(pushed.config), Some(Fault::Missing));
    let error = pull(&server, "1", &store).unwrap_err();
    assert!(!matches!(error, RegistryError::Truncated { .. }), "{error}");
}

#[test]
fn of_several_platforms_the_one_that_is_wanted_is_taken() {
    let (server, cache) = (Server::start(Door::Open), tempfile::tempdir().unwrap());
    let store = Store::in_cache(cache.path());
    let entries: Vec<Value> = [("amd64", None), ("arm64", Some("v8")), ("arm", Some("v7"))]
        .into_iter()
        .map(|(architecture, variant)| {
            let pushed = Pushed::new(&server, architecture, architecture, architecture);
            json!({
                "mediaType": Role::Manifest.media_type(Media::Oci), "digest": pushed.digest().to_string(),
                "size": pushed.manifest.len(),
                "platform": { "os": "linux", "architecture": architecture, "variant": variant },
            })
        })
        .collect();
    let index =
        json!({ "schemaVersion": 2, "mediaType": Role::Index.media_type(Media::Oci), "manifests": entries });
    server.add(&manifest_at("all"), Role::Index.media_type(Media::Oci), index.to_string().as_bytes());
    for (platform, architecture) in
        [("linux/amd64", "amd64"), ("linux/arm64", "arm64"), ("linux/arm/v7", "arm")]
    {
        let image = pull_for(&server, "all", &store, platform).unwrap();
        assert_eq!(image.config["architecture"], architecture);
    }
    let error = pull_for(&server, "all", &store, "linux/s390x").unwrap_err().to_string();
    assert!(error.contains("linux/s390x") && error.contains("linux/arm/v7"), "{error}");
}

/// `samebuild build` in a directory of its own, with a Docker configuration and a cache of its own.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(dockerfile: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.dir.path().join("ctx")).unwrap();
        std::fs::write(place.dir.path().join("ctx/Dockerfile"), dockerfile).unwrap();
        std::fs::create_dir(place.dir.path().join("docker")).unwrap();
        place
    }

    fn log_in(&self, host: &str, auth: &str) {
        let config = json!({ "auths": { host: { "auth": auth } } });
        std::fs::write(self.dir.path().join("docker/config.json"), config.to_string()).unwrap();
    }

    fn build(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.current_dir(self.dir.path()).args(["build", "ctx"]).args(more);
        command.env("DOCKER_CONFIG", self.dir.path().join("docker"));
        command.env("SAMEBUILD_CACHE", self.dir.path().join("cache"));
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn from_and_copy_from_an_image_of_a_registry_build_with_credentials_and_not_without() {
    for door in [Door::Basic, Door::Token] {
        let server = Server::start(door);
        Pushed::new(&server, "1", "amd64", "hello");
        let image = format!("{}/{REPO}:1", server.host);
        let place = Place::new(&format!("FROM {image}\nCOPY --from={image} /file /copy\n"));
        let denied = place.build(&["-o", "oci:none"]);
        assert_eq!(denied.status.code(), Some(3), "{door:?}: {}", said(&denied));
        for part in [
            "denies it",
            "without credentials",
            "docker login",
            "build contexts: none",
            "local store:",
            "engine: none",
        ] {
            assert!(said(&denied).contains(part), "{door:?}: no {part} in {}", said(&denied));
        }
        place.log_in(&server.host, "bWU6d3Jvbmc="); // me:wrong
        let wrong = place.build(&["-o", "oci:none"]);
        assert!(
            said(&wrong).contains("denies it as me") && !said(&wrong).contains("wrong"),
            "{}",
            said(&wrong)
        );
        place.log_in(&server.host, "bWU6c2VjcmV0");
        let built = place.build(&["-o", "oci:out", "-o", "docker-archive:out.tar"]);
        assert_eq!(built.status.code(), Some(0), "{door:?}: {}", said(&built));
        let image = samebuild::stored::read_image(&place.dir.path().join("out")).unwrap().image;
        assert_eq!(image.layers.len(), 2);
        assert_eq!(image.config["config"]["Env"][0], "ARCH=amd64");
        let tree = image.tree().unwrap();
        let copy = tree.get(&"copy".into()).map(|inode| inode.kind.clone());
        assert!(matches!(copy, Some(samebuild_image::Kind::File(_))), "{copy:?}");
    }
}

#[test]
fn a_failure_lists_every_place_and_the_next_command() {
    let place = Place::new("FROM 127.0.0.1:1/nobody/here:1\n");
    let failed = place.build(&["-o", "oci:none"]);
    assert_eq!(failed.status.code(), Some(3));
    for part in [
        "build contexts: none was given",
        "local store: ",
        "engine: none was asked for; --engine host",
        "registry: failed to reach 127.0.0.1:1",
        "next: ",
        "--build-context 127.0.0.1:1/nobody/here:1=oci-layout://DIR",
    ] {
        assert!(said(&failed).contains(part), "no {part:?} in {}", said(&failed));
    }
}

#[test]
fn a_name_given_on_the_command_line_goes_before_everything() {
    let server = Server::start(Door::Open);
    Pushed::new(&server, "1", "amd64", "hello");
    let place = Place::new(
        "FROM nowhere.test/x AS one\nRUN false\nFROM alias\nCOPY --from=one /got /got\nCOPY --from=files a/b /b\n",
    );
    let root = place.dir.path();
    std::fs::create_dir_all(root.join("files/a")).unwrap();
    std::fs::write(root.join("files/a/b"), "b").unwrap();
    std::fs::write(root.join("files/secret"), "s").unwrap();
    std::fs::write(root.join("files/.dockerignore"), "secret\n").unwrap();
    std::fs::create_dir_all(root.join("one")).unwrap();
    std::fs::write(root.join("one/got"), "got").unwrap();
    let alias = format!("alias=docker-image://{}/{REPO}:1", server.host);
    let built = place.build(&[
        "--build-context",
        "one=one",
        "--build-context",
        &alias,
        "--build-context",
        "files=files",
        "-t",
        "made:1",
    ]);
    assert_eq!(built.status.code(), Some(0), "{}", said(&built));
    // And the next build finds it by its name.
    let next = root.join("ctx/Dockerfile");
    std::fs::write(next, "FROM made:1\nCOPY --from=docker.io/library/made:1 /b /again\n").unwrap();
    let built = place.build(&["-o", "oci:out"]);
    assert_eq!(built.status.code(), Some(0), "{}", said(&built));
    let tree = samebuild::stored::read_image(&root.join("out")).unwrap().image.tree().unwrap();
    let names: Vec<String> = tree.iter().map(|(at, _, _)| at.to_string()).collect();
    assert_eq!(
        names,
        ["/", "/again", "/b", "/file", "/got"],
        "nothing ignored, nothing of the replaced stage"
    );
    let secret = place.dir.path().join("ctx/Dockerfile");
    std::fs::write(secret, "FROM scratch\nCOPY --from=files secret /\n").unwrap();
    assert_eq!(place.build(&["--build-context", "files=files", "-o", "oci:none"]).status.code(), Some(1));
}

#[test]
fn an_image_for_another_platform_is_built_where_nothing_runs_in_it() {
    let place = Place::new(
        "FROM scratch\nARG TARGETPLATFORM\nARG BUILDARCH\nLABEL t=$TARGETPLATFORM b=$BUILDARCH\nCOPY Dockerfile /\n",
    );
    let built = place.build(&["--platform", "arm64", "-o", "oci:out"]);
    assert_eq!(built.status.code(), Some(0), "{}", said(&built));
    let image = samebuild::stored::read_image(&place.dir.path().join("out")).unwrap().image;
    assert_eq!(image.config["architecture"], "arm64");
    assert_eq!(image.config["config"]["Labels"]["t"], "linux/arm64");
    assert_ne!(image.config["config"]["Labels"]["b"], "arm64");
    std::fs::write(place.dir.path().join("ctx/Dockerfile"), "FROM scratch\nCOPY Dockerfile /\nRUN x\n")
        .unwrap();
    let refused = place.build(&["--platform", "linux/s390x", "-o", "oci:none"]);
    assert!(said(&refused).contains("RUN is for linux/s390x"), "{}", said(&refused));
    assert_eq!(refused.status.code(), Some(3));
    let odd = place.build(&["--platform", "a/b/c/d", "-o", "oci:none"]);
    assert!(odd.status.code() == Some(2) && said(&odd).contains("linux/arm/v7"), "{}", said(&odd));
}
