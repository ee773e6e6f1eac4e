//! The ends of audiences: what runs them as a job of the bulk floor, on the script's thread.

use super::{
    audience::{Audience, Closure, Origin, TagRef, to_value},
    change_plan::{Before, Blocking, Decide, Decision, Remarking, Restoring, Tagging},
    csv::{Table, columns, need_details, only_openids},
    execution::{End, Opened, Walk},
};
use crate::{
    bulk::{BatchWriter, BatchWriterConfig, Change, Counters, EndReport, JobError, Listed},
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult, limit_reached},
        register::described,
    },
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

/// Writes a change to everybody who passes and needs it, and reports.
fn write(end: &End, change: &mut dyn Decide) -> ScriptResult<EndReport> {
    let mut walk = match end.open()? {
        Opened::Walk(walk) => *walk,
        Opened::Done(report, _) => return Ok(*report),
    };
    let env = Arc::clone(&walk.env);
    let mut writer = None;
    let result = write_all(&mut walk, change, &mut writer);
    let result = match writer {
        None => result,
        Some(writer) if result.is_ok() => {
            let (failed, written) = env.block_on(writer.finish());
            walk.failed.extend(failed);
            written.map_err(|stop| stopped(&env, stop)).and_then(|()| judge(&walk))
        }
        // What is on its way is waited for and counted, whatever went wrong here.
        Some(writer) => {
            walk.failed.extend(env.block_on(writer.stop()));
            result
        }
    };
    walk.end(result, &Value::Null)
}

fn write_all(walk: &mut Walk, change: &mut dyn Decide, writer: &mut Option<BatchWriter>) -> ScriptResult<()> {
    let env = Arc::clone(&walk.env);
    let known: Option<Change> = serde_json::from_str(&walk.change).ok();
    change.begin(walk, known)?;
    if let Some(known) = known {
        // An earlier attempt has written: what it was about to is done first.
        env.confirm_write()?;
        let before = std::mem::take(&mut walk.before.waiting);
        let resumed = BatchWriter::resume(settings(walk, known, None), before, walk.before.next_batch);
        let (resumed, asked) = env.block_on(resumed).map_err(|error| env.journal_error(&error))?;
        walk.asked = asked;
        walk.asked.extend(std::mem::take(&mut walk.before.asked));
        *writer = Some(resumed);
    }
    while let Some(people) = walk.next()? {
        change.look(walk, &people)?;
        let mut left = &people[..];
        while let Some((person, others)) = left.split_first() {
            match change.decide(&env, person)? {
                Decision::Change(item) => {
                    if writer.is_none() {
                        env.confirm_write()?;
                        let ready = change.ready(walk)?;
                        let written = env.block_on(walk.step.change(&ready));
                        written.map_err(|error| env.journal_error(&error))?;
                        *writer = Some(BatchWriter::new(settings(walk, ready, change.made())));
                        if change.must_look_again() {
                            change.look(walk, left)?;
                            continue;
                        }
                    }
                    if let Some(writer) = writer {
                        writer.push(item);
                    }
                }
                Decision::Already => Counters::add(&walk.job.counts.already, 1),
                Decision::Skip => {}
            }
            left = others;
        }
        let (waiting, next_batch) = match writer {
            Some(writer) => {
                env.block_on(writer.send_full()).map_err(|stop| stopped(&env, stop))?;
                writer.waiting()
            }
            None => (&[][..], 0),
        };
        walk.end_page(waiting, next_batch, Value::Null)?;
        judge(walk)?;
    }
    // Those who are not listed any more, but were when an earlier attempt wrote them.
    let unseen = std::mem::take(&mut walk.asked).len();
    Counters::add(&walk.job.counts.listed, unseen);
    Counters::add(&walk.job.counts.matched, unseen);
    Ok(())
}

fn settings(walk: &Walk, change: Change, made: Option<crate::base::Stopwatch>) -> BatchWriterConfig {
    BatchWriterConfig {
        client: walk.client.clone(),
        in_flight: walk.env.in_flight,
        change,
        counts: Arc::clone(&walk.job.counts),
        limits: Arc::clone(&walk.env.limits),
        made,
        step: walk.step.clone(),
        dry: walk.env.dry.clone(),
    }
}

