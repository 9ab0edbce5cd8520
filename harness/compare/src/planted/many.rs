//! Much that is the same and some that is not: every class of difference the same number of times, each planted entry
//! different in one way only, and eleven changes of configuration and history. So what is found, and why, can be counted.

use std::io::{self, Write};

use samebuild_image::digest::HashWriter;
use samebuild_image::{Compression, Digest};
use serde_json::{Value, json};

use super::tape::{Member, end};
use super::{Dice, THEN, archive};
use crate::Hand;

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub name: &'static str,
    pub layers: usize,
    pub files: usize,
    /// Mean size of most files, and of each fiftieth, in bytes.
    pub small: u64,
    pub big: u64,
    /// How often each class is planted.
    pub each: usize,
}

/// A test's, a benchmark's, and one that shows whether memory grows: 0.7 MB, 328 MB and 2 GiB a side.
pub const SIZES: [Size; 3] = [
    Size { name: "S", layers: 1, files: 100, small: 1024, big: 128 << 10, each: 1 },
    Size { name: "M", layers: 5, files: 20_000, small: 4096, big: 600 << 10, each: 10 },
    Size { name: "L", layers: 10, files: 100_000, small: 4096, big: 850 << 10, each: 25 },
];

/// A kind of difference, and the rule that has to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    pub name: &'static str,
    pub rule: &'static str,
}

const fn class(name: &'static str, rule: &'static str) -> Class {
    Class { name, rule }
}

/// What can differ about an entry.
pub const CLASSES: [Class; 23] = [
    class("content of another size", "content"),
    class("content of the same size", "content"),
    class("content of a tar in the layer", "content"),
    class("mode", "mode"),
    class("set-user-ID", "mode"),
    class("mtime", "mtime"),
    class("user", "owner"),
    class("group", "owner"),
    class("user name", "owner_name"),
    class("user attribute", "xattr"),
    class("capabilities", "xattr"),
    class("only left", "paths"),
    class("only right", "paths"),
    class("symbolic link", "link"),
    class("hard link to another file", "link"),
    class("hard link or copy", "link"),
    class("file or symbolic link", "kind"),
    class("whiteout only left", "paths"),
    class("opaque marker only left", "paths"),
    class("empty directory only left", "paths"),
    class("mode of a directory", "mode"),
    class("device number", "kind"),
    class("fifo or file", "kind"),
];

/// What differs beside the layers: the rule, and the place in the words of a report.
pub const SETTINGS: [(&str, &str, &str); 11] = [
    ("environment", "env", "config · Env"),
    ("command", "cmd", "config · Cmd"),
    ("label", "labels", "config · Labels"),
    ("user", "user", "config · User"),
    ("health check", "healthcheck", "config · Healthcheck"),
    ("creation time", "created", "created"),
    ("author", "config_other", "author"),
    ("instruction in the history", "history", "history 1"),
    ("comment in the history", "history", "history 1"),
    ("time in the history", "created", "history 1"),
    ("entry of the history", "history", "history "),
];

/// One planted entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    pub class: Class,
    pub path: String,
    /// From 0.
    pub layer: usize,
}

impl Size {
    /// What was planted in the layers, in no order.
    pub fn planted(&self) -> Vec<Planted> {
        let mut found = Vec::new();
        for layer in 0..self.layers {
            self.each_entry(layer, &mut |entry| {
                let class = entry.class.map(|class| CLASSES[class]);
                found.extend(class.map(|class| Planted { class, path: entry.path.clone(), layer }));
                Ok(())
            })
            // Nothing is written.
            .unwrap_or_default();
        }
        found
    }

    /// Writes one side's tar of a layer.
    pub fn write_layer(&self, layer: usize, side: Hand, out: &mut dyn Write) -> io::Result<()> {
        self.each_entry(layer, &mut |entry| {
            entry.members(self, side).iter().try_for_each(|member| member.write(out))
        })?;
        end(out)
    }

    /// Writes one side as a docker-archive. Each layer is made twice: a tar states sizes first.
    pub fn write(&self, side: Hand, how: Compression, out: &mut dyn Write) -> io::Result<()> {
        let mut sizes = Vec::new();
        let mut diff_ids = Vec::new();
        for layer in 0..self.layers {
            let (diff_id, size) = self.pack(layer, side, how, &mut io::sink())?;
            diff_ids.push(diff_id);
            sizes.push(size);
        }
        let config = archive::with_layers(config(self.layers, side), &diff_ids);
        let name = if side == Hand::Left { "planted:left" } else { "planted:right" };
        archive::docker(out, name, &config, &sizes, &mut |layer, out| {
            self.pack(layer, side, how, out).map(|_| ())
        })
    }

