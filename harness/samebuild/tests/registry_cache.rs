//! A registry as the place of the layer cache: what is sent there, what is fetched, counted by a registry of a few lines; and
//! what becomes of a build when it misbehaves. Nothing needs root, an engine or a network but loopback.

#[expect(dead_code, reason = "tests of other files use the rest")]
mod place;
#[expect(dead_code, reason = "tests of other files use the rest")]
mod registry_server;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use place::Place;
use registry_server::{Door, Server};
use samebuild::proxy::{End, Proxy};
use samebuild::stored::read_image;
use samebuild_image::manifest::Manifest;

const DOCKERFILE: &str = "FROM scratch\nCOPY a /\nCOPY b /\nCOPY noise /\nADD a /z\n";

/// A project; wherever it is checked out, its files are of one time.
fn project(dockerfile: &str) -> Place {
    let place = Place::of(&[("ctx/Dockerfile", dockerfile), ("ctx/a", "a\n"), ("ctx/b", "b\n")]);
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..100_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    std::fs::write(place.path().join("ctx/noise"), noise).unwrap();
    for name in ["a", "b", "noise"] {
        dated(&place, name);
    }
    place
}

fn dated(place: &Place, name: &str) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let file = std::fs::File::options().append(true).open(place.path().join("ctx").join(name)).unwrap();
    file.set_modified(time).unwrap();
}

fn build(place: &Place, args: &[&str]) -> Output {
    let mut command = place.command(&["build", "ctx"]);
    command.args(args).env("SOURCE_DATE_EPOCH", "1600000000").output().unwrap()
}

