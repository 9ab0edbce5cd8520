//! Answers: what does a strategy cost a build? Counted in turns of one schedule, in which the build has the right
//! of way: what it still waits for is what the strategy makes it wait for. Leaves seconds to real engines.

use crate::floor::Actor;
use crate::races::Role;
use crate::stage::{self, Look, Setting, Stage};
use crate::strategies::Row;

/// The price of a strategy in one race.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Price {
    /// Turns until the first build is ready, when it moves whenever it can. `None`: it was not.
    pub ready: Option<usize>,
    /// Turns until everything is done.
    pub done: usize,
    /// Images built again although the cache had had them.
    pub rebuilt: u64,
}

/// The price of the strategy of `row` in `setting`.
pub fn price(setting: &Setting, row: &Row) -> Price {
    let builds = mask(setting, |role| matches!(role, Role::Build(_) | Role::Find(..)));
    let disturbances = mask(setting, |role| matches!(role, Role::Cancel(_) | Role::Restart));
    let (mut turns, mut ready) = (0, None);
    let mut choose = |enabled: u64, stage: &Stage| -> Option<Actor> {
        if ready.is_none() && stage.ledger.has_promised() {
            ready = Some(turns);
        }
        turns += 1;
        let calm = enabled & !disturbances;
        let first = [enabled & builds, calm, enabled].into_iter().find(|actors| *actors != 0)?;
        u8::try_from(first.trailing_zeros()).ok()
    };
    let run = stage::run(setting, row.strategy, setting.world(), Look::default(), &mut choose);
    Price { ready, done: run.turns.len(), rebuilt: run.cost.new_images }
}

fn mask(setting: &Setting, wanted: fn(&Role) -> bool) -> u64 {
    let cast = setting.race.cast.iter().enumerate();
    cast.filter(|(_, part)| wanted(&part.role)).fold(0, |mask, (actor, _)| mask | 1 << actor)
}
