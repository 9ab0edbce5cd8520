//! What `samebuild build` writes, in the hands of those it is written for: Docker loads it and keeps it as it is, skopeo
//! inspects it, umoci unpacks it into the file system that our own Tree says it is.
//!
//! Needs root, the network on a cold cache, and `SAMEBUILD_LIVE=docker-20.10` (or several of `ci/engines.toml`,
//! separated by commas). Without them the trials are listed as ignored, and the reason is printed; they do not pass.
//! skopeo and umoci are the machine's, or Debian's, unpacked into the cache.

mod live;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed};
use samebuild::engines::{self, Engine, Policy, Tools};
use samebuild::stored::read_image;
use samebuild_builder::disk;
use samebuild_image::read::Loaded;
use samebuild_image::{Digest, Kind, Tree};
use serde_json::Value;

/// A build whose image is hard to carry.
struct Case {
    name: &'static str,
    dockerfile: &'static str,
    context: fn(&Path) -> io::Result<()>,
}

const CASES: [Case; 5] = [
    Case {
        name: "plain",
        dockerfile: "FROM scratch\nCOPY a /srv/a\nCOPY a /srv/b\nUSER 7\nENV X=\"a b\"\nLABEL l=1\nCMD [\"/srv/a\"]\n",
        context: |dir| fs::write(dir.join("a"), "hello\n"),
    },
    Case { name: "odd-names", dockerfile: "FROM scratch\nCOPY . /odd/\n", context: odd_names },
    Case { name: "archive", dockerfile: "FROM scratch\nADD a.tar /a/\nCOPY a.tar /a/d/file\n", context: archive },
    Case {
        name: "devices",
        dockerfile: "FROM samebuild.test/base:1\nRUN mknod /null c 1 3 && mknod /loop b 7 0 && mkfifo /pipe && chmod 640 /loop\n",
        context: |_| Ok(()),
    },
    Case {
        name: "whiteouts",
        dockerfile: "\
FROM samebuild.test/base:1
RUN mkdir -p /d/keep /d/gone/deep /d/opaque && echo 1 > /d/gone/deep/f && echo 2 > /d/opaque/old && echo 3 > /d/file
RUN ln /d/file /d/link && ln /d/file /d/third && ln -s file /d/sym && rm /bin/sleep
RUN rm -r /d/gone /d/link /d/opaque && mkdir /d/opaque && echo new > /d/opaque/new
RUN rm -r /d/keep /d/sym && ln -s opaque /d/keep && mkdir /d/sym && echo x > /d/sym/f
RUN chmod 4755 /d/file && ln /d/file /d/sym/again && rm -r /d/opaque
",
        context: |_| Ok(()),
    },
];

/// One that walks, one that reads an upper directory.
const DIALECTS: [&str; 2] = ["classic@20.10", "buildkit@26.1-containerd"];

const TAG: &str = "samebuild.test/outputs:1";

type Check = fn(&Tools, &Outputs) -> Result<(), Failed>;

