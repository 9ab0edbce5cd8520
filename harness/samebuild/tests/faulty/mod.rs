//! A registry behind a proxy that cuts, refuses, turns bits and takes its time: what comes of pulls and pushes through it. The
//! registry is whoever's the test is.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use samebuild::proxy::{End, Proxy};
use samebuild::stored::read_image;
use samebuild_image::Digest;

use crate::place::Place;

/// Whether the fault goes away by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasts {
    Once,
    Always,
}

/// A rule of the proxy, without the count; and what is said where it lasts.
const PULLS: [(&str, &str, &[&str]); 13] = [
    ("drop", "*/blobs/* after 0", &["the connection to", "reach"]),
    ("drop", "*/blobs/* after 20", &["the connection to", "reach"]),
    ("drop", "*/blobs/* after 700", &["truncated"]),
    ("drop", "*/blobs/* after 20000", &["truncated"]),
    ("drop", "*/blobs/* after 100000", &["truncated"]),
    ("error", "*/blobs/* with 429", &["says 429"]),
    ("error", "*/blobs/* with 500", &["says 500"]),
    ("flip", "*/blobs/* at 50000", &["its digest is not"]),
    ("flip", "*/blobs/* at 1000", &["its digest is not"]),
    ("drop", "*/manifests/* after 300", &["the connection to", "reach"]),
    ("error", "*/manifests/* with 503", &["says 503"]),
    ("error", "*/manifests/* with 429", &["says 429"]),
    ("slow", "*/blobs/* to 1000000", &[]),
];

/// With their methods.
const PUSHES: [(&str, &str, &str, &[&str]); 8] = [
    ("drop", "POST", "*/blobs/uploads/* after 0", &["the connection to", "reach"]),
    // The answer is lost, and the blob is there: the second look finds it.
    ("drop", "PUT", "*/blobs/uploads/* after 0", &[]),
    ("error", "PUT", "*/blobs/uploads/* with 500", &["says 500"]),
    ("error", "POST", "*/blobs/uploads/* with 429", &["says 429"]),
    ("error", "PUT", "*/manifests/* with 503", &["says 503"]),
    ("drop", "PUT", "*/manifests/* after 0", &["the connection to", "reach"]),
    ("error", "HEAD", "*/blobs/* with 500", &["says 500"]),
    ("slow", "PUT", "* to 2000", &[]),
];

