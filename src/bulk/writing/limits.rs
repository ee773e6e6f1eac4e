//! The limits of a run: its changes, and its error rate.

use crate::base::Setting;
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

/// The error rate is enforced only after this many followers; below it one failure is a large share.
const MIN_SAMPLE: u64 = 1_000;

/// The limits of a run, with what is used of them. All its jobs share them.
#[derive(Debug, Default)]
pub struct Limits {
    /// Changes at the most.
    changes: Option<u64>,
    /// Failures at the most, in a thousandth of a per cent of the followers.
    errors: Option<u32>,
    changed: AtomicU64,
}

/// A limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// No more changes may be made.
    #[error("the run may make {0} changes, and no more")]
    Changes(u64),
    /// Too many openids failed.
    #[error("{failed} of {followers} followers failed, which is more than {max}")]
    Errors {
        /// Who failed.
        failed: u64,
        /// Of this many followers.
        followers: u64,
        /// The share that may.
        max: Share,
    },
}

/// A share in words: `1%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1_000.0)
    }
}

impl Limit {
    /// What sets it.
    #[must_use]
    pub fn setting(&self) -> Setting {
        match self {
            Self::Changes(_) => Setting::MaxChanges,
            Self::Errors { .. } => Setting::MaxErrors,
        }
    }
}

impl Limits {
    /// Limits of a new run.
    #[must_use]
    pub fn new(changes: Option<u64>, errors: Option<u32>) -> Self {
        Self { changes, errors, changed: AtomicU64::default() }
    }

    /// Reserves up to `wanted` changes before they are sent, and returns the number granted.
    pub(crate) fn reserve(&self, wanted: usize) -> Result<usize, Limit> {
        let Some(max) = self.changes else { return Ok(wanted) };
        let wanted = wanted as u64;
        let before = self.changed.fetch_add(wanted, Ordering::SeqCst);
        let room = max.saturating_sub(before).min(wanted);
        self.changed.fetch_sub(wanted - room, Ordering::SeqCst);
        match usize::try_from(room) {
            Ok(0) if wanted > 0 => Err(Limit::Changes(max)),
            room => Ok(room.unwrap_or(usize::MAX)),
        }
    }

    /// Whether another change may be made.
    ///
    /// # Errors
    /// When there are none left.
    pub fn allow_one(&self) -> Result<(), Limit> {
        self.reserve_all(1)?;
        self.release(1);
        Ok(())
    }

    /// Reserves the changes of one call, all or none.
    pub fn reserve_all(&self, wanted: usize) -> Result<(), Limit> {
        let taken = self.reserve(wanted)?;
        if taken == wanted {
            return Ok(());
        }
        self.release(taken);
        Err(Limit::Changes(self.changes.unwrap_or_default()))
    }

    /// Counts changes that an earlier attempt of the run has reserved.
    pub(crate) fn restore(&self, changes: usize) {
        if self.changes.is_some() {
            self.changed.fetch_add(changes as u64, Ordering::SeqCst);
        }
    }

    /// The same limits, of which a run has used so much in earlier attempts.
    #[must_use]
    pub fn with_used(self, changes: u64) -> Self {
        self.changed.store(changes, Ordering::SeqCst);
        self
    }

    /// Some that were reserved were not made.
    pub fn release(&self, unused: usize) {
        if self.changes.is_some() {
            self.changed.fetch_sub(unused as u64, Ordering::SeqCst);
        }
    }

    /// Fails once a job's error rate exceeds the limit.
    ///
    /// # Errors
    /// When it does.
    pub fn check_error_rate(&self, failed: u64, followers: u64) -> Result<(), Limit> {
        match self.errors {
            Some(max) if followers >= MIN_SAMPLE && failed * 100_000 > followers * u64::from(max) => {
                Err(Limit::Errors { failed, followers, max: Share(max) })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_reserved_up_to_the_limit_and_released() {
        let limits = Limits::new(Some(120), None);
        assert_eq!((limits.reserve(50), limits.reserve(50), limits.reserve(50)), (Ok(50), Ok(50), Ok(20)));
        assert_eq!(limits.reserve(1), Err(Limit::Changes(120)));
        limits.release(3);
        assert_eq!(limits.reserve(50), Ok(3));
        assert_eq!(Limits::default().reserve(50), Ok(50));
    }

    #[test]
    fn error_rate_is_checked_from_a_thousand_followers_on() {
        let limits = Limits::new(None, Some(1_500));
        assert_eq!((limits.check_error_rate(999, 999), limits.check_error_rate(15, 1_000)), (Ok(()), Ok(())));
        let error = limits.check_error_rate(16, 1_000).unwrap_err();
        assert_eq!(error.to_string(), "16 of 1000 followers failed, which is more than 1.5%");
    }
}
