//! The exit codes. The meaning of a number never changes; new ones are added at the end.

/// Everything was done.
pub(crate) const DONE: u8 = 0;
/// The script failed.
pub(crate) const SCRIPT: u8 = 1;
/// The arguments or the configuration are wrong.
pub(crate) const USAGE: u8 = 2;
/// The script ended, but some openids failed, or the platform did not list all that it counts.
pub(crate) const FAILURES: u8 = 3;
/// Paused: the day's quota is used up.
pub(crate) const PAUSED: u8 = 4;
/// Parked: the run waits for a person's decision.
pub(crate) const PARKED: u8 = 5;
/// Stopped by Ctrl-C or SIGTERM.
pub(crate) const INTERRUPTED: u8 = 130;

/// The codes as `--help` shows them.
pub(crate) fn help() -> String {
    let rows = [
        (DONE, "done"),
        (SCRIPT, "the script failed"),
        (USAGE, "wrong arguments or configuration"),
        (FAILURES, "done, but some openids failed or were not listed (the report says which)"),
        (PAUSED, "paused: the day's quota is used up (`mpscript resume` continues)"),
        (PARKED, "parked: the run waits for your decision (the message says which)"),
        (INTERRUPTED, "stopped by Ctrl-C or `mpscript stop`"),
    ];
    let rows: Vec<String> = rows.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
