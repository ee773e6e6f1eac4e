//! Version 9: automations and fires are kept by account. Before, one record of an automation and one row of a fire served
//! all accounts that share the store.
//!
//! A fire with a run takes the account of its run. An automation, and its fires without a run, take the account of its
//! latest run. What has no run has no account, and is adopted by the first daemon that serves the same folder and name.

pub(super) const SQL: &[&str] = &[
    "CREATE TABLE mpscript_automation_9 (
        account TEXT NOT NULL, name TEXT NOT NULL, folder TEXT NOT NULL, since BIGINT NOT NULL,
        paused_until BIGINT NOT NULL, state TEXT NOT NULL, load_error TEXT NOT NULL,
        last_good_source TEXT NOT NULL DEFAULT '', served_at BIGINT NOT NULL DEFAULT 0,
        served_as TEXT NOT NULL DEFAULT '', PRIMARY KEY (account, name))",
    // By its fires, else by the runs that were started by hand, which have none.
    "INSERT INTO mpscript_automation_9
         (account, name, folder, since, paused_until, state, load_error, last_good_source, served_at)
     SELECT COALESCE(
             (SELECT r.account FROM mpscript_fire f JOIN mpscript_run r ON r.id = f.run
                 WHERE f.automation = a.name ORDER BY r.started_at DESC LIMIT 1),
             (SELECT r.account FROM mpscript_run r WHERE r.started_by = 'automation'
                     AND (r.script = a.name || '.rhai'
                         OR SUBSTR(r.script, LENGTH(r.script) - LENGTH(a.name) - 5) = '/' || a.name || '.rhai')
                 ORDER BY r.started_at DESC LIMIT 1),
             ''),
         a.name, a.folder, a.since, a.paused_until, a.state, a.load_error, a.last_good_source, a.served_at
     FROM mpscript_automation a",
    "CREATE TABLE mpscript_fire_9 (
        account TEXT NOT NULL, automation TEXT NOT NULL, kind TEXT NOT NULL DEFAULT 'trigger', trigger TEXT NOT NULL,
        scheduled_at BIGINT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, run TEXT NOT NULL,
        owner TEXT NOT NULL, updated_at BIGINT NOT NULL, failures BIGINT NOT NULL DEFAULT 0,
        crashes BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (account, automation, trigger, scheduled_at))",
    "INSERT INTO mpscript_fire_9
         (account, automation, kind, trigger, scheduled_at, state, reason, run, owner, updated_at, failures, crashes)
     SELECT COALESCE(
             (SELECT r.account FROM mpscript_run r WHERE r.id = f.run),
             (SELECT a.account FROM mpscript_automation_9 a WHERE a.name = f.automation),
             ''),
         f.automation, f.kind, f.trigger, f.scheduled_at, f.state, f.reason, f.run, f.owner, f.updated_at,
         f.failures, f.crashes
     FROM mpscript_fire f",
    "DROP TABLE mpscript_automation",
    "DROP TABLE mpscript_fire",
    "ALTER TABLE mpscript_automation_9 RENAME TO mpscript_automation",
    "ALTER TABLE mpscript_fire_9 RENAME TO mpscript_fire",
    "CREATE INDEX mpscript_fire_state ON mpscript_fire (state)",
    "CREATE INDEX mpscript_fire_outcome ON mpscript_fire (account, automation, state, scheduled_at)",
    "CREATE INDEX mpscript_fire_run ON mpscript_fire (run)",
];