fn main() {
    engines::child::run_if_asked();
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("outputs_live", args.list);
    let mut trials = Vec::new();
    let mut add = |title: String, check: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(live::trial(format!("outputs_live::{title}"), unmet, check));
    };
    for engine in names {
        add(
            format!("{engine}::loads_and_keeps_them"),
            Box::new(move || docker_loads_and_keeps_them(&engine)),
        );
    }
    let tools: [(&'static str, Check); 2] = [("skopeo", skopeo_inspects), ("umoci", umoci_unpacks)];
    for (tool, check) in tools {
        for case in &CASES {
            add(format!("{tool}::{}", case.name), Box::new(move || with_tool(tool, check, case)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn with_tool(tool: &'static str, check: Check, case: &'static Case) -> Result<(), Failed> {
    let tools = engines::tools(tool, &[tool], &engines::cache_dir()?, &|line| eprintln!("{line}"))?;
    for dialect in DIALECTS {
        check(&tools, &Outputs::of(case, dialect)?)?;
    }
    Ok(())
}

/// The id, the diff ids and the file system that went in are those that come out.
fn docker_loads_and_keeps_them(name: &str) -> Result<(), Failed> {
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let engine: Engine = engines::open(name, &policy, &|line| eprintln!("{line}"))?;
    for case in &CASES {
        for dialect in DIALECTS {
            let outputs = Outputs::of(case, dialect)?;
            let ours = outputs.archive()?;
            let id = engine.load_base(TAG, &outputs.archive)?;
            let kept = Digest::of(&engine.inspect_config(&id)?);
            equal(&outputs, "the configuration", kept.to_string(), ours.config.to_string())?;
            let saved = outputs.dir.path().join("saved.tar");
            engine.export(TAG, &saved)?;
            let theirs = read_image(&saved)?;
            let diff_ids = |loaded: &Loaded| {
                format!("{:?}", loaded.image.layers.iter().map(|l| l.diff_id).collect::<Vec<_>>())
            };
            equal(&outputs, "the diff ids", diff_ids(&theirs), diff_ids(&ours))?;
            equal(&outputs, "the tree", facts(&theirs.image.tree()?)?, facts(&ours.image.tree()?)?)?;
            engine.remove(TAG)?;
        }
    }
    Ok(())
}

fn skopeo_inspects(tools: &Tools, outputs: &Outputs) -> Result<(), Failed> {
    let (layout, archive) = (outputs.layout()?, outputs.archive()?);
    let manifest = layout.manifest.ok_or("the layout has no manifest")?;
    let stored = fs::read(outputs.layout.join("blobs/sha256").join(manifest.hex()))?;
    let stored: Value = serde_json::from_slice(&stored)?;
    let blobs: Vec<&Value> =
        stored["layers"].as_array().ok_or("no layers")?.iter().map(|l| &l["digest"]).collect();
    let diff_ids: Vec<String> =
        archive.image.layers.iter().filter_map(|layer| Some(layer.diff_id?.to_string())).collect();
    let at_layout = format!("oci:{}:1", outputs.layout.display());
    let at_archive = format!("docker-archive:{}", outputs.archive.display());
    let said: Value = serde_json::from_slice(&run(tools, "skopeo", &["inspect", &at_layout])?)?;
    equal(
        outputs,
        "the manifest",
        said["Digest"].as_str().unwrap_or_default().to_owned(),
        manifest.to_string(),
    )?;
    equal(outputs, "the layers of the layout", said["Layers"].to_string(), serde_json::to_string(&blobs)?)?;
    let said: Value = serde_json::from_slice(&run(tools, "skopeo", &["inspect", &at_archive])?)?;
    equal(
        outputs,
        "the layers of the archive",
        said["Layers"].to_string(),
        serde_json::to_string(&diff_ids)?,
    )?;
    for (at, config) in [(&at_layout, layout.config), (&at_archive, archive.config)] {
        let raw = run(tools, "skopeo", &["inspect", "--config", "--raw", at])?;
        equal(outputs, "the configuration", Digest::of(&raw).to_string(), config.to_string())?;
    }
    Ok(())
}

fn umoci_unpacks(tools: &Tools, outputs: &Outputs) -> Result<(), Failed> {
    let bundle = outputs.dir.path().join("bundle");
    let image = format!("{}:1", outputs.layout.display());
    run(tools, "umoci", &["unpack", "--image", &image, &bundle.display().to_string()])?;
    let unpacked = disk::scan(&bundle.join("rootfs"))?;
    equal(outputs, "the tree", facts(&unpacked)?, facts(&outputs.layout()?.image.tree()?)?)
}

/// One build, in both forms.
struct Outputs {
    what: String,
    dir: tempfile::TempDir,
    layout: PathBuf,
    archive: PathBuf,
}

impl Outputs {
    fn of(case: &Case, dialect: &str) -> Result<Self, Failed> {
        let dir = tempfile::tempdir()?;
        let context = dir.path().join("context");
        fs::create_dir(&context)?;
        (case.context)(&context)?;
        let dockerfile = dir.path().join("Dockerfile");
        fs::write(&dockerfile, case.dockerfile)?;
        let (layout, archive) = (dir.path().join("layout"), dir.path().join("archive.tar"));
        for output in [format!("oci:{}", layout.display()), format!("docker-archive:{}", archive.display())] {
            let built = Command::new(env!("CARGO_BIN_EXE_samebuild"))
                .args(["build", "--dialect", dialect, "-t", TAG, "-o", &output, "-f"])
                .args([&dockerfile, &context])
                .output()?;
            if !built.status.success() {
                return Err(format!(
                    "{} with {dialect}: {}",
                    case.name,
                    String::from_utf8_lossy(&built.stderr)
                )
                .into());
            }
        }
        Ok(Self { what: format!("{} with {dialect}", case.name), dir, layout, archive })
    }

    fn layout(&self) -> anyhow::Result<Loaded> {
        read_image(&self.layout)
    }

    fn archive(&self) -> anyhow::Result<Loaded> {
        read_image(&self.archive)
    }
}

fn run(tools: &Tools, program: &str, args: &[&str]) -> Result<Vec<u8>, Failed> {
    let output = tools.command(program).ok_or("it was not fetched")?.args(args).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

/// Every place but the root, which a layer need not mention, a line each.
fn facts(tree: &Tree) -> io::Result<String> {
    let mut lines = BTreeMap::new();
    for (at, ino, inode) in tree.iter().filter(|(at, _, _)| !at.is_root()) {
        let thing = match &inode.kind {
            Kind::File(content) => content.digest()?.to_string(),
            Kind::Symlink(text) => format!("→ {}", text.escape_ascii()),
            Kind::Char { major, minor } | Kind::Block { major, minor } => format!("{major}:{minor}"),
            Kind::Dir | Kind::Fifo | Kind::Hardlink(_) => String::new(),
        };
        let others: Vec<String> =
            tree.names(ino).into_iter().map(|name| name.as_bytes().escape_ascii().to_string()).collect();
        let meta = &inode.meta;
        let line = format!(
            "{} {:o} {}:{} {} {:?} {thing} names {others:?}",
            inode.kind.word(),
            meta.mode,
            meta.uid,
            meta.gid,
            meta.mtime,
            meta.xattrs
        );
        lines.insert(at.as_bytes().to_vec(), line);
    }
    Ok(lines.iter().map(|(at, line)| format!("{} {line}\n", at.escape_ascii())).collect())
}

/// Their lines are ours; else those that are not.
fn equal(outputs: &Outputs, what: &str, theirs: String, ours: String) -> Result<(), Failed> {
    if theirs == ours {
        return Ok(());
    }
    let not_in = |other: &str, sign: char, text: &str| -> String {
        text.lines()
            .filter(|line| !other.lines().any(|o| o == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect()
    };
    Err(format!("{}: {what}:\n{}{}", outputs.what, not_in(&theirs, '-', &ours), not_in(&ours, '+', &theirs))
        .into())
}

/// Names that tar, JSON or a shell could trip over.
fn odd_names(dir: &Path) -> io::Result<()> {
    let long = "l".repeat(200);
    let names: [&[u8]; 14] = [
        b"a b",
        b" lead",
        b"trail ",
        b"new\nline",
        b"tab\t",
        "\u{fc}\u{1F980}".as_bytes(),
        b"\xff\xfe",
        b"-dash",
        b"quote'\"",
        b"back\\slash",
        b"*glob?[x]",
        b".hidden",
        b"%41",
        long.as_bytes(),
    ];
    for name in names {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(dir.join(name), name.as_bytes())?;
    }
    let deep = dir.join(&long).with_extension("d").join(&long);
    fs::create_dir_all(&deep)?;
    fs::write(deep.join(&long), "deep")
}

/// Every kind of entry, and every bit of a mode.
fn archive(dir: &Path) -> io::Result<()> {
    let mut tar = tar::Builder::new(File::create(dir.join("a.tar"))?);
    let kinds: [(&str, tar::EntryType, u32, &str, &[u8]); 12] = [
        ("d/", tar::EntryType::Directory, 0o2775, "", b""),
        ("t/", tar::EntryType::Directory, 0o1777, "", b""),
        ("shut/", tar::EntryType::Directory, 0o000, "", b""),
        ("d/file", tar::EntryType::Regular, 0o4750, "", b"content"),
        ("d/empty", tar::EntryType::Regular, 0o000, "", b""),
        ("hard", tar::EntryType::Link, 0o4750, "d/file", b""),
        ("t/hard", tar::EntryType::Link, 0o4750, "hard", b""),
        ("dangling", tar::EntryType::Symlink, 0o777, "../../nowhere", b""),
        ("to-dir", tar::EntryType::Symlink, 0o777, "d", b""),
        ("pipe", tar::EntryType::Fifo, 0o640, "", b""),
        ("null", tar::EntryType::Char, 0o666, "", b""),
        ("disk", tar::EntryType::Block, 0o660, "", b""),
    ];
    for (number, (name, kind, mode, link, bytes)) in kinds.into_iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(1000 + number as u64);
        header.set_gid(70_000);
        header.set_mtime(1_000_000_000 + number as u64);
        header.set_size(bytes.len() as u64);
        if kind == tar::EntryType::Char || kind == tar::EntryType::Block {
            header.set_device_major(1)?;
            header.set_device_minor(3)?;
        }
        if link.is_empty() {
            tar.append_data(&mut header, name, bytes)?;
        } else {
            tar.append_link(&mut header, name, link)?;
        }
    }
    tar.into_inner()?.sync_all()
}
