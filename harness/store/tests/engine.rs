//! The engine in memory against what was measured on dockerd 20.10.24 (graphdriver) and on the containerd image
//! store before and after moby #45839. Requests run here without a scheduler, one after the other.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use samebuild_store::desk::{Desk, PATIENCE, Permit};
use samebuild_store::engine::{Delete, Engine, EngineError};
use samebuild_store::floor::Floor;
use samebuild_store::model::{Mode, ModelEngine, World};
use samebuild_store::names::{Content, ImageId, Name, Reference, Repository};

const APP: Repository = Repository(0);
const A: ImageId = ImageId(0);
const B: ImageId = ImageId(1);

fn tag(n: u16) -> Name {
    Name::policy(APP, n)
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match poll(future) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here may wait"),
    }
}

fn engine(world: World) -> (ModelEngine, Rc<RefCell<World>>) {
    let world = Rc::new(RefCell::new(world));
    (ModelEngine::new(Floor::free(), world.clone(), Rc::default()), world)
}

#[derive(Clone, Copy)]
enum Store {
    Graphdriver,
    Before45839,
    After45839,
}

/// One image A, named tag 1; `change` makes the row of the matrix; then `image prune --all`. Whether A exists,
/// and which of the tags 1 and 2 are left.
fn after_prune(store: Store, change: impl Fn(&ModelEngine, &RefCell<World>)) -> (bool, Vec<u16>) {
    let mode = if let Store::Graphdriver = store { Mode::Graphdriver } else { Mode::Containerd };
    let mut world = World::new(mode);
    if let Store::Before45839 = store {
        world.before_45839();
    }
    world.add(Content(0));
    world.name(A, tag(1));
    let (engine, world) = engine(world);
    change(&engine, &world);
    now(engine.prune_all()).unwrap();
    let world = world.borrow();
    let tags = (1..=2).filter(|n| world.find(Reference::Name(tag(*n))) == Some(A)).collect();
    (world.exists(A), tags)
}

fn contain(world: &RefCell<World>, reference: Reference) {
    world.borrow_mut().contain(reference, A, true);
}

fn check(change: impl Fn(&ModelEngine, &RefCell<World>), rows: [(bool, &[u16]); 3]) {
    for (store, (exists, tags)) in
        [Store::Graphdriver, Store::Before45839, Store::After45839].into_iter().zip(rows)
    {
        assert_eq!(after_prune(store, &change), (exists, tags.to_vec()), "store {}", store as u8);
    }
}

#[test]
fn prune_all_removes_an_unused_image() {
    check(|_, _| {}, [(false, &[]), (false, &[]), (false, &[])]);
}

#[test]
fn prune_all_keeps_the_image_of_a_container_by_tag() {
    check(|_, world| contain(world, Reference::Name(tag(1))), [(true, &[1]), (true, &[1]), (true, &[1])]);
}

#[test]
fn prune_all_drops_one_of_two_tags_of_a_container_by_tag() {
    let change = |_: &ModelEngine, world: &RefCell<World>| {
        world.borrow_mut().name(A, tag(2));
        contain(world, Reference::Name(tag(1)));
    };
    check(change, [(true, &[2]), (true, &[1]), (true, &[1])]);
}

/// Still so on 26.1.5: the row that #45839 left.
#[test]
fn prune_all_loses_a_container_whose_tag_was_removed_while_another_remains() {
    let change = |engine: &ModelEngine, world: &RefCell<World>| {
        world.borrow_mut().name(A, tag(2));
        contain(world, Reference::Name(tag(1)));
        now(engine.delete(Reference::Name(tag(1)), Delete { force: true, parents: false })).unwrap();
    };
    check(change, [(true, &[2]), (false, &[]), (false, &[])]);
}

/// moby/moby#45839.
#[test]
fn prune_all_lost_a_container_by_id_until_45839() {
    for reference in [Reference::Id(A), Reference::ShortId(A)] {
        check(|_, world| contain(world, reference), [(true, &[1]), (false, &[]), (true, &[])]);
    }
}

#[test]
fn prune_all_loses_a_container_by_digest_on_containerd() {
    check(|_, world| contain(world, Reference::Digest(APP, A)), [(true, &[1]), (false, &[]), (false, &[])]);
}

/// moby/moby#45839.
#[test]
fn prune_all_lost_a_dangling_image_of_a_container_until_45839() {
    let change = |engine: &ModelEngine, world: &RefCell<World>| {
        contain(world, Reference::Name(tag(1)));
        now(engine.delete(Reference::Name(tag(1)), Delete { force: true, parents: false })).unwrap();
    };
    check(change, [(true, &[]), (false, &[]), (true, &[])]);
}

