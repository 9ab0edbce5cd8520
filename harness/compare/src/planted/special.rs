//! Pairs of next to nothing that differ in one choice of representation. What a person wants to be told of each is in
//! `fixtures/special/`, written down before it was looked at.

use std::io;

use samebuild_image::{Compression, Digest};
use serde_json::{Value, json};

use super::archive::{self, Stored};
use super::oci::{DOCKER, DOCKER_LIST, OCI_LIST, Oci};
use super::tape::{Member, tar};

/// A pair, both sides as archives.
#[derive(Clone, Debug)]
pub struct Special {
    pub name: &'static str,
    pub left: Vec<u8>,
    pub right: Vec<u8>,
}

/// Every pair.
///
/// # Errors
/// None: what is written is written to memory.
pub fn pairs() -> io::Result<Vec<Special>> {
    let base =
        || vec![Member::dir("d"), text("d/f1", "one\n"), text("d/f2", "two\n"), text("e", &"x".repeat(50))];
    let of = |members: Vec<Member>| Made::of(vec![members]);
    let plain = || of(base());
    let each = |change: &dyn Fn(Member) -> Member| of(base().into_iter().map(change).collect());
    let more = |members: Vec<Member>| base().into_iter().chain(members).collect::<Vec<_>>();
    let swapped = |a: usize, b: usize| {
        let mut members = base();
        members.swap(a, b);
        of(members)
    };
    let dotted = |member: Member| Member { name: [b"./", &member.name[..]].concat(), ..member };
    let half = |member: Member| match &member.name[..] {
        b"d/f1" => member.record("mtime", *b"1700000000.5"),
        _ => member,
    };
    let stored = |oci: Oci| Made { oci: Some(oci), ..plain() };
    let rows: Vec<(&'static str, Made, Made)> = vec![
        ("identical", plain(), plain()),
        ("gzip_level", plain().packed(Packed::Fast), plain().packed(Packed::Best)),
        ("gzip_vs_none", plain().packed(Packed::Gzip), plain()),
        ("gzip_vs_zstd", plain().packed(Packed::Gzip), plain().packed(Packed::Zstd)),
        ("entry_order", plain(), swapped(1, 2)),
        ("tar_format_gnu", plain(), each(&|member| Member { gnu: true, ..member })),
        ("dot_slash", plain(), each(&dotted)),
        ("root_entry", plain(), of([vec![Member::dir(".")], base()].concat())),
        ("no_parent_entry", plain(), of(base().split_off(1))),
        ("subsecond_mtime", plain(), each(&half)),
        ("duplicate_entry", plain(), of(more(vec![text("d/f1", "one\n")]))),
        (
            "file_in_other_layer",
            Made::of(vec![base(), vec![text("g", "g")]]),
            Made::of(vec![more(vec![text("g", "g")]), vec![text("h", "h")]]),
        ),
        (
            "squashed_equal_rootfs",
            Made::of(vec![base(), vec![Member::dir("d"), marker("d/.wh.f1"), text("n", "n")]]),
            of(vec![Member::dir("d"), text("d/f2", "two\n"), text("e", &"x".repeat(50)), text("n", "n")]),
        ),
        ("empty_extra_layer", plain(), Made::of(vec![base(), vec![]])),
        ("layer_split", plain(), Made::of(vec![base()[..2].to_vec(), base()[2..].to_vec()])),
        (
            "whiteout_vs_rebuild",
            Made::of(vec![base(), vec![Member::dir("d"), marker("d/.wh..wh..opq"), text("d/f2", "two\n")]]),
            Made::of(vec![base(), vec![Member::dir("d"), marker("d/.wh.f1")]]),
        ),
        (
            "hardlink_order",
            of(vec![text("a", "z"), Member::hardlink("b", "a")]),
            of(vec![text("b", "z"), Member::hardlink("a", "b")]),
        ),
        ("env_order", plain(), plain().runtime("Env", json!(["B=2", "A=1"]))),
        ("label_order", plain(), plain().runtime("Labels", json!({ "y": "2", "x": "1" }))),
        ("null_vs_empty_cmd", plain().runtime("Cmd", Value::Null), plain().runtime("Cmd", json!([]))),
        ("created_only", plain(), plain().top("created", json!("2024-01-01T00:00:00Z"))),
        (
            "history_comment",
            plain(),
            plain()
                .top("history", json!([{ "created": CREATED, "created_by": "L0", "comment": "buildkit" }])),
        ),
        ("healthcheck", plain(), plain().runtime("Healthcheck", json!({ "Test": ["NONE"] }))),
        ("arch", plain(), plain().top("architecture", json!("arm64"))),
        ("exposed_port", plain(), plain().runtime("ExposedPorts", json!({ "80/tcp": {} }))),
        ("space_in_name", of(vec![text("a b", "1")]), of(vec![text("a b", "2")])),
        ("nonutf8_name", of(vec![Member::file(*b"n\xff", *b"1")]), of(vec![Member::file(*b"n\xff", *b"2")])),
        ("sparse_truncated", plain(), plain().cut(700)),
        // Beyond the 28: what only a manifest or the header of a tar shows.
        ("owner_name", plain(), each(&|member| Member { uname: "", ..member })),
        ("extra_records", plain(), each(&|member| member.record("comment", *b"made on a tuesday"))),
        (
            "stored_sparse",
            of(more(vec![Member::file(*b"s", *b"abc\0\0\0\0def")])),
            of(more(vec![
                Member::file(*b"s", *b"abcdef")
                    .record("GNU.sparse.map", *b"0,3,7,3")
                    .record("GNU.sparse.size", *b"10"),
            ])),
        ),
        ("media_type", stored(Oci::default()), stored(Oci { media: DOCKER, ..Oci::default() })),
        ("annotation", stored(annotated("a")), stored(annotated("b"))),
        (
            "annotation_of_index",
            stored(Oci { index: indexed("a"), ..leg() }),
            stored(Oci { index: indexed("b"), ..leg() }),
        ),
        (
            "index_media_type",
            stored(leg()),
            stored(Oci { index: json!({ "mediaType": DOCKER_LIST }), ..leg() }),
        ),
        (
            "index_platforms",
            stored(leg()),
            stored(Oci { beside: vec![], index: json!({ "mediaType": OCI_LIST }), ..leg() }),
        ),
        (
            "index_attestation",
            stored(leg()),
            stored(Oci { beside: [leg().beside, vec![attestation()]].concat(), ..leg() }),
        ),
        (
            "subject",
            stored(Oci::default()),
            stored(Oci { manifest: json!({ "subject": { "digest": "sha256:0" } }), ..Oci::default() }),
        ),
        (
            "layer_urls",
            stored(Oci::default()),
            stored(Oci { layer: json!({ "urls": ["https://a.test/b"] }), ..Oci::default() }),
        ),
    ];
    rows.into_iter()
        .map(|(name, left, right)| {
            Ok(Special { name, left: left.archive("left")?, right: right.archive("right")? })
        })
        .collect()
}

