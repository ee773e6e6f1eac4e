//! What a job will cost, held against what is left of the day's quota before it starts.

use crate::{
    api::errcode::DAILY_QUOTA,
    bulk::{Change, CostError, Job, JobShape, Source, estimate},
    client::Client,
    script::host::{
        env::RunEnv,
        error::{ScriptError, ScriptResult},
    },
};

/// The listing of all followers, by the name that its size is remembered under.
pub(crate) const FOLLOWERS: &str = "followers";

/// What a job's cost is reckoned by.
pub(crate) struct Cost {
    pub source: Source,
    pub limit: Option<usize>,
    pub most: Option<usize>,
    pub details: bool,
    pub change: Option<Change>,
    pub is_filtered: bool,
    /// How many people there are: as remembered until the listing has said it.
    pub people: u64,
    pub is_exact: bool,
}

/// Reckons a job's cost before its first call, where it is known how many people there are: openids that were given
/// by hand, or a listing that was gone through before.
pub(crate) fn reckon_before(env: &RunEnv, client: &Client, job: &Job, mut cost: Cost) -> ScriptResult<Cost> {
    let people = match &cost.source {
        Source::Openids(openids) => Some(openids.len() as u64),
        Source::Followers => match &env.store {
            Some(store) => env.block_on(store.audience_size(client.account_key(), FOLLOWERS)).ok().flatten(),
            None => None,
        },
        Source::ChangedByStep(changed) => env.block_on(changed.count()).ok(),
        Source::Members(_) | Source::Blacklisted => None,
    };
    if let Some(people) = people {
        cost.people = people;
        // What is remembered may be long ago: nothing is refused for it.
        cost.is_exact = !matches!(cost.source, Source::Followers);
        // Whom a run has changed, they all are to be changed back.
        let is_for_all = matches!(cost.source, Source::ChangedByStep(_));
        reckon(env, client, job, &cost, is_for_all)?;
    }
    Ok(cost)
}

pub(crate) fn reckon(
    env: &RunEnv,
    client: &Client,
    job: &Job,
    cost: &Cost,
    is_for_all: bool,
) -> ScriptResult<()> {
    let shape = JobShape {
        source: &cost.source,
        people: cost.limit.map_or(cost.people, |limit| cost.people.min(limit as u64)),
        details: cost.details,
        change: cost.change,
        most: cost.most.map(|most| most as u64),
        is_for_all,
    };
    // A run that is gone on with does what today allows.
    let may_refuse = cost.is_exact && !env.may_wait && !env.journal.is_resumed();
    match env.block_on(estimate(client, shape, may_refuse)) {
        Ok(estimates) => {
            // The first one is shown; what corrects it is the same but for a few calls.
            let _ = job.cost.set(estimates);
            Ok(())
        }
        Err(CostError::Call(error)) => Err(ScriptError::from_call(&error).raise()),
        Err(CostError::QuotaShortage(shortage)) => {
            let hint = "--allow-pause starts it all the same, waits for the next day when the quota is used up, and \
                        goes on; take(N) makes it smaller";
            let error = ScriptError::usage(shortage.to_string(), hint);
            Err(ScriptError { errcode: Some(DAILY_QUOTA), ..error }.raise())
        }
    }
}
