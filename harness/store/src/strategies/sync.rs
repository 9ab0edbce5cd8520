//! List and delete complete before the build starts. Safe against this process's own prune, and slow: the whole
//! prune is on the critical path, and the cache is lost. It does not stop a second process.

use crate::engine::{Answer, Call};
use crate::floor::Signal;
use crate::session::{Pass, Ready, Request, Session};
use crate::strategies::{AsyncById, Strategy, steps};

/// `sync`.
pub struct Sync;

impl Strategy for Sync {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        AsyncById.prune(session, pass)
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        Box::pin(async move {
            if let Some(pass) = request.pass {
                session.floor.wait(Signal::Pruned(pass)).await;
                session.floor.say(|| "sees that the prune is over".into());
            }
            steps::build_and_name(session, request).await
        })
    }

    fn finds_after(&self, pass: u8) -> Signal {
        Signal::Pruned(pass)
    }
}
