//! Stored images: what is written is read, what others write is read too, and whatever is damaged or missing is named.

use std::sync::Arc;

use samebuild_image::archive::{self, ArchiveOptions};
use samebuild_image::files::Memory;
use samebuild_image::layer_write::write;
use samebuild_image::layout::{self, LayoutOptions, blob_name};
use samebuild_image::manifest::Media;
use samebuild_image::read::{self, Loaded, ReadError, ReadOptions, Warning};
use samebuild_image::{
    At, Bytes, Compression, Content, Digest, Entry, Image, Kind, Layer, Meta, Mtime, SaveError, Source,
    TarStyle,
};
use serde_json::{Value, json};

fn file(path: &str, bytes: &[u8]) -> Entry {
    Entry::new(At::from(path), Kind::File(Content::inline(bytes)), Meta::new(0o644, Mtime::secs(1)))
}

fn image() -> Image {
    let layer = |entries: Vec<Entry>| Layer { entries, ..Layer::default() };
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["sh"]}, "x-odd": 1});
    let empty = layer(vec![]);
    Image {
        config: config.as_object().unwrap().clone(),
        layers: vec![layer(vec![file("a", b"a"), file("big", &[7; 70_000])]), empty.clone(), empty],
        annotations: [("k".to_owned(), "v".to_owned())].into(),
    }
}

fn layout_options(compression: Compression) -> LayoutOptions {
    LayoutOptions { name: Some("1".to_owned()), style: TarStyle::PLAIN, compression, media: Media::Oci }
}

fn as_layout(compression: Compression) -> Memory {
    let files = Memory::new();
    layout::write(&image(), &files, &layout_options(compression)).unwrap();
    files
}

fn as_archive() -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = ArchiveOptions { names: vec!["t/x:1".to_owned()], style: TarStyle::PLAIN };
    archive::write(&image(), &mut bytes, &options).unwrap();
    bytes
}

fn read_bytes(bytes: impl Into<Arc<[u8]>>, options: &ReadOptions) -> Result<Loaded, ReadError> {
    read::image(Arc::new(Bytes::new(bytes)), options)
}

/// A tar of these files.
fn tar_of(files: &[(String, Arc<[u8]>)]) -> Vec<u8> {
    let entries: Vec<Entry> = files.iter().map(|(name, bytes)| file(name, bytes)).collect();
    tar(&entries)
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(entries, TarStyle::PLAIN, Compression::None, &mut bytes).unwrap();
    bytes
}

#[track_caller]
fn is_the_image(loaded: &Loaded) {
    let tree = loaded.image.tree().unwrap();
    let contents: Vec<(String, u64, Digest)> = tree
        .iter()
        .filter_map(|(at, _, inode)| match &inode.kind {
            Kind::File(content) => {
                let bytes = content.read_up_to(1 << 20).unwrap().unwrap();
                assert_eq!(Digest::of(&bytes), content.digest().unwrap(), "{at}");
                Some((at.to_string(), content.size(), content.digest().unwrap()))
            }
            _ => None,
        })
        .collect();
    let a = ("/a".to_owned(), 1, Digest::of(b"a"));
    let big = ("/big".to_owned(), 70_000, Digest::of(&[7; 70_000]));
    assert_eq!(contents, [a, big]);
    assert_eq!(loaded.image.layers.len(), 3);
    assert_eq!(loaded.image.config["x-odd"], 1);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_layout_comes_back_however_it_is_compressed_and_is_the_same_every_time() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let files = as_layout(compression);
        assert_eq!(files.all(), as_layout(compression).all());
        let loaded = read::layout(&files, &ReadOptions::default()).unwrap();
        is_the_image(&loaded);
        assert_eq!(loaded.names, ["1"]);
        assert_eq!(loaded.image.annotations["k"], "v");
        assert!(
            loaded
                .image
                .layers
                .iter()
                .all(|layer| layer.blob.as_ref().is_some_and(|blob| blob.1 == compression))
        );
    }
}

#[test]
fn an_archive_comes_back_and_is_the_same_every_time() {
    let loaded = read_bytes(as_archive(), &ReadOptions::default()).unwrap();
    is_the_image(&loaded);
    assert_eq!(loaded.names, ["t/x:1"]);
    assert_eq!(as_archive(), as_archive());
    let layout = read::layout(&as_layout(Compression::None), &ReadOptions::default()).unwrap();
    assert_eq!(loaded.config, layout.config, "both name the same configuration");
}

#[test]
fn a_tar_of_a_layout_is_read_in_place() {
    let bytes = tar_of(&as_layout(Compression::Gzip).all());
    is_the_image(&read_bytes(bytes, &ReadOptions::default()).unwrap());
}

