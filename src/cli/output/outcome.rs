//! The outcome of a run: what is shown when it ends, and the exit code.

use super::{
    exit, render,
    report::{About, write_report},
};
use crate::{
    base::{Diagnostic, plain_line, with_thousands},
    bulk::{OperationReport, RunReport, RunState},
    cli::args::{RunFlags, SETTING_NAMES},
    host::Host,
    run::{Outcome, record::RunOptions},
    script::{ErrorKind, ScriptFailure},
};

/// Shows a run's outcome, writes its report, and gives the exit code.
pub(crate) fn show_outcome(
    host: &Host,
    flags: &RunFlags,
    options: &RunOptions,
    outcome: &Outcome<String>,
    about: &About,
) -> anyhow::Result<u8> {
    let report = &outcome.report;
    if let (Some(value), true) = (&outcome.value, options.prints_value) {
        host.out.line(value);
    }
    if let Some(path) = &flags.report {
        write_report(host, path, report, about)?;
    }
    // The world of its own sandbox ends with the command, so there is nothing to resume or undo.
    let changed =
        report.run.as_deref().filter(|_| !options.sandbox && !report.dry_run && report.has_changed());
    let ending = Ending { host, report, changed };
    Ok(match (&outcome.trouble, &outcome.parked) {
        _ if report.state == RunState::Cancelled => ending.show_stopped(),
        (Some(failure), parked) => {
            // A run that was stopped because it parks ends for the reason of the park.
            let reason = match failure.kind {
                ErrorKind::Cancelled => parked.as_ref().map(ToString::to_string),
                ErrorKind::Script | ErrorKind::Configuration | ErrorKind::Quota | ErrorKind::NotStarted => {
                    None
                }
            };
            ending.show_failed(failure, reason)
        }
        (None, Some(parked)) => ending.show_parked(&parked.to_string()),
        (None, None) => ending.show_done(flags),
    })
}

/// The end of a run.
struct Ending<'a> {
    host: &'a Host,
    report: &'a RunReport,
    /// The run, if it has changed something that can be resumed or undone.
    changed: Option<&'a str>,
}

impl Ending<'_> {
    fn show_stopped(&self) -> u8 {
        for job in &self.report.operations {
            self.host.err.line(&job.text(SETTING_NAMES));
        }
        self.host.err.line("stopped");
        self.show_next_step("");
        exit::INTERRUPTED
    }

    /// `reason` replaces the message of a run that was stopped because it parks.
    fn show_failed(&self, failure: &ScriptFailure, reason: Option<String>) -> u8 {
        // The script has failed before it could print the counts of this job.
        if let Some(job) = self.report.operations.last()
            && (job.state == RunState::Error && (job.totals.changed > 0 || !job.failed.is_empty()))
        {
            self.host.err.line(&job.text(SETTING_NAMES));
        }
        let diagnostic = match (reason, &self.report.run) {
            (Some(reason), Some(run)) => {
                Diagnostic::new(reason).hint(format!("mpscript show {run} shows its state"))
            }
            _ => failure.diagnostic.clone(),
        };
        render::show_error(self.host, &diagnostic);
        match (self.report.state, failure.kind) {
            (RunState::Parked, _) => exit::PARKED,
            (RunState::Paused, _) => {
                self.show_next_step(" once there is quota again, after midnight Beijing time");
                exit::PAUSED
            }
            (_, ErrorKind::Configuration) => exit::USAGE,
            (_, ErrorKind::Script | ErrorKind::Cancelled | ErrorKind::Quota | ErrorKind::NotStarted) => {
                self.show_next_step("");
                exit::SCRIPT
            }
        }
    }

    fn show_parked(&self, reason: &str) -> u8 {
        let run = self.report.run.as_deref().unwrap_or("RUN");
        let hint = format!("mpscript show {run} shows its state, and mpscript undo {run} undoes what it did");
        render::show_error(self.host, &Diagnostic::new(reason).hint(hint));
        exit::PARKED
    }

    fn show_done(&self, flags: &RunFlags) -> u8 {
        let Self { host, report, .. } = self;
        if report.dry_run {
            host.err.write(&dry_run_summary(report));
        }
        // Most often a mistake: a scene without followers, or a file with another account's openids.
        let is_empty = |job: &&OperationReport| {
            job.state == RunState::Done && job.is_of_changes() && job.totals.matched == 0
        };
        for job in report.operations.iter().filter(is_empty) {
            let what = match job.totals.listed {
                0 => "no follower was listed".to_owned(),
                listed => format!("no follower matched, of {} listed", with_thousands(listed)),
            };
            host.err.line(&format!("warning: {}: {what}", job.title()));
        }
        for what in &report.not_undone {
            host.err.line(&format!("warning: not undone: {what}"));
        }
        let (failed, missing) = (report.failed.len(), report.totals.missing);
        if missing > 0 {
            let were = if missing == 1 {
                "follower that the platform counts was"
            } else {
                "followers that the platform counts were"
            };
            let next = "the report counts them; start the script again to try for the rest";
            host.err.line(&format!("done, but {} {were} not listed; {next}", with_thousands(missing)));
        }
        if failed == 0 && missing > 0 {
            return exit::FAILURES;
        }
        if failed == 0 {
            return if report.not_undone.is_empty() { exit::DONE } else { exit::FAILURES };
        }
        let (plural, them) = if failed == 1 { ("", "names it") } else { ("s", "lists them") };
        let list = match (&flags.report, &report.run) {
            (Some(_), _) => format!("the report {them}"),
            (None, Some(run)) => format!("mpscript failed {run} {them}"),
            (None, None) => format!("--report FILE {them}"),
        };
        host.err.line(&format!("done, but {} openid{plural} failed; {list}", with_thousands(failed as u64)));
        exit::FAILURES
    }

    fn show_next_step(&self, when: &str) {
        if let Some(run) = self.changed {
            self.host
                .err
                .line(&format!("  mpscript resume {run} resumes it{when}; mpscript undo {run} undoes it"));
        }
    }
}

/// What a dry run would have done.
pub(crate) fn dry_run_summary(report: &RunReport) -> String {
    let mut text = "dry run: nothing was changed\n".to_owned();
    if report.would_call.is_empty() {
        text.push_str("  the script would change nothing\n");
    }
    for job in report.operations.iter().filter(|job| job.is_of_changes() && job.totals.changed > 0) {
        let (changed, title) = (with_thousands(job.totals.changed), job.title());
        let plural = if job.totals.changed == 1 { "" } else { "s" };
        text.push_str(&format!("  {changed:>10} follower{plural} would be changed by {title}"));
        match job.samples.as_slice() {
            [] => text.push('\n'),
            samples => {
                let samples: Vec<_> = samples.iter().map(|openid| plain_line(openid)).collect();
                text.push_str(&format!(", as\n             {}\n", samples.join("\n             ")));
            }
        }
    }
    for (call, count) in &report.would_call {
        let calls = if *count == 1 { "call" } else { "calls" };
        let left = report.left_today.get(call).map(|left| format!(" ({} left today)", with_thousands(*left)));
        let left = left.unwrap_or_default();
        text.push_str(&format!(
            "  {:>10} {calls:<5} of {call} would be made{left}\n",
            with_thousands(*count)
        ));
    }
    text
}
