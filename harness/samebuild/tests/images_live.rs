//! Images that come from elsewhere and go there: a real registry (Debian's docker-registry), with skopeo at its other end,
//! and an engine. What is in our outputs is `outputs_live.rs`'s question.
//!
//! Needs root, Debian's packages (the network on a cold cache) and `SAMEBUILD_LIVE`; without them the trials are listed as
//! ignored and the reason is printed. A misbehaving registry is in `registry.rs`, which needs none of this.

mod live;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use samebuild::engines::{self, Engine, Policy};
use samebuild::stored::read_image;
use samebuild_image::{At, Digest, Image};
use serde_json::{Value, json};

type Check = fn() -> Result<(), Failed>;
type OnEngine = fn(&str) -> Result<(), Failed>;

const TRIALS: [(&str, Check); 4] = [
    ("a_registry_takes_our_image_and_gives_it_back", a_registry_takes_our_image_and_gives_it_back),
    ("a_registry_that_knows_us_not_is_no_base", a_registry_that_knows_us_not_is_no_base),
    ("what_skopeo_pushed_in_dockers_schema_is_a_base", what_skopeo_pushed_is_a_base),
    ("skopeo_takes_every_output_into_every_other", skopeo_takes_every_output),
];

const ON_ENGINES: [(&str, OnEngine); 2] = [
    ("the_hosts_engine_is_a_source_and_a_place", the_hosts_engine_is_a_source_and_a_place),
    ("diff_takes_images_out_of_an_engine", diff_takes_images_out_of_an_engine),
];

