//! Builders that look for layers in one root, without RUN: how often they look at a file and read it, and what is in the one
//! snapshot they may be told to take.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use samebuild_builder::fetch::{Fetch, FetchError, Fetched};
use samebuild_builder::snapshot::probe::{Honest, Lens, Probe, Stat};
use samebuild_builder::{
    Built, Images, Network, NotFound, OwnIgnore, Pace, Request, Stamp, Trust, Wanted, build, dialect,
    own_platform,
};
use samebuild_image::{At, Content, Digest, Image, Kind, Meta, Mtime, Source, Tree};

struct Nothing;

impl Images for Nothing {
    fn find(&self, wanted: &Wanted<'_>) -> Result<Image, NotFound> {
        Err(NotFound { name: wanted.name.to_owned(), tried: Vec::new() })
    }
}

impl Fetch for Nothing {
    fn fetch(&self, url: &str, _: &Path) -> Result<Fetched, FetchError> {
        panic!("nothing is fetched, and not {url}")
    }
}

fn built(id: &str, sets: &[(&str, &str)], dockerfile: &str, context: &Tree, lens: &dyn Lens) -> Built {
    let work = tempfile::tempdir().unwrap();
    let mut dialect = dialect::find(id).unwrap().clone();
    for (decision, variant) in sets {
        dialect.set(decision, variant).unwrap();
    }
    let request = Request {
        dockerfile: dockerfile.as_bytes(),
        dockerfile_name: "Dockerfile",
        own_ignore: OwnIgnore::InContext,
        context,
        dialect: &dialect,
        build_args: BTreeMap::new(),
        target: None,
        secrets: BTreeMap::new(),
        platform: own_platform(),
        images: &Nothing,
        fetch: &Nothing,
        work: work.path(),
        unpacked: work.path(),
        network: Network::None,
        now: (1_600_000_000, 0),
        pace: Pace::Still,
        stamp: Stamp::Clock,
        child: PathBuf::from("/proc/self/exe"),
        snapshotter: None,
        trust: Trust::Dialect,
        witness: true,
        lens,
        cache: None,
        progress: &|_| {},
    };
    build(&request).unwrap()
}

/// Counts how often each file's content is asked for, look by look.
#[derive(Default)]
struct Counting(Arc<Mutex<Vec<BTreeMap<At, usize>>>>);

struct Counted<'t> {
    honest: Honest<'t>,
    look: usize,
    looks: Arc<Mutex<Vec<BTreeMap<At, usize>>>>,
}

impl Lens for Counting {
    fn through<'t>(&self, honest: Honest<'t>, _: usize) -> Box<dyn Probe + 't> {
        let mut looks = self.0.lock().unwrap();
        looks.push(BTreeMap::new());
        Box::new(Counted { honest, look: looks.len() - 1, looks: Arc::clone(&self.0) })
    }
}

impl Probe for Counted<'_> {
    fn paths(&self) -> Vec<At> {
        self.honest.paths()
    }

    fn lstat(&mut self, at: &At) -> io::Result<Stat> {
        self.honest.lstat(at)
    }

    fn digest(&mut self, at: &At) -> io::Result<Option<Digest>> {
        *self.looks.lock().unwrap()[self.look].entry(at.clone()).or_default() += 1;
        self.honest.digest(at)
    }

    fn link(&mut self, at: &At) -> io::Result<Option<Vec<u8>>> {
        self.honest.link(at)
    }
}

/// A file that counts how often it is read.
struct Counter(&'static [u8], Arc<AtomicUsize>);

impl Source for Counter {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let (start, len) = (usize::try_from(offset).unwrap(), usize::try_from(len).unwrap());
        Ok(Box::new(&self.0[start..start + len]))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn name(&self) -> String {
        "a counted file".to_owned()
    }
}

/// GoogleContainerTools/kaniko#1284: files were walked and hashed twice; 1.24 hashes a copied file three times.
#[test]
fn full_asks_for_each_content_once_a_snapshot_and_reads_it_once_until_it_changes() {
    const FILES: usize = 500;
    let reads: Vec<Arc<AtomicUsize>> = (0..FILES).map(|_| Arc::default()).collect();
    let mut context = Tree::new();
    context.insert(&At::from("d"), Kind::Dir, Meta::new(0o755, Mtime::secs(1)));
    for (n, reads) in reads.iter().enumerate() {
        let content = Content::lazy(Arc::new(Counter(b"text", Arc::clone(reads))), 0, 4);
        let at = At::from(format!("d/{n}").as_str());
        context.insert(&at, Kind::File(content), Meta::new(0o644, Mtime::secs(1)));
    }
    // A list of all of them, a short list, and at the end a walk over everything.
    let dockerfile = "FROM scratch\nCOPY d /d\nCOPY d/1 /e\nCOPY d/2 /f\n";
    for (id, sets) in [("kaniko@1.24", &[("unpacked.last_step", "whole-root")][..]), ("kaniko@pre-289", &[])]
    {
        reads.iter().for_each(|reads| reads.store(0, Ordering::Relaxed));
        let looks = Counting::default();
        let image = built(id, sets, dockerfile, &context, &looks);
        assert_eq!(image.unrecorded, [], "{id}");
        let looks = looks.0.lock().unwrap();
        assert!(
            looks.iter().filter(|look| look.len() >= FILES).count() > 1,
            "{id} looks at everything twice"
        );
        assert!(looks.iter().flat_map(BTreeMap::values).all(|asked| *asked == 1), "{id}");
        // What was read in an earlier build is known in the next: the context is the same.
        let most = reads.iter().map(|reads| reads.load(Ordering::Relaxed)).max();
        assert!(most <= Some(1), "{id} reads a file {most:?} times");
    }
}

/// osscontainertools/kaniko mz991: one snapshot, and a MAINTAINER as the last line.
#[test]
fn one_snapshot_after_a_maintainer_holds_everything() {
    let mut context = Tree::new();
    let meta = Meta::new(0o644, Mtime::secs(1));
    context.insert(&At::from("a"), Kind::File(Content::inline(*b"a")), meta);
    let single = [("unpacked.moments", "last-step")];
    let dockerfile = "FROM scratch\nCOPY a /a\nCOPY a /b\nMAINTAINER somebody\n";
    let built = built("kaniko@1.24", &single, dockerfile, &context, &Counting::default());
    assert_eq!(built.image.layers.len(), 1);
    assert_eq!(built.unrecorded, [], "the layer has what the root has");
}
