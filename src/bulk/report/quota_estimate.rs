//! What a job will cost: its calls, estimated before it starts and checked against what is left of the day's quotas.

use crate::{
    api::{Batched, Endpoint, Spec, user},
    base::with_thousands,
    bulk::{
        effect::change::BatchedCalls,
        listing::reader::Details,
        model::{estimate::Estimate, source::Source},
    },
    client::{CallError, Client, Remaining},
};

/// A job that takes more calls than this of an endpoint whose quota is not published asks the platform for it.
const LIVE_CHECK_THRESHOLD: u64 = 1_000;

/// A job that takes more than this part of a published quota asks too: what is published is a new account's.
const LIVE_CHECK_SHARE: u64 = 200;

/// Calls of one endpoint that a job will make.
#[derive(Clone, Copy, Debug)]
pub struct CallDemand {
    /// The endpoint.
    pub spec: &'static Spec,
    /// How many calls, at the most.
    pub calls: u64,
    /// Whether the number is certain; it is not where followers may already be in the desired state.
    pub is_sure: bool,
}

/// What a job is, as far as its cost goes.
#[derive(Clone, Copy, Debug)]
pub struct JobShape<'a> {
    /// Whom it lists.
    pub source: &'a Source,
    /// How many are to be listed.
    pub people: u64,
    /// Whether their details are fetched.
    pub details: Details,
    /// The calls by which it changes followers, if it does.
    pub changes: Option<BatchedCalls>,
    /// How many pass its stages at the most, where a stage says so.
    pub max_matches: Option<u64>,
    /// Whether every follower is certain to need the change.
    pub all_need_change: bool,
}

/// There are not enough calls left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job needs about {calls} calls of {path} today, and {left} are left of the {daily} of a day",
    calls = with_thousands(*.calls), left = with_thousands(.left.left), daily = with_thousands(.left.daily))]
pub struct QuotaShortage {
    /// The endpoint.
    pub path: &'static str,
    /// Calls that the job needs.
    pub calls: u64,
    /// What there is.
    pub left: Remaining,
}

/// Why a job does not start.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The day's quota is too small for it.
    #[error("{0}")]
    QuotaShortage(#[from] QuotaShortage),
    /// The run was stopped.
    #[error("{0}")]
    Call(#[from] CallError),
}

impl JobShape<'_> {
    /// The calls that it takes.
    #[must_use]
    pub fn needs(&self) -> Vec<CallDemand> {
        let pages = |page: usize| self.people.div_ceil(page as u64).max(1);
        let mut needs = Vec::new();
        if let Some(spec) = self.source.listing() {
            let calls = spec.cursor.map_or(1, |cursor| pages(cursor.page));
            needs.push(CallDemand { spec, calls, is_sure: true });
        }
        if self.details == Details::Fetched {
            let calls = pages(user::Batch::MAX_ITEMS);
            needs.push(CallDemand { spec: user::Batch::SPEC, calls, is_sure: true });
        }
        if let Some(changes) = self.changes {
            let people = self.max_matches.map_or(self.people, |max| self.people.min(max));
            let calls = people.div_ceil(changes.size as u64).max(1);
            needs.push(CallDemand { spec: changes.spec, calls, is_sure: self.all_need_change });
        }
        needs
    }
}

/// What happens to a job that needs more than is left of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShortage {
    /// It is refused.
    Refuse,
    /// It does what the quota allows.
    Start,
}

/// Checks what a job needs against what is left today.
///
/// # Errors
/// When there is not enough of what it is sure to need, and it is to be refused for that.
pub async fn estimate(
    client: &Client,
    shape: JobShape<'_>,
    on_shortage: OnShortage,
) -> Result<Vec<Estimate>, CostError> {
    let mut estimates = Vec::new();
    for CallDemand { spec, calls, is_sure } in shape.needs() {
        let counted = client.remaining(spec).await;
        let needs_live_check = match &counted {
            Ok(Some(remaining)) => calls * LIVE_CHECK_SHARE > remaining.left,
            Ok(None) => calls > LIVE_CHECK_THRESHOLD,
            Err(error) => {
                tracing::warn!("the platform is asked what is left today of {}: {error}", spec.call());
                true
            }
        };
        let mut left = counted.ok().flatten();
        if needs_live_check {
            left = client.ask_remaining(spec).await?.or(left);
        }
        let is_refused = is_sure && on_shortage == OnShortage::Refuse;
        if let Some(remaining) = left.filter(|remaining| is_refused && remaining.left < calls) {
            return Err(QuotaShortage { path: spec.path, calls, left: remaining }.into());
        }
        let call = spec.call();
        estimates.push(Estimate { call, calls, left: left.map(|remaining| remaining.left) });
    }
    Ok(estimates)
}
