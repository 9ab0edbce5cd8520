//! What is looked for, made and remembered, against the engine in memory and a registry of a few lines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::desk::Desk;
use crate::engine::{Answer, Build, Container, Delete, Deleted, Engine, Summary};
use crate::floor::Floor;
use crate::invariants::Ledger;
use crate::model::{Mode, ModelEngine, World};
use crate::names::Reference;
use crate::session::{Request, Session, Silent};
use crate::strategies::Generation;

const APP: Repository = Repository(0);
const WEB: Repository = Repository(1);

/// The engine in memory, which nobody may ask for a list, and in which something can happen before an image is named.
struct Watched {
    engine: ModelEngine,
    world: Rc<RefCell<World>>,
    builds: Cell<u32>,
    /// Deleted just after it was looked at so many times.
    doomed: Cell<Option<(ImageId, u32)>>,
    /// Done in the middle of a build.
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Engine for Watched {
    fn list(&self, _: Repository) -> Call<'_, Answer<Vec<Summary>>> {
        panic!("the cache lists images")
    }
    fn inspect(&self, id: ImageId) -> Call<'_, Answer<Summary>> {
        Box::pin(async move {
            let answer = self.engine.inspect(id).await;
            if let Some((doomed, left)) = self.doomed.get().filter(|(doomed, _)| *doomed == id) {
                self.doomed.set((left > 1).then_some((doomed, left - 1)));
                if left == 1 {
                    self.world.borrow_mut().remove(id);
                }
            }
            answer
        })
    }
    fn resolve(&self, name: Name) -> Call<'_, Answer<ImageId>> {
        self.engine.resolve(name)
    }
    fn containers(&self) -> Call<'_, Answer<Vec<Container>>> {
        self.engine.containers()
    }
    fn disk_usage(&self) -> Call<'_, Answer<()>> {
        self.engine.disk_usage()
    }
    fn build(&self, request: Build) -> Call<'_, Answer<ImageId>> {
        self.builds.set(self.builds.get() + 1);
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        self.engine.build(request)
    }
    fn tag(&self, id: ImageId, name: Name) -> Call<'_, Answer<()>> {
        self.engine.tag(id, name)
    }
    fn delete(&self, target: Reference, options: Delete) -> Call<'_, Answer<Deleted>> {
        self.engine.delete(target, options)
    }
    fn prune_all(&self) -> Call<'_, Answer<Deleted>> {
        self.engine.prune_all()
    }
    fn create_container(&self, image: Reference, running: bool) -> Call<'_, Answer<()>> {
        self.engine.create_container(image, running)
    }
}

/// Has manifests under repositories, and names; manifest n is image n.
#[derive(Default)]
struct Remote {
    manifests: RefCell<BTreeSet<(Repository, ManifestId)>>,
    names: RefCell<Vec<(Name, ManifestId)>>,
    pushed: RefCell<Vec<Name>>,
    asked: Cell<u32>,
}

impl Registry for Remote {
    fn digest(&self, name: Name) -> Call<'_, Result<Option<ManifestId>, Trouble>> {
        self.asked.set(self.asked.get() + 1);
        let found = self.names.borrow().iter().find(|(other, _)| *other == name).map(|(_, id)| *id);
        Box::pin(std::future::ready(Ok(found)))
    }
    fn has(&self, repository: Repository, manifest: ManifestId) -> Call<'_, Result<bool, Trouble>> {
        self.asked.set(self.asked.get() + 1);
        Box::pin(std::future::ready(Ok(self.manifests.borrow().contains(&(repository, manifest)))))
    }
    fn tag(&self, manifest: ManifestId, name: Name) -> Call<'_, Result<bool, Trouble>> {
        let there = self.manifests.borrow().contains(&(name.repository, manifest));
        if there {
            self.names.borrow_mut().retain(|(other, _)| *other != name);
            self.names.borrow_mut().push((name, manifest));
        }
        Box::pin(std::future::ready(Ok(there)))
    }
    fn push(&self, id: ImageId, name: Name) -> Call<'_, Result<ManifestId, Trouble>> {
        self.pushed.borrow_mut().push(name);
        self.manifests.borrow_mut().insert((name.repository, ManifestId(id.0)));
        self.names.borrow_mut().retain(|(other, _)| *other != name);
        self.names.borrow_mut().push((name, ManifestId(id.0)));
        Box::pin(std::future::ready(Ok(ManifestId(id.0))))
    }
}

