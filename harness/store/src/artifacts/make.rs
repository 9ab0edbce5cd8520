//! Answers: how does what was looked for come to be where it is wanted? A hit is verified in the moment in which it is
//! used, under the strategy's protection, and what is gone by then is built (GoogleContainerTools/skaffold#7710). After
//! a build the sources are hashed once more: what was edited meanwhile is not remembered, or an old image would be
//! found for new sources, as in Skaffold, which keeps the hash from before the build.

use crate::artifacts::{Cache, Entry, Looked, MakeError, ManifestId, Registry, State, Trouble, Why};
use crate::engine::{Answer, EngineError};
use crate::floor::Guard;
use crate::names::ImageId;
use crate::session::{Milestone, Ready, Request, Session};
use crate::strategies::Strategy;

/// An image that is where it is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// In the engine; `None` for one that only a registry has.
    pub ready: Option<Ready>,
    /// In the registry, for remote targets.
    pub manifest: Option<ManifestId>,
    pub how: How,
    pub kept: Kept,
}

/// Where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum How {
    /// It was there. The state is one of the first three.
    Hit(State),
    Built(Why),
}

/// Whether the next build of these sources will find it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It was, or is now, in the book.
    Yes,
    /// The cache is off, or the sources have no key.
    Off,
    /// The sources were changed while it was built.
    Changed,
    /// The book could not be written, or the sources not read again.
    Failed(Trouble),
}

/// Has the image of `request`, by what `looked` saw.
pub async fn make(
    session: &Session,
    strategy: &dyn Strategy,
    cache: &Cache,
    request: Request,
    looked: Looked,
) -> Result<Made, MakeError> {
    let why = match (looked.state.clone(), looked.entry) {
        (State::NeedsBuild(why), _) => why,
        (state, Some(entry)) => {
            if let Some(made) = reuse(session, strategy, cache, request, &looked, entry).await? {
                return Ok(made);
            }
            session.floor.say(|| "the image is gone since it was looked for".into());
            if let (State::Found | State::NeedsTag, None, Some(hashed)) =
                (state, &cache.registry, looked.hashed)
            {
                // Not finding it there is trouble enough; that it is not forgotten costs one more look.
                let _ = cache.book.forget(hashed.key, entry).await;
            }
            Why::Gone
        }
        (_, None) => Why::New,
    };
    let ready = strategy.build(session, request).await?;
    let manifest = match &cache.registry {
        Some(registry) => Some(registry.push(ready.id, request.policy_name()).await?),
        None => None,
    };
    let entry = Entry { id: Some(ready.id), digest: manifest };
    let kept = keep(session, cache, request, &looked, entry).await;
    Ok(Made { ready: Some(ready), manifest, how: How::Built(why), kept })
}

/// The hit, if it still is one.
async fn reuse(
    session: &Session,
    strategy: &dyn Strategy,
    cache: &Cache,
    request: Request,
    looked: &Looked,
    entry: Entry,
) -> Result<Option<Made>, MakeError> {
    let state = looked.state.clone();
    let name = request.policy_name();
    let hit = |ready, manifest, kept| Made { ready, manifest, how: How::Hit(state.clone()), kept };
    let Some(registry) = &cache.registry else {
        let Some(id) = entry.id else { return Ok(None) };
        let ready = named(session, strategy, request, looked, id).await?;
        return Ok(ready.map(|ready| hit(Some(ready), None, Kept::Yes)));
    };
    match (&state, entry.digest, entry.id) {
        (State::Found, Some(digest), _) if registry.digest(name).await? == Some(digest) => {
            Ok(Some(hit(None, Some(digest), Kept::Yes)))
        }
        (State::Found | State::NeedsTag, Some(digest), _) if registry.tag(digest, name).await? => {
            Ok(Some(hit(None, Some(digest), Kept::Yes)))
        }
        (_, _, Some(id)) => push(session, strategy, cache, registry.as_ref(), request, looked, id)
            .await
            .map(|made| made.map(|(ready, digest, kept)| hit(Some(ready), Some(digest), kept))),
        _ => Ok(None),
    }
}

/// An image of the engine into the registry: it has another name than when it was built, or was deleted there.
async fn push(
    session: &Session,
    strategy: &dyn Strategy,
    cache: &Cache,
    registry: &dyn Registry,
    request: Request,
    looked: &Looked,
    id: ImageId,
) -> Result<Option<(Ready, ManifestId, Kept)>, MakeError> {
    let Some(ready) = named(session, strategy, request, looked, id).await? else { return Ok(None) };
    let digest = registry.push(id, request.policy_name()).await?;
    let entry = Entry { id: Some(id), digest: Some(digest) };
    let kept = match looked.hashed {
        Some(hashed) => written(cache.book.write(hashed.key, entry).await),
        None => Kept::Off,
    };
    Ok(Some((ready, digest, kept)))
}

/// The image under its unique name, which the strategy protects, and then under the name it is asked for.
async fn named(
    session: &Session,
    strategy: &dyn Strategy,
    request: Request,
    looked: &Looked,
    id: ImageId,
) -> Answer<Option<Ready>> {
    let Some(ready) = strategy.find(session, request, id).await? else { return Ok(None) };
    let name = request.policy_name();
    let has_it = looked.state == State::Found && session.engine.resolve(name).await == Ok(id);
    let outcome = if has_it { Ok(()) } else { session.engine.tag(id, name).await };
    if let Err(error) = outcome {
        if let EngineError::NoSuchImage(_) = error {
            session.journal.lost(request.number, id);
        }
        return Err(error);
    }
    session.journal.reached(Milestone::CacheHit);
    Ok(Some(ready))
}

/// Remembers what was built, if the sources are still what they were.
async fn keep(session: &Session, cache: &Cache, request: Request, looked: &Looked, entry: Entry) -> Kept {
    let Some(before) = looked.hashed else { return Kept::Off };
    let after = cache.sources.hash(request.content).await;
    session.floor.turn(Guard::Always).await;
    match after {
        Ok(after) if after == before => written(cache.book.write(before.key, entry).await),
        Ok(_) => Kept::Changed,
        Err(trouble) => Kept::Failed(trouble),
    }
}

fn written(outcome: Result<(), Trouble>) -> Kept {
    outcome.map_or_else(Kept::Failed, |()| Kept::Yes)
}
