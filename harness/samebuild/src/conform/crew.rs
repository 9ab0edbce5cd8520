//! Many pieces of work on all cores, told of in their order whatever finishes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work` for every item. `told` hears of each result in the order of the items, `done` how many are done whenever
/// one is.
pub fn on_all_cores<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut told: impl FnMut(&R),
    mut done: impl FnMut(usize),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    // Half of a RUN is waiting for the kernel to take namespaces and mounts apart.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    if sender.send((index, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting: BTreeMap<usize, R> = BTreeMap::new();
        let mut results = Vec::with_capacity(items.len());
        for (count, (index, result)) in receiver.iter().enumerate() {
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(&results.len()) {
                told(&result);
                results.push(result);
            }
            done(count + 1);
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..40).collect();
        let (mut told, mut last) = (Vec::new(), 0);
        let slow_at_first = |item: &u64| {
            std::thread::sleep(std::time::Duration::from_millis(if *item < 4 { 5 } else { 0 }));
            item * 2
        };
        let results = on_all_cores(&items, slow_at_first, |result| told.push(*result), |done| last = done);
        assert_eq!(results, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!((told, last), (results, 40));
        assert!(on_all_cores(&[], |item: &u64| *item, |_| {}, |_| {}).is_empty());
    }
}
