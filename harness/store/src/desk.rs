//! Answers: how do actors that trust each other keep out of each other's way? Locks on images, the set of live
//! images, and per repository the count of open builds and of deletes in flight. A desk serves one process, or
//! all processes of ours on one machine. Leaves the protocol (who takes what when) to the strategies.
//!
//! Everything read here is reported to `Floor::see`, so exhaustive search may merge equal states.

use std::rc::Rc;

use crate::floor::{Floor, Guard};
use crate::names::{ImageId, Repository};

/// After so many builds opened while a prune pass wanted to delete, the next build lets one delete go first:
/// back-to-back builds cannot starve the pruner, and no build waits for more than one delete.
pub const PATIENCE: u8 = 4;

/// A handle on one desk.
#[derive(Clone)]
pub struct Desk {
    floor: Rc<Floor>,
    number: u8,
}

/// What a turn can wait for at a desk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeskGuard {
    /// The image is not locked.
    Unlocked(ImageId),
    /// No build of the repository is open.
    Idle(Repository),
    /// No delete of the repository is in flight, and none has been overtaken `PATIENCE` times.
    MayOpen(Repository),
    /// The image is not locked, the repository idle, no build waits to open, and deleting is not paused.
    MayDelete(ImageId, Repository),
}

/// The answer to a request to delete.
pub enum Permit {
    /// Go ahead; the image is locked and the repository's builds wait until this is dropped.
    Granted(Deleting),
    /// In use by a build of ours.
    Live,
    /// Builds have come and gone since the list was taken: it is stale.
    Stale,
}

#[derive(Default, Hash)]
pub(crate) struct DeskState {
    locked: Vec<ImageId>,
    live: Vec<(ImageId, u8)>,
    traffic: Vec<Traffic>,
    paused: u8,
}

#[derive(Default, Clone, Copy, Hash)]
struct Traffic {
    opening: u8,
    open: u8,
    deleting: u8,
    wanting: u8,
    overtaken: u8,
    generation: u32,
}

impl Desk {
    /// Opens a new desk on `floor`.
    pub fn new(floor: &Rc<Floor>) -> Desk {
        let mut desks = floor.desks.borrow_mut();
        desks.push(DeskState::default());
        Desk { floor: floor.clone(), number: u8::try_from(desks.len() - 1).unwrap_or(u8::MAX) }
    }

    /// Waits for the lock on `image` and takes it.
    pub async fn lock(&self, image: ImageId) -> Locked {
        self.turn(DeskGuard::Unlocked(image)).await;
        self.with(|desk| desk.locked.push(image));
        self.floor.say(|| format!("locks {image}"));
        Locked { desk: self.clone(), image }
    }

    /// Adds one user of `image`. Deleters at this desk leave it alone while the guard is there or, once it was
    /// handed over, until `release`.
    pub fn hold(&self, image: ImageId) -> Held {
        self.with(|desk| match desk.live.iter_mut().find(|(id, _)| *id == image) {
            Some((_, users)) => *users += 1,
            None => desk.live.push((image, 1)),
        });
        Held { desk: self.clone(), image: Some(image) }
    }

    /// Takes one user of `image` away.
    pub fn release(&self, image: ImageId) {
        self.with(|desk| {
            desk.live.retain_mut(|(id, users)| {
                *users -= u8::from(*id == image);
                *users > 0
            });
        });
    }

    /// Whether a build of ours uses `image`.
    pub fn is_live(&self, image: ImageId) -> bool {
        let live = self.with(|desk| desk.is_live(image));
        self.floor.see(&live);
        live
    }

    /// Opens a build of `repository`: from now on its deletes wait. Itself waits for a delete in flight, at
    /// most one.
    pub async fn open(&self, repository: Repository) -> Open {
        self.with(|desk| desk.traffic(repository).opening += 1);
        let _opening = Opening { desk: self, repository };
        self.turn(DeskGuard::MayOpen(repository)).await;
        self.with(|desk| {
            let traffic = desk.traffic(repository);
            traffic.open += 1;
            traffic.generation += 1;
            traffic.overtaken += u8::from(traffic.wanting > 0);
        });
        self.floor.say(|| format!("opens a build of {repository}"));
        Open { desk: self.clone(), repository }
    }

    /// Waits until no build of `repository` is open; the number of builds opened so far.
    pub async fn idle(&self, repository: Repository) -> u32 {
        self.turn(DeskGuard::Idle(repository)).await;
        let generation = self.with(|desk| desk.traffic(repository).generation);
        self.floor.see(&generation);
        self.floor.say(|| format!("finds no build of {repository} open"));
        generation
    }

    /// Announces a prune pass over `repository`, so that back-to-back builds cannot starve it.
    pub fn want(&self, repository: Repository) -> Wanting {
        self.with(|desk| desk.traffic(repository).wanting += 1);
        Wanting { desk: self.clone(), repository }
    }

