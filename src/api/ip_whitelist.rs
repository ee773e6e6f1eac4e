//! The platform's text when it refuses an address that is not in the account's IP白名单 (errcode 40164): written by the sandbox,
//! read by the client.

use std::net::IpAddr;

/// What the text begins with, before the address.
const PREFIX: &str = "invalid ip ";

/// The text that refuses an address.
#[must_use]
pub fn refusal_text(address: IpAddr) -> String {
    format!("{PREFIX}{address} ipv6 ::ffff:{address}, not in whitelist")
}

/// The address that a text refuses; `None` where the text names none.
#[must_use]
pub fn refused_address(errmsg: &str) -> Option<IpAddr> {
    let (_, rest) = errmsg.split_once(PREFIX)?;
    rest.split([' ', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_address_is_read_from_the_text() {
        let address = IpAddr::from([203, 0, 113, 7]);
        let text = refusal_text(address);
        assert_eq!(text, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist");
        assert_eq!(refused_address(&text), Some(address));
    }

    #[test]
    fn text_without_an_address_refuses_none() {
        for text in ["", "invalid ip, not in whitelist", "invalid ip 店 ipv6 店, not in whitelist"] {
            assert_eq!(refused_address(text), None, "{text}");
        }
    }
}