/// Holds the failures so far to the share that may fail.
fn judge(walk: &Walk) -> ScriptResult<()> {
    let counts = &walk.job.counts;
    let followers =
        Counters::read(&counts.matched) + Counters::read(&counts.unmatched) + Counters::read(&counts.gone);
    let judged = walk.env.limits.check_error_rate(Counters::read(&counts.failed), followers);
    judged.map_err(|limit| stopped(&walk.env, JobError::Limit(limit)))
}

/// What a person is told of a job that can't go on.
#[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
fn stopped(env: &RunEnv, stop: JobError) -> Box<EvalAltResult> {
    match stop {
        JobError::Call(error) => ScriptError::from_call(&error).raise(),
        JobError::Limit(limit) => limit_reached(&limit),
        JobError::Journal(error) => env.journal_error(&error),
    }
}

fn tagging(audience: &Audience, tag: &Dynamic, attach: bool) -> ScriptResult<EndReport> {
    let tag = TagRef::read(tag)?;
    let (target, target_id) = match &tag {
        TagRef::Name(name) => (name.clone(), None),
        TagRef::Id(id) => (id.to_string(), Some(*id)),
    };
    // Details tell who has the tag already; of openids that were given by hand the tag's own list does.
    let details = !matches!(audience.origin, Origin::Openids(_));
    let (name, kind) = if attach { ("tag", Change::Attach(0)) } else { ("untag", Change::Detach(0)) };
    let kind = Some(kind);
    let mut change =
        Tagging { tag, id: None, attach, made: None, before: Before::default(), is_found_late: false };
    write(&End { audience, name, target: Some(target), target_id, details, change: kind }, &mut change)
}

fn blocking(audience: &Audience, block: bool) -> ScriptResult<EndReport> {
    let (name, change) = if block { ("block", Change::Block) } else { ("unblock", Change::Unblock) };
    write(
        &End { audience, name, target: None, target_id: None, details: false, change: Some(change) },
        &mut Blocking::of(audience, block),
    )
}

/// Counts without details where nobody looks at them.
fn count(audience: &Audience) -> ScriptResult<i64> {
    let walk =
        match (End { audience, name: "count", target: None, target_id: None, details: false, change: None })
            .open()?
        {
            Opened::Walk(walk) => walk,
            Opened::Done(_, value) => return Ok(value.as_i64().unwrap_or_default()),
        };
    let count = RefCell::new(walk.before.fold.as_i64().unwrap_or_default());
    walk.fold(
        |_, _| {
            *count.borrow_mut() += 1;
            Ok(())
        },
        || json!(*count.borrow()),
    )?;
    Ok(count.into_inner())
}

/// Counts by what the closure gives, as a map.
fn count_by(audience: &Audience, closure: &Closure) -> ScriptResult<Map> {
    let read = |value: Value| -> BTreeMap<String, i64> { serde_json::from_value(value).unwrap_or_default() };
    let counts = match (End {
        audience,
        name: "count_by",
        target: None,
        target_id: None,
        details: true,
        change: None,
    })
    .open()?
    {
        Opened::Walk(walk) => {
            let counts = RefCell::new(read(walk.before.fold.clone()));
            walk.fold(
                |env, person| {
                    let key = closure.call(env, to_value(person))?;
                    let key = if key.is_unit() { String::new() } else { key.to_string() };
                    *counts.borrow_mut().entry(key).or_default() += 1;
                    Ok(())
                },
                || json!(*counts.borrow()),
            )?;
            counts.into_inner()
        }
        Opened::Done(_, value) => read(value),
    };
    Ok(counts.into_iter().map(|(key, count)| (key.into(), count.into())).collect())
}

/// Calls the closure for everybody.
fn each(audience: &Audience, closure: &Closure) -> ScriptResult<EndReport> {
    match (End { audience, name: "each", target: None, target_id: None, details: true, change: None })
        .open()?
    {
        Opened::Walk(walk) => walk.visit(|env, person| closure.call(env, to_value(person)).map(drop)),
        Opened::Done(report, _) => Ok(*report),
    }
}

