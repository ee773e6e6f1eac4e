//! Days of fifty automations with all clocks turned together: every fire is accounted for, exactly once.
//!
//! `MPSCRIPT_DAYS=365 cargo test --release --test it schedule_simulation -- --nocapture` simulates a year, and prints what became of its
//! fires.

use super::cron::ZONES;
use crate::fixtures::{
    daemon::{DaemonFixture, MINUTE},
    runs::fires_of,
};
use mpscript::{
    base::EpochMs,
    run::{daemon::Daemon, schedule::Schedule},
    store::FireState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::Write,
    time::{Duration, Instant},
};

/// Days that go by, unless `MPSCRIPT_DAYS` says otherwise.
const DAYS: u32 = 5;

const DAY: Duration = Duration::from_hours(24);

/// Nothing of the account is forgotten.
const FOREVER: Duration = Duration::from_hours(24 * 10_000);

/// Fifty triggers: one every hour, four twice a day, twenty every day, fifteen every week, ten every month; many at hours
/// that come twice or not at all when clocks are moved.
fn triggers() -> Vec<String> {
    let zone = |at: usize| ZONES[at % ZONES.len()];
    let mut all = vec![format!("cron: \"0 * * * *\", tz: \"{}\"", zone(2))];
    all.extend((0..4).map(|_| "every: \"12h\"".to_owned()));
    all.extend((0..20).map(|at| format!("cron: \"{} {} * * *\", tz: \"{}\"", at * 3 % 60, at % 4, zone(at))));
    all.extend((0..15).map(|at| format!("cron: \"30 2 * * {}\", tz: \"{}\"", at % 7, zone(at))));
    all.extend((0..10).map(|at| format!("cron: \"15 1 {} * *\", tz: \"{}\"", at * 3 + 1, zone(at))));
    all
}

#[test]
fn every_fire_of_a_long_period_is_recorded_once() {
    let asked = env::var("MPSCRIPT_DAYS").ok();
    let days = asked.as_ref().map_or(DAYS, |days| days.parse().expect("MPSCRIPT_DAYS is a number"));
    let texts: Vec<(String, String)> = triggers()
        .into_iter()
        .enumerate()
        .map(|(at, trigger)| {
            let text = format!(
                "const automation = #{{ on: [ #{{ {trigger} }} ] }};\n\
                 fn run(ctx) {{ tag::list(); ctx.state.n = (ctx.state?.n ?? 0) + 1; }}"
            );
            (format!("job{at:02}.rhai"), text)
        })
        .collect();
    let automations: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let fixture = DaemonFixture::of(&automations);
    let since = Instant::now();
    let mut daemon = fixture.daemon().with_retention(FOREVER);
    let begun = fixture.now();
    let schedules: BTreeMap<String, Schedule> = daemon
        .revisions()
        .iter()
        .map(|(name, version)| (name.clone(), version.triggers[0].schedule.clone()))
        .collect();
    assert_eq!(schedules.len(), 50);
    let mut random = fastrand::Rng::with_seed(4711);
    let mut steps = 0;
    let mut outages = Vec::new();
    while fixture.now() < begun + days * DAY {
        steps += 1;
        if random.u32(..150) == 0 {
            // It is down for a while. It is started again between two minutes, so that no fire is late by a minute just then.
            let stopped = fixture.now();
            drop(daemon);
            fixture.advance(Duration::from_secs(random.u64(1..36_000)));
            fixture.advance(fixture.now().until_next_period(MINUTE) + MINUTE / 2);
            outages.push((stopped, fixture.now()));
            daemon = fixture.daemon().with_retention(FOREVER);
        } else {
            let next = daemon.next_start().expect("something fires");
            fixture.advance(next.since(fixture.now()) + Duration::from_millis(random.u64(1..2_000)));
        }
        settle(&fixture, &mut daemon);
    }
    let ended = fixture.now();
    let mut table: BTreeMap<String, usize> = BTreeMap::new();
    for (name, schedule) in &schedules {
        let armed = fixture.wait(fires_of(fixture.store(), &fixture.id(name)));
        let armed =
            armed.iter().find(|fire| fire.state == FireState::Armed).expect("it was armed").scheduled_at;
        let mut expected = BTreeSet::new();
        let mut at = armed;
        while let Some(next) = schedule.after(at).filter(|next| *next < ended - Duration::from_millis(2_500))
        {
            expected.insert(next);
            at = next;
        }
        let fires = fixture.fires(name);
        let instants: BTreeSet<EpochMs> = fires.iter().map(|fire| fire.scheduled_at).collect();
        assert_eq!(instants.len(), fires.len(), "{name}: a fire is there twice");
        let show = |instant: &EpochMs| instant.to_utc().to_rfc3339();
        let lost: Vec<String> = expected.difference(&instants).map(show).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
        let mut done = 0;
        for fire in &fires {
            assert_eq!(fire.state, expected_state(schedule, &outages, fire.scheduled_at), "{name}: {fire:?}");
            done += usize::from(fire.state == FireState::Done);
            *table.entry(fire.state.to_string()).or_default() += 1;
        }
        // Each was run once: every run counts in what the automation keeps.
        let record = fixture.record(name);
        let kept = if done == 0 { String::new() } else { format!("{{\"n\":{done}}}") };
        assert_eq!(record.state, kept, "{name}");
    }
    if asked.is_some() {
        let total: usize = table.values().sum();
        let rows: Vec<String> =
            table.iter().map(|(state, count)| format!("  {state:<10}{count:>8}\n")).collect();
        let rows = rows.concat();
        let took = since.elapsed().as_secs();
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        // Past the test harness, which would swallow it.
        let _ = writeln!(
            std::io::stderr(),
            "{days} days, 50 automations, {steps} steps, {} restarts\n  fires     {total:>8}\n{rows}\
             {took} s, load {load}",
            outages.len()
        );
    }
}

/// How a fire ends, by the default policy: of those that were missed in an outage the latest runs, unless a later one is
/// still in time or it is older than six hours.
fn expected_state(schedule: &Schedule, outages: &[(EpochMs, EpochMs)], instant: EpochMs) -> FireState {
    let outage = outages.iter().find(|(stopped, started)| instant > *stopped && instant <= *started);
    let Some((_, started)) = outage else { return FireState::Done };
    let is_latest = schedule.after(instant).is_none_or(|next| next > *started);
    let late = started.since(instant);
    if late <= MINUTE || (is_latest && late <= Duration::from_hours(6)) {
        FireState::Done
    } else {
        FireState::Missed
    }
}

#[track_caller]
fn settle(fixture: &DaemonFixture, daemon: &mut Daemon) {
    fixture.settle(std::slice::from_mut(daemon));
}
