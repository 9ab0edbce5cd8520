//! Pairs of small images, each with one cause.

use std::io::Write as _;

use samebuild_image::{At, Content, Entry, Epochs, Image, Kind, Layer, Meta, Mtime};
use serde_json::{Value, json};

/// Two images that differ for one reason.
pub struct Pair {
    pub cause: &'static str,
    pub make: fn() -> (Image, Image),
    /// What is said of it, or of its first row.
    pub says: &'static str,
}

const fn pair(cause: &'static str, says: &'static str, make: fn() -> (Image, Image)) -> Pair {
    Pair { cause, make, says }
}

/// The moments that have names in these images.
pub const EPOCHS: Epochs =
    Epochs { base: None, context: Some(50), source_date: None, now: Some((5000, 6000)) };

const T: i64 = 100;

/// Every pair.
pub const PAIRS: &[Pair] = &[
    pair("other-platform", "", || of(json!({"architecture": "amd64"}), json!({"architecture": "arm64"}))),
    pair("missing-whiteout", "only the left image deletes /d; 2 paths below it", || {
        let below = || vec![dir("d"), file("d/a", "a"), file("d/b", "b")];
        (
            layers(vec![below(), vec![file("x", ""), fifo(".wh.d")]]),
            layers(vec![below(), vec![file("x", "")]]),
        )
    }),
    pair("opaque-form", "in /d", || {
        let below = || vec![dir("d"), file("d/a", "a"), file("d/b", "b")];
        let (opaque, each) = (
            vec![dir("d"), file("d/.wh..wh..opq", "")],
            vec![dir("d"), file("d/.wh.a", ""), file("d/.wh.b", "")],
        );
        (layers(vec![below(), opaque]), layers(vec![below(), each]))
    }),
    pair("whiteout-of-nothing", "", || {
        (
            layers(vec![vec![file("a", "")], vec![file("b", ""), file(".wh.c", "")]]),
            layers(vec![vec![file("a", "")], vec![file("b", "")]]),
        )
    }),
    pair("whiteout-metadata", "", || {
        let with = |mode| layers(vec![vec![file("a", "")], vec![mode_of(file(".wh.a", ""), mode)]]);
        (with(0), with(0o600))
    }),
    pair("empty-layer", "", || {
        (layers(vec![vec![file("a", "")], vec![]]), layers(vec![vec![file("a", "")]]))
    }),
    pair("layer-count", "", || {
        (
            layers(vec![vec![file("a", "")], vec![file("b", "")]]),
            layers(vec![vec![file("a", ""), file("b", "")]]),
        )
    }),
    pair("other-layer", "", || {
        (
            layers(vec![vec![file("a", ""), file("b", "")], vec![file("c", "")]]),
            layers(vec![vec![file("a", "")], vec![file("b", ""), file("c", "")]]),
        )
    }),
    pair("repeated-file", "only the left layer has it", || {
        let below = || vec![file("a", "a"), file("b", "b")];
        (
            layers(vec![below(), vec![file("a", "a"), file("c", "")]]),
            layers(vec![below(), vec![file("c", "")]]),
        )
    }),
    pair("parent-entries", "only the right layer lists them", || {
        let below = || vec![dir("d"), file("d/a", "a")];
        (layers(vec![below(), vec![file("d/b", "")]]), layers(vec![below(), vec![dir("d"), file("d/b", "")]]))
    }),
    pair("entry-order", "", || one(vec![file("a", ""), file("b", "")], vec![file("b", ""), file("a", "")])),
    pair("path-spelling", "", || {
        let spelt = Entry { raw: Some(b"./a".to_vec()), ..file("a", "") };
        one(vec![file("a", "")], vec![spelt])
    }),
    pair("name-encoding", "", || one(vec![file("caf\u{e9}", "")], vec![file("cafe\u{301}", "")])),
    pair("tar-headers", "", || {
        let with = |digest: &[u8]| {
            let layer = Layer {
                diff_id: Some(samebuild_image::Digest::of(digest)),
                entries: vec![file("a", "")],
                ..Layer::default()
            };
            Image { layers: vec![layer], ..Image::default() }
        };
        (with(b"1"), with(b"2"))
    }),
    pair("baked-in-key", "", || {
        content(
            "etc/ssh/ssh_host_rsa_key",
            b"-----BEGIN X PRIVATE KEY-----\na",
            b"-----BEGIN X PRIVATE KEY-----\nb",
        )
    }),
    pair("machine-id", "", || content("etc/machine-id", b"1\n", b"2\n")),
    pair("runtime-files", "", || content("etc/hostname", b"a\n", b"b\n")),
    pair("log-left-behind", "", || content("var/log/dpkg.log", b"2026 a", b"2026 b")),
    pair("ld-cache", "inode numbers", || content("var/cache/ldconfig/aux-cache", b"1", b"2")),
    pair("package-lists", "", || content("var/lib/apt/lists/x_Release", b"1", b"2")),
    pair("derived-cache", "", || content("var/cache/fontconfig/x", b"1", b"2")),
    pair("shadow-date", "only the day differs", || {
        content("etc/shadow", b"a:!:19000:0:::\n", b"a:!:19001:0:::\n")
    }),
    pair("password-salt", "", || content("etc/shadow.new", b"a:$6$abc$xyz\n", b"a:$6$def$uvw\n")),
    pair("package-drift", "hello 1.0 → 1.1", || {
        content("var/lib/dpkg/status", b"Package: hello\nVersion: 1.0\n", b"Package: hello\nVersion: 1.1\n")
    }),
    pair("package-files", "hello", || {
        let list =
            |more: &str| file("var/lib/dpkg/info/hello.list", &format!("/usr\n/usr/bin/hello\n{more}"));
        one(
            vec![file("usr/bin/hello", "1"), list("")],
            vec![file("usr/bin/hello", "2"), file("usr/bin/hi", ""), list("/usr/bin/hi\n")],
        )
    }),
    pair("package-database", "", || content("var/lib/rpm/rpmdb.sqlite", b"\x00a", b"\x00b")),
    pair("pyc-header", "the header's time is 1 and 2", || {
        content(
            "a/__pycache__/m.pyc",
            b"\xcb\r\r\n\0\0\0\0\x01\0\0\0\x07\0\0\0code",
            b"\xcb\r\r\n\0\0\0\0\x02\0\0\0\x07\0\0\0code",
        )
    }),
    pair("archive-times", "gzip's header says 1 and 2", || {
        content_of("x", gzip(b"hello", 1, 6), gzip(b"hello", 2, 6))
    }),
    pair("archive-members", "b has other content", || {
        content_of("x.tar", tar(&[("a", "1", 1), ("b", "2", 1)]), tar(&[("a", "1", 1), ("b", "3", 1)]))
    }),
    pair("recompressed", "", || {
        let text = "the same words again and again ".repeat(50);
        content_of("x.gz", gzip(text.as_bytes(), 0, 1), gzip(text.as_bytes(), 0, 9))
    }),
    pair("build-id", "", || {
        let elf = |id: u8| {
            [
                b"\x7fELF\0\0\0\0".as_slice(),
                &[0; 64],
                b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0",
                &[id; 20],
                &[7; 200],
            ]
            .concat()
        };
        content_of("bin/x", elf(1), elf(2))
    }),
    pair("line-ends", "LF on the left, CR LF on the right", || {
        content("run.sh", b"#!/bin/sh\nx\n", b"#!/bin/sh\r\nx\r\n")
    }),
    pair("reordered", "2 lines", || content("list", b"a\nb\n", b"b\na\n")),
    pair("embedded-date", "", || {
        content("version", b"built 2026-11-21T10:00:00Z\n", b"built 2026-11-22T11:12:13Z\n")
    }),
    pair("build-path", "/tmp/b.1/m.c and /tmp/b.2/m.c", || {
        content("x.d", b"x: /tmp/b.1/m.c\n", b"x: /tmp/b.2/m.c\n")
    }),
    pair("changed-content", "first differs at byte 1 of 6", || content("a", b"hello\n", b"hallo\n")),
    pair("one-sided-files", "only on the left: /d and all below", || {
        one(vec![file("a", ""), dir("d"), file("d/x", ""), file("d/y", "")], vec![file("a", "")])
    }),
    pair("other-kind", "file on the left, symlink on the right", || {
        one(vec![file("a", "x")], vec![entry("a", Kind::Symlink(b"b".to_vec()))])
    }),
    pair("device-number", "", || {
        one(
            vec![entry("a", Kind::Char { major: 1, minor: 3 })],
            vec![entry("a", Kind::Char { major: 1, minor: 5 })],
        )
    }),
    pair("link-target", "", || {
        one(vec![entry("a", Kind::Symlink(b"/b".to_vec()))], vec![entry("a", Kind::Symlink(b"b".to_vec()))])
    }),
    pair("hard-link-copied", "", || {
        one(
            vec![file("a", "x"), entry("b", Kind::Hardlink(At::from("a")))],
            vec![file("a", "x"), file("b", "x")],
        )
    }),
    pair("hard-link-carrier", "", || {
        let (left, right) = (
            vec![file("a", "x"), entry("b", Kind::Hardlink(At::from("a")))],
            vec![entry("a", Kind::Hardlink(At::from("b"))), file("b", "x")],
        );
        one(left, right)
    }),
    pair("set-id-bits", "4755 and 0755", || {
        one(vec![mode_of(file("a", ""), 0o4755)], vec![mode_of(file("a", ""), 0o755)])
    }),
    pair("umask", "the bits 022 are the right's only", || {
        one(vec![mode_of(file("a", ""), 0o644)], vec![mode_of(file("a", ""), 0o666)])
    }),
    pair("other-mode", "0644 and 0755", || {
        one(vec![mode_of(file("a", ""), 0o644)], vec![mode_of(file("a", ""), 0o755)])
    }),
    pair("id-map", "right is left +100000", || {
        let with =
            |shift| vec![owned(file("a", ""), shift, shift), owned(file("b", ""), shift + 5, shift + 7)];
        one(with(0), with(100_000))
    }),
    pair("copied-owner", "0:0 and 1000:1000", || {
        let with = |id| built("COPY a /a # buildkit", vec![owned(file("a", ""), id, id)]);
        (with(0), with(1000))
    }),
    pair("other-owner", "5:5 and 6:6", || {
        one(vec![owned(file("a", ""), 5, 5)], vec![owned(file("a", ""), 6, 6)])
    }),
    pair("file-capability", "", || {
        one(vec![attributed("security.capability", b"\x01")], vec![file("a", "")])
    }),
    pair("host-label", "", || one(vec![attributed("security.selinux", b"x")], vec![file("a", "")])),
    pair("extended-attribute", "user.a", || one(vec![attributed("user.a", b"x")], vec![file("a", "")])),
    pair("mount-point-times", "", || {
        let with = |t| vec![at_time(dir("proc"), t), at_time(dir("sys"), t + 1)];
        one(with(1), with(9))
    }),
    pair("sub-second-times", "", || {
        let mut odd = file("a", "");
        odd.meta.mtime = Mtime::At { secs: T, nanos: 5 };
        one(vec![file("a", "")], vec![odd])
    }),
    pair("clamped-times", "every time on the right is 1970-01-01T00:16:40Z", || {
        let with = |times: [i64; 3]| {
            vec![
                at_time(file("a", ""), times[0]),
                at_time(file("b", ""), times[1]),
                at_time(file("c", ""), times[2]),
            ]
        };
        one(with([7, 9, 11]), with([1000, 1000, 1000]))
    }),
    pair("time-zone", "every time on the right is 3600 s later", || {
        let with = |shift: i64| vec![at_time(file("a", ""), 7 + shift), at_time(file("b", ""), 9 + shift)];
        one(with(0), with(3600))
    }),
    pair("build-times", "every time on the right is 40 s later", || {
        let with = |t| built("RUN /bin/sh -c x # buildkit", vec![at_time(file("a", ""), t)]);
        (with(20), with(60))
    }),
    pair("context-times", "every time on the right is 40 s later", || {
        let with = |t| built("COPY a /a # buildkit", vec![at_time(file("a", ""), t)]);
        (with(11), with(51))
    }),
    pair("other-times", "every time on the right is 40 s later", || {
        one(vec![at_time(file("a", ""), 11)], vec![at_time(file("a", ""), 51)])
    }),
    pair("image-clock", "", || {
        of(json!({"created": "2026-01-01T00:00:00Z"}), json!({"created": "2026-01-02T00:00:00Z"}))
    }),
    pair("env-order", "", || config("Env", json!(["A=1", "B=2"]), json!(["B=2", "A=1"]))),
    pair("default-path", "", || config("Env", json!(["A=1"]), json!(["PATH=/bin", "A=1"]))),
    pair("env-value", "", || config("Env", json!(["A=1"]), json!(["A=2"]))),
    pair("command-form", "", || config("Cmd", json!(["/bin/sh", "-c", "run it"]), json!(["run", "it"]))),
    pair("other-command", "", || config("Entrypoint", json!(["/a"]), json!(["/b"]))),
    pair("builder-label", "", || {
        config("Labels", json!({"a": "1"}), json!({"a": "1", "io.buildah.version": "1.28.2"}))
    }),
    pair("label-value", "", || config("Labels", json!({"a": "1"}), json!({"a": "2"}))),
    pair("user-form", "", || config("User", json!("app"), json!("1000"))),
    pair("workdir-form", "", || config("WorkingDir", json!("/srv"), json!("/srv/"))),
    pair("exposed-port", "", || config("ExposedPorts", json!({"80/tcp": {}}), json!({"81/tcp": {}}))),
    pair("healthcheck-lost", "", || config("Healthcheck", json!({"Test": ["NONE"]}), Value::Null)),
    pair("setting", "stop signal", || config("StopSignal", json!("9"), json!("15"))),
    pair("args-escaped", "", || config("ArgsEscaped", json!(true), Value::Null)),
    pair("null-or-absent", "", || config("Cmd", json!([]), Value::Null)),
    pair("other-field", "", || of(json!({"docker_version": "20"}), json!({"docker_version": "26"}))),
    pair("history-wording", "", || {
        let with = |text: &str| of_one(json!({"history": [{"created_by": text, "empty_layer": true}]}));
        (with("ENV A=b"), with("/bin/sh -c #(nop)  ENV A=b"))
    }),
    pair("history-count", "", || {
        of(json!({"history": []}), json!({"history": [{"created_by": "ENV A=b", "empty_layer": true}]}))
    }),
];

