//! What a job did, in numbers that add up.

use crate::{
    base::{lock, millis, plain_line},
    bulk::{
        effect::change::BatchedCalls,
        model::{
            counts::Counters,
            cursor::is_zero,
            estimate::Estimate,
            failure::Failure,
            job::Job,
            target::{self, Target},
        },
    },
    client::{Bucket, Timeline},
    store::{EffectKind, RunState, TerminalKind},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Failures that a printed report names.
pub(super) const MAX_SHOWN: usize = 5;

/// Counts that add up: listed = matched + unmatched + unsubscribed + unread, and
/// matched = changed + already + skipped + failed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Openids that were listed.
    pub listed: u64,
    /// How many the platform counts and did not list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
    /// Openids whose details came.
    pub fetched: u64,
    /// Followers that passed every step.
    pub matched: u64,
    /// Followers that did not.
    pub unmatched: u64,
    /// Listed people who no longer follow.
    #[serde(alias = "gone")]
    pub unsubscribed: u64,
    /// Listed openids that were not looked at: there were enough, or the job ended early.
    pub unread: u64,
    /// Matched followers whose change was made.
    pub changed: u64,
    /// Matched followers that were already in the desired state.
    pub already: u64,
    /// Matched followers with nothing to do, or not reached.
    pub skipped: u64,
}

/// A count of a report, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountRow {
    /// How far it is indented: the counts of the next level add up to the count above them.
    pub depth: usize,
    /// Its name.
    pub name: &'static str,
    /// The count.
    pub count: u64,
}

/// Whether followers were to be changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Changes {
    None,
    Made,
    /// In a dry run.
    Rehearsed,
}

/// The reports of terminal operations that have one title and state, added up.
#[derive(Clone, Debug)]
pub struct OperationGroup {
    /// Their sum.
    pub report: OperationReport,
    /// How many they were.
    pub count: usize,
}

impl Totals {
    fn rows(&self, failed: usize, changes: Changes) -> Vec<CountRow> {
        let row = |depth, name, count| CountRow { depth, name, count };
        let mut rows = vec![row(0, "listed", self.listed), row(1, "matched", self.matched)];
        let label = match changes {
            Changes::None => None,
            Changes::Made => Some("changed"),
            Changes::Rehearsed => Some("would change"),
        };
        if let Some(label) = label {
            rows.extend([
                row(2, label, self.changed),
                row(2, "unchanged", self.already),
                row(2, "skipped", self.skipped),
            ]);
        }
        rows.extend([
            row(2, "failed", failed as u64),
            row(1, "not matched", self.unmatched),
            row(1, "unsubscribed", self.unsubscribed),
            row(1, "not read", self.unread),
        ]);
        if self.missing > 0 {
            rows.push(row(0, "not listed", self.missing));
        }
        rows
    }

    /// Adds another job's.
    fn add(&mut self, other: &Self) {
        self.listed += other.listed;
        self.missing += other.missing;
        self.fetched += other.fetched;
        self.matched += other.matched;
        self.unmatched += other.unmatched;
        self.unsubscribed += other.unsubscribed;
        self.unread += other.unread;
        self.changed += other.changed;
        self.already += other.already;
        self.skipped += other.skipped;
    }
}

/// The report of one terminal operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperationReport {
    /// What it did: `tag`, `count`.
    #[serde(alias = "end")]
    pub operation: TerminalKind,
    /// What it did it to.
    #[serde(flatten, with = "target")]
    pub target: Option<Target>,
    /// `done`, `done_with_failures`, `cancelled` or `error`.
    pub state: RunState,
    /// Nothing was changed: this is what would have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// A few of those whom a dry run would have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<String>,
    /// What it came to.
    #[serde(flatten)]
    pub totals: Totals,
    /// Openids that could not be done.
    pub failed: Vec<Failure>,
    /// Calls made, by `"METHOD path"`.
    pub calls: BTreeMap<String, u64>,
    /// The calls that it was estimated to make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimate: Vec<Estimate>,
    /// From the start to the end, in whole milliseconds.
    #[serde(rename = "elapsed_ms", with = "millis")]
    pub elapsed: Duration,
}

