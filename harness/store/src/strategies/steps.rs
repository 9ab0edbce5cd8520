//! Answers: which steps do strategies share? Listing victims, deleting them by ID, the plain build.

use crate::engine::{Answer, Build, Delete, Summary};
use crate::floor::Signal;
use crate::names::{ImageId, Name, Reference};
use crate::session::{Pass, Ready, Request, Session, Victims};

/// Lists the victims of `pass`, reports them, and lets those that wait for the list go on.
/// An engine that does not answer yields no victims.
pub async fn collect(session: &Session, pass: Pass) -> Vec<Summary> {
    let victims = match pass.victims {
        Victims::Older | Victims::Unused => {
            let list = session.engine.list(pass.repository).await.unwrap_or_default();
            list.into_iter().skip(usize::from(pass.keep)).collect()
        }
        Victims::Previous(name) => match session.engine.resolve(name).await {
            Ok(id) => vec![Summary { id, created: 0, names: vec![name] }],
            Err(_) => Vec::new(),
        },
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