/// Everything there is, through proxies in front of the registry at `host` (`127.0.0.1:PORT`), which lets everybody in.
/// What is wrong is told, one line each.
pub fn try_all(host: &str) -> Vec<String> {
    let maker = maker();
    let pushed = run(&maker, &["build", "ctx", "-t", &format!("{host}/f/whole:1"), "--push"]);
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert!(run(&maker, &["build", "ctx", "-o", "oci:whole"]).status.success());
    let whole = diff_ids(&maker.path().join("whole"));
    let mut trials: Vec<Box<dyn Fn() -> Result<(), String> + Send + Sync + '_>> = Vec::new();
    for lasts in [Lasts::Once, Lasts::Always] {
        for (verb, rest, words) in PULLS {
            let whole = &whole;
            trials.push(Box::new(move || pull(host, verb, rest, words, lasts, whole)));
        }
        for (number, (verb, method, rest, words)) in PUSHES.into_iter().enumerate() {
            trials
                .push(Box::new(move || push(host, number, &format!("{verb} {method}"), rest, words, lasts)));
        }
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Err(why) = trial() {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    println!("{} faults tried", trials.len());
    wrong.into_inner().unwrap()
}

fn pull(
    host: &str,
    verb: &str,
    rest: &str,
    words: &[&str],
    lasts: Lasts,
    whole: &[String],
) -> Result<(), String> {
    let (rule, proxy) = stand_between(host, &format!("{verb} GET"), rest, lasts);
    let from = format!("FROM {}/f/whole:1\n", at(&proxy));
    let place = Place::of(&[("ctx/Dockerfile", &from)]);
    let built = run(&place, &["build", "ctx", "-o", "oci:out"]);
    let must_fail = lasts == Lasts::Always && !words.is_empty();
    judge(&rule, &built, must_fail, words)?;
    clean(&place, &rule)?;
    if built.status.success() && diff_ids(&place.path().join("out")) != whole {
        return Err(format!("{rule}: another image was built"));
    }
    // What is left behind does no harm once the fault is gone.
    drop(proxy);
    std::fs::write(place.path().join("ctx/Dockerfile"), format!("FROM {host}/f/whole:1\n")).unwrap();
    let after = run(&place, &["build", "ctx", "-o", "oci:after"]);
    if !after.status.success() || diff_ids(&place.path().join("after")) != whole {
        return Err(format!("{rule}: without it, too: {}", said(&after)));
    }
    Ok(())
}

fn push(
    host: &str,
    number: usize,
    head: &str,
    rest: &str,
    words: &[&str],
    lasts: Lasts,
) -> Result<(), String> {
    let (rule, proxy) = stand_between(host, head, rest, lasts);
    let place = maker();
    let repository = format!("f/push-{number}-{}", format!("{lasts:?}").to_lowercase());
    let name = |at: &str| format!("{at}/{repository}:1");
    let pushed = run(&place, &["build", "ctx", "-o", "oci:out", "-t", &name(&at(&proxy)), "--push"]);
    let must_fail = lasts == Lasts::Always && !words.is_empty();
    judge(&rule, &pushed, must_fail, words)?;
    drop(proxy);
    let reader = Place::of(&[("ctx/Dockerfile", &format!("FROM {}\n", name(host)))]);
    let read = run(&reader, &["build", "ctx", "-o", "oci:out"]);
    let right =
        read.status.success() && diff_ids(&reader.path().join("out")) == diff_ids(&place.path().join("out"));
    if pushed.status.success() && !right {
        return Err(format!("{rule}: it was pushed, they say, but: {}", said(&read)));
    }
    // A push whose answer was lost may have been done.
    if !pushed.status.success() && !right && !said(&read).contains("has no such image") {
        return Err(format!("{rule}: what it left in the registry is broken: {}", said(&read)));
    }
    Ok(())
}

fn judge(rule: &str, output: &Output, must_fail: bool, words: &[&str]) -> Result<(), String> {
    let text = said(output);
    if must_fail {
        let is_clear = output.status.code() == Some(3) && words.iter().any(|word| text.contains(word));
        return if is_clear { Ok(()) } else { Err(format!("{rule}: {:?}, {text}", output.status)) };
    }
    if output.status.success() { Ok(()) } else { Err(format!("{rule}: {:?}, {text}", output.status)) }
}

/// Every blob in the cache is what it is called, and nothing else is there.
fn clean(place: &Place, rule: &str) -> Result<(), String> {
    let Ok(blobs) = std::fs::read_dir(place.path().join("cache/images/blobs/sha256")) else { return Ok(()) };
    for blob in blobs {
        let path = blob.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if Digest::of(&std::fs::read(&path).unwrap()).hex() != name {
            return Err(format!("{rule}: {name} is in the cache, and is not that"));
        }
    }
    Ok(())
}

fn stand_between(host: &str, head: &str, rest: &str, lasts: Lasts) -> (String, Proxy) {
    let rule = match lasts {
        Lasts::Once => format!("{head}#1 {rest}"),
        Lasts::Always => format!("{head} {rest}"),
    };
    let (upstream, any) = (format!("tcp://{host}").parse().unwrap(), "tcp://127.0.0.1:0".parse().unwrap());
    let proxy = Proxy::between(&upstream, &any, vec![rule.parse().unwrap()], Arc::new(|_| {})).unwrap();
    (rule, proxy)
}

fn at(proxy: &Proxy) -> String {
    match proxy.end() {
        End::Port(address) => address.to_string(),
        End::Socket(path) => panic!("it listens on {}", path.display()),
    }
}

/// An image of two layers, one of which is large and does not compress.
fn maker() -> Place {
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..150_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    let place = Place::of(&[("ctx/Dockerfile", "FROM scratch\nCOPY noise /\nCOPY f /\n"), ("ctx/f", "f\n")]);
    std::fs::write(place.path().join("ctx/noise"), noise).unwrap();
    place
}

fn diff_ids(layout: &Path) -> Vec<String> {
    let image = read_image(layout).unwrap().image;
    image.layers.iter().filter_map(|layer| layer.diff_id).map(|id| id.to_string()).collect()
}

fn run(place: &Place, args: &[&str]) -> Output {
    place.command(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
