//! The exit codes. A number keeps its meaning for ever; new ones are added at the end.

/// Everything was done.
pub(super) const DONE: u8 = 0;
/// The script failed.
pub(super) const SCRIPT: u8 = 1;
/// The arguments or the configuration are wrong.
pub(super) const USAGE: u8 = 2;
/// The script ended, but some openids could not be done.
pub(super) const FAILURES: u8 = 3;
/// Paused: the day's quota is used up.
pub(super) const PAUSED: u8 = 4;
/// Parked: a person must decide.
pub(super) const PARKED: u8 = 5;
/// Stopped by Ctrl-C or SIGTERM.
pub(super) const INTERRUPTED: u8 = 130;

/// The codes as `--help` shows them.
pub(super) fn help() -> String {
    let rows = [
        (DONE, "done"),
        (SCRIPT, "the script failed"),
        (USAGE, "wrong arguments or configuration"),
        (FAILURES, "done, but some openids failed (the report names them)"),
        (PAUSED, "paused: the day's quota is used up (`mpscript resume` goes on)"),
        (PARKED, "parked: the run waits for your word (the message says what for)"),
        (INTERRUPTED, "stopped by Ctrl-C or `mpscript stop`"),
    ];
    let rows: Vec<String> = rows.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
