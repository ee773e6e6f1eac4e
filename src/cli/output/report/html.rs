//! A run's report as one page, without external resources and without scripts.

use super::{about::About, chart::chart};
use crate::{
    base::{EpochMs, plain_text, with_thousands},
    bulk::{CountRow, Failure, OperationReport, RunReport, RunState},
};
use chrono::Local;
use std::{collections::BTreeMap, time::Duration};

/// Failures that the page lists.
const MAX_FAILURES: usize = 200;

/// Jobs that the page shows: a loop may have thousands.
const MAX_JOBS: usize = 100;

/// What says that a page is a report; a version follows.
pub(super) const GENERATOR: &str = "<meta name=\"generator\" content=\"mpscript ";

/// The page's style sheet.
const STYLE: &str = include_str!("report.css");

/// The page.
pub(crate) fn page(report: &RunReport, about: &About) -> String {
    let script = escaped(&about.script);
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
         {GENERATOR}{version}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{script}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{script}</h1>\n"
    );
    let (words, class) = describe_state(report.state);
    page.push_str(&format!("<span class=\"state {class}\">{words}</span>\n"));
    if report.dry_run {
        page.push_str("<span class=\"state wait\">dry run: nothing was changed</span>\n");
    }
    if let Some(error) = &report.error {
        page.push_str(&format!("<p class=\"error\">{}</p>\n", escaped(error)));
    }
    page.push_str("</header>\n<div class=\"two\">\n");
    page.push_str(&facts(report, about));
    page.push_str(&format!(
        "<section id=\"totals\">\n<h2>Followers</h2>\n{}</section>\n</div>\n",
        counts(&report.rows())
    ));
    if !report.timeline.is_empty() {
        let drawing = chart(&report.timeline);
        page.push_str(&format!(
            "<section id=\"chart\">\n<h2>Calls over time</h2>\n<div class=\"wide\">\n{drawing}</div>\n</section>\n"
        ));
    }
    page.push_str(&calls("calls", "Calls by endpoint", &report.calls));
    page.push_str(&calls("would-call", "Calls that would be made", &report.would_call));
    page.push_str(&jobs(report));
    page.push_str(&failures(report));
    page.push_str(&format!("<footer>Made by mpscript {version}.</footer>\n</main>\n</body>\n</html>\n"));
    page
}

/// The state of a run or a job as text, and the class that colours it.
fn describe_state(state: RunState) -> (&'static str, &'static str) {
    match state {
        RunState::Running => ("running", "wait"),
        RunState::Done => ("done", "good"),
        RunState::DoneWithFailures => ("done, with failures", "bad"),
        RunState::Cancelled => ("stopped", "wait"),
        RunState::Error => ("failed", "bad"),
        RunState::Paused => ("paused: the day's quota is used up", "wait"),
        RunState::Parked => ("parked: it waits for a decision", "wait"),
        RunState::Interrupted => ("interrupted: its process has ended", "wait"),
    }
}

fn facts(report: &RunReport, about: &About) -> String {
    let mut facts = Vec::new();
    if let Some(run) = &report.run {
        facts.push(("Id", format!("<code>{}</code>", escaped(run))));
    }
    if let Some(first) = about.first_started_at {
        facts.push(("Started", time(first)));
        facts.push(("Resumed", time(about.started_at)));
    } else {
        facts.push(("Started", time(about.started_at)));
    }
    facts.push(("Duration", duration(report.elapsed)));
    facts.push(("Calls", with_thousands(report.calls.values().sum())));
    let rows = joined(facts, |(name, value)| format!("<tr><th>{name}</th><td>{value}</td></tr>\n"));
    format!("<section id=\"facts\">\n<h2>Run</h2>\n<table class=\"facts\">\n{rows}</table>\n</section>\n")
}

/// Counts as an indented table: each is a part of the one above it with less indentation.
fn counts(rows: &[CountRow]) -> String {
    let rows = joined(rows, |CountRow { depth, name, count }| {
        let zero = if *count == 0 { " zero" } else { "" };
        format!(
            "<tr><th class=\"deep{depth}{zero}\">{name}</th><td class=\"number{zero}\">{}</td></tr>\n",
            with_thousands(*count)
        )
    });
    format!("<table>\n{rows}</table>\n")
}

