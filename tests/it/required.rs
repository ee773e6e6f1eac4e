//! What some tests need beyond a Rust toolchain. Where it is missing they say so in one line on standard
//! error and pass, unless `MPSCRIPT_REQUIRE` names it: `MPSCRIPT_REQUIRE=python,chromium`.

use std::{env, io::Write};

/// Says that a test was left out, or fails where it must not be.
#[track_caller]
pub(crate) fn missing(name: &str, remedy: &str) {
    let required = env::var("MPSCRIPT_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "{name} is required and missing: {remedy}"
    );
    // Written past the test harness, which would swallow it.
    let _ = writeln!(std::io::stderr(), "left out for want of {name}: {remedy}");
}
