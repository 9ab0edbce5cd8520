//! What `samebuild diff` can be given beside files of its own making: names in a registry, of one image and of several platforms,
//! with attestations; from a small registry that misbehaves on demand. Engines are in `images_live.rs`.

#[expect(dead_code, reason = "no base image is needed here")]
mod place;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use place::Place;
use registry_server::{Door, Fault, Server, tar_of};
use samebuild_image::Digest;
use samebuild_image::manifest::{Media, Role};
use serde_json::{Value, json};

const REPO: &str = "some/where";

/// Images in a registry, or a layout with the same blobs, whichever is asked for.
struct Shelf {
    server: Server,
    place: Place,
    index: Vec<Value>,
}

impl Shelf {
    fn new(door: Door) -> Self {
        let place = Place::of(&[("docker/config.json", "{}")]);
        Self { server: Server::start(door), place, index: Vec::new() }
    }

    /// An image of one file: its descriptor.
    fn image(&mut self, architecture: &str, text: &str) -> Value {
        let layer = tar_of(text);
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] },
            "history": [{ "created_by": "COPY file / # buildkit" }],
        });
        let layer = self.put(&layer, "application/vnd.oci.image.layer.v1.tar", "blobs");
        let config = self.put(config.to_string().as_bytes(), Role::Config.media_type(Media::Oci), "blobs");
        let media_type = Role::Manifest.media_type(Media::Oci);
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] });
        let mut entry = self.put(manifest.to_string().as_bytes(), media_type, "manifests");
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        self.index.push(entry.clone());
        entry
    }

    /// A manifest that attests to the last image.
    fn attest(&mut self) {
        let manifest = json!({ "schemaVersion": 2, "config": {}, "layers": [] }).to_string();
        let mut entry = self.put(manifest.as_bytes(), Role::Manifest.media_type(Media::Oci), "manifests");
        entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        entry["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
        self.index.push(entry);
    }

    /// Closes the index of all images since the last: its tag in the registry, and the layout `NAME` on disk.
    fn close(&mut self, name: &str) -> String {
        let media_type = Role::Index.media_type(Media::Oci);
        let entries = std::mem::take(&mut self.index);
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries }).to_string();
        self.server.add(&format!("{REPO}/manifests/{name}"), media_type, index.as_bytes());
        let dir = self.place.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("index.json"), index).unwrap();
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        copy(&self.place.path().join("blobs"), &dir.join("blobs/sha256"));
        self.name(name)
    }

    fn put(&self, bytes: &[u8], media_type: &str, kind: &str) -> Value {
        let digest = Digest::of(bytes);
        self.server.add(&format!("{REPO}/{kind}/{digest}"), media_type, bytes);
        let blobs = self.place.path().join("blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    fn tag(&self, tag: &str, entry: &Value) -> String {
        let bytes = std::fs::read(self.place.path().join("blobs").join(hex(entry))).unwrap();
        self.server.add(&format!("{REPO}/manifests/{tag}"), Role::Manifest.media_type(Media::Oci), &bytes);
        self.name(tag)
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/{REPO}:{tag}", self.server.host)
    }

    /// `samebuild diff` with these arguments: exit code, stdout, stderr.
    fn diff(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = self.place.command(&[&["diff"], args].concat());
        let output = command.env("DOCKER_CONFIG", self.place.path().join("docker")).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn log_in(&self) {
        // me:secret
        let config = json!({ "auths": { self.server.host.clone(): { "auth": "bWU6c2VjcmV0" } } });
        std::fs::write(self.place.path().join("docker/config.json"), config.to_string()).unwrap();
    }
}

fn hex(entry: &Value) -> String {
    entry["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn images_of_a_registry_are_compared_by_tag_and_digest_and_their_digests_are_taken() {
    let mut shelf = Shelf::new(Door::Open);
    let (one, two) = (shelf.image("amd64", "one"), shelf.image("amd64", "two"));
    let (first, second) = (shelf.tag("1", &one), shelf.tag("2", &two));
    let pinned = format!("registry://{first}@{}", one["digest"].as_str().unwrap());
    let (code, told, said) = shelf.diff(&[&pinned, &second]);
    assert_eq!(code, 1, "{told}{said}");
    assert!(told.contains("/file · content: 3 \"one\" → 3 \"two\""), "{told}");
    assert!(!said.contains("as declared"), "they were taken on the way: {said}");
    let (code, _, said) = shelf.diff(&[&first, &pinned]);
    assert_eq!((code, said.contains("as declared")), (0, false), "{said}");
    shelf.index.clear();
    shelf.index.push(one);
    shelf.close("local");
    let (_, _, said) = shelf.diff(&["local", "local"]);
    assert!(said.contains("digests as declared"), "a file is believed: {said}");
    let (_, _, said) = shelf.diff(&["local", "local", "--verify", "digest"]);
    assert!(!said.contains("as declared"), "{said}");
}

#[test]
fn a_registry_that_asks_who_we_are_is_told_or_the_next_command_is() {
    let mut shelf = Shelf::new(Door::Token);
    let one = shelf.image("amd64", "one");
    let name = shelf.tag("1", &one);
    let (code, _, said) = shelf.diff(&[&name, &name]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("denies it") && said.contains("docker login"), "{said}");
    shelf.log_in();
    let (code, _, said) = shelf.diff(&[&name, &name]);
    assert_eq!(code, 0, "{said}");
    for (name, parts) in [
        (shelf.name("none"), "no such image"),
        ("registry://Not A Name".to_owned(), "accepted: [HOST[:PORT]/]NAME"),
        ("127.0.0.1:1/some/where:1".to_owned(), "reach 127.0.0.1:1"),
    ] {
        let (code, told, said) = shelf.diff(&[&name, &name]);
        assert!(code > 1 && told.is_empty(), "{code}: {told}");
        assert!(said.contains(parts) && said.contains("error: failed to "), "{said}");
    }
}

#[test]
fn a_layer_that_a_registry_damages_is_an_error_and_no_deleted_file() {
    let mut shelf = Shelf::new(Door::Open);
    let (one, two) = (shelf.image("amd64", "one"), shelf.image("amd64", &"two".repeat(5000)));
    let (one, two) = (shelf.tag("1", &one), shelf.tag("2", &two));
    let layer = shelf.server.largest(&format!("{REPO}/blobs/"));
    for (fault, parts) in [
        (Fault::Flipped, "its digest is not"),
        (Fault::Short, "ended after"),
        (Fault::Missing, "read layer 1 of"),
    ] {
        shelf.server.set_fault(&layer, Some(fault));
        let (code, told, said) = shelf.diff(&[&one, &two]);
        assert_eq!((code, &*told), (3, ""), "{fault:?}: {said}");
        assert!(said.contains(parts), "{fault:?}: {said}");
    }
    shelf.server.set_fault(&layer, None);
    assert_eq!(shelf.diff(&[&one, &two]).0, 1, "nothing of the damage was kept");
}

#[test]
fn each_platform_of_an_index_is_compared_with_its_own_and_attestations_are_set_apart() {
    let mut shelf = Shelf::new(Door::Open);
    for (architecture, text) in [("amd64", "a"), ("arm64", "b")] {
        shelf.image(architecture, text);
        shelf.attest();
    }
    let left = shelf.close("left");
    for (architecture, text) in [("amd64", "a"), ("arm64", "c"), ("riscv64", "d")] {
        shelf.image(architecture, text);
    }
    let right = shelf.close("right");
    for (left, right) in [("left", "right"), (&*left, &*right), ("left", &*right)] {
        let (code, told, said) = shelf.diff(&[left, right, "--all-platforms"]);
        assert_eq!(code, 1, "{told}{said}");
        assert!(told.contains("/file · content: 1 \"b\" → 1 \"c\""), "{told}");
        assert!(!told.contains("\"a\" →"), "amd64 with arm64: {told}");
        assert!(said.contains("linux/riscv64: only the right image is for it"), "{said}");
        assert!(said.contains("left: attestations are set apart and not compared; it has 2"), "{said}");
        assert!(!said.contains("right: attestations"), "{said}");
        let listed = "index of linux/amd64, linux/arm64 and 2 attestations → index of linux/amd64, linux/arm64, linux/riscv64";
        assert!(told.contains(listed), "{told}");
        let (code, told, said) =
            shelf.diff(&[left, right, "--platform", "linux/arm64", "--ignore", "rule=listing"]);
        assert_eq!(code, 1, "{told}{said}");
        assert!(told.contains("\"b\" →"), "{told}");
        let (code, told, said) =
            shelf.diff(&[left, right, "--platform", "linux/amd64", "--ignore", "rule=listing"]);
        assert_eq!(code, 0, "{told}{said}");
        let (code, _, said) = shelf.diff(&[left, right, "--platform", "linux/s390x"]);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("linux/s390x") && said.contains("(linux/arm64)"), "what there is: {said}");
    }
    let (code, _, said) = shelf.diff(&["left", "right", "--platform", "amd64"]);
    assert!(code == 2 && said.contains("os/architecture[/variant]"), "{code}: {said}");
    let plain = shelf.image("amd64", "a");
    let plain = shelf.tag("plain", &plain);
    let (code, _, said) = shelf.diff(&[&plain, &plain, "--all-platforms"]);
    assert!(code == 2 && said.contains("leave --all-platforms out"), "{code}: {said}");
}
