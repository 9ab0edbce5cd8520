//! Ours. Deletes wait while a build of the repository is open, and are taken from a fresh list; each is made under
//! a lock on the image, after a last look, and the lock is held until the outcome is known; a build verifies its
//! image under the same lock and makes it live before it promises it; a pruner that is cancelled drains first.
//!
//! Why it is safe. The builder's section (verify, hold) and the deleter's (is it live, look, DELETE, answer) for
//! one image exclude each other. Builder first: the deleter sees it live and skips it, until its user releases
//! it. Deleter first: its DELETE was answered before the builder looked, so the builder sees that the image or
//! its name is gone, and builds again. The unique name is given while the image is live, so nothing can remove it
//! before it is used. That asks for: a lock that covers the daemon's completion, not the client's patience;
//! a release only by the user of the image; a look at name *and* image, because the daemon has no lock over both;
//! every deleter of ours at the same desk. Foreign deleters are not covered: only a running container stops those.
//!
//! Why it is quick. The desk lets builds pass deletes that have not begun, so a build waits for one delete at
//! most, and the cache is kept.

use crate::desk::{Held, Permit};
use crate::engine::{Answer, Build, Call, Delete, EngineError, Summary};
use crate::floor::Signal;
use crate::names::{ImageId, Name, Reference};
use crate::plan::{plan, used};
use crate::session::{Milestone, Pass, Ready, Request, Session, Victims};
use crate::strategies::{Strategy, steps};

/// `generation`.
pub struct Generation {
    /// The piece left out, to show what it is for.
    without: Option<Piece>,
}

/// What `generation` is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Deletes wait while a build is open, and builds for a delete in flight.
    Fence,
    /// The builder verifies and holds under the lock.
    Lock,
    /// The builder looks whether its image is there.
    Verify,
    /// The image is live from then on.
    Live,
    /// The deleter looks at names and containers before it deletes.
    LastLook,
    /// A cancelled deleter waits for the answer.
    Drain,
}

impl Generation {
    /// All of it.
    pub const WHOLE: Generation = Generation { without: None };

    /// All but one piece. Not in `STRATEGIES`: only to be raced against the claim that the piece is needed.
    pub const fn without(piece: Piece) -> Generation {
        Generation { without: Some(piece) }
    }

    fn has(&self, piece: Piece) -> bool {
        self.without != Some(piece)
    }
}

/// Builds of one request, the first included.
const MOST_ATTEMPTS: u8 = 4;

/// Deletes of one image, the first included, when the connection is lost in between.
const MOST_DELETES: u8 = 3;

impl Strategy for Generation {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        Box::pin(async move {
            if let Some(build) = pass.build {
                session.floor.wait(Signal::Built(build)).await;
                session.floor.say(|| "sees that the build is over".into());
            }
            let _want = session.machine.want(pass.repository);
            let mut parents = Vec::new();
            while let Passed::Stale = self.prune_idle(session, pass, &mut parents).await {
                session.journal.reached(Milestone::ListedAgain);
            }
            self.prune_parents(session, pass, parents).await;
        })
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        Box::pin(async move {
            session.journal.opening(request.number, request.repository);
            let _open = match self.has(Piece::Fence) {
                true => Some(session.machine.open(request.repository).await),
                false => None,
            };
            session.journal.opened(request.number);
            let mut paused = None;
            for attempt in 1..=MOST_ATTEMPTS {
                if attempt == MOST_ATTEMPTS {
                    // Nothing of ours deletes now, so this attempt can only fail for another reason.
                    paused = Some(session.machine.pause());
                }
                match self.build_once(session, request).await {
                    Err(error) if attempt < MOST_ATTEMPTS && was_deleted(error) => {
                        session.floor.say(|| "builds again".into());
                        session.journal.reached(Milestone::BuiltAgain);
                        session.journal.retried(request.number);
                    }
                    outcome => return outcome,
                }
            }
            drop(paused);
            Err(EngineError::NoSuchImage(Reference::Name(request.policy_name())))
        })
    }

    fn find<'a>(
        &'a self,
        session: &'a Session,
        request: Request,
        cached: ImageId,
    ) -> Call<'a, Answer<Option<Ready>>> {
        Box::pin(async move {
            let _open = session.machine.open(request.repository).await;
            let locked = session.machine.lock(cached).await;
            if session.engine.inspect(cached).await.is_err() {
                session.journal.reached(Milestone::CacheMissed);
                return Ok(None);
            }
            let held = session.machine.hold(cached);
            drop(locked);
            session.journal.found(request.number, cached);
            let name = Name::unique(request.repository, cached);
            session.engine.tag(cached, name).await?;
            held.hand_over();
            Ok(Some(Ready { id: cached, name }))
        })
    }
}

