//! Answers: how do actors run when nobody orders their turns? All at once, as fast as the world lets them; one that is
//! cancelled goes away where it stands, unless it is shielded. Leaves what a turn waits for to `floor`.

use std::task::Poll;

use crate::floor::{Cast, Floor};

/// Runs `cast` on a floor without a scheduler, to its end. What an actor was waiting for when it went away is nobody's
/// any more: a request it has sent is the engine's affair.
pub async fn crowd(floor: &Floor, cast: &mut Cast<'_>) {
    std::future::poll_fn(|context| {
        for (actor, slot) in (0_u8..).zip(cast.iter_mut()) {
            floor.enter(actor);
            if slot.as_mut().is_some_and(|acting| acting.as_mut().poll(context).is_ready()) {
                *slot = None;
            }
        }
        // Somebody may have been cancelled by one who came after them.
        for (actor, slot) in (0_u8..).zip(cast.iter_mut()) {
            if slot.is_some() && floor.has_to_go(actor) {
                floor.enter(actor);
                *slot = None;
            }
        }
        if cast.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::floor::Signal;

    /// GoogleContainerTools/skaffold: cancelling ends the client, not what the daemon was asked to do.
    #[test]
    fn a_cancelled_actor_goes_away_unless_it_is_shielded_and_then_when_it_no_longer_is() {
        let floor = Floor::free();
        let went_on = Rc::new(Cell::new(0));
        let actor = |shielded: bool| {
            let (floor, went_on) = (Rc::clone(&floor), Rc::clone(&went_on));
            async move {
                if shielded {
                    floor.shield();
                }
                floor.wait(Signal::Cue(1)).await;
                went_on.set(went_on.get() + 1);
                floor.unshield();
                floor.wait(Signal::Cue(2)).await;
                went_on.set(went_on.get() + 100);
            }
        };
        let end = {
            let floor = Rc::clone(&floor);
            async move {
                floor.wait(Signal::Cue(0)).await;
                floor.cancel(0);
                floor.cancel(1);
            }
        };
        let mut cast: Cast<'_> =
            vec![Some(Box::pin(actor(true))), Some(Box::pin(actor(false))), Some(Box::pin(end))];
        let mut crowd = pin!(crowd(&floor, &mut cast));
        let mut poll = || crowd.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!poll());
        floor.raise(Signal::Cue(0));
        assert!(!poll(), "the shielded one is still there");
        floor.raise(Signal::Cue(1));
        assert!(poll(), "and gone once it has done what it had begun");
        assert_eq!(went_on.get(), 1);
    }
}