fn right(place: &Place, args: &[&str]) -> String {
    let output = build(place, args);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn diff_ids(layout: &Path) -> Vec<String> {
    let image = read_image(layout).unwrap().image;
    image.layers.iter().filter_map(|layer| layer.diff_id).map(|id| id.to_string()).collect()
}

/// Requests whose line begins and goes on so.
fn count(requests: &[String], method: &str, part: &str) -> usize {
    requests.iter().filter(|line| line.starts_with(method) && line.contains(part)).count()
}

#[test]
fn with_push_a_repository_beside_the_image_is_the_cache_and_only_what_is_missing_goes_there() {
    let server = Server::start(Door::Open);
    let name = format!("{}/team/app:1", server.host);
    let push = ["--tag", &name, "--push", "--cache"];
    let (ours, theirs) = (project(DOCKERFILE), project(DOCKERFILE));
    assert!(right(&ours, &push).contains("0 of 4 steps found"));
    let first = server.requests();
    assert_eq!(count(&first, "PUT", "/team/app/cache/manifests/"), 4, "{first:#?}");
    // Another machine finds everything, sends nothing but the image's own manifest, and fetches no layer.
    let again = right(&theirs, &push);
    assert!(again.contains("4 of 4 steps found in the cache"), "{again}");
    let second = server.requests();
    assert_eq!(count(&second, "PUT", ""), 1, "{second:#?}");
    assert_eq!(count(&second, "PUT", "/team/app/manifests/1"), 1);
    assert_eq!(layers_fetched(&server, &second), BTreeSet::new(), "{second:#?}");
    // One file: its step and those that stand on it, and nothing that is there.
    std::fs::write(theirs.path().join("ctx/noise"), "quiet\n").unwrap();
    dated(&theirs, "noise");
    let changed = right(&theirs, &push);
    assert!(changed.contains("2 of 4 steps found in the cache"), "{changed}");
    let third = server.requests();
    assert_eq!(count(&third, "PUT", "/team/app/cache/manifests/"), 2, "{third:#?}");
    let blobs = |requests: &[String]| -> BTreeSet<String> {
        let sent = requests.iter().filter(|line| line.starts_with("PUT /v2/team/app/cache/blobs/"));
        sent.filter_map(|line| line.split_once("digest=")).map(|(_, digest)| digest.to_owned()).collect()
    };
    assert!(blobs(&first).is_disjoint(&blobs(&third)) && !blobs(&third).is_empty(), "{third:#?}");
}

/// The blobs that were asked for and are no configuration: what is not JSON.
fn layers_fetched(server: &Server, requests: &[String]) -> BTreeSet<String> {
    let asked = requests.iter().filter_map(|line| line.strip_prefix("GET /v2/")?.split('?').next());
    let is_layer = |path: &&str| path.contains("/blobs/") && server.bytes(path).first() != Some(&b'{');
    asked.filter(is_layer).map(str::to_owned).collect()
}

#[test]
fn an_image_of_found_layers_goes_to_a_new_repository_of_that_registry_without_one_being_moved() {
    let server = Server::start(Door::Open);
    let cache = format!("registry:{}/team/steps", server.host);
    let run = |place: &Place, name: &str| {
        let name = format!("{}/{name}", server.host);
        right(place, &["--cache-from", &cache, "--cache-to", &cache, "--push", "--tag", &name])
    };
    run(&project(DOCKERFILE), "team/one:1");
    server.requests();
    let told = run(&project(DOCKERFILE), "team/two:1");
    assert!(told.contains("4 of 4 steps found"), "{told}");
    let requests = server.requests();
    assert_eq!(layers_fetched(&server, &requests), BTreeSet::new(), "{requests:#?}");
    assert_eq!(count(&requests, "POST", "mount="), 4, "{requests:#?}");
    // Its configuration and its manifest.
    assert_eq!(count(&requests, "PUT", ""), 2, "{requests:#?}");
    let reader = Place::of(&[("ctx/Dockerfile", &format!("FROM {}/team/two:1\n", server.host))]);
    right(&reader, &["-o", "oci:out"]);
    assert_eq!(diff_ids(&reader.path().join("out")).len(), 4);
}

#[test]
fn metadata_alone_costs_a_manifest_and_a_configuration_and_no_byte_of_a_layer() {
    let server = Server::start(Door::Open);
    let base = format!("{}/team/base:1", server.host);
    right(&project(DOCKERFILE), &["--tag", &base, "--push"]);
    for (n, cached) in [false, true].into_iter().enumerate() {
        for (m, repository) in ["team/base", "team/other"].into_iter().enumerate() {
            let name = format!("{}/{repository}:from-{n}-{m}", server.host);
            let place = project(&format!("FROM {base}\nENV A=1\nLABEL l=1\nCMD [\"x\"]\n"));
            server.requests();
            let more: &[&str] = if cached { &["--cache"] } else { &[] };
            right(&place, &[&["--tag", &name, "--push"], more].concat());
            let requests = server.requests();
            assert_eq!(layers_fetched(&server, &requests), BTreeSet::new(), "{name}: {requests:#?}");
            assert_eq!(count(&requests, "GET", "/team/base/blobs/"), 1, "{name}: {requests:#?}");
            let reader = Place::of(&[("ctx/Dockerfile", &format!("FROM {name}\n"))]);
            right(&reader, &["-o", "oci:out"]);
            assert_eq!(diff_ids(&reader.path().join("out")).len(), 4, "{name}");
        }
    }
}

// The second Dockerfile has a stage that needs files and is none of the image: there the base is read.
#[test]
fn metadata_alone_makes_the_image_that_it_makes_where_files_are_read() {
    let metadata = "ENV A=1\nLABEL l=1\nVOLUME /v\nUSER 7:8\nEXPOSE 80\nSTOPSIGNAL 9\nSHELL [\"/x\"]\nCMD x\nENTRYPOINT [\"e\"]\n";
    let place = project(DOCKERFILE);
    right(&place, &["--tag", "base:1"]);
    for dialect in ["classic@20.10", "classic@26.1", "buildkit@20.10", "buildkit@26.1", "buildkit@head"] {
        let index = |name: &str, before: &str| {
            let text = format!("{before}FROM base:1\n{metadata}");
            std::fs::write(place.path().join("ctx/Dockerfile"), text).unwrap();
            let out = format!("{name}-{dialect}");
            right(&place, &["--dialect", dialect, "-o", &format!("oci:{out}")]);
            std::fs::read(place.path().join(out).join("index.json")).unwrap()
        };
        let alone = index("alone", "");
        assert_eq!(alone, index("beside", "FROM base:1 AS unused\nWORKDIR /made\n"), "{dialect}");
    }
}

// What a base tells whoever starts from it to do needs files, although the Dockerfile does not say so.
#[test]
fn a_base_with_triggers_is_no_metadata_alone() {
    let server = Server::start(Door::Open);
    let base = format!("{}/team/base:1", server.host);
    right(&project(&format!("{DOCKERFILE}ONBUILD COPY a /later/\n")), &["--tag", &base, "--push"]);
    let place = project(&format!("FROM {base}\nENV A=1\n"));
    right(&place, &["-o", "oci:out"]);
    let tree = read_image(&place.path().join("out")).unwrap().image.tree().unwrap();
    assert!(tree.get(&"later/a".into()).is_some() && tree.get(&"noise".into()).is_some());
}

/// A rule of the proxy, and whether something of the cache is lost where it lasts, so that it is told.
const FAULTS: [(&str, &str, bool); 12] = [
    ("drop GET", "*/manifests/* after 0", true),
    ("drop GET", "*/manifests/* after 300", true),
    ("error GET", "*/manifests/* with 500", true),
    ("drop GET", "*/blobs/* after 20", true),
    ("drop GET", "*/blobs/* after 20000", true),
    ("error GET", "*/blobs/* with 503", true),
    ("flip GET", "*/blobs/* at 300", true),
    ("slow GET", "*/blobs/* to 1000000", false),
    ("drop POST", "*/blobs/uploads/* after 0", true),
    ("error PUT", "*/blobs/uploads/* with 500", true),
    ("error PUT", "*/manifests/* with 429", true),
    ("slow PUT", "* to 20000", false),
];

// A cache that cannot be reached is a slower build, and never a wrong or a failed one.
#[test]
fn a_registry_that_misbehaves_costs_a_warning_and_never_the_build() {
    let server = Server::start(Door::Open);
    let filled = format!("registry:{}/team/filled", server.host);
    let maker = project(DOCKERFILE);
    right(&maker, &["-o", "oci:out", "--cache-from", &filled, "--cache-to", &filled]);
    let whole = diff_ids(&maker.path().join("out"));
    let trials: Vec<_> = FAULTS.iter().flat_map(|fault| [(fault, "#1"), (fault, "")]).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(((head, rest, tells), times)) =
                    trials.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let rule = format!("{head}{times} {rest}");
                    through(&server, &rule, *tells && times.is_empty(), &whole);
                }
            });
        }
    });
}

