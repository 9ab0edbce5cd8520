//! Answers: which steps do strategies share? Listing victims, deleting them by ID, the plain build.

use crate::engine::{Answer, Build, Delete, EngineError, Summary};
use crate::floor::Signal;
use crate::names::{ImageId, Name, Reference};
use crate::session::{Milestone, Pass, Ready, Request, Session, Victims};

/// Lists the victims of `pass`, reports them, and lets those that wait for the list go on.
/// An engine that does not answer yields no victims.
pub async fn collect(session: &Session, pass: Pass) -> Vec<Summary> {
    let victims: Vec<Summary> = match pass.victims {
        Victims::Older | Victims::Unused => {
            let list = session.engine.list(pass.repository).await.unwrap_or_default();
            list.into_iter().skip(usize::from(pass.keep)).collect()
        }
        Victims::Previous(id) => session.engine.inspect(id).await.into_iter().collect(),
    };
    report(session, pass, &victims);
    victims
}

/// Reports the victims of a pass, and lets those that wait for the list go on.
pub fn report(session: &Session, pass: Pass, victims: &[Summary]) {
    let ids: Vec<ImageId> = victims.iter().map(|victim| victim.id).collect();
    session.floor.say(|| format!("its victims: {}", show(session, &ids)));
    session.journal.collected(pass.number, &ids);
    session.floor.raise(Signal::Listed(pass.number));
}

/// `DELETE /images/<id>?force=1` for each victim in turn; an error on one does not stop the rest.
pub async fn delete_by_id(session: &Session, victims: Vec<Summary>) {
    for victim in victims {
        let options = Delete { force: true, parents: true };
        let _ = session.engine.delete(Reference::Id(victim.id), options).await;
    }
}

/// `image prune --all`, as the engine does it.
pub async fn engine_prune(session: &Session, pass: Pass) {
    let _ = session.engine.prune_all().await;
    report(session, pass, &[]);
}

/// Looks whether the artifact cache's image is there, reports it as found, and gives it its unique name.
pub async fn find_and_name(session: &Session, request: Request, cached: ImageId) -> Answer<Option<Ready>> {
    if session.engine.inspect(cached).await.is_err() {
        session.journal.reached(Milestone::CacheMissed);
        return Ok(None);
    }
    session.floor.say(|| format!("the cache has {}", session.engine.show_image(cached)));
    session.journal.found(request.number, cached);
    let name = Name::unique(request.repository, cached);
    match session.engine.tag(cached, name).await {
        Ok(()) => Ok(Some(Ready { id: cached, name })),
        Err(error) => {
            if let EngineError::NoSuchImage(_) = error {
                session.journal.lost(request.number, cached);
            }
            Err(error)
        }
    }
}

/// Builds and gives the image its unique name.
pub async fn build_and_name(session: &Session, request: Request) -> Answer<Ready> {
    let build = Build { content: request.content, name: request.policy_name() };
    let id = session.engine.build(build).await?;
    let name = Name::unique(request.repository, id);
    session.engine.tag(id, name).await?;
    Ok(Ready { id, name })
}

fn show(session: &Session, ids: &[ImageId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| session.engine.show_image(*id)).collect();
    if ids.is_empty() { "none".into() } else { ids.join(", ") }
}
