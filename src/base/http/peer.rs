//! Who is at the other end of a connection.

use std::{fmt, net::IpAddr};

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client at this address.
    Address(IpAddr),
    /// A client of the Unix socket.
    ThisMachine,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::ThisMachine => f.write_str("this machine"),
        }
    }
}
