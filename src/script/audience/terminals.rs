//! The terminal operations of audiences, as scripts call them.

use super::{
    audience::{Audience, SourceRef, TagRef, to_value},
    change_plan::{Blocking, Membership, Remarking, Restoring, Tagging},
    closure::Closure,
    csv::{Table, columns, need_details, only_openids},
    execution::JobExecution,
    opening::Opened,
    run_change::run_change,
    terminal_op::TerminalOp,
};
use crate::{
    api::tag::Tag,
    bulk::{BatchProgress, Listed, OperationReport, RecordedJson, Target},
    script::host::{
        error::{ScriptError, ScriptResult},
        register::described,
        value::{describe_type, is_plain},
    },
    store::TerminalKind,
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, vec};

fn tagging(audience: &Audience, tag: &Dynamic, membership: Membership) -> ScriptResult<OperationReport> {
    let tag = TagRef::read(tag)?;
    let target = match &tag {
        TagRef::Name(name) => Target::Name(name.clone()),
        TagRef::Id(id) => Target::TagId(*id),
    };
    let op = TerminalOp {
        target: Some(target),
        // Details show who has the tag. For openids that the script gave, one listing of the tag's members is cheaper.
        needs_details: !matches!(audience.source_ref, SourceRef::Openids(_)),
        ..TerminalOp::new(audience, membership.terminal_of_tag())
    };
    run_change(&op, &mut Tagging::new(tag, membership))
}

fn blocking(audience: &Audience, membership: Membership) -> ScriptResult<OperationReport> {
    let kind = membership.terminal_of_blacklist();
    run_change(&TerminalOp::new(audience, kind), &mut Blocking::new(audience, membership))
}

fn remark(audience: &Audience, closure: Closure) -> ScriptResult<OperationReport> {
    let op = TerminalOp::new(audience, TerminalKind::Remark).with_details();
    run_change(&op, &mut Remarking(closure))
}

fn restore_remark(audience: &Audience) -> ScriptResult<OperationReport> {
    let op = TerminalOp::new(audience, TerminalKind::RestoreRemark).with_details();
    run_change(&op, &mut Restoring)
}

/// Counts; details are fetched only if a stage reads them.
fn count(audience: &Audience) -> ScriptResult<i64> {
    let read = |value| recorded::<i64>(audience, value, "a count, as JSON");
    let mut job = match TerminalOp::new(audience, TerminalKind::Count).open()? {
        Opened::Run(job) => job,
        Opened::Replayed(completed) => return read(completed.value),
    };
    let count = RefCell::new(read(job.take_accumulator())?);
    job.accumulate(
        |_, _| {
            *count.borrow_mut() += 1;
            Ok(())
        },
        || json!(*count.borrow()),
    )?;
    Ok(count.into_inner())
}

/// What an earlier attempt recorded of a result; the result of no followers if it recorded none.
fn recorded<T: DeserializeOwned + Default>(
    audience: &Audience,
    value: Option<RecordedJson>,
    expected: &'static str,
) -> ScriptResult<T> {
    value.map_or_else(|| Ok(T::default()), |value| audience.env.decode(&value, expected))
}

/// Counts by what the closure returns.
fn count_by(audience: &Audience, closure: &Closure) -> ScriptResult<Map> {
    let read = |value| recorded::<BTreeMap<String, i64>>(audience, value, "counts, as JSON");
    let counts = match TerminalOp::new(audience, TerminalKind::CountBy).with_details().open()? {
        Opened::Run(mut job) => {
            let counts = RefCell::new(read(job.take_accumulator())?);
            job.accumulate(
                |env, person| {
                    let key = group_name(&closure.call(env, to_value(person))?)?;
                    *counts.borrow_mut().entry(key).or_default() += 1;
                    Ok(())
                },
                || json!(*counts.borrow()),
            )?;
            counts.into_inner()
        }
        Opened::Replayed(completed) => read(completed.value)?,
    };
    Ok(counts.into_iter().map(|(key, count)| (key.into(), count.into())).collect())
}

/// What a follower is counted under.
fn group_name(key: &Dynamic) -> ScriptResult<String> {
    if let Some(tag) = key.read_lock::<Tag>() {
        return Ok(tag.name.clone());
    }
    if key.is_unit() {
        return Ok(String::new());
    }
    let is_plain_list = key.read_lock::<Array>().is_some_and(|list| list.iter().all(is_plain));
    if is_plain_list || is_plain(key) {
        return Ok(key.to_string());
    }
    let message =
        format!("the closure of count_by must return a text or a number; it returned {}", describe_type(key));
    Err(ScriptError::usage(message, "return one field: count_by(|u| u.subscribe_scene)").raise())
}