/// So many files of one COPY, later on the right.
pub fn many(count: usize) -> (Image, Image) {
    let with = |t: i64| {
        let files = (0..count).map(|n| at_time(file(&format!("srv/src/f{n:04}"), ""), t + n as i64));
        built("COPY src /srv/src # buildkit", files.collect())
    };
    (with(1_000_000), with(1_000_077))
}

fn of_one(config: Value) -> Image {
    Image { config: config.as_object().unwrap().clone(), ..Image::default() }
}

fn of(left: Value, right: Value) -> (Image, Image) {
    (of_one(left), of_one(right))
}

fn config(field: &str, left: Value, right: Value) -> (Image, Image) {
    let with = |value: Value| match value {
        Value::Null => of_one(json!({ "config": {} })),
        value => of_one(json!({ "config": { field: value } })),
    };
    (with(left), with(right))
}

fn layers(layers: Vec<Vec<Entry>>) -> Image {
    let layer = |entries| Layer { entries, ..Layer::default() };
    Image { layers: layers.into_iter().map(layer).collect(), ..Image::default() }
}

fn one(left: Vec<Entry>, right: Vec<Entry>) -> (Image, Image) {
    (layers(vec![left]), layers(vec![right]))
}

fn built(created_by: &str, entries: Vec<Entry>) -> Image {
    let mut image = layers(vec![entries]);
    image.config.insert("history".to_owned(), json!([{ "created_by": created_by }]));
    image
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry::new(At::from(path), kind, Meta::new(0o644, Mtime::secs(T)))
}

