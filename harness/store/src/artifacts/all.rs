//! Answers: in which order are artifacts made that require each other, and what would have to be done for each? Decided
//! for all at once, made in order. Leaves how one is decided and made to `look` and `make`.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use crate::artifacts::{Cache, Looked, look};
use crate::session::{Request, Session};

/// Looks for all of `requests` at once, on a floor without a scheduler.
pub async fn look_for_all(session: &Session, cache: &Cache, requests: &[Request]) -> Vec<Looked> {
    together(requests.iter().map(|request| look(session, cache, request))).await
}

/// Each after those it requires; `requires[n]` are the numbers that n needs. What is free comes in its old order.
pub fn order(requires: &[Vec<usize>]) -> Result<Vec<usize>, Cycle> {
    let mut order = Vec::with_capacity(requires.len());
    let mut done = vec![false; requires.len()];
    while order.len() < requires.len() {
        let is_free =
            |n: &usize| !done[*n] && requires[*n].iter().all(|other| done.get(*other) == Some(&true));
        let Some(next) = (0..requires.len()).find(is_free) else {
            return Err(Cycle((0..requires.len()).filter(|n| !done[*n]).collect()));
        };
        done[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// These require each other, or what is not there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("order the artifacts {0:?}: each requires another of them; take one requirement away")]
pub struct Cycle(pub Vec<usize>);

/// All futures, side by side in one task; their outputs in the order in which they were given.
pub async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<Running<'_, T>> = futures.map(|future| Running::Going(Box::pin(future))).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for slot in &mut running {
            if let Running::Going(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *slot = Running::Done(value),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let done = |slot| match slot {
        Running::Done(value) => Some(value),
        Running::Going(_) => None,
    };
    running.into_iter().filter_map(done).collect()
}

enum Running<'a, T> {
    Going(Pin<Box<dyn Future<Output = T> + 'a>>),
    Done(T),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_comes_first_and_otherwise_nothing_moves() {
        let all = [vec![3], vec![], vec![0, 3], vec![]];
        assert_eq!(order(&all).unwrap(), [1, 3, 0, 2]);
        assert_eq!(order(&[vec![], vec![], vec![]]).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_circle_is_an_error_that_names_who_is_in_it() {
        assert_eq!(order(&[vec![], vec![2], vec![1]]), Err(Cycle(vec![1, 2])));
        assert_eq!(order(&[vec![0]]), Err(Cycle(vec![0])));
    }
}
