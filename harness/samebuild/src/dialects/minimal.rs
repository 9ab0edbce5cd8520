//! The smallest set that still does it: delta debugging over numbers, whatever they stand for.

use std::collections::BTreeSet;

/// A set of numbers below `total` that `does_it`, and does not any more when any one of them is left out; `None` where
/// even all of them together do not. `hint` is tried first: if it does it, nothing beyond it is looked at.
///
/// # Errors
/// Those of `does_it`.
pub fn minimal<E>(
    total: usize,
    hint: &BTreeSet<usize>,
    mut does_it: impl FnMut(&BTreeSet<usize>) -> Result<bool, E>,
) -> Result<Option<BTreeSet<usize>>, E> {
    let all: BTreeSet<usize> = (0..total).collect();
    let mut kept: Vec<usize> = if hint.len() < total && hint.is_subset(&all) && does_it(hint)? {
        hint.iter().copied().collect()
    } else if does_it(&all)? {
        all.into_iter().collect()
    } else {
        return Ok(None);
    };
    let mut size = kept.len().div_ceil(2).max(1);
    loop {
        let (mut from, mut shrank) = (0, false);
        while from < kept.len() {
            let to = (from + size).min(kept.len());
            let rest: BTreeSet<usize> = kept[..from].iter().chain(&kept[to..]).copied().collect();
            if does_it(&rest)? {
                kept.drain(from..to);
                shrank = true;
            } else {
                from = to;
            }
        }
        match (size, shrank) {
            // Leaving one out may have made another one needless.
            (1, true) => {}
            (1, false) => return Ok(Some(kept.into_iter().collect())),
            _ => size = size.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(total: usize, hint: &[usize], needed: &[usize]) -> (Option<Vec<usize>>, usize) {
        let mut tries = 0;
        let hint = hint.iter().copied().collect();
        let set = minimal(total, &hint, |set| {
            tries += 1;
            Ok::<_, std::convert::Infallible>(needed.iter().all(|one| set.contains(one)))
        });
        (set.unwrap().map(|set| set.into_iter().collect()), tries)
    }

    #[test]
    fn exactly_what_is_needed_is_left_whatever_was_guessed() {
        for needed in [&[][..], &[0], &[59], &[3, 4], &[0, 17, 31, 32, 59]] {
            for hint in [&[][..], &[3, 4], &[0, 17, 31, 32, 59], &[1, 2, 3, 70]] {
                assert_eq!(found(60, hint, needed).0.as_deref(), Some(needed), "{hint:?}");
            }
        }
        assert_eq!(found(60, &[], &[60]).0, None);
        assert_eq!(found(0, &[], &[]).0, Some(vec![]));
    }

    #[test]
    fn a_good_guess_is_cheap() {
        assert!(found(60, &[5, 17, 31], &[5, 17, 31]).1 <= 8);
        assert!(found(60, &[], &[5]).1 <= 16, "{}", found(60, &[], &[5]).1);
    }

    #[test]
    fn where_leaving_one_out_frees_another_both_go() {
        // 2 is needed only as long as 1 is there.
        let set = minimal(4, &BTreeSet::new(), |set| {
            Ok::<_, ()>(set.contains(&0) && (!set.contains(&1) || set.contains(&2)))
        });
        assert_eq!(set.unwrap().unwrap(), BTreeSet::from([0]));
    }
}