fn calls(id: &str, title: &str, calls: &BTreeMap<String, u64>) -> String {
    if calls.is_empty() {
        return String::new();
    }
    let mut calls: Vec<(&String, &u64)> = calls.iter().collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows = joined(calls, |(call, count)| {
        let (call, count) = (escaped(call), with_thousands(*count));
        format!("<tr><td><code>{call}</code></td><td class=\"number\">{count}</td></tr>\n")
    });
    format!(
        "<section id=\"{id}\">\n<h2>{title}</h2>\n<table>\n<thead><tr><th>endpoint</th><th class=\"number\">calls\
         </th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )
}

fn jobs(report: &RunReport) -> String {
    if report.operations.is_empty() {
        return String::new();
    }
    let mut text = "<section id=\"jobs\">\n<h2>Jobs</h2>\n<div class=\"jobs\">\n".to_owned();
    for job in report.operations.iter().take(MAX_JOBS) {
        let (words, _) = describe_state(job.state);
        text.push_str(&format!(
            "<section class=\"job\">\n<h3>{}</h3>\n<p>{words}, in {}</p>\n{}",
            escaped(&job.title()),
            duration(job.elapsed),
            counts(&job.rows())
        ));
        if !job.samples.is_empty() {
            let samples =
                joined(&job.samples, |openid| format!("<li><code>{}</code></li>\n", escaped(openid)));
            text.push_str(&format!("<p>would change, among others:</p>\n<ul>\n{samples}</ul>\n"));
        }
        text.push_str("</section>\n");
    }
    text.push_str("</div>\n");
    if report.operations.len() > MAX_JOBS {
        text.push_str(&format!(
            "<p class=\"soft\">and {} more; <code>--report FILE.json</code> has them all</p>\n",
            with_thousands((report.operations.len() - MAX_JOBS) as u64)
        ));
    }
    text.push_str("</section>\n");
    text
}

fn failures(report: &RunReport) -> String {
    if report.failed.is_empty() {
        return String::new();
    }
    let all = report.operations.iter().flat_map(|job| job.failed.iter().map(move |failure| (job, failure)));
    let rows = joined(all.take(MAX_FAILURES), |(job, failure)| failed(job, failure));
    let count = report.failed.len();
    let mut text = format!(
        "<section id=\"failures\">\n<h2>Failed: {}</h2>\n<div class=\"wide\">\n<table class=\"failures\">\n<thead><tr>\
         <th>openid</th><th>job</th><th>errcode</th><th>what happened</th><th>rid</th></tr></thead>\n<tbody>\n{rows}\
         </tbody>\n</table>\n</div>\n",
        with_thousands(count as u64)
    );
    if count > MAX_FAILURES {
        let rest = with_thousands((count - MAX_FAILURES) as u64);
        let place = match &report.run {
            Some(run) => format!("<code>mpscript failed {} --csv</code>", escaped(run)),
            None => "<code>--report FILE.csv</code>".to_owned(),
        };
        text.push_str(&format!(
            "<p class=\"soft\">These are the first {MAX_FAILURES}; {place} lists the other {rest} too.</p>\n"
        ));
    }
    text.push_str("</section>\n");
    text
}

fn failed(job: &OperationReport, failure: &Failure) -> String {
    format!(
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>\n",
        escaped(&failure.openid),
        escaped(&job.title()),
        failure.errcode.map(|code| code.to_string()).unwrap_or_default(),
        escaped(&failure.errmsg),
        escaped(failure.rid.as_deref().unwrap_or_default())
    )
}

/// A time in this machine's zone, with its offset, since the page may be read elsewhere.
fn time(instant: EpochMs) -> String {
    instant.to_utc().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.subsec_millis()),
        1..60 => format!("{seconds}.{} s", span.subsec_millis() / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The texts of all, concatenated.
fn joined<T>(of: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    let mut all = String::new();
    for one in of {
        all.push_str(&text(one));
    }
    all
}

/// Text as HTML, with characters that a page must not contain replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in plain_text(text).chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TerminalKind;
    use std::time::Duration;

    #[test]
    fn foreign_text_is_escaped() {
        assert_eq!(escaped("<b>\"A&B\"</b>\0'"), "&lt;b&gt;&quot;A&amp;B&quot;&lt;/b&gt;\u{FFFD}&#39;");
    }

    #[test]
    fn page_lists_the_first_failures_and_refers_to_the_rest() {
        let failure = |number: usize| Failure {
            openid: format!("o{number}"),
            errcode: Some(40003),
            errmsg: "invalid openid".to_owned(),
            rid: None,
            is_of_details: false,
        };
        let failed: Vec<Failure> = (0..1_234).map(failure).collect();
        let job = OperationReport {
            failed,
            ..OperationReport::empty(TerminalKind::Tag, RunState::DoneWithFailures)
        };
        let run = Some("abc234".to_owned());
        let report = RunReport::from_operations(vec![job], BTreeMap::new(), Duration::ZERO);
        let report = RunReport { run, ..report };
        let page = page(&report, &About::default());
        assert_eq!(page.matches("<td>40003</td>").count(), MAX_FAILURES);
        let note = "the first 200; <code>mpscript failed abc234 --csv</code> lists the other 1,034 too";
        assert!(page.contains(note), "{page}");
    }
}
