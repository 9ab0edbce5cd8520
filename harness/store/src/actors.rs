//! Answers: who takes part in a race besides the strategy? The pruner and the builder call it; the deployer is
//! the user whose container finds no image.

use std::cell::Cell;
use std::rc::Rc;

use crate::artifacts::{self, Cache, MakeError};
use crate::engine::{Answer, EngineError};
use crate::floor::{Guard, Signal};
use crate::names::Reference;
use crate::session::{Pass, Ready, Request, Session};
use crate::strategies::Strategy;

/// Where a builder leaves its outcome for the deployer.
pub type Outcome = Rc<Cell<Option<Answer<Ready>>>>;

/// Runs one prune pass.
pub async fn pruner(session: Session, strategy: &dyn Strategy, pass: Pass) {
    strategy.prune(&session, pass).await;
    session.journal.pruned(pass.number);
    session.floor.raise(Signal::Pruned(pass.number));
}

/// Runs one build and hands over its outcome.
pub async fn builder(session: Session, strategy: &dyn Strategy, request: Request, outcome: Outcome) {
    asked(&session, request).await;
    let built = strategy.build(&session, request).await;
    report(&session, request, built, &outcome);
}

/// Asks the artifact cache first, and builds when it has nothing, or what it has is gone.
pub async fn finder(
    session: Session,
    strategy: &dyn Strategy,
    cache: Cache,
    request: Request,
    outcome: Outcome,
) {
    asked(&session, request).await;
    let looked = artifacts::look(&session, &cache, &request).await;
    let made = artifacts::make(&session, strategy, &cache, request, looked).await;
    let built = match made {
        Ok(made) => made.ready.ok_or(EngineError::NoSuchImage(Reference::Name(request.policy_name()))),
        Err(MakeError::Engine(error)) => Err(error),
        Err(MakeError::Registry(_)) => Err(EngineError::ConnectionLost),
    };
    report(&session, request, built, &outcome);
}

async fn asked(session: &Session, request: Request) {
    session.floor.turn(Guard::Always).await;
    session.floor.say(|| format!("is asked for {}", session.engine.show_name(request.policy_name())));
}

fn report(session: &Session, request: Request, built: Answer<Ready>, outcome: &Outcome) {
    match built {
        Ok(ready) => {
            session.floor.say(|| format!("reports {} ready", session.engine.show_name(ready.name)));
            session.journal.ready(request.number, ready);
        }
        Err(error) => {
            session.floor.say(|| format!("the build fails: {error}"));
            session.journal.failed(request.number, error);
        }
    }
    outcome.set(Some(built));
    session.floor.raise(Signal::Built(request.number));
}

/// Ctrl-C: these actors go away, wherever they are; a request already sent is still done.
pub async fn canceller(session: Session, actors: &[u8]) {
    session.floor.turn(Guard::Always).await;
    actors.iter().for_each(|actor| session.floor.cancel(*actor));
    session.floor.say(|| "Ctrl-C".into());
    session.floor.raise(Signal::Cue(0));
}

/// Waits for a build and runs a container from the name it promised; then releases the image.
/// A failed build is not deployed.
pub async fn deployer(session: Session, build: u8, outcome: Outcome) {
    session.floor.wait(Signal::Built(build)).await;
    session.floor.say(|| format!("sees that build {build} is over"));
    let built = outcome.get();
    session.floor.see(&built);
    let Some(Ok(ready)) = built else {
        session.floor.say(|| "has nothing to deploy".into());
        return;
    };
    if let Err(error) = session.engine.create_container(Reference::Name(ready.name), true).await {
        session.journal.refused(build, error);
    }
    session.journal.released(build);
    session.desk.release(ready.id);
    session.machine.release(ready.id);
    session.floor.raise(Signal::Used(build));
}
