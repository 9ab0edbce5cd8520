//! The actors of a race, around any engine.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use samebuild_store::actors;
use samebuild_store::artifacts::Memory;
use samebuild_store::desk::Desk;
use samebuild_store::engine::Engine;
use samebuild_store::floor::{Acting, Cast, Floor, Guard};
use samebuild_store::model::World;
use samebuild_store::races::{Race, Role};
use samebuild_store::session::{Journal, Session};
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Strategy;

use super::ground::LiveError;

/// What a race begins with, if it can be made elsewhere than in the model: images without parents.
///
/// # Errors
/// It begins with something else.
pub(super) fn beginning(setting: &Setting) -> Result<World, LiveError> {
    let world = setting.world();
    if world.images().any(|(image, _)| image.parent.is_some()) {
        return Err(model_only(setting, "images with parents"));
    }
    Ok(world)
}

/// The same for our engine on disk, which gives every image an age of its own and begins without containers.
///
/// # Errors
/// It begins with something else.
pub(super) fn plain_beginning(setting: &Setting) -> Result<World, LiveError> {
    let world = beginning(setting)?;
    if has_ties(&world) {
        return Err(model_only(setting, "images of one age"));
    }
    if !world.containers().is_empty() {
        return Err(model_only(setting, "containers"));
    }
    Ok(world)
}

/// Whether images of one age are among those of `world`.
pub(super) fn has_ties(world: &World) -> bool {
    let ages: Vec<u32> = world.images().map(|(image, _)| image.created).collect();
    !ages.is_sorted_by(|older, newer| older < newer)
}

fn model_only(setting: &Setting, what: &str) -> LiveError {
    let why = format!("it begins with {what}, which are not made here");
    LiveError::Race { race: setting.race.id.to_owned(), why }
}

/// How what disturbs a race is done, where it can be done.
#[derive(Clone)]
pub(super) struct Disturb {
    /// Waits for the right moment; at once where turns are ordered.
    pub(super) moment: Rc<dyn Fn() -> Waiting>,
    /// Kills the daemon, and waits until its successor answers.
    pub(super) restart: Rc<dyn Fn() -> Waiting>,
}

/// Something to wait for.
pub(super) type Waiting = Pin<Box<dyn Future<Output = ()>>>;

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
    disturb: Option<&Disturb>,
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
                let cache = Memory::of(request.content, cached).cache();
                Box::pin(actors::finder(session, strategy, cache, request, outcome))
            }
            Role::Deploy { build } => {
                let outcome = entry(&mut outcomes, build, Default::default);
                Box::pin(actors::deployer(session, build, outcome))
            }
            Role::Cancel(actors) => {
                let moment = disturb.map(|disturb| Rc::clone(&disturb.moment));
                Box::pin(async move {
                    if let Some(moment) = moment {
                        moment().await;
                    }
                    actors::canceller(session, actors).await;
                })
            }
            Role::Restart => {
                let Some(disturb) = disturb.cloned() else {
                    let why = format!("`{}` needs a daemon", part.name);
                    return Err(LiveError::Race { race: race.id.to_owned(), why });
                };
                Box::pin(async move {
                    (disturb.moment)().await;
                    session.floor.turn(Guard::Always).await;
                    session.floor.say(|| "is killed and starts again".into());
                    (disturb.restart)().await;
                })
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
    use samebuild_store::races::RACES;

    #[test]
    fn a_race_whose_beginning_cannot_be_made_is_refused_with_the_reason() {
        let setting = |race| Setting { race, mode: Mode::Graphdriver, old: 2 };
        let refused = |beginning: fn(&Setting) -> Result<World, LiveError>| {
            let all = RACES.iter().filter_map(|race| Some((race.id, beginning(&setting(race)).err()?)));
            all.map(|(id, error)| {
                assert!(error.to_string().contains("not made here"), "{error}");
                id
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(refused(beginning), ["prune-children"]);
        assert_eq!(refused(plain_beginning), ["created-ties", "prune-children", "prune-all"]);
    }
}
