//! Checks a job's estimated calls against what is left of the day's quota, before the job starts and once the number of
//! followers is known.

use crate::{
    api::errcode::DAILY_QUOTA,
    base::Setting,
    bulk::{BatchedCalls, CostError, Details, Job, JobShape, OnShortage, Source, estimate},
    client::Client,
    script::host::{
        env::RunEnv,
        error::{ErrorKind, ScriptError, ScriptResult},
    },
};

/// The key that the size of the listing of all followers is stored under.
pub(crate) const FOLLOWERS: &str = "followers";

/// What the estimate of a job depends on.
pub(crate) struct JobCost {
    pub source: Source,
    pub limit: Option<usize>,
    pub max_matches: Option<usize>,
    pub details: Details,
    /// The calls by which it changes followers, if it does.
    pub changes: Option<BatchedCalls>,
    pub is_filtered: bool,
    /// The number of followers: as remembered from an earlier job until the listing has said it.
    pub people: u64,
    pub is_exact: bool,
}

/// How many of the matching followers need the change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// All of them, for certain: the tag is new, or the change is undone.
    All,
    /// Unknown: some may be in the desired state already.
    Some,
}

/// Checks the quota before a job's first call if the number of followers is known: for openids that the script gave, or
/// a listing whose size an earlier job has stored.
pub(crate) fn preflight(
    env: &RunEnv,
    client: &Client,
    job: &Job,
    mut cost: JobCost,
) -> ScriptResult<JobCost> {
    let people = match &cost.source {
        Source::Openids(openids) => Some(openids.len() as u64),
        Source::Followers => match &env.store {
            Some(store) => env
                .block_on(store.audience_size(client.account_key(), FOLLOWERS))
                .inspect_err(|error| tracing::warn!("the size of the job is estimated later: {error}"))
                .ok()
                .flatten(),
            None => None,
        },
        Source::ChangedByStep(changed) => {
            let count = env.block_on(changed.count());
            Some(count.map_err(|error| env.journal_error(&error.into()))?)
        }
        Source::Members(_) | Source::Blacklisted => None,
    };
    if let Some(people) = people {
        cost.people = people;
        // The stored size may be old: it is not precise enough to refuse a job.
        cost.is_exact = !matches!(cost.source, Source::Followers);
        let writers =
            if matches!(cost.source, Source::ChangedByStep(_)) { Writers::All } else { Writers::Some };
        check_quota(env, client, job, &cost, writers)?;
    }
    Ok(cost)
}

/// Estimates the job's calls and fails if they exceed the quota for certain.
pub(crate) fn check_quota(
    env: &RunEnv,
    client: &Client,
    job: &Job,
    cost: &JobCost,
    writers: Writers,
) -> ScriptResult<()> {
    let shape = JobShape {
        source: &cost.source,
        people: cost.limit.map_or(cost.people, |limit| cost.people.min(limit as u64)),
        details: cost.details,
        changes: cost.changes,
        max_matches: cost.max_matches.map(|max| max as u64),
        all_need_change: writers == Writers::All,
    };
    // A resumed run does what the day's quota allows.
    let may_refuse = cost.is_exact && !env.policy.may_wait && !env.journal.is_resumed();
    let on_shortage = if may_refuse { OnShortage::Refuse } else { OnShortage::Start };
    match env.block_on(estimate(client, shape, on_shortage)) {
        Ok(estimates) => {
            // The first estimate is shown; a later one differs by a few calls only.
            let _ = job.cost.set(estimates);
            Ok(())
        }
        Err(CostError::Call(error)) => Err(env.call_error(&error).raise()),
        Err(CostError::QuotaShortage(shortage)) => {
            let hint = format!(
                "{} starts it anyway, waits for the next day when the quota is used up, and then continues; \
                 take(N) makes it smaller",
                env.io.setting_names.of(Setting::AllowPause)
            );
            let error = ScriptError::usage(shortage.to_string(), hint);
            let error = ScriptError { errcode: Some(DAILY_QUOTA), kind: ErrorKind::Quota, ..error };
            Err(env.pause_on_quota(error).raise())
        }
    }
}