fn file(path: &str, text: &str) -> Entry {
    entry(path, Kind::File(Content::inline(text.as_bytes())))
}

fn dir(path: &str) -> Entry {
    entry(path, Kind::Dir)
}

fn fifo(path: &str) -> Entry {
    file(path, "")
}

fn mode_of(mut entry: Entry, mode: u32) -> Entry {
    entry.meta.mode = mode;
    entry
}

fn owned(mut entry: Entry, uid: u64, gid: u64) -> Entry {
    (entry.meta.uid, entry.meta.gid) = (uid, gid);
    entry
}

fn at_time(mut entry: Entry, secs: i64) -> Entry {
    entry.meta.mtime = Mtime::secs(secs);
    entry
}

fn attributed(name: &str, value: &[u8]) -> Entry {
    let mut entry = file("a", "");
    entry.meta.xattrs.insert(name.as_bytes().to_vec(), value.to_vec());
    entry
}

fn content(path: &str, left: &[u8], right: &[u8]) -> (Image, Image) {
    content_of(path, left.to_vec(), right.to_vec())
}

fn content_of(path: &str, left: Vec<u8>, right: Vec<u8>) -> (Image, Image) {
    let with = |bytes: Vec<u8>| vec![entry(path, Kind::File(Content::inline(bytes)))];
    one(with(left), with(right))
}

fn gzip(bytes: &[u8], mtime: u32, level: u32) -> Vec<u8> {
    let mut out = flate2::GzBuilder::new().mtime(mtime).write(Vec::new(), flate2::Compression::new(level));
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn tar(files: &[(&str, &str, i64)]) -> Vec<u8> {
    let entries: Vec<Entry> = files.iter().map(|(path, text, t)| at_time(file(path, text), *t)).collect();
    let mut out = Vec::new();
    samebuild_image::layer_write::write_tar(&entries, samebuild_image::TarStyle::PLAIN, &mut out).unwrap();
    out
}
