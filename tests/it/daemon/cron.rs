//! When triggers fire: cron expressions in zones, held to a table and to another library.

use chrono::{DateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use mpscript::{
    base::EpochMs,
    run::{
        schedule::cron::Cron,
        schedule::{Schedule, misleading_name, zone},
    },
};
use proptest::{collection::vec, prelude::*};
use std::str::FromStr;

/// Name, expression, zone, start and the next fires, computed minute by minute on local calendars.
const CASES: &str = include_str!("../../cron/cases.tsv");

fn schedule(expression: &str, name: &str) -> Schedule {
    Schedule::Cron { cron: Cron::read(expression).expect(expression), zone: zone(name).expect(name) }
}

fn instant(text: &str) -> EpochMs {
    DateTime::parse_from_rfc3339(text).expect(text).into()
}

#[test]
fn cron_expressions_fire_at_the_expected_instants() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in CASES.lines().skip(1) {
        let [name, expression, zone, start, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let schedule = schedule(expression, zone);
        let mut at = instant(start);
        for expected in expected.split(' ') {
            let next = schedule.after(at).expect(name);
            if next != instant(expected) {
                wrong.push(format!("{name}: {expression} {zone}: {} for {expected}", schedule.show(next)));
                break;
            }
            at = next;
        }
        count += 1;
    }
    assert!(count >= 60, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn invalid_cron_expression_is_refused_with_a_hint() {
    for (expression, message, hint) in [
        ("60 * * * *", "minute `60` is not in 0 to 59", "the next hour's minute 0"),
        ("0 24 * * *", "hour `24` is not in 0 to 23", "midnight is hour 0"),
        ("0 0 0 * *", "day of month `0` is not in 1 to 31", "it is 1 to 31"),
        ("0 0 1 13 *", "month `13` is not in 1 to 12, or jan to dec", "it is 1 to 12, or jan to dec"),
        ("0 0 * * 8", "day of week `8` is not in 0 to 7, or sun to sat", "it is 0 to 7, or sun to sat"),
        ("0 0 * * mond", "day of week `mond`: `mond` is no day of week", "it is 0 to 7, or sun to sat"),
        ("-1 * * * *", "minute `-1`: `` is no minute", "has nothing beside it"),
        ("1,,2 * * * *", "minute `1,,2`: `` is no minute", "has nothing beside it"),
        ("*/0 * * * *", "minute `*/0` has the step `0`", "a step is a number from 1 to 59"),
        ("*/90 * * * *", "minute `*/90` has the step `90`", "every: \"90m\""),
        ("5/15 * * * *", "minute `5/15` has a step and no range", "`5-59/15`"),
        ("0 22-2 * * *", "hour `22-2` goes backwards", "`22-23,0-2`"),
        ("0 9 ? * 1", "day of month `?`: `?` is no day of month", "write `*`"),
        ("0 9 L * *", "day of month `L`: `L` is no day of month", "look at the date in the script"),
        ("0 0 9 * * 1", "`0 0 9 * * 1` has 6 fields, and cron has 5", "`0 9 * * 1`"),
        ("*/30 0 9 * * 1", "has 6 fields", "every: \"30s\""),
        ("0 0 9 * * 1 2027", "has 7 fields", "`0 9 * * 1`"),
        ("0 9 * *", "`0 9 * *` has 4 fields", "`0 9 * * 1-5`"),
        ("", "`` has 0 fields", "`0 9 * * 1-5`"),
        ("@reboot", "cron knows no `@reboot`", "@daily"),
        ("0 0 30 2 *", "`0 0 30 2 *` never comes", "28 is in every month"),
        ("0 0 31 4,6,9,11 *", "never comes", "28 is in every month"),
    ] {
        let error = Cron::read(expression).expect_err(expression);
        assert!(error.message.contains(message), "{expression}: {}", error.message);
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{expression}: {:?}", error.hint);
    }
    // The day of month is no part of the rule where the other field names days.
    assert!(Cron::read("0 0 31 2 1").is_ok());
}

#[test]
fn form_of_another_cron_is_translated() {
    let zone_key = "the zone is a key of its own: cron: \"0 0 * * *\", tz: \"Asia/Tokyo\"";
    for (expression, message, hint) in [
        ("CRON_TZ=Asia/Tokyo 0 0 * * *", "`CRON_TZ=Asia/Tokyo` is no part of a cron expression", zone_key),
        ("TZ=Asia/Tokyo 0 0 * * *", "`TZ=Asia/Tokyo` is no part of a cron expression", zone_key),
        ("TZ=Asia/Tokyo @daily", "no part of a cron expression", "cron: \"@daily\", tz: \"Asia/Tokyo\""),
        ("MAILTO=甲 0 9 * * *", "`MAILTO=甲` is no part", "without it: `0 9 * * *`"),
        ("0 9 * * * # nine", "has a comment, which is no part of it", "without it: `0 9 * * *`"),
        ("0 9 * * 1-5 #", "has a comment", "without it: `0 9 * * 1-5`"),
        ("@hourly # 注释", "has a comment", "without it: `@hourly`"),
        ("# 0 9 * * *", "has a comment", "is left out"),
        ("0 9 * * * Asia/Tokyo", "has 6 fields", "tz: \"Asia/Tokyo\"; without it: `0 9 * * *`"),
        ("@midnight UTC", "has more than `@midnight`", "tz: \"UTC\""),
        ("0 9 * * * root", "has 6 fields", "without it: `0 9 * * *`"),
        ("0 9 * * * /usr/bin/x -v", "has 7 fields", "without it: `0 9 * * *`"),
        ("cron(0 9 * * ? *)", "another scheduler's form", "write `0 9 * * *`"),
        ("0 9 ? * MON *", "has 6 fields", "without the year at its end: `0 9 * * MON`"),
        ("0 0 9 ? * MON-FRI *", "has 7 fields", "`0 9 * * MON-FRI`"),
        ("0 0 9 * * ?", "has 6 fields", "without the seconds at its beginning: `0 9 * * *`"),
        ("@every 5m", "is an interval", "every: \"5m\""),
        ("rate(5 minutes)", "is an interval", "every: \"5m\""),
        ("5m", "is an interval", "every: \"5m\""),
        ("H/15 * * * *", "`H/15` is a moment that Jenkins and some crons choose", "jitter: \"10m\""),
        ("0~59 * * * *", "`0~59` is a moment", "jitter"),
        ("09:30", "names a time of the day", "every day at 9:30 is `30 9 * * *`"),
        ("0 9 * * Monday", "`Monday` is no day of week", "write `mon`"),
        ("0 9 ＊ * *", "full-width `＊` (U+FF0A): write `*`", ""),
        ("0，30 9 * * *", "full-width `，` (U+FF0C): write `,`", ""),
        ("０ 9 * * *", "full-width `０` (U+FF10): write `0`", ""),
    ] {
        let error = Cron::read(expression).expect_err(expression);
        assert!(error.message.contains(message), "{expression}: {}", error.message);
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{expression}: {:?}", error.hint);
    }
}

#[test]
fn unknown_zone_is_refused_with_a_hint() {
    for (name, hint) in [
        ("Asia/Shangai", "did you mean `Asia/Shanghai`?"),
        ("GMT+8", "China's zone, Beijing's time too, is \"Asia/Shanghai\""),
        ("UTC+08:00", "China's zone, Beijing's time too, is \"Asia/Shanghai\""),
        ("+0800", "China's zone, Beijing's time too, is \"Asia/Shanghai\""),
        ("UTC+9", "write a city of it, or \"Etc/GMT-9\": the sign of these is the other way round"),
        ("Etc/UTC-5", "write a city of it, or \"Etc/GMT+5\": the sign of these is the other way round"),
    ] {
        let error = zone(name).expect_err(name);
        assert_eq!(error.hint.as_deref(), Some(hint), "{name}");
    }
}

#[test]
fn zone_with_the_opposite_sign_gets_a_warning() {
    let warning = |name: &str| misleading_name(zone(name).expect(name));
    assert_eq!(
        warning("Etc/GMT+8").as_deref(),
        Some(
            "`Etc/GMT+8` is UTC-8: the sign of such a name is the other way round; \
             UTC+8 is \"Asia/Shanghai\" or \"Etc/GMT-8\""
        )
    );
    assert_eq!(
        warning("Etc/GMT-9").as_deref(),
        Some("`Etc/GMT-9` is UTC+9: the sign of such a name is the other way round; UTC-9 is \"Etc/GMT+9\"")
    );
    for plain in ["Asia/Shanghai", "UTC", "Etc/GMT", "Etc/GMT+0", "EST5EDT"] {
        assert_eq!(warning(plain), None, "{plain}");
    }
}

#[test]
fn intervals_are_aligned_to_the_clock() {
    let next = |every: &str, start: &str| Schedule::every(every).expect(every).after(instant(start));
    assert_eq!(next("30s", "2026-11-27T08:00:01Z"), Some(instant("2026-11-27T08:00:30Z")));
    assert_eq!(next("15m", "2026-11-27T08:15:00Z"), Some(instant("2026-11-27T08:30:00Z")));
    assert_eq!(next("1s", "2026-11-27T08:15:00.500Z"), Some(instant("2026-11-27T08:15:01Z")));
    assert_eq!(next("2h 30m", "1970-01-01T00:00:00Z"), Some(instant("1970-01-01T02:30:00Z")));
    for (text, says) in [
        ("", "`` is no interval"),
        ("30", "`30` is no interval"),
        ("500ms", "not in whole seconds from 1s to 24h"),
        ("1500ms", "not in whole seconds"),
        ("2d", "not in whole seconds from 1s to 24h"),
    ] {
        let error = Schedule::every(text).expect_err(text);
        assert!(error.message.contains(says), "{}", error.message);
    }
}

/// A field: `*`, or a list of values and ranges, sometimes with steps.
fn field(min: u8, max: u8) -> impl Strategy<Value = String> {
    let part = (min..=max, min..=max, 1..=max.min(9)).prop_map(move |(one, other, step)| {
        match (one.cmp(&other), step) {
            (std::cmp::Ordering::Less, 1 | 2) => format!("{one}-{other}"),
            (std::cmp::Ordering::Less, step) => format!("{one}-{other}/{step}"),
            _ => one.to_string(),
        }
    });
    prop_oneof![2 => Just("*".to_owned()), 3 => vec(part, 1..3).prop_map(|parts| parts.join(","))]
}

/// Zones with and without summer time, of whole, half and quarter hours, on both hemispheres.
pub(super) const ZONES: [&str; 10] = [
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Europe/Berlin",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Africa/Cairo",
];

/// Whether a zone moves its clocks within a day and a bit of this instant.
fn is_near_a_change(zone: Tz, instant: DateTime<Utc>) -> bool {
    let offset = |hours: i64| {
        let at = instant + TimeDelta::hours(hours);
        zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
    };
    (-26..=26).any(|hours| offset(hours) != offset(0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Another library finds the same instant, but where clocks are moved: there it lets an expression with `*` in its
    /// minutes or hours run through (twice in an hour that comes twice, not at all in one that is left out), and each
    /// local time fires once here.
    #[test]
    fn next_fires_match_another_library(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 28), month in field(1, 12), weekday in field(0, 6),
        zone_at in 0..ZONES.len(), start in 1_262_304_000_i64..1_893_456_000,
    ) {
        let expression = format!("{minute} {hour} {day} {month} {weekday}");
        let zone = zone(ZONES[zone_at]).expect("it is there");
        let start = DateTime::<Utc>::from_timestamp(start, 0).expect("it is a time");
        let ours = schedule(&expression, zone.name()).after(start.into());
        let ours = ours.expect("it comes").to_utc();
        let theirs = croner::Cron::from_str(&expression).expect("it is read");
        let theirs = theirs.find_next_occurrence(&start.with_timezone(&zone), false).expect("it comes");
        let theirs = theirs.with_timezone(&Utc);
        prop_assert!(ours > start);
        if ours != theirs {
            let first = ours.min(theirs);
            let is_explained = is_near_a_change(zone, first) || is_near_a_change(zone, start);
            prop_assert!(is_explained, "{expression} {zone} from {start}: {ours}, and {theirs}");
        }
    }
}
