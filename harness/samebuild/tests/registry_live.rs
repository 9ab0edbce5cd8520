//! Debian's docker-registry: on a loopback port behind a proxy that misbehaves, and in a container, run through testcontainers
//! on a private engine from an image that samebuild built.
//!
//! Needs root, Debian's packages (the network on a cold cache) and `SAMEBUILD_LIVE`; without them the trials are listed as
//! ignored and the reason is printed. The same faults in front of a registry of a few lines are in `registry_faults.rs`.

mod faulty;
mod live;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use place::Place;
use samebuild::engines::{self, Engine, Policy};
use samebuild::proxy::Proxy;
use testcontainers::core::Mount;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{GenericImage, ImageExt as _};

/// The hidden first argument of the process that holds the container; the directory with its configuration follows.
const CONTAIN: &str = "__contain";
const IMAGE: &str = "samebuild.test/docker-registry";

fn main() {
    engines::child::run_if_asked();
    contain_if_asked();
    let args = Arguments::from_args();
    let (names, unmet) = live::engines("registry_live", args.list);
    let mut trials = Vec::new();
    let mut add = |title: String, run: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(live::trial(title, unmet, run));
    };
    let faults = "a_registry_that_misbehaves_ends_in_the_right_image_or_a_clear_error";
    add(format!("registry_live::{faults}"), Box::new(faults_of_debians));
    let cache = "a_cache_beside_the_image_is_found_elsewhere_and_its_layers_are_not_moved";
    add(format!("registry_live::{cache}"), Box::new(cache_in_debians));
    for engine in names {
        let title =
            format!("registry_live::{engine}::a_registry_in_a_container_of_our_making_takes_our_artifacts");
        add(title, Box::new(move || in_a_container(&engine)));
    }
    libtest_mimic::run(&args, trials).exit();
}

fn faults_of_debians() -> Result<(), Failed> {
    with_debians(|host| {
        let wrong = faulty::try_all(host);
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
    })
}

/// Two machines that share nothing but the registry, and a second repository of it.
fn cache_in_debians() -> Result<(), Failed> {
    let place = Place::of(&[
        ("ctx/Dockerfile", "FROM scratch\nCOPY f /\nCOPY g /\n"),
        ("ctx/f", "f"),
        ("ctx/g", "g"),
    ]);
    with_debians(|host| {
        let built = |cache: &str, name: &str, more: &[&str]| {
            let name = format!("{host}/{name}");
            let mut command = place.command(&[&["build", "ctx", "--push", "--tag", &name], more].concat());
            let output = command.env("SAMEBUILD_CACHE", place.path().join(cache)).output()?;
            ensure(output.status.success(), || said(&output))?;
            Ok::<_, Failed>(said(&output))
        };
        let has = |told: &str, found: usize, pushed: usize| {
            let is_so = told.contains(&format!("{found} of 2 steps found"))
                && told.matches("pushing sha256:").count() == pushed;
            ensure(is_so, || format!("not {found} found and {pushed} pushed: {told}"))
        };
        // What the cache has already been sent is taken from there; the configuration is the image's own.
        has(&built("one", "team/app:1", &["--cache"])?, 0, 1)?;
        has(&built("two", "team/app:2", &["--cache"])?, 2, 1)?;
        let from = format!("registry:{host}/team/app/cache");
        has(&built("three", "other/app:1", &["--cache-from", &from])?, 2, 1)?;
        let reader = Place::of(&[("ctx/Dockerfile", &format!("FROM {host}/other/app:1\n"))]);
        let read = reader.command(&["build", "ctx", "-o", "oci:out"]).output()?;
        ensure(read.status.success() && said(&read).contains("2 layers"), || said(&read))
    })
}

fn with_debians(work: impl FnOnce(&str) -> Result<(), Failed>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let (host, file) = configure(dir.path(), &dir.path().join("data"))?;
    let log = fs::File::create(dir.path().join("log"))?;
    let mut command = tool()?;
    command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut registry = Ends(command.spawn()?);
    answers(&host, &mut registry.0)?;
    work(&host)
}

/// The program and its libraries in an image, in the engine, in a container on the network of the machine: then pushed to,
/// pulled from, and asked for artifacts.
fn in_a_container(name: &str) -> Result<(), Failed> {
    let policy = Policy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ci/engines.toml"))?;
    let engine: Engine = engines::open(name, &policy, &|line| eprintln!("{line}"))?;
    let socket = engine.socket().ok_or("a private engine has a socket")?;
    let place =
        Place::of(&[("image/Dockerfile", "FROM scratch\nCOPY root /\nENTRYPOINT [\"/docker-registry\"]\n")]);
    program_and_libraries(&place.path().join("image/root"))?;
    let mut build = place.command(&["build", "image", "-t", &format!("{IMAGE}:1"), "--load"]);
    let built = build.env("DOCKER_HOST", format!("unix://{}", socket.display())).output()?;
    ensure(built.status.success(), || said(&built))?;
    // 20.10 and 26.1 both speak 1.41; testcontainers speaks its newest to everybody, and pulls what is not there.
    let rules = ["error POST /images/create with 404", "speak * * as 1.41"];
    let rules = rules.iter().map(|rule| rule.parse()).collect::<Result<_, _>>()?;
    let proxy = Proxy::start(&socket, &place.path().join("engine.sock"), rules, Arc::new(|_| {}))?;
    let mounted = place.path().join("mounted");
    fs::create_dir(&mounted)?;
    let (host, _) = configure(&mounted, Path::new("/var/registry"))?;
    let mut holder = Command::new("/proc/self/exe");
    holder.arg(CONTAIN).arg(&mounted).env("DOCKER_HOST", format!("unix://{}", proxy.socket().display()));
    holder.env_remove("DOCKER_DEFAULT_PLATFORM").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = Ends(holder.spawn()?);
    let mut line = String::new();
    let out = holder.0.stdout.take().ok_or("it has a stdout")?;
    BufReader::new(out).read_line(&mut line)?;
    ensure(line == "runs\n", || format!("the container does not run: {line}"))?;
    answers(&host, &mut holder.0)?;
    artifacts_of(&host)?;
    // Its end is the container's.
    drop(holder.0.stdin.take());
    let ended = holder.0.wait()?;
    ensure(ended.success(), || format!("{ended}"))?;
    let gone = TcpStream::connect(&host).is_err();
    ensure(gone, || "the container outlives its test".into())
}

