//! What a reader of stats can miss on a file system that was measured, and whether times lag there: a pure verdict.

use serde::Serialize;

use super::file_system::{Measured, Pairs};

/// A change that can leave a file's size and modification time as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miss {
    pub change: &'static str,
    /// In how many of a hundred tries it did; 1 where it was fewer than one, but some.
    pub percent: u32,
    /// What else of a stat would have shown it each time; nothing if only the content does.
    pub shown_by: Vec<&'static str>,
}

/// A name for times that stay behind although steps of a build are apart: from here on.
const LAG_NS: u64 = 10_000_000;

/// Whether steps of a build, which are further apart than a tick of a clock, can leave the time as it was.
pub fn is_lag(kept_ns: u64, still_after_ms: Option<u64>) -> bool {
    kept_ns >= LAG_NS || still_after_ms.is_some()
}

/// Whether times lag there.
pub fn lags(measured: &Measured) -> bool {
    is_lag(measured.kept_ns, measured.still_after_ms)
}

/// All that a reader of sizes and modification times can miss.
pub fn misses(measured: &Measured) -> Vec<Miss> {
    let missed = measured.changes().into_iter().filter(|change| change.pairs.same_mtime > 0);
    missed.map(|change| miss(change.missed, change.pairs)).collect()
}

fn miss(change: &'static str, pairs: Pairs) -> Miss {
    let shows = [("ctime", pairs.same_ctime), ("the inode number", pairs.same_inode)];
    Miss {
        change,
        percent: (pairs.same_mtime * 100 / pairs.tried.max(1)).max(1),
        shown_by: shows.into_iter().filter(|(_, same)| *same == 0).map(|(what, _)| what).collect(),
    }
}

impl Miss {
    /// The sentence after "a stat-based reader can miss:".
    pub fn sentence(&self) -> String {
        let shown = match self.shown_by.as_slice() {
            [] => "only the content shows it".to_owned(),
            shown => format!("{} shows it", shown.join(" or ")),
        };
        format!("{} ({} %; {shown})", self.change, self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let none = Pairs { tried: 200, ..Pairs::default() };
        Measured {
            file_system: "ext4".to_owned(),
            kept_ns: 1,
            tick_ns: Some(4_000_000),
            has_birth: true,
            still_after_ms: None,
            rewritten: none,
            synced: none,
            replaced: none,
            made_again: none,
            put_back: none,
            mapped: none,
            mapped_synced: none,
            mapped_after_sync: none,
        }
    }

    #[test]
    fn a_file_system_that_moves_its_times_misses_nothing_and_does_not_lag() {
        assert_eq!(misses(&measured()), []);
        assert!(!lags(&measured()));
    }

    #[test]
    fn a_change_that_only_the_content_shows_says_so_and_one_that_ctime_shows_that() {
        let all = Pairs { tried: 200, same_mtime: 200, same_ctime: 200, same_inode: 200 };
        let put_back = Pairs { same_ctime: 0, ..all };
        let rare = Pairs { tried: 2000, same_mtime: 1, same_ctime: 1, same_inode: 0 };
        let measured = Measured { mapped: all, put_back, replaced: rare, ..measured() };
        let sentences: Vec<String> = misses(&measured).iter().map(Miss::sentence).collect();
        assert_eq!(
            sentences,
            [
                "another file renamed over it (1 %; the inode number shows it)",
                "a rewrite whose time was put back (100 %; ctime shows it)",
                "a store through a mapping that was stored to before (100 %; only the content shows it)",
            ]
        );
        assert!(!lags(&measured), "what happens everywhere is no lag");
    }

    #[test]
    fn whole_seconds_and_times_that_stand_still_are_lag() {
        assert!(lags(&Measured { kept_ns: 1_000_000_000, ..measured() }));
        assert!(lags(&Measured { still_after_ms: Some(12), ..measured() }));
        assert!(!lags(&Measured { kept_ns: 100, ..measured() }), "NTFS keeps tenths of microseconds");
    }
}
