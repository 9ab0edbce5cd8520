//! Answers: what would have to be done to have an artifact's image where it is wanted? Found, a name is lacking, it has
//! to be pushed, or it has to be built. Asks for single images only: a list of a large engine's takes seconds
//! (GoogleContainerTools/skaffold#9250). Leaves the doing, and a second look, to `make`.

use crate::artifacts::{Cache, Entry, Hashed, ManifestId, Registry, Trouble};
use crate::engine::EngineError;
use crate::floor::Guard;
use crate::names::ImageId;
use crate::session::{Request, Session};

/// What was seen. It may be otherwise by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// The sources; `None` where the cache is off, or they have no key.
    pub hashed: Option<Hashed>,
    pub entry: Option<Entry>,
    pub state: State,
}

/// What is lacking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing: the image is where it is wanted, under its name.
    Found,
    /// The name.
    NeedsTag,
    /// The image is in the engine, and wanted in the registry.
    NeedsPush,
    /// All of it.
    NeedsBuild(Why),
}

/// Why something is built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The cache is not to be asked.
    Off,
    /// These sources were never built here.
    New,
    /// The image that these sources made is gone from the engine, and from the registry where that was asked.
    Gone,
    /// It was never in this engine.
    Elsewhere,
    /// The sources have no key, the book cannot be read, a registry or engine does not answer.
    Trouble(Trouble),
}

impl State {
    /// Whether nothing has to be built.
    pub fn is_hit(&self) -> bool {
        !matches!(self, State::NeedsBuild(_))
    }
}

/// Looks for the image of `request`.
pub async fn look(session: &Session, cache: &Cache, request: &Request) -> Looked {
    if !cache.on {
        return Looked::build(None, None, Why::Off);
    }
    let hashed = match cache.sources.hash(request.content).await {
        Ok(hashed) => hashed,
        Err(trouble) => return Looked::build(None, None, Why::Trouble(trouble)),
    };
    session.floor.turn(Guard::Always).await;
    let entry = match cache.book.read(hashed.key).await {
        Ok(Some(entry)) => entry,
        Ok(None) => return Looked::build(Some(hashed), None, Why::New),
        Err(trouble) => return Looked::build(Some(hashed), None, Why::Trouble(trouble)),
    };
    session.floor.see(&entry);
    session.floor.say(|| "finds its sources in the book".into());
    let state = match &cache.registry {
        None => local(session, request, &entry).await,
        Some(registry) => remote(session, registry.as_ref(), request, &entry).await,
    };
    Looked { hashed: Some(hashed), entry: Some(entry), state: state.unwrap_or_else(State::NeedsBuild) }
}

impl Looked {
    fn build(hashed: Option<Hashed>, entry: Option<Entry>, why: Why) -> Looked {
        Looked { hashed, entry, state: State::NeedsBuild(why) }
    }
}

async fn local(session: &Session, request: &Request, entry: &Entry) -> Result<State, Why> {
    let id = entry.id.ok_or(Why::Elsewhere)?;
    match session.engine.resolve(request.policy_name()).await {
        Ok(named) if named == id => Ok(State::Found),
        Ok(_) | Err(EngineError::NoSuchImage(_)) if exists(session, id).await? => Ok(State::NeedsTag),
        Ok(_) | Err(EngineError::NoSuchImage(_)) => Err(Why::Gone),
        Err(error) => Err(Why::Trouble(Trouble(error.to_string()))),
    }
}

async fn remote(
    session: &Session,
    registry: &dyn Registry,
    request: &Request,
    entry: &Entry,
) -> Result<State, Why> {
    if let Some(digest) = entry.digest {
        if named(registry, request).await? == Some(digest) {
            return Ok(State::Found);
        }
        if registry.has(request.repository, digest).await.map_err(Why::Trouble)? {
            return Ok(State::NeedsTag);
        }
    }
    match entry.id {
        Some(id) if exists(session, id).await? => Ok(State::NeedsPush),
        Some(_) => Err(Why::Gone),
        None => Err(if entry.digest.is_some() { Why::Gone } else { Why::Elsewhere }),
    }
}

async fn named(registry: &dyn Registry, request: &Request) -> Result<Option<ManifestId>, Why> {
    registry.digest(request.policy_name()).await.map_err(Why::Trouble)
}

async fn exists(session: &Session, id: ImageId) -> Result<bool, Why> {
    match session.engine.inspect(id).await {
        Ok(_) => Ok(true),
        Err(EngineError::NoSuchImage(_)) => Ok(false),
        Err(error) => Err(Why::Trouble(Trouble(error.to_string()))),
    }
}