#[test]
fn stored_layers_are_written_again_as_they_are() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let first = as_layout(compression);
        let loaded = read::layout(&first, &ReadOptions::default()).unwrap();
        let second = Memory::new();
        layout::write(&loaded.image, &second, &layout_options(Compression::None)).unwrap();
        assert_eq!(first.all(), second.all());
        let mut archive = Vec::new();
        let options = ArchiveOptions { names: vec!["t/x:1".to_owned()], style: TarStyle::TYPED };
        archive::write(&loaded.image, &mut archive, &options).unwrap();
        assert_eq!(
            archive,
            as_archive(),
            "an archive of them is the same, whatever they were compressed with"
        );
    }
}

#[test]
fn every_file_that_is_missing_is_named() {
    let whole = as_layout(Compression::Gzip);
    for (name, _) in whole.all().into_iter().filter(|(name, _)| name != "oci-layout") {
        let files = as_layout(Compression::Gzip);
        files.remove(&name);
        let error = read::layout(&files, &ReadOptions::default()).unwrap_err();
        assert!(matches!(&error, ReadError::Missing { name: missing, .. } if *missing == name), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_any_blob_is_a_digest_mismatch() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        for (name, bytes) in as_layout(compression).all() {
            if !name.starts_with("blobs/") {
                continue;
            }
            for at in [0, bytes.len() / 2, bytes.len() - 1] {
                let files = as_layout(compression);
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 4;
                files.insert(&name, damaged);
                let error = read::layout(&files, &ReadOptions::default()).unwrap_err();
                assert!(matches!(error, ReadError::DigestMismatch { .. }), "{name} at {at}: {error}");
            }
        }
    }
}

#[test]
fn a_blob_cut_anywhere_is_truncated() {
    for (name, bytes) in as_layout(Compression::Gzip).all() {
        for len in (0..bytes.len()).filter(|_| name.starts_with("blobs/")) {
            let files = as_layout(Compression::Gzip);
            files.insert(&name, &bytes[..len]);
            let error = read::layout(&files, &ReadOptions::default()).unwrap_err();
            assert!(matches!(error, ReadError::Truncated { .. }), "{name} cut at {len}: {error}");
        }
    }
}

#[test]
fn an_archive_cut_anywhere_is_truncated() {
    let bytes = as_archive();
    let steps =
        (0..bytes.len()).step_by(97).chain((0..bytes.len()).filter(|at| matches!(at % 512, 0 | 1 | 511)));
    for len in steps {
        let error = read_bytes(&bytes[..len], &ReadOptions::default()).unwrap_err();
        assert!(error.is_truncation(), "cut at {len}: {error}");
    }
}

/// Docker 20.10 writes `<id>/layer.tar`, and a symbolic link to the first for a layer that comes again.
#[test]
fn an_old_docker_save_with_linked_layers_is_read() {
    let (one, empty) = (tar(&image().layers[0].entries), tar(&[]));
    let ids: Vec<Digest> = [&one, &empty, &empty].map(|bytes| Digest::of(bytes)).to_vec();
    let mut config = image().config;
    config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": ids}));
    let config = serde_json::to_vec(&config).unwrap();
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let layers = ["aa/layer.tar", "bb/layer.tar", "cc/layer.tar"];
    let manifest = json!([{"Config": config_name, "RepoTags": null, "Layers": layers}]).to_string();
    let link = Kind::Symlink(b"../bb/layer.tar".to_vec());
    let archive = tar(&[
        Entry::new(At::from("aa"), Kind::Dir, Meta::new(0o755, Mtime::secs(0))),
        file("aa/VERSION", b"1.0"),
        file("aa/layer.tar", &one),
        file("bb/layer.tar", &empty),
        Entry::new(At::from("cc/layer.tar"), link, Meta::new(0o777, Mtime::secs(0))),
        file(&config_name, &config),
        file("manifest.json", manifest.as_bytes()),
    ]);
    is_the_image(&read_bytes(archive.clone(), &ReadOptions::default()).unwrap());

    let loop_of = Kind::Symlink(b"../cc/layer.tar".to_vec());
    let looping = Entry::new(At::from("cc/layer.tar"), loop_of, Meta::new(0o777, Mtime::secs(0)));
    let looping = tar(&[
        file(&config_name, &config),
        file("manifest.json", manifest.as_bytes()),
        looping,
        file("aa/layer.tar", &one),
        file("bb/layer.tar", &empty),
    ]);
    let error = read_bytes(looping, &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("leads nowhere"), "{error}");
}

/// Docker 25 and later write a layout, and a manifest.json that names its blobs; kaniko names the configuration by its
/// digest and compresses layers.
#[test]
fn blobs_named_by_manifest_json_are_read_compressed_or_not() {
    for compression in [Compression::None, Compression::Gzip] {
        let files = as_layout(compression);
        let loaded = read::layout(&files, &ReadOptions::default()).unwrap();
        let layers: Vec<String> = loaded
            .image
            .layers
            .iter()
            .map(|layer| {
                let source = &layer.blob.as_ref().unwrap().0;
                let bytes = source.open(0, source.size().unwrap()).unwrap();
                blob_name(&Digest::of_reader(bytes).unwrap().0)
            })
            .collect();
        let row =
            json!({"Config": blob_name(&loaded.config), "RepoTags": ["t/x:1", "t/y:2"], "Layers": layers});
        files.insert("manifest.json", json!([row]).to_string().into_bytes());
        let named = ReadOptions { name: Some("t/y:2".to_owned()), ..ReadOptions::default() };
        is_the_image(&read_bytes(tar_of(&files.all()), &named).unwrap());

        let config = files.remove(&blob_name(&loaded.config)).unwrap();
        let name = loaded.config.to_string();
        files.insert(&name, config);
        let row = json!({"Config": name, "RepoTags": ["t/x:1"], "Layers": layers});
        files.insert("manifest.json", json!([row]).to_string().into_bytes());
        is_the_image(&read_bytes(tar_of(&files.all()), &ReadOptions::default()).unwrap());
    }
}

/// index.json of a layout whose one image is there for several platforms, with an attestation as buildx adds it.
fn with_platforms(platforms: &[&str]) -> Memory {
    let files = as_layout(Compression::None);
    let index = files.remove("index.json").unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let manifest = serde_json::to_vec(&index["manifests"][0]).unwrap();
    let mut entries = Vec::new();
    for platform in platforms {
        let mut entry: Value = serde_json::from_slice(&manifest).unwrap();
        let (os, architecture) = platform.split_once('/').unwrap();
        let bytes = files
            .all()
            .into_iter()
            .find(|(name, _)| name.ends_with(&entry["digest"].as_str().unwrap()[7..]))
            .unwrap()
            .1;
        let mut own: Value = serde_json::from_slice(&bytes).unwrap();
        own["annotations"] = json!({"for": platform});
        let own = own.to_string().into_bytes();
        files.insert(&blob_name(&Digest::of(&own)), own.clone());
        entry["digest"] = json!(Digest::of(&own));
        entry["size"] = json!(own.len());
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry["annotations"] = json!(null);
        entries.push(entry);
    }
    entries.push(
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::of(b"att"),
        "size": 3, "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
    );
    let inner = json!({"schemaVersion": 2, "manifests": entries}).to_string().into_bytes();
    let entry = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": Digest::of(&inner),
        "size": inner.len(), "annotations": {"org.opencontainers.image.ref.name": "1"}});
    files.insert(&blob_name(&Digest::of(&inner)), inner);
    files.insert("index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes());
    files
}