impl OperationReport {
    /// The report of an operation that has not listed anything.
    #[must_use]
    pub fn empty(operation: TerminalKind, state: RunState) -> Self {
        Self {
            operation,
            target: None,
            state,
            dry_run: false,
            samples: Vec::new(),
            totals: Totals::default(),
            failed: Vec::new(),
            calls: BTreeMap::new(),
            estimate: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Whether it was to change followers, not only to look at them.
    #[must_use]
    pub const fn is_of_changes(&self) -> bool {
        BatchedCalls::from_kind(self.operation).is_some()
    }

    /// Its counts, as they are shown.
    #[must_use]
    pub fn rows(&self) -> Vec<CountRow> {
        self.totals.rows(self.failed.len(), self.changes())
    }

    const fn changes(&self) -> Changes {
        match (self.is_of_changes(), self.dry_run) {
            (false, _) => Changes::None,
            (true, false) => Changes::Made,
            (true, true) => Changes::Rehearsed,
        }
    }

    /// What it did, and to what: "tag `老客户`", or "tag 100" where it was given a number.
    #[must_use]
    pub fn title(&self) -> String {
        let title = match &self.target {
            Some(target) => format!("{} {}", self.operation, target.quoted()),
            None => self.operation.to_string(),
        };
        plain_line(&title).into_owned()
    }

    /// The report of a job as it is now.
    #[must_use]
    pub fn from_job(
        job: &Job,
        state: RunState,
        dry_run: bool,
        failed: Vec<Failure>,
        calls: BTreeMap<String, u64>,
    ) -> Self {
        let counts = &job.counts;
        let [listed, matched, unmatched, unsubscribed] =
            [&counts.listed, &counts.matched, &counts.unmatched, &counts.unsubscribed].map(Counters::read);
        let [changed, already] = [&counts.changed, &counts.already].map(Counters::read);
        let missing = Counters::read(&counts.missing);
        let state = match state {
            RunState::Done if !failed.is_empty() || missing > 0 => RunState::DoneWithFailures,
            state => state,
        };
        let samples = lock(&counts.samples).clone();
        let totals = Totals {
            listed,
            missing,
            fetched: Counters::read(&counts.fetched),
            matched,
            unmatched,
            unsubscribed,
            unread: listed.saturating_sub(matched + unmatched + unsubscribed),
            changed,
            already,
            skipped: matched.saturating_sub(changed + already + failed.len() as u64),
        };
        Self {
            operation: job.operation,
            target: job.target.clone(),
            state,
            dry_run,
            samples,
            totals,
            failed,
            calls,
            estimate: job.cost.get().cloned().unwrap_or_default(),
            elapsed: millis::whole(job.elapsed()),
        }
    }
}

/// The calls of a run over time, from the start of the first one on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimes {
    /// How long each slot is.
    #[serde(rename = "slot_ms", with = "millis")]
    pub slot_length: Duration,
    /// The slots, in order.
    pub slots: Vec<CallSlot>,
}

/// The calls that ended in one slot of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSlot {
    /// How many.
    pub calls: u64,
    /// Of them, those that came to an errcode or to no answer.
    pub failed: u64,
    /// What they took on the average, rounded to milliseconds.
    #[serde(rename = "mean_ms", with = "millis")]
    pub mean: Duration,
    /// What the slowest took, in whole milliseconds.
    #[serde(rename = "max_ms", with = "millis")]
    pub max: Duration,
}

impl CallTimes {
    /// Whether there was no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl From<Timeline> for CallTimes {
    fn from(timeline: Timeline) -> Self {
        let mean = |bucket: &Bucket| {
            let total = millis::count(bucket.total).saturating_add(bucket.calls / 2);
            Duration::from_millis(total.checked_div(bucket.calls).unwrap_or_default())
        };
        let slot = |bucket: &Bucket| CallSlot {
            calls: bucket.calls,
            failed: bucket.failed,
            mean: mean(bucket),
            max: millis::whole(bucket.max),
        };
        Self {
            slot_length: millis::whole(timeline.bucket_length),
            slots: timeline.buckets.iter().map(slot).collect(),
        }
    }
}

/// The report of a whole run: the sums of its terminal operations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// The run's id, if it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// `done`, `done_with_failures`, `cancelled`, `error`, `paused` or `parked`.
    pub state: RunState,
    /// Nothing was changed: this is what would have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The uncaught error, if that is how the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Sums of the operations.
    #[serde(flatten)]
    pub totals: Totals,
    /// Failures of all operations.
    pub failed: Vec<Failure>,
    /// Every call of the run, by `"METHOD path"`, those outside an operation too.
    pub calls: BTreeMap<String, u64>,
    /// Those of them that may have changed the account, by what they do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub writes: BTreeMap<EffectKind, u64>,
    /// When they were made.
    #[serde(default, skip_serializing_if = "CallTimes::is_empty")]
    pub timeline: CallTimes,
    /// Calls that a dry run did not make, by `"METHOD path"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub would_call: BTreeMap<String, u64>,
    /// Calls of those that are left today, where that is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_today: BTreeMap<String, u64>,
    /// The undo steps that were skipped.
    #[serde(default, alias = "set_aside", skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<String>,
    /// From the start to the end, in whole milliseconds.
    #[serde(rename = "elapsed_ms", with = "millis")]
    pub elapsed: Duration,
    /// One entry for each terminal operation, in order.
    #[serde(alias = "ends")]
    pub operations: Vec<OperationReport>,
}

