//! Delete only after the build has ended, and not the image it returned. Safe for one build at a time; as soon as
//! another build overlaps, or follows before the deletes are through, the wrong image is excluded.
//! Measured: 40 of 40 lost with overlapping builds, 0 of 40 without.

use crate::engine::{Answer, Call};
use crate::floor::Signal;
use crate::names::Name;
use crate::session::{Pass, Ready, Request, Session, Victims};
use crate::strategies::{AsyncById, Strategy, steps};

/// `fence`.
pub struct Fence;

impl Strategy for Fence {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        Box::pin(async move {
            if pass.victims == Victims::Unused {
                return steps::engine_prune(session, pass).await;
            }
            let mut victims = steps::collect(session, pass).await;
            if let Some(build) = pass.build {
                session.floor.wait(Signal::Built(build)).await;
                session.floor.say(|| "sees that the build is over".into());
                let built = session.engine.resolve(Name::policy(pass.repository, pass.tag)).await;
                victims.retain(|victim| built != Ok(victim.id));
            }
            steps::delete_by_id(session, victims).await;
        })
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        AsyncById.build(session, request)
    }
}
