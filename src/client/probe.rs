//! Probes each host, to find out why calls fail: its addresses, its answer, its clock.

use super::Client;
use crate::base::Stopwatch;
use std::{net::IpAddr, time::Duration};

/// The result of probing one host.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The host, as it is configured.
    pub host: String,
    /// Its addresses, or why there are none.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// The latency of its answer and its clock in Unix seconds, or why there is no answer.
    pub answer: Result<(Duration, Option<i64>), String>,
}

impl Client {
    /// Probes every host in order, with one request each and no token.
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
            // Also without an address: a proxy may resolve what this machine does not.
            let watch = Stopwatch::start();
            let answer = transport.probe().await.map(|date| (watch.elapsed(), date));
            probes.push(Probe { host: base.to_string(), addresses, answer });
        }
        probes
    }
}