/// Sources that were edited so many times, and touched so many times.
struct Edited {
    memory: Rc<Memory>,
    edits: Rc<Cell<(u64, u64)>>,
}

impl Sources for Edited {
    fn hash(&self, content: Content) -> Call<'_, Result<Hashed, Trouble>> {
        Box::pin(async move {
            let (edits, witness) = self.edits.get();
            let key =
                if edits == 0 { self.memory.hash(content).await?.key } else { Key::symbol(edits << 20) };
            Ok(Hashed { key, witness })
        })
    }
}

struct Place {
    engine: Rc<Watched>,
    session: Session,
    memory: Rc<Memory>,
    remote: Rc<Remote>,
    edits: Rc<Cell<(u64, u64)>>,
}

impl Place {
    /// An engine in which `app:latest` is the image of content 0.
    fn new() -> Place {
        let mut world = World::new(Mode::Graphdriver);
        let image = world.add(Content(0));
        world.name(image, Name::policy(APP, 0));
        let (floor, world) = (Floor::free(), Rc::new(RefCell::new(world)));
        let engine = ModelEngine::new(floor.clone(), world.clone(), Rc::new(Ledger::default()));
        let engine = Rc::new(Watched {
            engine,
            world,
            builds: Cell::new(0),
            doomed: Cell::default(),
            meanwhile: RefCell::default(),
        });
        let session = Session {
            engine: engine.clone(),
            desk: Desk::new(&floor),
            machine: Desk::new(&floor),
            floor,
            journal: Rc::new(Silent),
        };
        let memory = Memory::of(Content(0), image);
        Place { engine, session, memory, remote: Rc::default(), edits: Rc::default() }
    }

    fn cache(&self) -> Cache {
        let sources = Rc::new(Edited { memory: self.memory.clone(), edits: self.edits.clone() });
        Cache { sources, ..self.memory.cache() }
    }

    fn remote_cache(&self) -> Cache {
        Cache { registry: Some(self.remote.clone()), ..self.cache() }
    }

    fn look(&self, cache: &Cache, request: Request) -> Looked {
        now(look(&self.session, cache, &request))
    }

    fn make(&self, cache: &Cache, request: Request) -> Made {
        let looked = self.look(cache, request);
        now(make(&self.session, &Generation::WHOLE, cache, request, looked)).unwrap()
    }