impl RunReport {
    /// Whether it may have changed the account: a call was made that does more than read.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.totals.changed > 0 || !self.writes.is_empty()
    }

    /// The counts of all its operations, as they are shown.
    #[must_use]
    pub fn rows(&self) -> Vec<CountRow> {
        let changes = self.operations.iter().map(OperationReport::changes).max();
        self.totals.rows(self.failed.len(), changes.unwrap_or(Changes::None))
    }

    /// The operations with those of one title and state added up: a loop may have thousands.
    #[must_use]
    pub fn operation_groups(&self) -> Vec<OperationGroup> {
        let mut groups: Vec<OperationGroup> = Vec::new();
        let mut places: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for job in &self.operations {
            let at = *places.entry((job.title(), job.state.as_str())).or_insert(groups.len());
            let Some(OperationGroup { report: sum, count }) = groups.get_mut(at) else {
                groups.push(OperationGroup { report: job.clone(), count: 1 });
                continue;
            };
            sum.totals.add(&job.totals);
            sum.failed.extend(job.failed.iter().cloned());
            sum.samples.extend(job.samples.iter().cloned());
            sum.samples.truncate(MAX_SHOWN);
            sum.elapsed += job.elapsed;
            *count += 1;
        }
        groups
    }

    /// Sums up the terminal operations of a run.
    #[must_use]
    pub fn from_operations(
        operations: Vec<OperationReport>,
        calls: BTreeMap<String, u64>,
        elapsed: Duration,
    ) -> Self {
        let mut totals = Totals::default();
        for job in &operations {
            totals.add(&job.totals);
        }
        let failed: Vec<Failure> = operations.iter().flat_map(|job| job.failed.iter().cloned()).collect();
        let is_whole = failed.is_empty() && totals.missing == 0;
        let state = if is_whole { RunState::Done } else { RunState::DoneWithFailures };
        Self {
            run: None,
            state,
            dry_run: false,
            error: None,
            totals,
            failed,
            calls,
            writes: BTreeMap::new(),
            timeline: CallTimes::default(),
            would_call: BTreeMap::new(),
            left_today: BTreeMap::new(),
            not_undone: Vec::new(),
            elapsed: millis::whole(elapsed),
            operations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation of a report as the store holds it.
    const STORED: &str = r#"{"operation":"tag","target":"贵宾","state":"done","listed":12000,"fetched":12000,
        "matched":60,"unmatched":11928,"unsubscribed":12,"unread":0,"changed":60,"already":0,"skipped":0,"failed":[],
        "calls":{"GET /cgi-bin/user/get":2},"elapsed_ms":1604}"#;

    #[test]
    fn stored_operation_decodes_into_its_kind_and_is_written_back_under_the_same_names() {
        let report: OperationReport = serde_json::from_str(STORED).expect("it decodes");
        assert_eq!((report.operation, report.is_of_changes()), (TerminalKind::Tag, true));
        let written: serde_json::Value = serde_json::to_value(&report).expect("it has a JSON form");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(STORED).expect("it is JSON"));
    }

    #[test]
    fn report_of_an_earlier_version_decodes_by_the_names_of_that_version() {
        let operation = STORED.replace("unsubscribed", "gone").replace("operation", "end");
        let stored = format!(
            r#"{{"state":"done","dry_run":false,{},"set_aside":["第 1 步"],"ends":[{operation}]}}"#,
            operation.split_once(r#""state":"done","#).expect("it has a state").1.trim_end_matches('}')
        );
        let report: RunReport = serde_json::from_str(&stored).expect("it decodes");
        let counts =
            (report.totals.unsubscribed, report.not_undone.len(), report.operations[0].totals.unsubscribed);
        assert_eq!(counts, (12, 1, 12));
    }

    #[test]
    fn stored_target_is_an_id_only_where_the_report_says_so() {
        let target = |fields: &str| {
            let json = STORED.replace("\"target\":\"贵宾\",", fields);
            let report: OperationReport = serde_json::from_str(&json).map_err(|error| error.to_string())?;
            assert_eq!(serde_json::to_value(&report).ok(), serde_json::from_str(&json).ok());
            Ok::<_, String>((report.title(), report.target))
        };
        let name = Some(Target::Name("100".to_owned()));
        assert_eq!(target(r#""target":"100","#), Ok(("tag `100`".to_owned(), name)));
        let id = Some(Target::TagId(100));
        assert_eq!(target(r#""target":"100","target_id":100,"#), Ok(("tag 100".to_owned(), id)));
        assert_eq!(target(""), Ok(("tag".to_owned(), None)));
        let error = target(r#""target":"贵宾","target_id":100,"#).expect_err("the two differ");
        assert!(error.starts_with("expected the target `100` of target_id 100, found `贵宾`"), "{error}");
    }

    #[test]
    fn stored_operation_of_an_unknown_kind_is_an_error_that_names_it() {
        let damaged = STORED.replace("\"tag\"", "\"stamp\"");
        let error = serde_json::from_str::<OperationReport>(&damaged).expect_err("there is no such kind");
        assert!(error.to_string().starts_with("unknown variant `stamp`, expected one of `tag`"), "{error}");
    }
}