#[test]
fn prune_all_lost_a_container_by_id_whose_tag_moved_until_45839() {
    let change = |_: &ModelEngine, world: &RefCell<World>| {
        contain(world, Reference::Id(A));
        let mut world = world.borrow_mut();
        let other = world.add(Content(1));
        world.name(other, tag(1));
    };
    check(change, [(true, &[]), (false, &[]), (true, &[])]);
}

fn delete_by_id(mode: Mode, force: bool, change: impl Fn(&mut World)) -> Result<(), EngineError> {
    let mut world = World::new(mode);
    world.add(Content(0));
    world.name(A, tag(1));
    change(&mut world);
    let (engine, world) = engine(world);
    let answer = now(engine.delete(Reference::Id(A), Delete { force, parents: false })).map(drop);
    assert_eq!(world.borrow().exists(A), answer.is_err());
    answer
}

#[test]
fn force_by_id_is_stopped_by_a_running_container_only() {
    for (_, mode) in Mode::ALL {
        assert_eq!(delete_by_id(mode, true, |_| {}), Ok(()));
        assert_eq!(delete_by_id(mode, true, |world| world.name(A, tag(2))), Ok(()));
        assert_eq!(delete_by_id(mode, true, |world| world.contain(Reference::Id(A), A, false)), Ok(()));
        let running = delete_by_id(mode, true, |world| world.contain(Reference::Id(A), A, true));
        assert_eq!(running, Err(EngineError::HardConflict(A)));
    }
}

#[test]
fn without_force_a_second_tag_or_a_stopped_container_is_a_conflict() {
    for (_, mode) in Mode::ALL {
        assert_eq!(delete_by_id(mode, false, |_| {}), Ok(()));
        let soft = Err(EngineError::SoftConflict(A));
        assert_eq!(delete_by_id(mode, false, |world| world.name(A, tag(2))), soft);
        assert_eq!(delete_by_id(mode, false, |world| world.contain(Reference::Id(A), A, false)), soft);
    }
}

/// Measured: 409 on 20.10, deleted on 26.1 with the containerd store.
#[test]
fn a_child_image_stops_a_delete_on_graphdriver_only() {
    let child = |world: &mut World| {
        let child = world.add(Content(1));
        world.set_parent(child, A);
    };
    assert_eq!(delete_by_id(Mode::Graphdriver, true, child), Err(EngineError::HasChildren(A)));
    assert_eq!(delete_by_id(Mode::Containerd, true, child), Ok(()));
}

#[test]
fn a_delete_by_name_only_untags_while_another_name_is_there() {
    for (_, mode) in Mode::ALL {
        let mut world = World::new(mode);
        world.add(Content(0));
        world.name(A, tag(1));
        world.name(A, tag(2));
        let (engine, world) = engine(world);
        now(engine.delete(Reference::Name(tag(1)), Delete::default())).unwrap();
        assert!(world.borrow().exists(A));
        now(engine.delete(Reference::Name(tag(2)), Delete::default())).unwrap();
        assert!(!world.borrow().exists(A));
    }
}

#[test]
fn back_to_back_builds_cannot_starve_a_delete() {
    let desk = Desk::new(&Floor::free());
    let _want = desk.want(APP);
    let mut last = now(desk.open(APP));
    for _ in 1..PATIENCE {
        // Builds overlap: the repository is never idle.
        last = now(desk.open(APP));
    }
    assert!(poll(desk.open(APP)).is_pending(), "the next build lets a delete go first");
    drop(last);
    let generation = now(desk.idle(APP));
    let Permit::Granted(deleting) = now(desk.delete(B, APP, generation)) else { panic!("not granted") };
    assert!(poll(desk.open(APP)).is_pending(), "a build waits for the delete in flight");
    drop(deleting);
    assert!(poll(desk.open(APP)).is_ready());
}

#[test]
fn a_delete_waits_while_a_build_is_open_and_its_list_is_then_stale() {
    let desk = Desk::new(&Floor::free());
    let generation = now(desk.idle(APP));
    let open = now(desk.open(APP));
    assert!(poll(desk.delete(A, APP, generation)).is_pending());
    drop(open);
    assert!(matches!(now(desk.delete(A, APP, generation)), Permit::Stale));
}

#[test]
fn a_live_image_is_not_deleted_until_its_last_user_releases_it() {
    let desk = Desk::new(&Floor::free());
    desk.hold(A).hand_over();
    desk.hold(A).hand_over();
    for _ in 0..2 {
        assert!(matches!(now(desk.delete(A, APP, 0)), Permit::Live));
        desk.release(A);
    }
    assert!(matches!(now(desk.delete(A, APP, 0)), Permit::Granted(_)));
}
