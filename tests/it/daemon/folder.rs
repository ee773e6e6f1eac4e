//! Scans of the folder go on beside the daemon: one that takes long, or never ends, delays nothing, and is logged.

use crate::fixtures::daemon::{DaemonFixture, MINUTE, every_minute};
use mpscript::run::daemon::Daemon;
use std::{
    slice::from_mut,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
};

fn fixture() -> DaemonFixture {
    DaemonFixture::of(&[("钟.rhai", &every_minute("", "print(\"敲\")"))])
}

/// A daemon whose scan of this number hangs until the sender is dropped.
fn hanging_at(fixture: &DaemonFixture, number: usize) -> (Daemon, Sender<()>) {
    let (release, released) = mpsc::channel();
    let mut scans = 0;
    let hook = move || {
        scans += 1;
        if scans == number {
            let _ = released.recv();
        }
    };
    (fixture.daemon_of("jobs").with_scan_hook(hook), release)
}

/// A daemon that serves its folder, whose second scan hangs.
fn hanging(fixture: &DaemonFixture) -> (Daemon, Sender<()>) {
    let (mut daemon, release) = hanging_at(fixture, 2);
    fixture.scan(&mut daemon).expect("the store works");
    daemon.begin_scan();
    (daemon, release)
}

#[test]
fn scan_that_hangs_delays_no_fire() {
    let fixture = fixture();
    let (mut daemon, _release) = hanging(&fixture);
    for _ in 0..3 {
        fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    }
    assert_eq!(fixture.states("钟"), ["done"; 3], "{}", fixture.log.text());
}

#[test]
fn scan_that_hangs_is_reported_until_it_ends() {
    let fixture = fixture();
    let (mut daemon, release) = hanging(&fixture);
    fixture.step_until_logged(&mut daemon, "jobs has not answered for 1");
    let why = daemon.stats().snapshot().readiness_error().expect("it hangs");
    assert!(why.contains("jobs has not answered for 1"), "{why}");
    drop(release);
    fixture.step_until_logged(&mut daemon, "the folder answers again");
    assert_eq!(daemon.stats().snapshot().readiness_error(), None);
}

#[test]
fn daemon_whose_first_scan_hangs_is_not_ready() {
    let fixture = fixture();
    let (mut daemon, _release) = hanging_at(&fixture, 1);
    daemon.begin_scan();
    daemon.step().expect("the store works");
    let why = daemon.stats().snapshot().readiness_error();
    assert_eq!(
        why.as_deref(),
        Some("the folder is read for the first time: 0 automations are served so far")
    );
    assert_eq!(daemon.stats().snapshot().liveness_error(), None);
}

#[test]
fn change_during_a_scan_is_found_by_another_one() {
    let fixture = fixture();
    let count = Arc::new(AtomicUsize::new(0));
    let scans = Arc::clone(&count);
    let mut daemon = fixture.daemon_of("jobs").with_scan_hook(move || {
        scans.fetch_add(1, Ordering::SeqCst);
    });
    daemon.begin_scan();
    for _ in 0..5 {
        daemon.begin_scan();
    }
    fixture.step_until(&mut daemon, |daemon| !daemon.is_scanning());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn stopping_daemon_waits_for_no_scan() {
    let fixture = fixture();
    let (mut daemon, _release) = hanging(&fixture);
    daemon.begin_shutdown();
    daemon.step().expect("the store works");
    daemon.release_lease().expect("the store works");
    assert_eq!(daemon.active_runs(), 0);
}

#[test]
fn folder_without_an_automation_is_logged_once() {
    let fixture = DaemonFixture::of(&[("普通.rhai", "print(1)")]);
    let mut daemon = fixture.daemon();
    fixture.scan(&mut daemon).expect("the store works");
    let expected = "there is no automation in the folder";
    assert_eq!(fixture.log.text().matches(expected).count(), 1, "{}", fixture.log.text());
}

#[test]
fn missing_folder_is_logged_once_and_its_automations_still_fire() {
    let fixture = fixture();
    let mut daemon = fixture.daemon();
    std::fs::rename(fixture.jobs(), fixture.jobs().with_file_name("away")).expect("it can be moved");
    for _ in 0..2 {
        fixture.scan(&mut daemon).expect("the store works");
    }
    let expected = "the folder can't be scanned: ";
    assert_eq!(fixture.log.text().matches(expected).count(), 1, "{}", fixture.log.text());
    fixture.advance_and_settle(MINUTE, from_mut(&mut daemon));
    assert_eq!(fixture.states("钟"), ["done"], "{}", fixture.log.text());
}