/// Two files of one project on two machines that share nothing but the registry.
fn artifacts_of(host: &str) -> Result<(), Failed> {
    let file = format!(
        "build: {{ local: {{ push: true }}, artifacts: [{{ image: '{host}/team/app', context: app }}] }}\n"
    );
    let files =
        [("skaffold.yaml", file.as_str()), ("app/Dockerfile", "FROM scratch\nCOPY f /\n"), ("app/f", "f")];
    let (ours, theirs) = (Place::of(&files), Place::of(&files));
    let had = |place: &Place, more: &[&str], how: &str| {
        let output = place.command(&[&["artifacts", "build", "skaffold.yaml"], more].concat()).output()?;
        ensure(output.status.success() && said(&output).contains(how), || {
            format!("no {how:?} in {}", said(&output))
        })
    };
    had(&ours, &[], ": built in")?;
    had(&ours, &[], ": found in")?;
    had(&ours, &["--tag", "v2"], ": tagged in")?;
    let image = format!("{host}/team/app");
    let add =
        theirs.command(&["artifacts", "add", "skaffold.yaml", &image, &format!("{image}:v2")]).output()?;
    ensure(add.status.success(), || said(&add))?;
    had(&theirs, &[], ": found in")?;
    let warm = theirs.command(&["warm", &format!("{image}:v2")]).output()?;
    ensure(said(&warm).contains("was here, and is whole"), || said(&warm))
}

/// A configuration for a free port of loopback, its data at `data`; the port's address, and the file.
fn configure(dir: &Path, data: &Path) -> Result<(String, PathBuf), Failed> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let host = format!("127.0.0.1:{port}");
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
        data.display()
    );
    let file = dir.join("config.yml");
    fs::write(&file, config)?;
    Ok((host, file))
}

fn answers(host: &str, child: &mut Child) -> Result<(), Failed> {
    let begun = Instant::now();
    while TcpStream::connect(host).is_err() {
        let ended = child.try_wait()?;
        if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
            return Err(format!("docker-registry does not answer ({ended:?})").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn tool() -> Result<Command, Failed> {
    let tools = engines::tools("docker-registry", &["docker-registry"], &engines::cache_dir()?, &|line| {
        eprintln!("{line}")
    })?;
    Ok(tools.command("docker-registry").ok_or("the program that was asked for")?)
}

/// The registry, the libraries it is linked with, and the loader, where each looks for the next.
fn program_and_libraries(root: &Path) -> Result<(), Failed> {
    let tool = tool()?;
    let program = PathBuf::from(tool.get_program());
    let copy = |from: &Path, to: &str| -> Result<(), Failed> {
        let to = root.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().ok_or("a parent")?)?;
        fs::copy(from, to)?;
        Ok(())
    };
    copy(&program, "docker-registry")?;
    let mut ldd = Command::new("ldd");
    ldd.arg(&program).envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let listed = ldd.output()?;
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, or the loader alone.
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [name, "=>", path, _] => copy(Path::new(path), &format!("lib/x86_64-linux-gnu/{name}"))?,
            [path, _] if path.starts_with('/') => copy(Path::new(path), path)?,
            _ => {}
        }
    }
    fs::create_dir_all(root.join("var/registry"))?;
    Ok(())
}

/// In a process of its own, because the library reads DOCKER_HOST once in its life: the container, until stdin ends.
fn contain_if_asked() {
    let args: Vec<std::ffi::OsString> = std::env::args_os().take(4).collect();
    let [_, verb, mounted] = args.as_slice() else { return };
    if verb != CONTAIN {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            let image = GenericImage::new(IMAGE, "1")
                .with_network("host")
                .with_mount(Mount::bind_mount(mounted.to_string_lossy(), "/etc/docker-registry"))
                .with_cmd(["serve", "/etc/docker-registry/config.yml"]);
            let container = image.start().await.map_err(|error| error.to_string())?;
            println!("runs");
            let mut rest = String::new();
            let _ = std::io::stdin().read_line(&mut rest);
            container.rm().await.map_err(|error| error.to_string())
        })
    });
    if let Err(why) = &outcome {
        println!("{why}");
    }
    std::process::exit(i32::from(outcome.is_err()));
}

/// A process that is ended with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