impl Generation {
    /// Lists when no build is open, and deletes until the list is used up or stale.
    async fn prune_idle(&self, session: &Session, pass: Pass, parents: &mut Vec<ImageId>) -> Passed {
        let generation = session.machine.idle(pass.repository).await;
        let victims = victims(session, pass).await;
        steps::report(session, pass, &victims);
        for victim in victims {
            match session.machine.delete(victim.id, pass.repository, generation).await {
                Permit::Stale => return Passed::Stale,
                Permit::Live => session.journal.reached(Milestone::SkippedLive),
                Permit::Granted(deleting) => {
                    // From here to the answer a cancel waits: what the daemon was asked to do, it does.
                    if self.has(Piece::Drain) {
                        session.floor.shield();
                    }
                    if self.delete_locked(session, pass, &victim).await {
                        parents.extend(victim.parent);
                    }
                    if session.floor.is_cancelled() {
                        session.journal.reached(Milestone::Drained);
                    }
                    drop(deleting);
                    session.floor.unshield();
                }
            }
        }
        Passed::Done
    }

    /// Deletes one image under its lock. Whether it is gone.
    async fn delete_locked(&self, session: &Session, pass: Pass, victim: &Summary) -> bool {
        for attempt in 1..=MOST_DELETES {
            let now = match session.engine.inspect(victim.id).await {
                Ok(now) => now,
                Err(EngineError::NoSuchImage(_)) => return true,
                Err(_) => return false,
            };
            let Ok(containers) = session.engine.containers().await else { return false };
            let gained = now.names.iter().any(|name| !victim.names.contains(name));
            if self.has(Piece::LastLook) && (gained || used(pass.repository, &now, &containers).is_some()) {
                session.floor.say(|| format!("keeps {}: it is in use", session.engine.show_image(victim.id)));
                session.journal.reached(Milestone::SkippedUsed);
                return false;
            }
            // Force only for several names: without it the daemon still refuses what a container uses.
            let options = Delete { force: now.names.len() > 1, parents: false };
            match session.engine.delete(Reference::Id(victim.id), options).await {
                Ok(_) => return true,
                Err(EngineError::ConnectionLost) if attempt < MOST_DELETES => {
                    session.journal.reached(Milestone::DeletedAgain);
                }
                Err(_) => return false,
            }
        }
        false
    }

    /// Parents that lost their last child are images of their own: each under its own lock, without force.
    async fn prune_parents(&self, session: &Session, pass: Pass, mut parents: Vec<ImageId>) {
        while let Some(parent) = parents.pop() {
            let generation = session.machine.idle(pass.repository).await;
            let Ok(image) = session.engine.inspect(parent).await else { continue };
            if !image.names.is_empty() {
                continue;
            }
            steps::report(session, pass, std::slice::from_ref(&image));
            match session.machine.delete(parent, pass.repository, generation).await {
                Permit::Stale => parents.push(parent),
                Permit::Live => session.journal.reached(Milestone::SkippedLive),
                Permit::Granted(deleting) => {
                    if self.has(Piece::Drain) {
                        session.floor.shield();
                    }
                    if self.delete_locked(session, pass, &image).await {
                        parents.extend(image.parent);
                    }
                    drop(deleting);
                    session.floor.unshield();
                }
            }
        }
    }

    /// Builds, verifies name and image under the lock, makes the image live, gives it its unique name.
    async fn build_once(&self, session: &Session, request: Request) -> Answer<Ready> {
        let build = Build { content: request.content, name: request.policy_name() };
        let id = session.engine.build(build).await?;
        let mut locked = None;
        if self.has(Piece::Lock) {
            locked = Some(session.machine.lock(id).await);
        }
        if self.has(Piece::Verify) {
            session.engine.resolve(request.policy_name()).await?;
            session.engine.inspect(id).await?;
        }
        let held = self.has(Piece::Live).then(|| session.machine.hold(id));
        drop(locked);
        let name = Name::unique(request.repository, id);
        session.engine.tag(id, name).await?;
        held.into_iter().for_each(Held::hand_over);
        Ok(Ready { id, name })
    }
}

enum Passed {
    Done,
    Stale,
}

async fn victims(session: &Session, pass: Pass) -> Vec<Summary> {
    let keep = match pass.victims {
        Victims::Older => usize::from(pass.keep),
        Victims::Previous(id) => return session.engine.inspect(id).await.into_iter().collect(),
        Victims::Unused => 0,
    };
    let (Ok(images), Ok(containers)) =
        (session.engine.list(pass.repository).await, session.engine.containers().await)
    else {
        return Vec::new();
    };
    plan(pass.repository, images, &containers, keep).victims
}

/// Whether a build failed because a delete took its image.
fn was_deleted(error: EngineError) -> bool {
    matches!(error, EngineError::NoSuchImage(_) | EngineError::CacheVanished(_))
}
