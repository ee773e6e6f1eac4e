//! Detects that the wall clock did not move as time did: the machine slept, or its clock was set; and that it is not the
//! clock of the store's server.

use super::log::Level;
use crate::base::{ClockSkew, EpochMs, Stopwatch};
use std::{fmt, time::Duration};

/// The wall clock has jumped when it differs by this much from the time that has passed.
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// A jump of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockJump {
    Forward(Duration),
    Back(Duration),
}

/// Compares the wall clock with a monotonic one, from one step to the next.
#[derive(Default)]
pub(super) struct ClockWatch {
    last: Option<(Stopwatch, EpochMs)>,
    /// The latest time that the clock did show or should have shown, while it has not come to it again.
    set_back_from: Option<EpochMs>,
}

impl ClockWatch {
    /// The jump since the last call, if there was one.
    pub(super) fn observe(&mut self, now: EpochMs) -> Option<ClockJump> {
        let last = self.last.replace((Stopwatch::start(), now));
        let (since, then) = last?;
        let expected = then + since.elapsed();
        let jump = jump(now, expected);
        if matches!(jump, Some(ClockJump::Back(_))) {
            self.set_back_from = self.set_back_from.max(Some(expected));
        }
        self.set_back_from.take_if(|from| *from <= now);
        jump
    }

    /// How long it takes until a clock that was set back shows again what it did show.
    pub(super) fn behind(&self, now: EpochMs) -> Duration {
        self.set_back_from.map(|from| from.since(now)).unwrap_or_default()
    }
}

/// The jump of a wall clock that shows `now` where it should show `expected`.
fn jump(now: EpochMs, expected: EpochMs) -> Option<ClockJump> {
    let size = now.distance(expected);
    match () {
        () if size < CLOCK_JUMP => None,
        () if now > expected => Some(ClockJump::Forward(size)),
        () => Some(ClockJump::Back(size)),
    }
}

impl fmt::Display for ClockJump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Forward(size) | Self::Back(size)) = self;
        let whole_seconds = Duration::from_secs(size.as_secs() + u64::from(size.subsec_millis() >= 500));
        let shown = humantime::format_duration(whole_seconds);
        match self {
            Self::Forward(_) => write!(
                f,
                "the clock is {shown} ahead of the time that has passed: the machine slept, or its clock was set; \
                 missed fires follow catch_up"
            ),
            Self::Back(_) => write!(
                f,
                "the clock was set back by {shown}: intervals continue by elapsed time, and cron fires what has \
                 not run yet when the clock reaches it"
            ),
        }
    }
}

/// Tells once that the machine's clock differs from that of the store's server, and once that it no longer does.
#[derive(Default)]
pub(super) struct SkewWatch {
    is_reported: bool,
}

impl SkewWatch {
    /// What is to be logged of the skew of the machine's clock from that of this store, if it was measured.
    pub(super) fn observe(&mut self, skew: Option<ClockSkew>, store: &str) -> Option<(Level, String)> {
        let skew = skew?;
        match (skew.is_tolerable(), self.is_reported) {
            (false, false) => {
                self.is_reported = true;
                let text = format!(
                    "this machine's clock is {skew} that of the store {store}: triggers follow this machine's clock, so \
                     its fires come at other times than those of other machines; synchronize both clocks (NTP)"
                );
                Some((Level::Warn, text))
            }
            (true, true) => {
                self.is_reported = false;
                let text = format!("this machine's clock agrees with that of the store {store} again");
                Some((Level::Info, text))
            }
            (true, false) | (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_reported_once_until_the_clocks_agree_again() {
        let (hour, second) = (Duration::from_hours(1), Duration::from_secs(1));
        let mut watch = SkewWatch::default();
        let mut observe = |skew| watch.observe(skew, "postgres://db:5432/shop");
        assert_eq!(observe(None), None);
        assert_eq!(observe(Some(ClockSkew::Ahead(second))), None);
        let (level, text) = observe(Some(ClockSkew::Behind(hour))).expect("it is reported");
        assert_eq!(level, Level::Warn);
        assert!(
            text.starts_with("this machine's clock is 1h behind that of the store postgres://db:5432/shop: "),
            "{text}"
        );
        assert_eq!(observe(Some(ClockSkew::Ahead(hour))), None);
        let again =
            "this machine's clock agrees with that of the store postgres://db:5432/shop again".to_owned();
        assert_eq!(observe(Some(ClockSkew::Ahead(second))), Some((Level::Info, again)));
        assert_eq!(observe(Some(ClockSkew::Ahead(second))), None);
    }

    #[test]
    fn clock_is_behind_until_it_shows_again_what_it_did_show() {
        let mut watch = ClockWatch::default();
        let at = |seconds| EpochMs::default() + Duration::from_secs(seconds);
        assert_eq!(watch.observe(at(1_000)), None);
        assert!(matches!(watch.observe(at(900)), Some(ClockJump::Back(_))));
        assert_eq!(watch.behind(at(900)).as_secs(), 100);
        assert_eq!(watch.behind(at(960)).as_secs(), 40);
        assert!(matches!(watch.observe(at(1_001)), Some(ClockJump::Forward(_))));
        assert_eq!(watch.behind(at(1_001)), Duration::ZERO);
    }

    #[test]
    fn clock_jump_is_what_moved_beyond_the_time_that_passed() {
        let table = [
            (250, 250, None),
            (5_249, 250, None),
            (5_250, 250, Some(ClockJump::Forward(Duration::from_secs(5)))),
            (7_200_250, 250, Some(ClockJump::Forward(Duration::from_hours(2)))),
            (-4_749, 250, None),
            (-4_750, 250, Some(ClockJump::Back(Duration::from_secs(5)))),
            // The machine was busy: both clocks moved.
            (60_000, 60_000, None),
            (i64::MIN, i64::MAX, Some(ClockJump::Back(Duration::from_millis(i64::MAX.unsigned_abs())))),
        ];
        for (now, expected, jumped) in table {
            let seen = jump(EpochMs::new(now), EpochMs::new(expected));
            assert_eq!(seen, jumped, "{now} instead of {expected}");
        }
    }
}