fn through(server: &Server, rule: &str, is_told: bool, whole: &[String]) {
    let (upstream, any) =
        (format!("tcp://{}", server.host).parse().unwrap(), "tcp://127.0.0.1:0".parse().unwrap());
    let proxy = Proxy::between(&upstream, &any, vec![rule.parse().unwrap()], Arc::new(|_| {})).unwrap();
    let address = match proxy.end() {
        End::Port(address) => address.to_string(),
        End::Socket(path) => panic!("it listens on {}", path.display()),
    };
    let (from, to) =
        (format!("registry:{address}/team/filled"), format!("registry:{address}/team/{}", name_of(rule)));
    // One step more: what was found is read, and something is kept.
    let place = project(&format!("{DOCKERFILE}COPY a /last\n"));
    let told = right(&place, &["-o", "oci:out", "--cache-from", &from, "--cache-to", &to]);
    let made = diff_ids(&place.path().join("out"));
    assert_eq!(&made[..whole.len()], whole, "{rule}: {told}");
    assert_eq!(told.contains("warning: failed to"), is_told, "{rule}: {told}");
    drop(proxy);
    // What is left behind here and there does no harm.
    let direct = to.replace(&address, &server.host);
    let after = right(&place, &["-o", "oci:after", "--cache-from", &direct]);
    assert_eq!(diff_ids(&place.path().join("after")), made, "{rule}: {after}");
}

// A killed build leaves blobs that nobody names, and no entry that lacks one.
#[test]
fn killed_while_it_sends_a_build_leaves_nothing_broken_in_the_registry() {
    let server = Server::start(Door::Open);
    let cache = format!("registry:{}/team/killed", server.host);
    let args = ["build", "ctx", "-o", "oci:out", "--cache-from", &cache, "--cache-to", &cache];
    let mut killed = 0;
    for round in 0..40_u64 {
        let place = project(&format!("{DOCKERFILE}LABEL round={round}\nCOPY a /round-{round}\n"));
        std::fs::write(place.path().join("ctx/b"), format!("{round}\n")).unwrap();
        dated(&place, "b");
        let mut command = place.command(&args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + (round * 7) % 120));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        assert_eq!(broken(&server, "team/killed"), BTreeSet::new(), "round {round}");
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        std::fs::remove_dir_all(place.path().join("out")).ok();
        right(&place, &["-o", "oci:after", "--cache-from", &cache, "--cache-to", &cache]);
        right(&place, &["-o", "oci:cold"]);
        assert_eq!(diff_ids(&place.path().join("after")), diff_ids(&place.path().join("cold")), "{round}");
    }
    println!("{killed} of 40 builds were killed at work");
    assert!(killed > 20);
}

/// What manifests of the repository name and is not there.
fn broken(server: &Server, repository: &str) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for path in server.paths(&format!("{repository}/manifests/")) {
        let manifest: Manifest = serde_json::from_slice(&server.bytes(&path)).unwrap();
        let parts = manifest.layers.iter().chain([&manifest.config]);
        let blobs = parts.map(|part| format!("{repository}/blobs/{}", part.digest));
        missing.extend(blobs.filter(|blob| !server.has(blob)));
    }
    missing
}

fn name_of(rule: &str) -> String {
    rule.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}
