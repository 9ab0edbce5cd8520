//! The actors of a race, around any engine.

use std::rc::Rc;

use samebuild_store::actors;
use samebuild_store::desk::Desk;
use samebuild_store::engine::Engine;
use samebuild_store::floor::{Acting, Cast, Floor};
use samebuild_store::model::World;
use samebuild_store::races::{Race, Role};
use samebuild_store::session::{Journal, Session};
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Strategy;

use super::ground::LiveError;

/// What a race begins with, if it can be made elsewhere than in the model: images of different ages, without parents and
/// containers.
///
/// # Errors
/// It begins with something else.
pub(super) fn beginning(setting: &Setting) -> Result<World, LiveError> {
    let world = setting.world();
    let ages: Vec<u32> = world.images().map(|(image, _)| image.created).collect();
    let what = if !ages.is_sorted_by(|older, newer| older < newer) {
        "images of one age"
    } else if world.images().any(|(image, _)| image.parent.is_some()) {
        "images with parents"
    } else if !world.containers().is_empty() {
        "containers"
    } else {
        return Ok(world);
    };
    let why = format!("it begins with {what}, which are made in the model only");
    Err(LiveError::Race { race: setting.race.id.to_owned(), why })
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_store::model::Mode;
    use samebuild_store::races::{RACES, race};

    #[test]
    fn a_race_whose_beginning_is_made_in_the_model_only_is_refused_with_the_reason() {
        let setting = |race| Setting { race, mode: Mode::Graphdriver, old: 2 };
        for id in ["created-ties", "prune-all"] {
            let Err(error) = beginning(&setting(race(id).unwrap())) else { panic!("{id} was not refused") };
            assert!(error.to_string().contains("made in the model only"), "{error}");
        }
        let real = RACES.iter().filter(|race| beginning(&setting(race)).is_ok()).count();
        assert!(real >= 6, "only {real}");
    }
}
