//! The platform's hosts in their order: the first that answers is called, one that does not is
//! avoided for a while, and the first is returned to.
//!
//! Faults move a call on, errcodes never do: whoever answers with one has answered. Whether a call
//! may be made again at all, its declaration says.

use super::{BaseUrl, transport::Transport};
use std::sync::atomic::{AtomicI64, Ordering};

/// How long a host that failed is avoided while another may answer, in milliseconds.
const AVOIDED: i64 = 30_000;

/// A host that has not failed.
const NEVER: i64 = i64::MIN;

/// One host with its health.
pub(super) struct Host {
    pub transport: Transport,
    /// When it last failed, in milliseconds.
    failed: AtomicI64,
}

/// Every host, the preferred one first.
pub(super) struct Hosts(Vec<Host>);

impl Hosts {
    /// The hosts in their order; the platform's own when there are none.
    pub(super) fn new(mut bases: Vec<BaseUrl>) -> Self {
        if bases.is_empty() {
            bases = BaseUrl::platform();
        }
        Self(
            bases
                .into_iter()
                .map(|base| Host { transport: Transport::new(base), failed: AtomicI64::new(NEVER) })
                .collect(),
        )
    }

    /// The preferred host.
    pub(super) fn first(&self) -> &BaseUrl {
        self.0[0].transport.base()
    }

    /// How each host is spoken to, in their order.
    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.0.iter().map(|host| &host.transport)
    }

    /// The host to call now: the first that is not avoided, else the one that failed longest ago.
    pub(super) fn best(&self, now: i64) -> &Host {
        let healthy = self.0.iter().find(|host| now.saturating_sub(host.failed()) >= AVOIDED);
        let oldest = || self.0.iter().min_by_key(|host| host.failed());
        // There is always one: an empty list became the platform's own.
        healthy.or_else(oldest).unwrap_or(&self.0[0])
    }
}

impl Host {
    fn failed(&self) -> i64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Remembers whether it answered.
    pub(super) fn remember(&self, answered: bool, now: i64) {
        self.failed.store(if answered { NEVER } else { now }, Ordering::Relaxed);
    }
}
