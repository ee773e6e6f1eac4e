//! The platform's hosts in order of preference, with failover.
//!
//! A host that failed is avoided for a while, then tried again. Only faults count as failures: a host that answers with
//! an errcode works. Whether the call itself may be resent, its declaration says.

use super::{BaseUrl, transport::Transport};
use crate::base::lock;
use std::{sync::Mutex, time::Duration};

/// How long a host that failed is avoided while there is another.
const COOLDOWN: Duration = Duration::from_secs(30);

/// One host with its health.
pub(super) struct ApiHost {
    pub transport: Transport,
    /// When the last call failed, by the monotonic clock; `None` if it succeeded.
    failed_at: Mutex<Option<Duration>>,
}

/// All hosts, the preferred one first.
pub(super) struct HostPool(Vec<ApiHost>);

impl HostPool {
    /// The hosts in this order; the platform's own if it is empty.
    pub(super) fn new(mut bases: Vec<BaseUrl>) -> Self {
        if bases.is_empty() {
            bases = BaseUrl::platform();
        }
        Self(
            bases
                .into_iter()
                .map(|base| ApiHost { transport: Transport::new(base), failed_at: Mutex::default() })
                .collect(),
        )
    }

    /// The preferred host.
    pub(super) fn first(&self) -> &BaseUrl {
        self.0[0].transport.base()
    }

    /// The transport of each host, in order.
    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.0.iter().map(|host| &host.transport)
    }

    /// The host to call now: the first that is not avoided, else the one that failed longest ago. `now` is monotonic: a
    /// wall clock that is set back would avoid a host for as long.
    pub(super) fn best(&self, now: Duration) -> &ApiHost {
        let is_healthy =
            |host: &&ApiHost| host.failed_at().is_none_or(|at| now.saturating_sub(at) >= COOLDOWN);
        let healthy = self.0.iter().find(is_healthy);
        let oldest = || self.0.iter().min_by_key(|host| host.failed_at());
        // The pool is never empty: an empty list became the platform's own hosts.
        healthy.or_else(oldest).unwrap_or(&self.0[0])
    }
}

impl ApiHost {
    fn failed_at(&self) -> Option<Duration> {
        *lock(&self.failed_at)
    }

    /// Records whether it answered.
    pub(super) fn record_health(&self, answered: bool, now: Duration) {
        *lock(&self.failed_at) = (!answered).then_some(now);
    }
}