    /// Asks to delete `image`, listed at `generation`.
    pub async fn delete(&self, image: ImageId, repository: Repository, generation: u32) -> Permit {
        self.turn(DeskGuard::MayDelete(image, repository)).await;
        let (now, live) = self.with(|desk| (desk.traffic(repository).generation, desk.is_live(image)));
        self.floor.see(&(now == generation, live));
        if now != generation {
            self.floor.say(|| "throws its list away: a build has come and gone".into());
            return Permit::Stale;
        }
        if live {
            self.floor.say(|| format!("skips {image}: a build uses it"));
            return Permit::Live;
        }
        self.with(|desk| {
            desk.locked.push(image);
            desk.traffic(repository).deleting += 1;
        });
        self.floor.say(|| format!("locks {image} to delete it"));
        Permit::Granted(Deleting { desk: self.clone(), image, repository })
    }

    /// No delete starts at this desk until the guard is dropped.
    pub fn pause(&self) -> Paused {
        self.with(|desk| desk.paused += 1);
        Paused { desk: self.clone() }
    }

    fn turn(&self, guard: DeskGuard) -> crate::floor::Turn<'_> {
        self.floor.turn(Guard::Desk(self.number, guard))
    }

    fn with<T>(&self, change: impl FnOnce(&mut DeskState) -> T) -> T {
        let result = change(&mut self.floor.desks.borrow_mut()[usize::from(self.number)]);
        self.floor.wake();
        result
    }
}

impl DeskState {
    pub(crate) fn holds(&self, guard: DeskGuard) -> bool {
        match guard {
            DeskGuard::Unlocked(image) => !self.locked.contains(&image),
            DeskGuard::Idle(repository) => self.seen(repository).open == 0,
            DeskGuard::MayOpen(repository) => {
                let traffic = self.seen(repository);
                traffic.deleting == 0 && (traffic.wanting == 0 || traffic.overtaken < PATIENCE)
            }
            DeskGuard::MayDelete(image, repository) => {
                let traffic = self.seen(repository);
                let first = traffic.opening == 0 || traffic.overtaken >= PATIENCE;
                first && traffic.open == 0 && self.paused == 0 && !self.locked.contains(&image)
            }
        }
    }

    fn is_live(&self, image: ImageId) -> bool {
        self.live.iter().any(|(id, _)| *id == image)
    }

    fn seen(&self, repository: Repository) -> Traffic {
        self.traffic.get(usize::from(repository.0)).copied().unwrap_or_default()
    }

    fn traffic(&mut self, repository: Repository) -> &mut Traffic {
        let at = usize::from(repository.0);
        if self.traffic.len() <= at {
            self.traffic.resize(at + 1, Traffic::default());
        }
        &mut self.traffic[at]
    }
}

/// The lock on an image; dropping it unlocks.
pub struct Locked {
    desk: Desk,
    image: ImageId,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.desk.with(|desk| desk.locked.retain(|id| *id != self.image));
    }
}

/// An open build; dropping it closes.
pub struct Open {
    desk: Desk,
    repository: Repository,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.desk.with(|desk| desk.traffic(self.repository).open -= 1);
    }
}

/// A delete in flight. Drop it only when its outcome is known.
pub struct Deleting {
    desk: Desk,
    image: ImageId,
    repository: Repository,
}

impl Drop for Deleting {
    fn drop(&mut self) {
        self.desk.with(|desk| {
            desk.locked.retain(|id| *id != self.image);
            desk.traffic(self.repository).deleting -= 1;
            desk.traffic(self.repository).overtaken = 0;
        });
    }
}

/// One user of an image; dropping it takes the user away.
pub struct Held {
    desk: Desk,
    image: Option<ImageId>,
}

impl Held {
    /// Leaves the image live: whoever it was promised to calls `release`.
    pub fn hand_over(mut self) {
        self.image = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(image) = self.image {
            self.desk.release(image);
        }
    }
}

struct Opening<'a> {
    desk: &'a Desk,
    repository: Repository,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.desk.with(|desk| desk.traffic(self.repository).opening -= 1);
    }
}

/// No delete starts while this is held.
pub struct Paused {
    desk: Desk,
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.desk.with(|desk| desk.paused -= 1);
    }
}

/// A prune pass that has announced itself; dropping it ends the claim.
pub struct Wanting {
    desk: Desk,
    repository: Repository,
}

impl Drop for Wanting {
    fn drop(&mut self) {
        self.desk.with(|desk| {
            let traffic = desk.traffic(self.repository);
            traffic.wanting -= 1;
            if traffic.wanting == 0 {
                traffic.overtaken = 0;
            }
        });
    }
}
