//! A build pins its image with a lease tag before it names it; the pruner looks at the names of an image before
//! it deletes it, and skips a leased one. Between the look and the delete the lease comes too late: against a
//! delete by ID with force a tag is no protection (`DELETE` by ID removes every name, measured on both stores).

use crate::engine::{Answer, Build, Call, Delete};
use crate::floor::Signal;
use crate::names::{Name, Reference, Tag};
use crate::session::{Pass, Ready, Request, Session, Victims};
use crate::strategies::{Strategy, steps};

/// `lease`.
pub struct Lease;

impl Strategy for Lease {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        Box::pin(async move {
            if pass.victims == Victims::Unused {
                return steps::engine_prune(session, pass).await;
            }
            for victim in steps::collect(session, pass).await {
                let leased = |name: &Name| matches!(name.tag, Tag::Lease(_));
                match session.engine.inspect(victim.id).await {
                    Ok(image) if !image.names.iter().any(leased) => {}
                    _ => continue,
                }
                let options = Delete { force: true, parents: true };
                let _ = session.engine.delete(Reference::Id(victim.id), options).await;
            }
        })
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        Box::pin(async move {
            if let Some(pass) = request.pass {
                session.floor.wait(Signal::Listed(pass)).await;
                session.floor.say(|| "sees that the list is taken".into());
            }
            let build = Build { content: request.content, name: request.policy_name() };
            let id = session.engine.build(build).await?;
            let lease = Tag::Lease(u16::from(request.number));
            session.engine.tag(id, Name { repository: request.repository, tag: lease }).await?;
            let name = Name::unique(request.repository, id);
            session.engine.tag(id, name).await?;
            Ok(Ready { id, name })
        })
    }
}