    /// One layer, compressed: the digest of its tar, and how many bytes were written.
    fn pack(
        &self,
        layer: usize,
        side: Hand,
        how: Compression,
        out: &mut dyn Write,
    ) -> io::Result<(Digest, u64)> {
        let encoder = samebuild_image::compression::Encoder::new(Counted { inner: out, count: 0 }, how)?;
        let mut tar = HashWriter::new(encoder);
        self.write_layer(layer, side, &mut tar)?;
        let (encoder, diff_id, _) = tar.finish();
        Ok((diff_id, encoder.finish()?.count))
    }

    /// Every place of a layer, planted or not.
    fn each_entry(&self, layer: usize, take: &mut dyn FnMut(&Place) -> io::Result<()>) -> io::Result<()> {
        let plan = self.plan();
        let plain = |path: String, what: What| Place { path, what, class: None, number: 0 };
        take(&plain(format!("l{layer}"), What::Dir))?;
        if layer == 0 {
            take(&plain("victims".to_owned(), What::Dir))?;
            for victim in 0..2 * self.each * self.layers {
                take(&plain(format!("victims/v{victim}"), What::Dir))?;
                for file in ["f0", "f1"] {
                    take(&plain(format!("victims/v{victim}/{file}"), What::Victim))?;
                }
            }
        }
        let mut victims = layer * 2 * self.each;
        let numbers = layer * self.files / self.layers..(layer + 1) * self.files / self.layers;
        let mut made = std::collections::BTreeSet::new();
        for number in numbers {
            let dir = format!("l{layer}/d{:02}", number % 97);
            if made.insert(number % 97) {
                take(&plain(dir.clone(), What::Dir))?;
            }
            let class = plan.get(&number).copied();
            let mut path = format!("{dir}/f{number:06}");
            match class.map(|class| CLASSES[class].name) {
                Some("content of a tar in the layer") => path.push_str(".tar"),
                Some("empty directory only left" | "mode of a directory") => path.push_str(".d"),
                // In the lowest layer there is nothing to hide: such a marker is in the tar only.
                Some("whiteout only left") if layer == 0 => path = format!("{dir}/.wh.gone{number}"),
                Some("opaque marker only left") if layer == 0 => path = format!("{dir}/.wh..wh..opq"),
                Some("whiteout only left") => {
                    path = format!("victims/v{victims}/.wh.f0");
                    victims += 1;
                }
                Some("opaque marker only left") => {
                    path = format!("victims/v{victims}/.wh..wh..opq");
                    victims += 1;
                }
                _ => {}
            }
            take(&Place { path, what: What::File, class, number })?;
        }
        Ok(())
    }

    /// Which file carries which class: drawn without putting back.
    fn plan(&self) -> std::collections::BTreeMap<usize, usize> {
        let mut dice = Dice::new(self.files as u64);
        let mut numbers: Vec<usize> = (0..self.files).collect();
        for last in (1..numbers.len()).rev() {
            numbers.swap(last, dice.within(0, last as u64 + 1) as usize);
        }
        let classes = (0..CLASSES.len()).flat_map(|class| std::iter::repeat_n(class, self.each));
        numbers.into_iter().zip(classes).collect()
    }
}

struct Place {
    path: String,
    what: What,
    class: Option<usize>,
    number: usize,
}

enum What {
    Dir,
    Victim,
    File,
}

impl Place {
    fn members(&self, size: &Size, side: Hand) -> Vec<Member> {
        match self.what {
            What::Dir => vec![Member::dir(&self.path)],
            What::Victim => vec![Member::file(self.path.clone(), *b"dead")],
            What::File => self.file(size, side),
        }
    }