/// Writes a table, which takes its place only when everybody is in it. One that was not finished begins anew.
fn write_csv(audience: &Audience, path: &str, columns: Vec<String>) -> ScriptResult<EndReport> {
    let details = need_details(&columns);
    let end = End {
        audience,
        name: "write_csv",
        target: Some(path.to_owned()),
        target_id: None,
        details,
        change: None,
    };
    let mut table = Table::create(&audience.env.folder, path, columns).map_err(ScriptError::raise)?;
    let mut walk = match end.open()? {
        Opened::Walk(walk) => walk,
        Opened::Done(report, _) => return Ok(*report),
    };
    let result = (|| {
        while let Some(people) = walk.next()? {
            for person in &people {
                table.add(person).map_err(ScriptError::raise)?;
            }
        }
        table.finish().map_err(ScriptError::raise)
    })();
    walk.end(result, &Value::Null)
}

/// What `for` goes through: one follower after another, while the next ones are fetched.
pub(crate) struct Followers {
    walk: Option<Walk>,
    ready: std::vec::IntoIter<Listed>,
    broken: Option<Box<EvalAltResult>>,
}

impl IntoIterator for Audience {
    type Item = ScriptResult<Dynamic>;
    type IntoIter = Followers;

    fn into_iter(self) -> Followers {
        let end =
            End { audience: &self, name: "for", target: None, target_id: None, details: true, change: None };
        let (walk, broken) = match end.open() {
            Ok(Opened::Walk(walk)) => (Some(*walk), None),
            Ok(Opened::Done(..)) => (None, None),
            Err(error) => (None, Some(error)),
        };
        Followers { walk, ready: Vec::new().into_iter(), broken }
    }
}

impl Iterator for Followers {
    type Item = ScriptResult<Dynamic>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.broken.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(person) = self.ready.next() {
                return Some(Ok(to_value(&person)));
            }
            let walk = self.walk.as_mut()?;
            // What the loop has done with the people before is done.
            let next = walk.end_page(&[], 0, Value::Null).and_then(|()| walk.next());
            match next {
                Ok(Some(people)) => self.ready = people.into_iter(),
                Ok(None) => return self.walk.take()?.end(Ok(()), &Value::Null).err().map(Err),
                Err(error) => return self.walk.take()?.end(Err(error), &Value::Null).err().map(Err),
            }
        }
    }
}

impl Drop for Followers {
    /// A loop that was left early has a report too.
    fn drop(&mut self) {
        if let Some(mut walk) = self.walk.take() {
            walk.leave();
        }
    }
}

pub(crate) fn register(engine: &mut Engine) {
    const AUDIENCE: &str = "audience: Audience";
    engine.register_iterator_result::<Audience, Dynamic>();
    described("tag", &[AUDIENCE, "tag: ?", "Report"], TAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| tagging(audience, &tag, true));
    described("untag", &[AUDIENCE, "tag: ?", "Report"], UNTAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| tagging(audience, &tag, false));
    described("block", &[AUDIENCE, "Report"], BLOCK)
        .register_into_engine(engine, |audience: &mut Audience| blocking(audience, true));
    described("unblock", &[AUDIENCE, "Report"], UNBLOCK)
        .register_into_engine(engine, |audience: &mut Audience| blocking(audience, false));
    described("remark", &[AUDIENCE, "closure: FnPtr", "Report"], REMARK).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            let end = End {
                audience,
                name: "remark",
                target: None,
                target_id: None,
                details: true,
                change: Some(Change::Remark),
            };
            write(&end, &mut Remarking(Closure::new(&context, closure)))
        },
    );
    described("restore_remark", &[AUDIENCE, "Report"], RESTORE_REMARK).register_into_engine(
        engine,
        |audience: &mut Audience| {
            let end = End {
                audience,
                name: "restore_remark",
                target: None,
                target_id: None,
                details: true,
                change: Some(Change::Remark),
            };
            write(&end, &mut Restoring)
        },
    );
    described("each", &[AUDIENCE, "closure: FnPtr", "Report"], EACH).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            each(audience, &Closure::new(&context, closure))
        },
    );
    described("count", &[AUDIENCE, "int"], COUNT)
        .register_into_engine(engine, |audience: &mut Audience| count(audience));
    described("count_by", &[AUDIENCE, "closure: FnPtr", "Map"], COUNT_BY).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            count_by(audience, &Closure::new(&context, closure))
        },
    );
    described("write_csv", &[AUDIENCE, "path: String", "Report"], WRITE_CSV)
        .register_into_engine(engine, |audience: &mut Audience, path: &str| {
            write_csv(audience, path, only_openids())
        });
    described("write_csv", &[AUDIENCE, "path: String", "columns: Array", "Report"], WRITE_CSV_COLUMNS)
        .register_into_engine(engine, |audience: &mut Audience, path: &str, names: Array| {
            write_csv(audience, path, columns(&names).map_err(ScriptError::raise)?)
        });
    described("to_array", &[AUDIENCE, "Array"], TO_ARRAY).register_into_engine(
        engine,
        |audience: &mut Audience| -> ScriptResult<Array> {
            let mut people = Array::new();
            let end = End {
                audience,
                name: "to_array",
                target: None,
                target_id: None,
                details: true,
                change: None,
            };
            end.unwritten()?.visit(|_, person| {
                people.push(to_value(person));
                Ok(())
            })?;
            Ok(people)
        },
    );
}

