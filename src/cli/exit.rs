//! The exit codes. A number keeps its meaning for ever; new ones are added at the end.

/// Everything was done.
pub(super) const DONE: u8 = 0;
/// The script failed.
pub(super) const SCRIPT: u8 = 1;
/// The arguments or the configuration are wrong.
pub(super) const USAGE: u8 = 2;
/// The script ended, but some openids could not be done.
pub(super) const FAILURES: u8 = 3;
/// Stopped by Ctrl-C or SIGTERM.
pub(super) const INTERRUPTED: u8 = 130;

/// The codes as `--help` shows them.
pub(super) fn help() -> String {
    let rows = [
        (DONE, "done"),
        (SCRIPT, "the script failed"),
        (USAGE, "wrong arguments or configuration"),
        (FAILURES, "done, but some openids failed (the report names them)"),
        (INTERRUPTED, "stopped by Ctrl-C"),
    ];
    let rows: Vec<String> = rows.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}")).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}