    fn state(&self, cache: &Cache, request: Request) -> State {
        self.look(cache, request).state
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn request(content: u16, repository: Repository, tag: u16) -> Request {
    Request { number: 0, content: Content(content), repository, tag, pass: None }
}

#[test]
fn a_local_image_is_found_by_its_name_lacks_it_or_is_built() {
    let place = Place::new();
    let cache = place.cache();
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::Found);
    assert_eq!(place.state(&cache, request(0, APP, 1)), State::NeedsTag, "another tag");
    assert_eq!(place.state(&cache, request(0, WEB, 0)), State::NeedsTag, "another repository");
    assert_eq!(place.state(&cache, request(1, APP, 0)), State::NeedsBuild(Why::New));
    place.engine.world.borrow_mut().remove(ImageId(0));
    assert_eq!(place.state(&cache, request(0, APP, 1)), State::NeedsBuild(Why::Gone));
    let off = Cache { on: false, ..cache };
    assert_eq!(place.state(&off, request(0, APP, 0)), State::NeedsBuild(Why::Off));
    assert_eq!(place.remote.asked.get(), 0, "no registry was asked for a local target");
}

#[test]
fn a_hit_gets_its_names_and_nothing_is_built() {
    let place = Place::new();
    let made = place.make(&place.cache(), request(0, WEB, 3));
    assert_eq!((made.how, made.kept), (How::Hit(State::NeedsTag), Kept::Yes));
    let ready = made.ready.unwrap();
    assert_eq!(ready.name, Name::unique(WEB, ImageId(0)));
    let world = place.engine.world.borrow();
    for name in [ready.name, Name::policy(WEB, 3)] {
        assert_eq!(world.find(Reference::Name(name)), Some(ImageId(0)));
    }
    assert_eq!(place.engine.builds.get(), 0);
}

/// GoogleContainerTools/skaffold#7710: found, then pruned, then used.
#[test]
fn an_image_that_went_between_the_look_and_its_use_is_built() {
    let place = Place::new();
    // The look for another tag inspects it once, and then it goes.
    place.engine.doomed.set(Some((ImageId(0), 1)));
    let made = place.make(&place.cache(), request(0, APP, 1));
    assert_eq!((made.how, made.kept), (How::Built(Why::Gone), Kept::Yes));
    let ready = made.ready.unwrap();
    assert!(place.engine.world.borrow().exists(ready.id));
    assert_eq!(place.memory.entry(Content(0)).unwrap().id, Some(ready.id), "the entry says so");
    assert_eq!(place.state(&place.cache(), request(0, APP, 1)), State::Found);
}

#[test]
fn sources_that_were_edited_during_the_build_are_not_remembered() {
    let place = Place::new();
    let edits = place.edits.clone();
    *place.engine.meanwhile.borrow_mut() = Some(Box::new(move || edits.set((1, 1))));
    let made = place.make(&place.cache(), request(5, APP, 0));
    assert_eq!((made.how, made.kept), (How::Built(Why::New), Kept::Changed));
    place.edits.set((0, 2));
    assert_eq!(place.state(&place.cache(), request(5, APP, 0)), State::NeedsBuild(Why::New));
}

/// The key is as before, but what the build read may have been something else.
#[test]
fn an_edit_that_was_taken_back_during_the_build_is_noticed() {
    let place = Place::new();
    let edits = place.edits.clone();
    *place.engine.meanwhile.borrow_mut() = Some(Box::new(move || edits.set((0, 2))));
    let made = place.make(&place.cache(), request(5, APP, 0));
    assert_eq!(made.kept, Kept::Changed);
}

#[test]
fn with_the_cache_off_nothing_is_read_or_written() {
    let place = Place::new();
    let cache = Cache { on: false, ..place.cache() };
    let made = place.make(&cache, request(7, APP, 0));
    assert_eq!((made.how, made.kept), (How::Built(Why::Off), Kept::Off));
    assert_eq!(place.memory.entry(Content(7)), None);
}

#[test]
fn a_remote_image_is_pushed_once_found_tagged_and_pushed_under_a_new_name() {
    let place = Place::new();
    let cache = place.remote_cache();
    // In the engine since before there was a registry.
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::NeedsPush);
    let made = place.make(&cache, request(0, APP, 0));
    assert_eq!((made.how, made.manifest), (How::Hit(State::NeedsPush), Some(ManifestId(0))));
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::Found);
    let made = place.make(&cache, request(0, APP, 0));
    assert_eq!((made.how, made.ready), (How::Hit(State::Found), None), "the engine is not needed");
    // Another tag is given in the registry, another repository needs the blobs.
    assert_eq!(place.make(&cache, request(0, APP, 1)).how, How::Hit(State::NeedsTag));
    assert_eq!(place.make(&cache, request(0, WEB, 0)).how, How::Hit(State::NeedsPush));
    let pushed = place.remote.pushed.borrow().clone();
    assert_eq!(pushed, [Name::policy(APP, 0), Name::policy(WEB, 0)]);
    assert_eq!(place.engine.builds.get(), 0);
}

#[test]
fn a_remote_image_that_only_the_registry_has_is_found_and_one_that_nobody_has_is_built() {
    let place = Place::new();
    let cache = place.remote_cache();
    place.make(&cache, request(0, APP, 0));
    place.engine.world.borrow_mut().remove(ImageId(0));
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::Found);
    place.remote.manifests.borrow_mut().clear();
    place.remote.names.borrow_mut().clear();
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::NeedsBuild(Why::Gone));
    let made = place.make(&cache, request(0, APP, 0));
    assert_eq!(made.how, How::Built(Why::Gone));
    assert_eq!(place.state(&cache, request(0, APP, 0)), State::Found, "and pushed");
}

#[test]
fn many_are_looked_for_at_once() {
    let place = Place::new();
    let requests: Vec<Request> = (0..50).map(|n| request(n, APP, n)).collect();
    let looked = now(all::look_for_all(&place.session, &place.cache(), &requests));
    assert_eq!(looked.iter().filter(|looked| looked.state.is_hit()).count(), 1);
    assert_eq!(looked[0].state, State::Found);
}
