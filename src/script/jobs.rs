//! The ends of audiences: what runs them as a job of the bulk floor, on the script's thread.

use super::{
    audience::{Audience, Closure, Origin, TagRef, to_value},
    changes::{Before, Blocking, Decide, Decision, Remarking, Tagging},
    env::Env,
    error::PlatformError,
    functions::described,
    steps::{Steps, Verdict},
    table::{Table, columns, need_details, only_openids},
};
use crate::{
    base::Stopwatch,
    bulk::{Change, Counts, EndReport, Failure, Job, Person, Reader, Stop, Writer, find_tag},
    client::Client,
};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use std::{collections::BTreeMap, sync::Arc};

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// An audience that is being gone through.
pub(super) struct Walk {
    pub env: Arc<Env>,
    pub client: Client,
    job: Arc<Job>,
    reader: Option<Reader>,
    steps: Steps,
    failed: Vec<Failure>,
    calls_before: BTreeMap<String, u64>,
}

impl Walk {
    fn begin(
        audience: &Audience,
        end: &'static str,
        target: Option<String>,
        details: bool,
    ) -> ScriptResult<Self> {
        let env = Arc::clone(&audience.env);
        let client = env.client()?.clone();
        let calls_before = client.tally().snapshot();
        let source = audience.source()?;
        let job = Job::begin(end, target);
        env.board.begin(&job);
        let details = details || audience.looks_at_details();
        let reader = env.wait(async {
            Reader::open(&client, env.in_flight, source, details, audience.limit(), Arc::clone(&job.counts))
        });
        Ok(Self {
            client,
            job,
            reader: Some(reader),
            steps: Steps::new(audience),
            failed: Vec::new(),
            calls_before,
            env,
        })
    }

    /// The next people who pass every step, or `None` after the last.
    fn next(&mut self) -> ScriptResult<Option<Vec<Person>>> {
        if let Some(reader) = &mut self.reader {
            if let Some(batch) = self.env.wait_for_call(reader.next())? {
                // Nothing says that somebody whose details are refused would not match.
                Counts::add(&self.job.counts.matched, batch.failed.len());
                Counts::add(&self.job.counts.failed, batch.failed.len());
                self.failed.extend(batch.failed);
                return self.sift(batch.people, 0).map(Some);
            }
            self.reader = None;
        }
        match self.steps.release() {
            Some((people, from)) => self.sift(people, from).map(Some),
            None => Ok(None),
        }
    }

    /// Those who pass the steps from this one on.
    fn sift(&mut self, people: Vec<Person>, from: usize) -> ScriptResult<Vec<Person>> {
        let mut matched = Vec::with_capacity(people.len());
        for person in people {
            match self.steps.judge(&self.env, person, from)? {
                Verdict::Matched(person) => {
                    Counts::add(&self.job.counts.matched, 1);
                    matched.push(person);
                }
                Verdict::Unmatched => Counts::add(&self.job.counts.unmatched, 1),
                Verdict::Held => {}
                Verdict::Enough => break,
            }
        }
        if self.steps.are_full() {
            self.reader = None;
        }
        Ok(matched)
    }

    /// Calls `visit` for everybody who passes, and reports.
    fn visit(mut self, mut visit: impl FnMut(&Env, &Person) -> ScriptResult<()>) -> ScriptResult<EndReport> {
        let result = (|| {
            while let Some(people) = self.next()? {
                for person in people {
                    visit(&self.env, &person)?;
                }
            }
            Ok(())
        })();
        self.end(result)
    }