#[test]
fn the_platform_that_is_asked_for_is_chosen_from_a_nested_index() {
    let files = with_platforms(&["linux/arm64", "linux/amd64"]);
    let read = |platform: Option<&str>| {
        let platform = platform.map(|text| text.parse().unwrap());
        read::layout(&files, &ReadOptions { platform, ..ReadOptions::default() })
    };
    assert_eq!(read(None).unwrap().image.annotations["for"], "linux/amd64");
    assert_eq!(read(Some("linux/arm64")).unwrap().image.annotations["for"], "linux/arm64");
    let error = read(Some("windows/amd64")).unwrap_err().to_string();
    assert!(error.contains("windows/amd64") && error.contains("(linux/arm64)"), "{error}");
}

#[test]
fn the_only_image_is_taken_whatever_its_platform_unless_one_is_asked_for() {
    let files = with_platforms(&["linux/arm64"]);
    assert!(read::layout(&files, &ReadOptions::default()).is_ok());
    let platform = Some("linux/amd64".parse().unwrap());
    assert!(read::layout(&files, &ReadOptions { platform, ..ReadOptions::default() }).is_err());
}

#[test]
fn a_name_that_is_not_there_lists_those_that_are() {
    let options = ReadOptions { name: Some("nope".to_owned()), ..ReadOptions::default() };
    for error in [
        read::layout(&as_layout(Compression::None), &options).unwrap_err(),
        read_bytes(as_archive(), &options).unwrap_err(),
    ] {
        assert!(matches!(&error, ReadError::NoSuchImage { have, .. } if have.len() == 1), "{error}");
    }
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_a_digest_mismatch() {
    let files = as_layout(Compression::None);
    let loaded = read::layout(&files, &ReadOptions::default()).unwrap();
    let mut changed = loaded.image.clone();
    changed.config["rootfs"]["diff_ids"][1] = json!(Digest::of(b"else"));
    let error = layout::write(&changed, &Memory::new(), &layout_options(Compression::None)).unwrap_err();
    assert!(matches!(error, SaveError::ConfigDiffIds { layers: 3 }), "{error}");

    let mut swapped = loaded.image;
    swapped.layers[1] = Layer { entries: vec![file("z", b"z")], ..swapped.layers[1].clone() };
    swapped.layers[1].blob = None;
    let error = layout::write(&swapped, &Memory::new(), &layout_options(Compression::None)).unwrap_err();
    assert!(matches!(error, SaveError::DiffId { layer: 1, .. }), "{error}");
}

#[test]
fn a_tar_without_its_end_is_accepted_with_a_warning_where_its_digest_is_right() {
    let mut layer = tar(&image().layers[0].entries);
    layer.truncate(layer.len() - 1024);
    let config = json!({"rootfs": {"diff_ids": [Digest::of(&layer)]}}).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": [], "Layers": ["l"]}]).to_string();
    let archive = |layer: &[u8]| {
        let files =
            [file("c.json", config.as_bytes()), file("manifest.json", manifest.as_bytes()), file("l", layer)];
        read_bytes(tar(&files), &ReadOptions::default())
    };
    let warnings = archive(&layer).unwrap().warnings;
    assert_eq!(warnings, [Warning::NoEnd { layer: 0 }]);
    assert!(warnings[0].to_string().starts_with("layer 1: "), "people count from 1: {}", warnings[0]);
    let error = archive(&layer[..1024]).unwrap_err();
    assert!(matches!(error, ReadError::DigestMismatch { .. }), "{error}");
}

/// A small layer listed a million times costs nothing on disk and everything in memory.
#[test]
fn a_layer_that_is_repeated_without_end_meets_the_limit() {
    let files = as_layout(Compression::None);
    let mut options = ReadOptions::default();
    options.layers.limits.entries = 2;
    assert!(read::layout(&files, &options).is_ok());
    let mut loaded = read::layout(&files, &options).unwrap().image;
    loaded.layers = vec![loaded.layers[0].clone(); 2];
    loaded.config.shift_remove("rootfs");
    let twice = Memory::new();
    layout::write(&loaded, &twice, &layout_options(Compression::None)).unwrap();
    let error = read::layout(&twice, &options).unwrap_err();
    assert!(matches!(error, ReadError::TooMany { limit: 2, .. }), "{error}");
}

#[test]
fn what_is_no_image_says_what_is_accepted() {
    let error = read_bytes(tar(&[file("etc/passwd", b"")]), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("docker save"), "{error}");
    let mut gzip = Vec::new();
    write(&[], TarStyle::PLAIN, Compression::Gzip, &mut gzip).unwrap();
    let error = read_bytes(gzip, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("gunzip"), "{error}");
    let files = as_layout(Compression::None);
    files.insert("index.json", *b"{\"schemaVersion\": 2, \"manifests\": [{}]}");
    let error = read::layout(&files, &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, ReadError::BadJson { .. }), "{error}");
}

#[test]
fn a_failing_disk_is_an_error_of_the_layer_and_no_image_is_kept() {
    struct Failing;
    impl Source for Failing {
        fn open(&self, _: u64, _: u64) -> std::io::Result<Box<dyn std::io::Read + Send + '_>> {
            Err(std::io::Error::other("disk on fire"))
        }
        fn size(&self) -> std::io::Result<u64> {
            Ok(3)
        }
        fn name(&self) -> String {
            "failing".to_owned()
        }
    }
    let mut image = image();
    let content = Content::lazy(Arc::new(Failing), 0, 3);
    image.layers[0].entries.push(Entry { kind: Kind::File(content), ..file("f", b"") });
    let files = Memory::new();
    let error = layout::write(&image, &files, &layout_options(Compression::Gzip)).unwrap_err().to_string();
    assert!(error.contains("layer 1") && error.contains("/f") && error.contains("disk on fire"), "{error}");
    let kept: Vec<String> = files.all().into_iter().map(|(name, _)| name).collect();
    assert!(
        kept.iter().all(|name| name.starts_with("blobs/")),
        "whole layers at most, and nothing names them: {kept:?}"
    );
}
