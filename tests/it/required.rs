//! What some tests need beyond a Rust toolchain. Where it is missing they pass, and one line on standard error
//! says what was left out, unless `MPSCRIPT_REQUIRE` names it: `MPSCRIPT_REQUIRE=python,chromium`.

use crate::{browser, conformance, deploy, postgres, store_full, terminal};
use std::{env, io::Write, sync::Once};

/// Something that there may be.
struct Need {
    name: &'static str,
    /// How to get it.
    remedy: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 6] = [
    Need {
        name: "python",
        remedy: "MPSCRIPT_PYTHON names one with tests/conformance/requirements.txt",
        is_there: || conformance::python().is_some(),
    },
    Need {
        name: "chromium",
        remedy: "apt-get install chromium chromium-driver",
        is_there: || browser::programs().is_some(),
    },
    Need {
        name: "postgres",
        remedy: "apt-get install postgresql",
        is_there: || postgres::programs().is_some(),
    },
    Need {
        name: "namespaces",
        remedy: "unshare --map-root-user --mount must be allowed",
        is_there: store_full::may_mount,
    },
    Need { name: "systemd", remedy: "apt-get install systemd", is_there: deploy::is_there },
    Need { name: "tmux", remedy: "apt-get install tmux", is_there: terminal::is_there },
];

/// One line for all tests.
static SUMMARY: Once = Once::new();

/// A test is left out for want of this; it fails where that must not be.
#[track_caller]
pub(crate) fn missing(name: &str) {
    let required = env::var("MPSCRIPT_REQUIRE").unwrap_or_default();
    let remedy = NEEDS.iter().find(|need| need.name == name).map_or("", |need| need.remedy);
    assert!(
        !required.split(',').any(|required| required == name),
        "{name} is required and missing: {remedy}"
    );
    SUMMARY.call_once(|| {
        let missing = NEEDS.iter().filter(|need| !(need.is_there)());
        let missing: Vec<String> = missing.map(|need| format!("{} ({})", need.name, need.remedy)).collect();
        // Past the test harness, which would swallow it.
        let _ = writeln!(std::io::stderr(), "\nleft out for want of {}", missing.join(", "));
    });
}
