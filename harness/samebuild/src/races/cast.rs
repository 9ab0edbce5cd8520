//! The actors of a race, around any engine.

use std::rc::Rc;

use samebuild_store::actors;
use samebuild_store::desk::Desk;
use samebuild_store::engine::Engine;
use samebuild_store::floor::{Acting, Cast, Floor};
use samebuild_store::races::{Race, Role};
use samebuild_store::session::{Journal, Session};
use samebuild_store::strategies::Strategy;

use super::ground::LiveError;

/// The actors of `race` under `strategy`, in the order of its cast.
///
/// # Errors
/// The race has a part that only the model can play.
pub(super) fn cast<'a>(
    engine: &Rc<dyn Engine>,
    floor: &Rc<Floor>,
    journal: &Rc<dyn Journal>,
    race: &Race,
    strategy: &'a dyn Strategy,
) -> Result<Cast<'a>, LiveError> {
    let machine = Desk::new(floor);
    let mut desks: Vec<(u8, Desk)> = Vec::new();
    let mut outcomes: Vec<(u8, actors::Outcome)> = Vec::new();
    let mut cast: Cast<'a> = Vec::new();
    for part in race.cast {
        let session = Session {
            engine: Rc::clone(engine),
            floor: Rc::clone(floor),
            desk: entry(&mut desks, part.process, || Desk::new(floor)),
            machine: machine.clone(),
            journal: Rc::clone(journal),
        };
        let acting: Acting<'a> = match part.role {
            Role::Prune(pass) => Box::pin(actors::pruner(session, strategy, pass)),
            Role::Build(request) => {
                let outcome = entry(&mut outcomes, request.number, Default::default);
                Box::pin(actors::builder(session, strategy, request, outcome))
            }
            Role::Find(request, cached) => {
                let outcome = entry(&mut outcomes, request.number, Default::default);
                Box::pin(actors::finder(session, strategy, request, cached, outcome))
            }
            Role::Deploy { build } => {
                let outcome = entry(&mut outcomes, build, Default::default);
                Box::pin(actors::deployer(session, build, outcome))
            }
            Role::Cancel(_) | Role::Restart => {
                let why = format!("`{}` is played in the model only", part.name);
                return Err(LiveError::Race { race: race.id.to_owned(), why });
            }
        };
        let floor = Rc::clone(floor);
        cast.push(Some(match part.after {
            None => acting,
            Some(signal) => Box::pin(async move {
                floor.wait(signal).await;
                acting.await;
            }),
        }));
    }
    Ok(cast)
}

fn entry<T: Clone>(table: &mut Vec<(u8, T)>, key: u8, new: impl FnOnce() -> T) -> T {
    if let Some((_, value)) = table.iter().find(|(other, _)| *other == key) {
        return value.clone();
    }
    let value = new();
    table.push((key, value.clone()));
    value
}
