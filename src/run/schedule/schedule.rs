//! When a trigger fires: a cron expression in a zone, or an interval aligned to the clock.
//!
//! Each local time that an expression names fires once. A local time that the zone skips fires right after the gap,
//! together with all others in it; one that occurs twice fires at its first occurrence. Must never know automations, nor
//! the present time.

use super::cron::Cron;
use crate::base::{Diagnostic, EpochMs};
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use std::{fmt, time::Duration};

/// No zone moves its clocks further than this at once, and none has more than one transition within it.
const MAX_SHIFT_HOURS: i64 = 26;

/// The shortest interval.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The longest interval: a cron expression says better what fires less than once a day.
const MAX_INTERVAL: Duration = Duration::from_hours(24);

/// When a trigger fires.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// At local times of a zone.
    Cron {
        /// Which local times.
        cron: Cron,
        /// Which zone.
        zone: Tz,
    },
    /// Whenever the time since the epoch is a multiple of this.
    Every(Duration),
}

/// A zone by its name in the IANA database.
pub fn zone(name: &str) -> Result<Tz, Diagnostic> {
    name.parse().map_err(|_| {
        // What users write for the platform's own zone.
        const CHINA: [&str; 5] = ["Asia/Beijing", "Beijing", "北京", "CST", "China Standard Time"];
        if CHINA.iter().any(|china| china.eq_ignore_ascii_case(name)) {
            let hint = "China's zone, Beijing's time too, is \"Asia/Shanghai\"";
            return Diagnostic::new(format!("there is no time zone `{name}`")).hint(hint);
        }
        if let Some(hours) = offset_in_hours(name) {
            let hint = match hours {
                8 => "China's zone, Beijing's time too, is \"Asia/Shanghai\"".to_owned(),
                0 => "write \"UTC\"".to_owned(),
                hours => format!(
                    "write a city of it, or \"Etc/GMT{:+}\": the sign of these is the other way round",
                    -hours
                ),
            };
            return Diagnostic::new(format!("there is no time zone `{name}`")).hint(hint);
        }
        let all = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let hint = match crate::base::closest_match(name, all) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "zones are named as in \"Asia/Shanghai\" or \"UTC\"".to_owned(),
        };
        Diagnostic::new(format!("there is no time zone `{name}`")).hint(hint)
    })
}

/// `UTC+9`, `GMT+09:00`, `+0900`: an offset, which is no name of a zone.
fn offset_in_hours(name: &str) -> Option<i8> {
    let name = name.strip_prefix("Etc/").unwrap_or(name);
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    let digits = offset.strip_prefix(['+', '-'])?;
    let hours = digits
        .strip_suffix(":00")
        .or(digits.strip_suffix("00").filter(|rest| rest.len() == 2))
        .unwrap_or(digits);
    let hours: i8 = hours.parse().ok().filter(|hours| (0..=14).contains(hours))?;
    Some(if offset.starts_with('-') { -hours } else { hours })
}

/// What is misleading in a zone's name: `Etc/GMT+8` is eight hours behind UTC.
#[must_use]
pub fn misleading_name(zone: Tz) -> Option<String> {
    let hours: i8 = zone.name().strip_prefix("Etc/GMT")?.parse().ok().filter(|hours| *hours != 0)?;
    let city = if hours == 8 { "\"Asia/Shanghai\" or " } else { "" };
    Some(format!(
        "`{}` is UTC{:+}: the sign of such a name is the other way round; UTC{hours:+} is {city}\"Etc/GMT{:+}\"",
        zone.name(),
        -hours,
        -hours,
    ))
}

impl Schedule {
    /// Parses an interval: `30s`, `15m`, `6h`.
    pub fn every(text: &str) -> Result<Self, Diagnostic> {
        let fail = |message: String| {
            Err(Diagnostic::new(message).hint("for example every: \"30s\", \"15m\" or \"6h\""))
        };
        let Ok(interval) = humantime::parse_duration(text) else {
            return fail(format!("`{text}` is no interval"));
        };
        if interval < MIN_INTERVAL || interval > MAX_INTERVAL || interval.subsec_millis() != 0 {
            return fail(format!("the interval `{text}` is not in whole seconds from 1s to 24h"));
        }
        Ok(Self::Every(interval))
    }

    /// The first instant after this one at which it fires.
    #[must_use]
    pub fn after(&self, instant: EpochMs) -> Option<EpochMs> {
        match self {
            Self::Every(interval) => {
                let interval = i64::try_from(interval.as_millis()).ok()?;
                let next = instant.get().div_euclid(interval).checked_add(1)?.checked_mul(interval)?;
                Some(EpochMs::new(next))
            }
            Self::Cron { cron, zone } => {
                let after = DateTime::from_timestamp_millis(instant.get())?;
                let mut local = search_start(after, *zone);
                // Local times in a gap are the same instant, which fires once.
                loop {
                    local = cron.after(local)?;
                    let instant = resolve(local, *zone)?;
                    if instant > after {
                        return Some(instant.into());
                    }
                }
            }
        }
    }

    /// An instant in RFC 3339, with the offset of its zone.
    #[must_use]
    pub fn rfc3339(&self, instant: EpochMs) -> String {
        let instant = instant.to_utc();
        match self {
            Self::Cron { zone, .. } => instant.with_timezone(zone).to_rfc3339(),
            Self::Every(_) => instant.to_rfc3339(),
        }
    }

    /// An instant for display: weekday, date, time and offset of its zone.
    #[must_use]
    pub fn show(&self, instant: EpochMs) -> String {
        let instant = instant.to_utc();
        match self {
            Self::Cron { zone, .. } => {
                instant.with_timezone(zone).format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
            }
            Self::Every(_) => instant.format("%a %Y-%m-%d %H:%M:%S %:z").to_string(),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { cron, zone } => write!(f, "cron {} ({zone})", cron.text()),
            Self::Every(interval) => write!(f, "every {}", humantime::format_duration(*interval)),
        }
    }
}

/// Where the search for the next local time starts: at the instant's own, but earlier near a transition, where a local time
/// before it may be an instant after it.
fn search_start(after: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let near = TimeDelta::hours(MAX_SHIFT_HOURS);
    let local = after.with_timezone(&zone).naive_local();
    let is_moved = [after - near, after + near].into_iter().any(|at| offset(at) != offset(after));
    if is_moved { local - near } else { local }
}

/// The instant of a local time: the first of two, and the end of the gap if there is none.
fn resolve(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let mut at = local;
    for _ in 0..=MAX_SHIFT_HOURS * 60 {
        match zone.from_local_datetime(&at) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => {
                return Some(instant.with_timezone(&Utc));
            }
            // All transitions are at whole minutes.
            LocalResult::None => at += TimeDelta::minutes(1),
        }
    }
    None
}
