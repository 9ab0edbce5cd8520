//! The pruner of Skaffold v2.7.1 as it was (skaffold #9251): the list is taken before the build, the images are
//! deleted by ID, with force, while the build runs. A rebuild that hits the cache gets the ID on the list.

use crate::engine::{Answer, Call};
use crate::floor::Signal;
use crate::session::{Pass, Ready, Request, Session, Victims};
use crate::strategies::{Strategy, steps};

/// `async-by-id`.
pub struct AsyncById;

impl Strategy for AsyncById {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        Box::pin(async move {
            if pass.victims == Victims::Unused {
                return steps::engine_prune(session, pass).await;
            }
            let victims = steps::collect(session, pass).await;
            let _ = session.engine.disk_usage().await;
            steps::delete_by_id(session, victims).await;
        })
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        Box::pin(async move {
            if let Some(pass) = request.pass {
                session.floor.wait(Signal::Listed(pass)).await;
                session.floor.say(|| "sees that the list is taken".into());
            }
            steps::build_and_name(session, request).await
        })
    }
}