    fn file(&self, size: &Size, side: Hand) -> Vec<Member> {
        let path = &self.path;
        let data = payload(size, self.number);
        let file = || Member::file(path.clone(), data.clone());
        let is_left = side == Hand::Left;
        let pick = |left: Member, right: Member| vec![if is_left { left } else { right }];
        let only = |here: bool, member: Member| if here { vec![member] } else { Vec::new() };
        let Some(class) = self.class else { return vec![file()] };
        match CLASSES[class].name {
            "content of another size" => pick(file(), Member::file(path.clone(), [&data[..], b"!"].concat())),
            "content of the same size" | "content of a tar in the layer" => {
                let mut other = data.clone();
                other[data.len() / 2] ^= 1;
                pick(file(), Member::file(path.clone(), other))
            }
            "mode" => pick(file(), Member { mode: 0o755, ..file() }),
            "set-user-ID" => pick(Member { mode: 0o755, ..file() }, Member { mode: 0o4755, ..file() }),
            "mtime" => pick(file(), Member { mtime: THEN + 1, ..file() }),
            "user" => pick(file(), Member { uid: 1000, ..file() }),
            "group" => pick(file(), Member { gid: 1000, ..file() }),
            "user name" => pick(file(), Member { uname: "user", ..file() }),
            "user attribute" => pick(file().record(USER, *b"one"), file().record(USER, *b"two")),
            "capabilities" => {
                pick(file().record(CAPS, capability(0x0400)), file().record(CAPS, capability(0x2000)))
            }
            "only left" => only(is_left, file()),
            "only right" => only(!is_left, file()),
            "symbolic link" => pick(Member::symlink(path, "../a"), Member::symlink(path, "../b")),
            "hard link to another file" | "hard link or copy" => {
                let targets = [format!("{path}-t1"), format!("{path}-t2")];
                let mut members: Vec<Member> =
                    targets.iter().map(|target| Member::file(target.clone(), data.clone())).collect();
                let right = match CLASSES[class].name {
                    "hard link or copy" => file(),
                    _ => Member::hardlink(path, &targets[1]),
                };
                members.extend(pick(Member::hardlink(path, &targets[0]), right));
                members
            }
            "file or symbolic link" => pick(file(), Member::symlink(path, "f")),
            "whiteout only left" | "opaque marker only left" => {
                only(is_left, Member::of(path.clone(), b'0', 0))
            }
            "empty directory only left" => only(is_left, Member::dir(path)),
            "mode of a directory" => pick(Member::dir(path), Member { mode: 0o700, ..Member::dir(path) }),
            "device number" => {
                let device = |minor| Member { device: (1, minor), ..Member::of(path.clone(), b'3', 0o666) };
                pick(device(3), device(5))
            }
            _ => pick(Member::of(path.clone(), b'6', 0o644), Member::file(path.clone(), Vec::new())),
        }
    }
}

const USER: &str = "SCHILY.xattr.user.k";
const CAPS: &str = "SCHILY.xattr.security.capability";

/// Version 2 of what the kernel keeps: one set of permitted capabilities.
fn capability(permitted: u16) -> Vec<u8> {
    let mut value = vec![1, 0, 0, 2];
    value.extend_from_slice(&u32::from(permitted).to_le_bytes());
    value.resize(20, 0);
    value
}

/// Half of it can be compressed, as in most layers.
fn payload(size: &Size, number: usize) -> Vec<u8> {
    const FILLER: &[u8] = b"what a program says about itself is mostly the same again and again\n";
    let mut dice = Dice::new(number as u64 + 1);
    let is_big = number.is_multiple_of(50);
    let mean = if is_big { size.big } else { size.small };
    let len =
        dice.within(if is_big { mean / 2 } else { 1 }, if is_big { mean * 3 / 2 } else { mean * 2 }) as usize;
    let noise = dice.bytes(len.min(4096) / 2 + 1);
    let mut data = Vec::with_capacity(len + 8192);
    while data.len() < len {
        data.extend_from_slice(&noise);
        for _ in 0..24 {
            data.extend_from_slice(FILLER);
        }
        if len > 65536 {
            data.extend_from_slice(&dice.bytes(2048));
        }
    }
    data.truncate(len);
    data
}

fn config(layers: usize, side: Hand) -> Value {
    let right = side == Hand::Right;
    let pick = |left: &'static str, other: &'static str| if right { other } else { left };
    let mut history: Vec<Value> = (0..layers)
        .map(|layer| {
            json!({
                "created": "2023-11-14T22:13:20Z",
                "created_by": format!("COPY l{layer} / # buildkit"),
                "comment": "buildkit.dockerfile.v0",
            })
        })
        .collect();
    history.push(
        json!({ "created": "2023-11-14T22:13:20Z", "created_by": "CMD [\"/bin/sh\"]", "empty_layer": true }),
    );
    if right {
        history[0] = json!({
            "created": "2023-11-14T22:13:21Z",
            "created_by": "COPY l0 /other # buildkit",
            "comment": "other",
        });
        history
            .push(json!({ "created": "2023-11-14T22:13:20Z", "created_by": "USER x", "empty_layer": true }));
    }
    let command: &[&str] = if right { &["/bin/sh", "-l"] } else { &["/bin/sh"] };
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": pick("2023-11-14T22:13:20Z", "2023-11-14T22:13:21Z"),
        "author": pick("a", "b"),
        "config": {
            "Env": ["PATH=/usr/bin:/bin", pick("X=0", "X=1")],
            "Cmd": command,
            "Labels": { "k": pick("a", "b") },
            "User": pick("", "1000"),
            "Healthcheck": { "Test": ["CMD", pick("false", "true")] },
            "WorkingDir": "/",
        },
        "history": history,
    })
}

struct Counted<'w> {
    inner: &'w mut dyn Write,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