fn each(audience: &Audience, closure: &Closure) -> ScriptResult<OperationReport> {
    match TerminalOp::new(audience, TerminalKind::Each).with_details().open()? {
        Opened::Run(job) => job.for_each(|env, person| closure.call(env, to_value(person)).map(drop)),
        Opened::Replayed(completed) => Ok(*completed.report),
    }
}

/// Writes a table, which replaces the file only once it is complete; an interrupted one is written from scratch.
fn write_csv(audience: &Audience, path: &str, columns: Vec<String>) -> ScriptResult<OperationReport> {
    let op = TerminalOp {
        target: Some(Target::Name(path.to_owned())),
        needs_details: need_details(&columns),
        ..TerminalOp::new(audience, TerminalKind::WriteCsv)
    };
    let mut table = Table::create(&audience.env.io.files, path, columns).map_err(ScriptError::raise)?;
    let mut job = match op.open()? {
        Opened::Run(job) => job,
        Opened::Replayed(completed) => return Ok(*completed.report),
    };
    let result = (|| {
        while let Some(people) = job.next()? {
            for person in &people {
                table.add(person).map_err(ScriptError::raise)?;
            }
        }
        table.finish().map_err(ScriptError::raise)
    })();
    job.finish(result, Value::Null)
}

fn to_array(audience: &Audience) -> ScriptResult<Array> {
    let mut people = Array::new();
    let op = TerminalOp::new(audience, TerminalKind::ToArray).with_details();
    op.open_unrecorded()?.for_each(|_, person| {
        people.push(to_value(person));
        Ok(())
    })?;
    Ok(people)
}

/// What `for` iterates over: one follower after another, while the next ones are fetched.
pub(crate) struct FollowerIter {
    /// Absent once the last follower was handed out.
    job: Option<JobExecution>,
    ready: vec::IntoIter<Listed>,
    /// Why the job could not start; the first `next` returns it.
    start_error: Option<Box<EvalAltResult>>,
}

impl IntoIterator for Audience {
    type Item = ScriptResult<Dynamic>;
    type IntoIter = FollowerIter;

    fn into_iter(self) -> FollowerIter {
        let (job, start_error) = match TerminalOp::new(&self, TerminalKind::For).with_details().open() {
            Ok(Opened::Run(job)) => (Some(*job), None),
            Ok(Opened::Replayed(_)) => (None, None),
            Err(error) => (None, Some(error)),
        };
        FollowerIter { job, ready: Vec::new().into_iter(), start_error }
    }
}

impl Iterator for FollowerIter {
    type Item = ScriptResult<Dynamic>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.start_error.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(person) = self.ready.next() {
                return Some(Ok(to_value(&person)));
            }
            let job = self.job.as_mut()?;
            // The loop's body has run for all followers of the page that ends here.
            let next = job.end_page(&BatchProgress::default(), Value::Null).and_then(|()| job.next());
            let result = match next {
                Ok(Some(people)) => {
                    self.ready = people.into_iter();
                    continue;
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            return self.job.take()?.finish(result, Value::Null).err().map(Err);
        }
    }
}

impl Drop for FollowerIter {
    /// A loop that is left early has a report too.
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            job.abandon();
        }
    }
}

pub(crate) fn register(engine: &mut Engine) {
    const AUDIENCE: &str = "audience: Audience";
    engine.register_iterator_result::<Audience, Dynamic>();
    described("tag", &[AUDIENCE, "tag: ?", "Report"], TAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| {
            tagging(audience, &tag, Membership::Add)
        });
    described("untag", &[AUDIENCE, "tag: ?", "Report"], UNTAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| {
            tagging(audience, &tag, Membership::Remove)
        });
    described("block", &[AUDIENCE, "Report"], BLOCK)
        .register_into_engine(engine, |audience: &mut Audience| blocking(audience, Membership::Add));
    described("unblock", &[AUDIENCE, "Report"], UNBLOCK)
        .register_into_engine(engine, |audience: &mut Audience| blocking(audience, Membership::Remove));
    described("remark", &[AUDIENCE, "closure: FnPtr", "Report"], REMARK).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            remark(audience, Closure::new(&context, closure)?)
        },
    );
    described("restore_remark", &[AUDIENCE, "Report"], RESTORE_REMARK)
        .register_into_engine(engine, |audience: &mut Audience| restore_remark(audience));
    described("each", &[AUDIENCE, "closure: FnPtr", "Report"], EACH).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            each(audience, &Closure::new(&context, closure)?)
        },
    );
    described("count", &[AUDIENCE, "int"], COUNT)
        .register_into_engine(engine, |audience: &mut Audience| count(audience));
    described("count_by", &[AUDIENCE, "closure: FnPtr", "Map"], COUNT_BY).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            count_by(audience, &Closure::new(&context, closure)?)
        },
    );
    described("write_csv", &[AUDIENCE, "file: String", "Report"], WRITE_CSV)
        .register_into_engine(engine, |audience: &mut Audience, path: &str| {
            write_csv(audience, path, only_openids())
        });
    described("write_csv", &[AUDIENCE, "file: String", "columns: Array", "Report"], WRITE_CSV_COLUMNS)
        .register_into_engine(engine, |audience: &mut Audience, path: &str, names: Array| {
            write_csv(audience, path, columns(&names).map_err(ScriptError::raise)?)
        });
    described("to_array", &[AUDIENCE, "Array<User>"], TO_ARRAY)
        .register_into_engine(engine, |audience: &mut Audience| to_array(audience));
}

