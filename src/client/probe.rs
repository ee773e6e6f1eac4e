//! A look at each host, for whoever wants to know why calls fail: its address, its answer, its clock.

use super::Client;
use crate::base::Stopwatch;
use std::{net::IpAddr, time::Duration};

/// What a look at a host came to.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The host, as it is configured.
    pub host: String,
    /// Its addresses; an error's words when there are none.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// How long its answer took and what its clock said (Unix seconds); an error's words without one.
    pub answer: Result<(Duration, Option<i64>), String>,
}

impl Client {
    /// Looks at every host in its order, one call each, without a token.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for transport in self.transports() {
            let base = transport.base();
            let lookup = tokio::net::lookup_host(base.name_and_port()).await;
            let addresses = match lookup {
                Ok(found) => {
                    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                    addresses.dedup();
                    Ok(addresses)
                }
                Err(error) => Err(error.to_string()),
            };
            // Without an address too: a proxy may know what this machine does not.
            let watch = Stopwatch::start();
            let answer = transport.look().await.map(|date| (watch.elapsed(), date));
            probes.push(Probe { host: base.to_string(), addresses, answer });
        }
        probes
    }
}
