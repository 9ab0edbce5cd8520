//! What passes by itself is tried again, each time after twice as long: a connection that breaks, a registry that is busy.
//! What it says once and for all (no such image, no entry) is not.

use std::time::Duration;

use super::RegistryError;
use crate::engines::Progress;

impl RegistryError {
    /// How often it is worth trying in all, and how long to wait before the second time.
    fn patience(&self) -> (u32, Duration) {
        match self {
            // One that is there but cannot: 0.5 s, 1 s, 2 s, 4 s.
            Self::Busy { .. } => (5, Duration::from_millis(500)),
            Self::Truncated { .. } | Self::Broke { .. } => (5, Duration::from_millis(100)),
            Self::Unreachable { .. } => (3, Duration::from_millis(100)),
            // Somebody between us and the registry may be at fault; more than that is the registry's.
            Self::WrongDigest { .. } | Self::TooLong { .. } => (2, Duration::from_millis(100)),
            _ => (1, Duration::ZERO),
        }
    }
}

/// The first success, or the last failure that there is no point in waiting for.
///
/// # Errors
/// As `attempt`.
pub(super) async fn patiently<T>(
    progress: Progress<'_>,
    mut attempt: impl AsyncFnMut() -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let mut tried = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        tried += 1;
        let (most, first) = error.patience();
        if tried >= most {
            return Err(error);
        }
        let wait = first * (1 << (tried - 1));
        progress(&format!("failed to {error}; trying again in {} ms", wait.as_millis()));
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn count(error: fn() -> RegistryError, good_at: u32) -> (bool, u32, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let tried = Cell::new(0);
        let began = std::time::Instant::now();
        let outcome = runtime.block_on(patiently(&|_| {}, async || {
            tried.set(tried.get() + 1);
            if tried.get() == good_at { Ok(()) } else { Err(error()) }
        }));
        (outcome.is_ok(), tried.get(), began.elapsed())
    }

    fn truncated() -> RegistryError {
        RegistryError::Truncated { what: "it".into(), got: 1, want: 2 }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        assert_eq!(count(truncated, 3).1, 3);
        let (good, tried, took) = count(truncated, 99);
        assert!(!good && tried == 5 && took >= Duration::from_millis(1500), "{tried} {took:?}");
        let absent = || RegistryError::NoSuchImage { image: "a".into(), registry: "b".into() };
        assert_eq!(count(absent, 2).1, 1);
        let wrong = || RegistryError::WrongDigest { what: "it".into(), want: "w".into() };
        assert_eq!(count(wrong, 99).1, 2);
    }
}