const TAG: &str =
    "Adds a tag to the followers that don't have it. The tag is given by name (created if absent), by id, or as a `Tag`.
    An id that no tag has is an error. A name to create has no blanks at its ends and no control characters.

    Fifty openids per call; an openid that is refused is reported as failed, the others succeed.

    ```rhai
    print(followers().filter(|u| u.qr_scene == 98765).tag(\"QR 98765\").changed);
    ```";

const UNTAG: &str =
    "Removes a tag from the followers that have it. A name or an id that no tag has is an error.

    ```rhai
    print(members(\"星标组\").untag(\"星标组\").changed);
    ```";

const BLOCK: &str = "Adds the followers to the blacklist (拉黑), twenty openids per call.

    ```rhai
    print(followers().take(2).block().changed);
    ```";

const UNBLOCK: &str = "Removes them from the blacklist (取消拉黑), twenty openids per call.

    ```rhai
    followers().take(2).block();
    print(blacklisted().unblock().changed);
    ```";

const REMARK: &str =
    "Sets each follower's remark (备注名) to what the closure returns; `()` leaves it as it is.

    A remark must be shorter than 30 bytes of UTF-8: at most nine Chinese characters. One call per follower.

    ```rhai
    print(followers().take(2).remark(|u| `客户${u.openid.sub_string(24)}`).changed);
    ```";

const RESTORE_REMARK: &str = "Restores the remarks that the followers of `changed_by` had before that run.

    A remark that was changed again since is left as it is. The scripts that `mpscript undo` generates use it.";

const EACH: &str = "Calls the closure for each follower, one after another, while the next ones are fetched.

    A resumed run never repeats a call that changed the account. If the closure makes such calls, the loop resumes from
    the page that was interrupted, and variables that it filled on earlier pages are empty: the run warns about that. If
    it makes none, the loop starts from the first follower. `for` behaves the same.

    ```rhai
    followers().take(2).each(|u| print(u.subscribe_scene));
    ```";

const COUNT: &str = "Counts the followers. Details are fetched only if a stage reads them.

    ```rhai
    print(followers().count());
    ```";

const COUNT_BY: &str =
    "Counts the followers by what the closure returns: a map from its value, as text, to the count.

    ```rhai
    print(followers().count_by(|u| u.subscribe_scene));
    ```";

const WRITE_CSV: &str = "Writes the openids to a CSV file, which `openids_from` can read.

    The name ends in `.csv` or `.txt`. A dry run, which changes nothing on the account, writes it as well. An existing file is
    replaced only if it is empty or a table of followers, whose first line names fields of theirs, and only once the new one
    is complete; any other is left as it is. The path is relative to the folder that mpscript was started in; `openids_from`
    says which folders a script may use.

    ```rhai
    print(members(\"星标组\").write_csv(\"星标组.csv\").matched);
    ```";

const WRITE_CSV_COLUMNS: &str = "Writes the given fields of each follower to a CSV file.

    The file is UTF-8 with a byte order mark, so that Excel reads it; a text that Excel would run as a formula is prefixed
    with `'`.

    ```rhai
    followers().take(20).write_csv(\"关注者.csv\", [\"openid\", \"remark\", \"subscribe_time\", \"tagid_list\"]);
    ```";

const TO_ARRAY: &str =
    "Returns all followers as an array of `User`, which holds them in memory; `each` and `for` don't.

    ```rhai
    print(followers().take(3).to_array().len());
    ```";