const TAG: &str =
    "Puts a tag on everybody who has it not: given by its name (made if absent), its id, or itself.

    Fifty openids a call; a bad one is set aside and the others go through.

    ```rhai
    print(followers().filter(|u| u.qr_scene == 98765).tag(\"QR 98765\").changed);
    ```";

const UNTAG: &str = "Takes a tag off everybody who has it. A name that no tag has is an error.

    ```rhai
    print(members(\"星标组\").untag(\"星标组\").changed);
    ```";

const BLOCK: &str = "Puts everybody on the blacklist (拉黑), twenty openids a call.

    ```rhai
    print(followers().take(2).block().changed);
    ```";

const UNBLOCK: &str = "Takes everybody off the blacklist (取消拉黑), twenty openids a call.

    ```rhai
    followers().take(2).block();
    print(blacklisted().unblock().changed);
    ```";

const REMARK: &str =
    "Sets the remark (备注名) that the closure gives for each; `()` leaves somebody as they are.

    A remark is shorter than 30 bytes of UTF-8: at most nine Chinese characters. One call a follower.

    ```rhai
    print(followers().take(2).remark(|u| `客户${u.openid.sub_string(24)}`).changed);
    ```";

const RESTORE_REMARK: &str = "Gives the people of `changed_by` the remark back that they had before that run.

    Somebody whose remark was changed again since is left as they are. `mpscript undo` is written with it.";

const EACH: &str = "Calls the closure for everybody, one after another, while the next ones are fetched.

    A run that is gone on with makes no call twice that changed the account. A closure that makes such calls begins again
    with the page that it was cut off on, and what it has added up in variables before is lost: the run warns of it. One
    that makes none begins anew. `for` does likewise.

    ```rhai
    followers().take(2).each(|u| print(u.subscribe_scene));
    ```";

const COUNT: &str = "How many there are. Details are fetched only where a step looks at them.

    ```rhai
    print(followers().count());
    ```";

const COUNT_BY: &str = "How many there are of each: a map of counts by what the closure gives, as text.

    ```rhai
    print(followers().count_by(|u| u.subscribe_scene));
    ```";

const WRITE_CSV: &str = "Writes everybody's openid to a CSV file, which `openids_from` reads again.

    The file replaces one of that name when everybody is in it, and not before. The path is relative to the
    folder that mpscript was started in.

    ```rhai
    print(members(\"星标组\").write_csv(\"星标组.csv\").matched);
    ```";

const WRITE_CSV_COLUMNS: &str = "Writes these fields of everybody to a CSV file.

    It is UTF-8 with the mark by which Excel knows it, and a text that Excel would take for a formula begins
    with `'`.

    ```rhai
    followers().take(20).write_csv(\"关注者.csv\", [\"openid\", \"remark\", \"subscribe_time\", \"tagid_list\"]);
    ```";

const TO_ARRAY: &str =
    "Everybody as an array of `User`. It holds them all in memory: `each` and `for` do not.

    ```rhai
    print(followers().take(3).to_array().len());
    ```";