const CREATED: &str = "2023-11-14T22:13:20Z";

#[derive(Clone, Copy)]
enum Packed {
    Plain,
    Fast,
    Gzip,
    Best,
    Zstd,
}

/// An image to be.
struct Made {
    layers: Vec<Vec<Member>>,
    packed: Packed,
    cut: Option<usize>,
    config: Value,
    oci: Option<Oci>,
}

fn annotated(by: &str) -> Oci {
    Oci { manifest: json!({ "annotations": { "made.by": by } }), ..Oci::default() }
}

/// An index that says who made it.
fn indexed(by: &str) -> Value {
    json!({ "annotations": { "made.by": by } })
}

/// An image for one platform of two.
fn leg() -> Oci {
    let other = json!({ "architecture": "arm64", "os": "linux" });
    Oci { beside: vec![json!({ "platform": other })], ..Oci::default() }
}

fn attestation() -> Value {
    json!({
        "platform": { "architecture": "unknown", "os": "unknown" },
        "annotations": { "vnd.docker.reference.type": "attestation-manifest" },
    })
}

impl Made {
    fn of(layers: Vec<Vec<Member>>) -> Self {
        let history: Vec<Value> = (0..layers.len())
            .map(|number| json!({ "created": CREATED, "created_by": format!("L{number}") }))
            .collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "config": { "Env": ["A=1", "B=2"], "Labels": { "x": "1", "y": "2" } },
            "history": history,
        });
        Self { layers, packed: Packed::Plain, cut: None, config, oci: None }
    }

    fn packed(self, packed: Packed) -> Self {
        Self { packed, ..self }
    }

    fn cut(self, len: usize) -> Self {
        Self { cut: Some(len), ..self }
    }

    fn runtime(mut self, field: &str, value: Value) -> Self {
        self.config["config"][field] = value;
        self
    }

    fn top(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    fn archive(&self, tag: &str) -> io::Result<Vec<u8>> {
        let layers = self.layers.iter().map(|members| self.store(members));
        let layers = layers.collect::<io::Result<Vec<Stored>>>()?;
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = archive::with_layers(self.config.clone(), &diff_ids);
        if let Some(oci) = &self.oci {
            let layers: Vec<Vec<u8>> = layers.into_iter().map(|layer| layer.bytes).collect();
            return oci.write(&config, &layers);
        }
        let sizes: Vec<u64> = layers.iter().map(|layer| layer.bytes.len() as u64).collect();
        let mut out = Vec::new();
        archive::docker(&mut out, &format!("special:{tag}"), &config, &sizes, &mut |number, out| {
            out.write_all(&layers[number].bytes)
        })?;
        Ok(out)
    }

    fn store(&self, members: &[Member]) -> io::Result<Stored> {
        let mut tar = tar(members);
        if let Some(len) = self.cut {
            tar.truncate(len);
        }
        let bytes = match self.packed {
            Packed::Plain => tar.clone(),
            Packed::Fast => archive::gzip(&tar, 1)?,
            Packed::Gzip => archive::compress(&tar, Compression::Gzip)?,
            Packed::Best => archive::gzip(&tar, 9)?,
            Packed::Zstd => archive::compress(&tar, Compression::Zstd)?,
        };
        Ok(Stored { diff_id: Digest::of(&tar), bytes })
    }
}

fn text(name: &str, text: &str) -> Member {
    Member::file(name, text)
}

/// A whiteout, whole or of one entry.
fn marker(name: &str) -> Member {
    Member::of(name, b'0', 0)
}