    /// Writes a change to everybody who passes and needs it, and reports.
    fn write(mut self, change: &mut dyn Decide) -> ScriptResult<EndReport> {
        let env = Arc::clone(&self.env);
        let mut writer: Option<Writer> = None;
        let result = (|| {
            while let Some(people) = self.next()? {
                change.look(&self, &people)?;
                for person in people {
                    match change.decide(&env, &person)? {
                        Decision::Change(remark) => {
                            if writer.is_none() {
                                let ready = change.ready(&env, &self.client)?;
                                writer = Some(self.writer(ready, change.made()));
                            }
                            if let Some(writer) = &mut writer {
                                writer.push(person.openid, remark);
                            }
                        }
                        Decision::Already => Counts::add(&self.job.counts.already, 1),
                        Decision::Skip => {}
                    }
                }
                if let Some(writer) = &mut writer {
                    env.wait(writer.send_full()).map_err(|stop| stopped(&stop).raise())?;
                }
                self.judge()?;
            }
            Ok(())
        })();
        let result = match writer {
            None => result,
            Some(writer) if result.is_ok() => {
                let (failed, written) = env.wait(writer.finish());
                self.failed.extend(failed);
                written.map_err(|stop| stopped(&stop).raise()).and_then(|()| self.judge())
            }
            // What is on its way is waited for and counted, whatever went wrong here.
            Some(writer) => {
                self.failed.extend(env.wait(writer.stop()));
                result
            }
        };
        self.end(result)
    }

    fn writer(&self, change: Change, made: Option<Stopwatch>) -> Writer {
        let (counts, limits) = (Arc::clone(&self.job.counts), Arc::clone(&self.env.limits));
        Writer::new(&self.client, self.env.in_flight, change, counts, limits, made)
    }

    /// Holds the failures so far to the share that may fail.
    fn judge(&self) -> ScriptResult<()> {
        let counts = &self.job.counts;
        let followers =
            Counts::read(&counts.matched) + Counts::read(&counts.unmatched) + Counts::read(&counts.gone);
        let judged = self.env.limits.judge(Counts::read(&counts.failed), followers);
        judged.map_err(|limit| stopped(&Stop::Limit(limit)).raise())
    }

    /// Ends the job and posts its report; an error goes on to the script.
    fn end(&mut self, result: ScriptResult<()>) -> ScriptResult<EndReport> {
        // Stops what is still being fetched.
        self.reader = None;
        let state = match &result {
            _ if self.env.cancel.is_cancelled() => "cancelled",
            Ok(()) => "done",
            Err(_) => "error",
        };
        let mut calls = self.client.tally().snapshot();
        calls.retain(|call, count| {
            *count -= self.calls_before.get(call).copied().unwrap_or_default();
            *count > 0
        });
        let report = EndReport::of(&self.job, state, std::mem::take(&mut self.failed), calls);
        self.env.board.end(report.clone());
        result.map(|()| report)
    }
}

/// What a person is told of a job that can't go on.
fn stopped(stop: &Stop) -> PlatformError {
    match stop {
        Stop::Call(error) => PlatformError::of(error),
        Stop::Limit(limit) => {
            let hint = "what was done is in the report; raise the limit if it was meant to be more";
            PlatformError::usage(limit.to_string(), hint)
        }
    }
}

fn tagging(audience: &Audience, tag: &Dynamic, attach: bool) -> ScriptResult<EndReport> {
    let env = &audience.env;
    let tag = TagRef::read(tag)?;
    let id = match &tag {
        TagRef::Name(name) if attach => {
            let client = env.client()?;
            env.wait_for_call(find_tag(client, name))?.map(|tag| tag.id)
        }
        tag => Some(tag.existing(env)?),
    };
    let target = match &tag {
        TagRef::Name(name) => name.clone(),
        TagRef::Id(id) => id.to_string(),
    };
    // Details tell who has the tag already; of openids that were given by hand the tag's own list does.
    let details = !matches!(audience.origin, Origin::Openids(_));
    let end = if attach { "tag" } else { "untag" };
    Walk::begin(audience, end, Some(target), details)?.write(&mut Tagging {
        tag,
        id,
        attach,
        made: None,
        before: Before::default(),
    })
}

