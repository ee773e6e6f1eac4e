//! The connections of a server: how many there are, from where, and which one ends when there is no room for another.
//!
//! When there is no room for a new connection, the longest inactive one is closed, so that clients which neither send
//! nor read can't lock out others: a health check is answered even behind the same proxy as a flood.

use super::peer::Peer;
use crate::base::lock;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, watch};

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections at the same time from one address; all clients of a Unix socket are one that has no limit of its own.
    pub connections_per_address: usize,
    /// The maximum of concurrent requests: further ones wait, and health checks bypass it.
    pub requests_at_once: usize,
    /// Requests of one connection.
    pub requests_per_connection: Option<u64>,
    /// A connection takes no further request after two thirds of this, and ends after it unless a request is being
    /// worked on.
    pub max_lifetime: Option<Duration>,
    /// How long a client may take to send a request's head, and how long it may read nothing of an answer.
    pub idle_timeout: Duration,
}

impl Limits {
    /// For few clients with short requests.
    pub const SERVICE: Self = Self {
        connections: 256,
        connections_per_address: 128,
        requests_at_once: 64,
        requests_per_connection: Some(100),
        max_lifetime: Some(Duration::from_secs(30)),
        idle_timeout: Duration::from_secs(10),
    };
}

/// One connection.
pub(super) struct Connection {
    /// When its last request came, or it was accepted.
    active_at: AtomicU64,
    /// Whether a request is being worked on.
    works: watch::Sender<bool>,
    /// Asks it to end, to make room.
    ended: Notify,
}

/// The open connections.
pub(super) struct Connections {
    limits: Limits,
    open: Mutex<HashMap<Origin, Vec<Arc<Connection>>>>,
    /// Counts what connections do, to order it.
    turn: AtomicU64,
    slots: Semaphore,
}

/// Whose connections are counted together: an IPv4 address, the /64 network of an IPv6 address, or a Unix socket's
/// clients.
type Origin = Option<IpAddr>;

fn origin(peer: &Peer) -> Origin {
    match peer {
        Peer::ThisMachine => None,
        Peer::Address(address) => Some(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address @ IpAddr::V4(_) => address,
        }),
    }
}

/// An open connection; closed when it is dropped.
pub(super) struct OpenConnection {
    all: Arc<Connections>,
    origin: Origin,
    own: Arc<Connection>,
    /// Whether another one was ended to make room for it.
    pub replaces_another: bool,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        let slots = Semaphore::new(limits.requests_at_once);
        Self { limits, open: Mutex::default(), turn: AtomicU64::new(0), slots }
    }

    fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a connection, and ends another one if there are too many. `None` when all others are worked for.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer) -> Option<OpenConnection> {
        let origin = origin(peer);
        let mut open = lock(&self.open);
        let of_origin = open.get(&origin).map_or(0, Vec::len);
        let is_over_a_bound = (origin.is_some() && of_origin >= self.limits.connections_per_address)
            || open.values().map(Vec::len).sum::<usize>() >= self.limits.connections;
        let has_room = if origin.is_some() && of_origin >= self.limits.connections_per_address {
            end_longest_inactive(&mut open, origin)
        } else if is_over_a_bound {
            end_any(&mut open)
        } else {
            true
        };
        if !has_room {
            return None;
        }
        let own = Arc::new(Connection {
            active_at: AtomicU64::new(self.next_turn()),
            works: watch::Sender::new(false),
            ended: Notify::new(),
        });
        open.entry(origin).or_default().push(Arc::clone(&own));
        Some(OpenConnection { all: Arc::clone(self), origin, own, replaces_another: is_over_a_bound })
    }

    /// Closes a connection, because the process has no more file descriptors.
    pub(super) fn make_room(&self) {
        end_any(&mut lock(&self.open));
    }
}

/// Closes the longest inactive connection of the address that has the most connections.
fn end_any(open: &mut HashMap<Origin, Vec<Arc<Connection>>>) -> bool {
    let mut origins: Vec<(usize, Origin)> = open.iter().map(|(origin, all)| (all.len(), *origin)).collect();
    origins.sort_unstable_by(|a, b| b.cmp(a));
    origins.into_iter().any(|(_, origin)| end_longest_inactive(open, origin))
}

/// Ends the connection that has asked for nothing for longest, unless all are worked for.
fn end_longest_inactive(open: &mut HashMap<Origin, Vec<Arc<Connection>>>, origin: Origin) -> bool {
    let Some(all) = open.get_mut(&origin) else { return false };
    let inactive = all.iter().enumerate().filter(|(_, connection)| !*connection.works.borrow());
    let longest = inactive.min_by_key(|(_, connection)| connection.active_at.load(Ordering::Relaxed));
    let Some((at, _)) = longest else { return false };
    all.swap_remove(at).ended.notify_one();
    true
}