fn main() {
    engines::child::run_if_asked();
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("images_live", args.list);
    let mut trials = Vec::new();
    let mut add = |title: String, run: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(live::trial(title, unmet, run));
    };
    for (name, check) in TRIALS {
        add(format!("images_live::{name}"), Box::new(check));
    }
    for engine in names {
        for (name, check) in ON_ENGINES {
            let engine = engine.clone();
            add(format!("images_live::{engine}::{name}"), Box::new(move || check(&engine)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

const PLAIN: &str = "FROM samebuild.test/base:1\nCOPY file /srv/file\n";
const WHITEOUTS: &str = "FROM samebuild.test/base:1\nCOPY file /d/a\nCOPY file /e/sub/c\nRUN rm -r /e && mkdir /e && echo x > /e/new\nRUN rm -r /d\n";
const LINKS: &str = "FROM samebuild.test/base:1\nCOPY file /one\nRUN ln /one /two && ln -s one /soft\nRUN rm /one && echo more >> /two\n";

/// A directory with a context and a Docker configuration of its own; our cache, because it holds the packages.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self, Failed> {
        let place = Self { dir: tempfile::tempdir()? };
        fs::create_dir(place.at("ctx"))?;
        fs::create_dir(place.at("docker"))?;
        fs::write(place.at("ctx/file"), "hello\n")?;
        Ok(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log_in(&self, host: &str) -> Result<(), Failed> {
        // me:secret
        let config = json!({ "auths": { host: { "auth": "bWU6c2VjcmV0" } } });
        Ok(fs::write(self.at("docker/config.json"), config.to_string())?)
    }

    fn samebuild(&self, dockerfile: &str, more: &[&str]) -> Result<Output, Failed> {
        fs::write(self.at("ctx/Dockerfile"), dockerfile)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.current_dir(self.dir.path()).args(["build", "ctx"]).args(more);
        Ok(command.env("DOCKER_CONFIG", self.at("docker")).output()?)
    }

    fn builds(&self, dockerfile: &str, more: &[&str]) -> Result<String, Failed> {
        let output = self.samebuild(dockerfile, more)?;
        ensure(output.status.success(), || said(&output))?;
        Ok(said(&output))
    }

    /// The case in both forms: `NAME/` and `NAME.tar`.
    fn build(&self, name: &str, dockerfile: &str) -> Result<Image, Failed> {
        let (layout, archive) = (format!("oci:{name}"), format!("docker-archive:{name}.tar"));
        let tag = format!("samebuild.test/{name}:1");
        self.builds(dockerfile, &["-t", &tag, "-o", &layout, "-o", &archive])?;
        Ok(read_image(&self.at(name))?.image)
    }
}

fn a_registry_takes_our_image_and_gives_it_back() -> Result<(), Failed> {
    let (place, registry) = (Place::new()?, Registry::start()?);
    place.log_in(&registry.host)?;
    let name = format!("{}/a/b:1", registry.host);
    let pushed = place.builds(WHITEOUTS, &["-o", &format!("registry:{name}"), "-o", "oci:first"])?;
    let manifest = manifest_of(&place.at("first"))?;
    ensure(pushed.contains(&manifest), || format!("{manifest} is not in {pushed}"))?;
    // By tag and by digest; the layers come back as they went.
    let first = read_image(&place.at("first"))?.image;
    for (n, reference) in [name.clone(), format!("{}/a/b@{manifest}", registry.host)].iter().enumerate() {
        let dockerfile = format!("FROM {reference}\nCOPY --from={reference} /e/new /copied\n");
        place.builds(&dockerfile, &["-o", &format!("oci:again-{n}")])?;
        let again = read_image(&place.at(&format!("again-{n}")))?.image;
        let kept = again.layers.iter().zip(&first.layers).all(|(a, b)| a.diff_id == b.diff_id);
        ensure(again.layers.len() == first.layers.len() + 1 && kept, || "other layers".into())?;
        ensure(again.tree()?.get(&At::from("copied")).is_some(), || "nothing copied".into())?;
    }
    // What is there already is not sent again.
    let second = place.builds(WHITEOUTS, &["-t", &name, "--push"])?;
    let sent = second.lines().filter(|line| line.starts_with("pushing ")).count();
    ensure(sent < first.layers.len() + 1, || second)
}

fn a_registry_that_knows_us_not_is_no_base() -> Result<(), Failed> {
    let (place, registry) = (Place::new()?, Registry::start()?);
    let name = format!("{}/a/b:1", registry.host);
    let fails = |dockerfile: &str, more: &[&str], parts: &[&str]| -> Result<(), Failed> {
        let output = place.samebuild(dockerfile, more)?;
        let text = said(&output);
        ensure(output.status.code() == Some(3), || text.clone())?;
        parts.iter().try_for_each(|part| ensure(text.contains(part), || format!("no {part:?} in {text}")))
    };
    let push = format!("registry:{name}");
    fails(PLAIN, &["-o", &push], &["denies it", "without credentials", "docker login"])?;
    place.log_in(&registry.host)?;
    place.builds(PLAIN, &["-o", &push])?;
    let absent = format!("{}@{}", name.trim_end_matches(":1"), Digest::of(b"x"));
    for wrong in [format!("{}/a/b:2", registry.host), format!("{}/a/c:1", registry.host)] {
        let parts = ["has no such image", "local store", "next:"];
        fails(&format!("FROM {wrong}\n"), &["-o", "oci:none"], &parts)?;
    }
    fails(&format!("FROM {absent}\n"), &["-o", "oci:none"], &["has no such image"])?;
    fs::remove_file(place.at("docker/config.json"))?;
    for line in [format!("FROM {name}\n"), format!("FROM scratch\nCOPY --from={name} /srv /\n")] {
        fails(&line, &["-o", "oci:none"], &["denies it", "without credentials"])?;
    }
    Ok(())
}

fn what_skopeo_pushed_is_a_base() -> Result<(), Failed> {
    let (place, registry) = (Place::new()?, Registry::start()?);
    place.log_in(&registry.host)?;
    let image = place.build("links", LINKS)?;
    for format in ["v2s2", "oci"] {
        let to = format!("docker://{}/by/skopeo:{format}", registry.host);
        let mut copy = tool("skopeo")?;
        copy.args(["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", "me:secret"]);
        run(copy.args([
            "--format",
            format,
            &format!("docker-archive:{}", place.at("links.tar").display()),
            &to,
        ]))?;
        let from = format!("FROM {}/by/skopeo:{format}\nENV more=1\n", registry.host);
        place.builds(&from, &["-o", &format!("oci:{format}")])?;
        let again = read_image(&place.at(format))?.image;
        let ids = |image: &Image| image.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>();
        ensure(ids(&again) == ids(&image), || format!("{format}: {:?}", ids(&again)))?;
    }
    Ok(())
}

fn skopeo_takes_every_output() -> Result<(), Failed> {
    let place = Place::new()?;
    place.builds(
        WHITEOUTS,
        &[
            "-t",
            "samebuild.test/a:1",
            "-o",
            "oci:a",
            "-o",
            "oci-archive:a.tar",
            "-o",
            "type=docker,dest=b.tar",
        ],
    )?;
    let ours = read_image(&place.at("a"))?.image;
    for (n, from) in
        ["oci:a:1", "oci-archive:a.tar:1", "docker-archive:b.tar:samebuild.test/a:1"].iter().enumerate()
    {
        let mut copy = tool("skopeo")?;
        copy.current_dir(place.dir.path()).args([
            "--insecure-policy",
            "copy",
            from,
            &format!("oci:copy-{n}:1"),
        ]);
        run(&mut copy)?;
        let copied = read_image(&place.at(&format!("copy-{n}")))?.image;
        ensure(diff_ids(&copied) == diff_ids(&ours), || format!("{from}: {:?}", diff_ids(&copied)))?;
    }
    Ok(())
}

fn the_hosts_engine_is_a_source_and_a_place(engine: &str) -> Result<(), Failed> {
    let (place, engine) = (Place::new()?, start(engine)?);
    let socket = format!("unix://{}", engine.socket().ok_or("a private engine has a socket")?.display());
    let build = |dockerfile: &str, more: &[&str]| -> Result<Output, Failed> {
        fs::write(place.at("ctx/Dockerfile"), dockerfile)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.current_dir(place.dir.path()).args(["build", "ctx"]).args(more).env("DOCKER_HOST", &socket);
        Ok(command.env("DOCKER_CONFIG", place.at("docker")).output()?)
    };
    let loaded = build(WHITEOUTS, &["-t", "samebuild.test/loaded:1", "--load", "-o", "oci:loaded"])?;
    ensure(loaded.status.success(), || said(&loaded))?;
    engine.image_id("samebuild.test/loaded:1")?;
    let refused = build(WHITEOUTS, &["-o", "engine:mine:1"])?;
    ensure(refused.status.code() == Some(2) && said(&refused).contains("samebuild.test/"), || {
        said(&refused)
    })?;
    let from = "FROM samebuild.test/loaded:1\nCOPY --from=samebuild.test/loaded:1 /e/new /copied\n";
    let without = build(from, &["-o", "oci:none"])?;
    ensure(said(&without).contains("engine: none was asked for"), || said(&without))?;
    let with = build(from, &["--engine", "host", "-o", "oci:on-top"])?;
    ensure(with.status.success(), || said(&with))?;
    let (below, on_top) = (read_image(&place.at("loaded"))?.image, read_image(&place.at("on-top"))?.image);
    ensure(on_top.layers.len() == below.layers.len() + 1, || said(&with))?;
    ensure(diff_ids(&on_top).starts_with(&diff_ids(&below)), || format!("{:?}", diff_ids(&on_top)))
}

fn diff_takes_images_out_of_an_engine(engine: &str) -> Result<(), Failed> {
    let (place, engine) = (Place::new()?, start(engine)?);
    let socket = format!("unix://{}", engine.socket().ok_or("a private engine has a socket")?.display());
    let samebuild = |args: &[&str]| -> Result<Output, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_samebuild"));
        command.current_dir(place.dir.path()).args(args).env("DOCKER_HOST", &socket);
        Ok(command.env("DOCKER_CONFIG", place.at("docker")).output()?)
    };
    for (name, more) in [("one", ""), ("two", "COPY file /srv/more\n")] {
        fs::write(place.at("ctx/Dockerfile"), format!("{PLAIN}{more}"))?;
        let tag = format!("samebuild.test/{name}:1");
        let built = samebuild(&["build", "ctx", "-t", &tag, "--load", "-o", &format!("oci:{name}")])?;
        ensure(built.status.success(), || said(&built))?;
    }
    let told = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned() + &said(output);
    // What went in comes out: its files, its configuration, its layers.
    let same = samebuild(&["diff", "docker://samebuild.test/one:1", "one", "--ignore", "rule=packing"])?;
    ensure(same.status.code() == Some(0), || told(&same))?;
    ensure(!told(&same).contains("as declared"), || "an engine's word is taken".into())?;
    let differ = samebuild(&["diff", "docker://samebuild.test/one:1", "docker://samebuild.test/two:1"])?;
    let text = told(&differ);
    ensure(differ.status.code() == Some(1) && text.contains("/srv/more"), || text.clone())?;
    let absent = samebuild(&["diff", "docker://samebuild.test/none:1", "one"])?;
    let text = told(&absent);
    ensure(absent.status.code() == Some(3) && text.contains("samebuild.test/none:1"), || text.clone())
}

/// Debian's docker-registry on a loopback port, for `me:secret` alone.
struct Registry {
    host: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Registry {
    fn start() -> Result<Self, Failed> {
        let dir = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        // bcrypt of `secret`
        let secret = "me:$2y$05$bfoUH9jO5H2mV5uqCQOzlOsyJXSf9HoAzTCJ2BeHqiBJA.V3gmb4u\n";
        fs::write(dir.path().join("htpasswd"), secret)?;
        let root = dir.path().display();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             http: {{addr: \"{host}\"}}\nauth: {{htpasswd: {{realm: here, path: {root}/htpasswd}}}}\n"
        );
        let file = dir.path().join("config.yml");
        fs::write(&file, config)?;
        let log = fs::File::create(dir.path().join("log"))?;
        let mut command = tool("docker-registry")?;
        command.arg("serve").arg(&file).env_remove("REGISTRY_HTTP_ADDR").stdin(Stdio::null());
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut registry = Self { host, child, _dir: dir };
        let begun = Instant::now();
        while std::net::TcpStream::connect(&registry.host).is_err() {
            let ended = registry.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(file.with_file_name("log"))?;
                return Err(format!("docker-registry does not answer ({ended:?}): {log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of the Debian package of its name.
fn tool(name: &str) -> Result<Command, Failed> {
    let tools = engines::tools(name, &[name], &engines::cache_dir()?, &|line| eprintln!("{line}"))?;
    Ok(tools.command(name).ok_or("the program that was asked for")?)
}

fn start(name: &str) -> Result<Engine, Failed> {
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    Ok(engines::open(name, &policy, &|line| eprintln!("{line}"))?)
}

fn run(command: &mut Command) -> Result<Output, Failed> {
    let output = command.output()?;
    ensure(output.status.success(), || format!("{command:?}: {}", said(&output)))?;
    Ok(output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn diff_ids(image: &Image) -> Vec<String> {
    image.layers.iter().filter_map(|layer| layer.diff_id).map(|id| id.to_string()).collect()
}

/// The digest of the only manifest of a layout.
fn manifest_of(layout: &Path) -> Result<String, Failed> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    Ok(index["manifests"][0]["digest"].as_str().ok_or("no manifest")?.to_owned())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