/// Counts without details where nobody looks at them.
fn count(audience: &Audience) -> ScriptResult<i64> {
    let mut count = 0;
    Walk::begin(audience, "count", None, false)?.visit(|_, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Counts by what the closure gives, as a map.
fn count_by(audience: &Audience, closure: &Closure) -> ScriptResult<Map> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    Walk::begin(audience, "count_by", None, true)?.visit(|env, person| {
        let key = closure.call(env, to_value(person))?;
        let key = if key.is_unit() { String::new() } else { key.to_string() };
        *counts.entry(key).or_default() += 1;
        Ok(())
    })?;
    Ok(counts.into_iter().map(|(key, count)| (key.into(), count.into())).collect())
}

/// Writes a table, which takes its place only when everybody is in it.
fn write_csv(audience: &Audience, path: &str, columns: Vec<String>) -> ScriptResult<EndReport> {
    let details = need_details(&columns);
    let mut table = Table::create(&audience.env.folder, path, columns).map_err(PlatformError::raise)?;
    let mut walk = Walk::begin(audience, "write_csv", Some(path.to_owned()), details)?;
    let result = (|| {
        while let Some(people) = walk.next()? {
            for person in &people {
                table.add(person).map_err(PlatformError::raise)?;
            }
        }
        table.finish().map_err(PlatformError::raise)
    })();
    walk.end(result)
}

/// What `for` goes through: one follower after another, while the next ones are fetched.
pub(super) struct Followers {
    walk: Option<Walk>,
    ready: std::vec::IntoIter<Person>,
    broken: Option<Box<EvalAltResult>>,
}

impl IntoIterator for Audience {
    type Item = ScriptResult<Dynamic>;
    type IntoIter = Followers;

    fn into_iter(self) -> Followers {
        let (walk, broken) = match Walk::begin(&self, "for", None, true) {
            Ok(walk) => (Some(walk), None),
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
            match self.walk.as_mut()?.next() {
                Ok(Some(people)) => self.ready = people.into_iter(),
                Ok(None) => {
                    self.walk.take()?.end(Ok(())).ok()?;
                    return None;
                }
                Err(error) => return self.walk.take()?.end(Err(error)).err().map(Err),
            }
        }
    }
}

impl Drop for Followers {
    /// A loop that was left early has a report too.
    fn drop(&mut self) {
        if let Some(mut walk) = self.walk.take() {
            let _ = walk.end(Ok(()));
        }
    }
}

pub(super) fn register(engine: &mut Engine) {
    const AUDIENCE: &str = "audience: Audience";
    engine.register_iterator_result::<Audience, Dynamic>();
    described("tag", &[AUDIENCE, "tag: ?", "Report"], TAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| tagging(audience, &tag, true));
    described("untag", &[AUDIENCE, "tag: ?", "Report"], UNTAG)
        .register_into_engine(engine, |audience: &mut Audience, tag: Dynamic| tagging(audience, &tag, false));
    described("block", &[AUDIENCE, "Report"], BLOCK).register_into_engine(
        engine,
        |audience: &mut Audience| {
            Walk::begin(audience, "block", None, false)?.write(&mut Blocking::of(audience, true))
        },
    );
    described("unblock", &[AUDIENCE, "Report"], UNBLOCK).register_into_engine(
        engine,
        |audience: &mut Audience| {
            Walk::begin(audience, "unblock", None, false)?.write(&mut Blocking::of(audience, false))
        },
    );
    described("remark", &[AUDIENCE, "closure: FnPtr", "Report"], REMARK).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            let closure = Closure::new(&context, closure);
            Walk::begin(audience, "remark", None, true)?.write(&mut Remarking(closure))
        },
    );
    described("each", &[AUDIENCE, "closure: FnPtr", "Report"], EACH).register_into_engine(
        engine,
        |context: NativeCallContext, audience: &mut Audience, closure: FnPtr| {
            let closure = Closure::new(&context, closure);
            Walk::begin(audience, "each", None, true)?
                .visit(|env, person| closure.call(env, to_value(person)).map(drop))
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
            write_csv(audience, path, columns(&names).map_err(PlatformError::raise)?)
        });
    described("to_array", &[AUDIENCE, "Array"], TO_ARRAY).register_into_engine(
        engine,
        |audience: &mut Audience| -> ScriptResult<Array> {
            let mut people = Array::new();
            Walk::begin(audience, "to_array", None, true)?.visit(|_, person| {
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

const EACH: &str = "Calls the closure for everybody, one after another, while the next ones are fetched.

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