/// When a request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// When there is a slot.
    InTurn,
    /// At once.
    AtOnce,
}

impl OpenConnection {
    /// A request has come: works on it when there is a slot, or at once if it is urgent.
    pub(super) async fn work<T>(&self, urgency: Urgency, work: impl Future<Output = T>) -> T {
        self.own.active_at.store(self.all.next_turn(), Ordering::Relaxed);
        // The semaphore is never closed.
        let _slot = match urgency {
            Urgency::AtOnce => None,
            Urgency::InTurn => self.all.slots.acquire().await.ok(),
        };
        self.own.works.send_replace(true);
        let worked = work.await;
        self.own.works.send_replace(false);
        worked
    }

    /// Resolves when the connection must end to make room for another.
    pub(super) async fn ended(&self) {
        self.own.ended.notified().await;
    }

    /// Whether a request is being worked on.
    pub(super) fn works(&self) -> bool {
        *self.own.works.borrow()
    }

    /// Resolves when no request is being worked on.
    pub(super) async fn is_done(&self) {
        // The sender is here, so the wait can't fail.
        let _ = self.own.works.subscribe().wait_for(|works| !works).await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut open = lock(&self.all.open);
        if let Some(all) = open.get_mut(&self.origin) {
            all.retain(|connection| !Arc::ptr_eq(connection, &self.own));
            if all.is_empty() {
                open.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::pending, task::Context};

    fn connections(connections: usize, connections_per_address: usize) -> Arc<Connections> {
        Arc::new(Connections::new(Limits { connections, connections_per_address, ..Limits::SERVICE }))
    }

    fn peer(address: &str) -> Peer {
        Peer::Address(address.parse().expect("an address"))
    }

    fn poll_once(future: impl Future) -> bool {
        std::pin::pin!(future).poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[test]
    fn connection_over_its_address_bound_evicts_the_most_idle_one() {
        let all = connections(8, 2);
        let other = all.admit(&peer("10.0.0.2")).expect("there is room");
        let [first, second] = [(); 2].map(|()| all.admit(&peer("10.0.0.1")).expect("there is room"));
        assert!(poll_once(first.work(Urgency::AtOnce, async {})));
        let _third = all.admit(&peer("10.0.0.1")).expect("room is made");
        let ended = [&other, &first, &second].map(|connection| poll_once(connection.ended()));
        assert_eq!(ended, [false, false, true]);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bound() {
        let all = connections(8, 1);
        let first = all.admit(&peer("2001:db8::1")).expect("there is room");
        let other = all.admit(&peer("2001:db8:0:1::1")).expect("there is room");
        let _second = all.admit(&peer("2001:db8::2")).expect("room is made");
        assert!(poll_once(first.ended()) && !poll_once(other.ended()));
    }

    #[test]
    fn connection_over_the_bound_of_all_ends_one_of_the_busiest_address() {
        let all = connections(3, 3);
        let one = all.admit(&peer("10.0.0.1")).expect("there is room");
        let [first, _second] = [(); 2].map(|()| all.admit(&peer("10.0.0.2")).expect("there is room"));
        let _new = all.admit(&peer("10.0.0.3")).expect("room is made");
        assert!(poll_once(first.ended()) && !poll_once(one.ended()));
    }

    #[test]
    fn connection_that_is_worked_for_makes_no_room() {
        let all = connections(2, 1);
        let first = all.admit(&peer("10.0.0.1")).expect("there is room");
        let mut work = Box::pin(first.work(Urgency::AtOnce, pending::<()>()));
        assert!(!poll_once(work.as_mut()));
        assert!(all.admit(&peer("10.0.0.1")).is_none());
        drop(work);
    }

    #[test]
    fn urgent_request_waits_for_no_slot() {
        let limits = Limits { requests_at_once: 1, ..Limits::SERVICE };
        let all = Arc::new(Connections::new(limits));
        let [first, second] = [(); 2].map(|()| all.admit(&Peer::ThisMachine).expect("there is room"));
        let mut work = Box::pin(first.work(Urgency::InTurn, pending::<()>()));
        assert!(!poll_once(work.as_mut()));
        assert!(!poll_once(second.work(Urgency::InTurn, async {})));
        assert!(poll_once(second.work(Urgency::AtOnce, async {})));
    }

    #[test]
    fn closed_connection_is_not_counted() {
        let all = connections(2, 2);
        for _ in 0..5 {
            drop(all.admit(&peer("10.0.0.1")));
        }
        assert!(lock(&all.open).is_empty());
    }
}
