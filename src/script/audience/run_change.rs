//! Runs a changing terminal operation: decides about each follower and sends the changes in batches.

use super::{
    change_plan::{ChangePlan, Decision},
    execution::JobExecution,
    opening::Opened,
    terminal_op::TerminalOp,
};
use crate::{
    base::Stopwatch,
    bulk::{
        BatchProgress, BatchWriter, BatchWriterConfig, Change, Counters, JobError, OperationReport,
        RecordedEffect,
    },
    script::host::{env::RunEnv, error::ScriptResult},
};
use rhai::EvalAltResult;
use serde_json::Value;
use std::{mem, sync::Arc};

/// Makes the change to each follower that passes the stages and needs it.
pub(crate) fn run_change(op: &TerminalOp, plan: &mut dyn ChangePlan) -> ScriptResult<OperationReport> {
    let mut job = match op.open()? {
        Opened::Run(job) => *job,
        Opened::Replayed(completed) => return Ok(*completed.report),
    };
    let env = Arc::clone(&job.env);
    let mut writer = None;
    let result = push_changes(&mut job, plan, &mut writer);
    let result = match writer {
        None => result,
        Some(writer) if result.is_ok() => {
            let finished = env.block_on(writer.finish());
            job.report.failed.extend(finished.failed);
            finished
                .result
                .map_err(|error| to_script_error(&env, error))
                .and_then(|()| check_error_rate(&job))
        }
        // Batches in flight are waited for and counted, whatever failed here.
        Some(writer) => {
            job.report.failed.extend(env.block_on(writer.stop()));
            result
        }
    };
    job.finish(result, Value::Null)
}

fn push_changes(
    job: &mut JobExecution,
    plan: &mut dyn ChangePlan,
    writer: &mut Option<BatchWriter>,
) -> ScriptResult<()> {
    let env = Arc::clone(&job.env);
    let recorded = job.prior.change;
    plan.start(job, recorded)?;
    if let Some(change) = recorded {
        // An earlier attempt prepared the change: its unresolved batches come first.
        env.confirm_write()?;
        let waiting = mem::take(&mut job.prior.checkpoint.waiting);
        let next_batch = job.prior.checkpoint.next_batch;
        let resumed = BatchWriter::resume(writer_config(job, change, None), waiting, next_batch);
        let resumed = env.block_on(resumed).map_err(|error| env.journal_error(&error))?;
        job.prior.batched = resumed.already_batched;
        job.prior.batched.extend(mem::take(&mut job.prior.checkpoint.already_batched));
        *writer = Some(resumed.writer);
    }
    while let Some(people) = job.next()? {
        plan.observe(job, &people)?;
        let mut rest = &people[..];
        while let Some((person, others)) = rest.split_first() {
            match plan.decide(&env, person)? {
                Decision::Apply(item) => {
                    if writer.is_none() {
                        env.confirm_write()?;
                        let change = plan.prepare(job)?;
                        let recorded = env.block_on(job.scope.step.change(&RecordedEffect::Change(change)));
                        recorded.map_err(|error| env.journal_error(&error))?;
                        *writer = Some(BatchWriter::new(writer_config(job, change, plan.created_at())));
                        if plan.needs_recheck() {
                            plan.observe(job, rest)?;
                            continue;
                        }
                    }
                    if let Some(writer) = writer {
                        writer.push(item, person.user.as_deref());
                    }
                }
                Decision::NoOp => Counters::add(&job.report.job.counts.already, 1),
                Decision::Skip => {}
            }
            rest = others;
        }
        let batches = match writer {
            Some(writer) => {
                env.block_on(writer.send_full()).map_err(|error| to_script_error(&env, error))?;
                writer.progress()
            }
            None => BatchProgress::default(),
        };
        job.end_page(&batches, Value::Null)?;
        check_error_rate(job)?;
    }
    // Batched by an earlier attempt, and no longer listed: they unsubscribed since.
    let unseen = mem::take(&mut job.prior.batched).len();
    Counters::add(&job.report.job.counts.listed, unseen);
    job.report.count_matched(unseen);
    Ok(())
}

fn writer_config(job: &JobExecution, change: Change, created_at: Option<Stopwatch>) -> BatchWriterConfig {
    BatchWriterConfig {
        client: job.client.clone(),
        in_flight: job.env.calls.in_flight,
        change,
        counts: Arc::clone(&job.report.job.counts),
        limits: Arc::clone(&job.env.policy.limits),
        created_at,
        step: job.scope.step.clone(),
        dry: job.env.policy.dry.clone(),
    }
}

/// Fails once the share of followers that failed exceeds the run's limit.
fn check_error_rate(job: &JobExecution) -> ScriptResult<()> {
    let counts = &job.report.job.counts;
    let followers = Counters::read(&counts.matched)
        + Counters::read(&counts.unmatched)
        + Counters::read(&counts.unsubscribed);
    let checked = job.env.policy.limits.check_error_rate(Counters::read(&counts.failed), followers);
    checked.map_err(|limit| to_script_error(&job.env, JobError::Limit(limit)))
}

/// An error that ends the job, as a script error.
#[allow(clippy::unnecessary_box_returns, reason = "the engine's results hold boxed errors")]
fn to_script_error(env: &RunEnv, error: JobError) -> Box<EvalAltResult> {
    match error {
        JobError::Call(error) => env.call_error(&error).raise(),
        JobError::Limit(limit) => env.limit_error(&limit),
        JobError::Journal(error) => env.journal_error(&error),
    }
}
