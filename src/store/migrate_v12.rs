//! Version 12: the days on which the store was used, and what purging looks for.

pub(super) const SQL: &[&str] = &[
    "CREATE TABLE mpscript_day (day BIGINT NOT NULL PRIMARY KEY)",
    "CREATE INDEX mpscript_run_started ON mpscript_run (started_at)",
    "CREATE INDEX mpscript_run_undoes ON mpscript_run (undoes) WHERE undoes <> ''",
];
