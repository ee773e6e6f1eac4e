//! By which names a server may be addressed. A web page of another site reaches a server of this machine too: with its
//! own Origin, or by a name of its own that it makes resolve to this machine (DNS rebinding), which the Host header shows.

use crate::base::{Advice, Setting};
use hyper::{HeaderMap, Uri, header, http::uri::Authority};
use std::net::IpAddr;
use url::{Host, Url};

/// The hosts by which a server may be addressed, and the sites whose pages may call it: loopback, the bound address,
/// and names that are configured.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    /// The bound address; a Unix socket has none.
    pub bound: Option<IpAddr>,
    /// Names beside `localhost`, as [`read_name`] gives them.
    pub names: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It was meant for another host.
    Host,
    /// It comes from a page of another site.
    Site,
}

impl Foreign {
    /// The status of the answer.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Host => 421,
            Self::Site => 403,
        }
    }

    /// What is wrong, and what to do about it.
    pub(super) fn advice(self) -> Advice {
        match self {
            Self::Host => Advice::naming(
                Setting::AllowedHost,
                "this server is not addressed by that Host; {} adds a name",
            ),
            Self::Site => Advice::naming(
                Setting::AllowedHost,
                "this server answers no page of another site; {} adds a name",
            ),
        }
    }
}

/// Reads a name by which a server may be addressed: a domain or an IP address, without a port.
///
/// # Errors
/// When it is no such name.
pub fn read_name(text: &str) -> Result<String, String> {
    let name = Host::parse(text).map_err(|_| "give a name without a port, as in mpscript.example.com")?;
    Ok(name.to_string())
}

impl AllowedHosts {
    /// Fails if the request was meant for another host, or comes from a page of another site.
    ///
    /// # Errors
    /// With the reason.
    pub fn check(&self, target: &Uri, headers: &HeaderMap) -> Result<(), Foreign> {
        let is_ours = |authority: &str| authority.parse().is_ok_and(|authority| self.allows(&authority));
        let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        // Without a Host it is no browser: HTTP/1.0, as health checks write it by hand.
        if !hosts.all(is_ours) || target.authority().is_some_and(|authority| !self.allows(authority)) {
            return Err(Foreign::Host);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        // `null` is the Origin of pages that hide theirs.
        let is_own_site = |origin: &str| Url::parse(origin).is_ok_and(|url| self.allows_host(url.host()));
        if !origins.all(|origin| origin.to_str().is_ok_and(is_own_site)) {
            return Err(Foreign::Site);
        }
        if is_embedded_by_another_site(headers) {
            return Err(Foreign::Site);
        }
        Ok(())
    }

    fn allows(&self, authority: &Authority) -> bool {
        !authority.as_str().contains('@')
            && Host::parse(authority.host()).is_ok_and(|host| self.allows_host(Some(host)))
    }

    fn allows_host<S: AsRef<str>>(&self, host: Option<Host<S>>) -> bool {
        let address = match host {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
            Some(Host::Domain(name)) => {
                return name.as_ref() == "localhost" || self.names.iter().any(|own| own == name.as_ref());
            }
            None => return false,
        };
        // On every address of the machine: it may have several, and a container is reached by its host's. No page makes
        // an address resolve to another one.
        let is_bound =
            self.bound.is_some_and(|bound| bound.is_unspecified() || bound.to_canonical() == address);
        address.is_loopback() || is_bound || self.names.contains(&name_of(address))
    }
}

/// Whether a page of another site loads the answer as a picture, a script or a frame, for which a browser sends no Origin. A
/// link that a person follows is none: that is how the authorize page is opened.
fn is_embedded_by_another_site(headers: &HeaderMap) -> bool {
    let is = |name: &str, text: &str| headers.get(name).is_some_and(|value| value == text);
    let is_followed = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
    is("sec-fetch-site", "cross-site") && !is_followed
}

/// An address as [`read_name`] gives it.
fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => Host::<&str>::Ipv4(address).to_string(),
        IpAddr::V6(address) => Host::<&str>::Ipv6(address).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(bound: &str, names: &[&str]) -> AllowedHosts {
        let bound = bound.parse().expect("an address");
        AllowedHosts {
            bound: Some(bound),
            names: names.iter().map(|name| read_name(name).expect(name)).collect(),
        }
    }

    /// The status of a request with this header, 200 if it is answered.
    fn status(hosts: &AllowedHosts, name: &'static str, value: &str) -> u16 {
        let headers =
            [(name.parse().expect("a name"), value.parse().expect("a value"))].into_iter().collect();
        hosts.check(&Uri::from_static("/metrics"), &headers).err().map_or(200, Foreign::status)
    }

    #[test]
    fn loopback_host_is_allowed() {
        let hosts = hosts("127.0.0.1", &[]);
        for host in
            ["127.0.0.1", "127.0.0.1:9464", "localhost:80", "LOCALHOST", "[::1]:9464", "[::ffff:127.0.0.1]"]
        {
            assert_eq!(status(&hosts, "host", host), 200, "{host}");
        }
    }

    #[test]
    fn foreign_host_is_refused() {
        let hosts = hosts("127.0.0.1", &[]);
        for host in [
            "evil.example",
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.168.1.5",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "0.0.0.0",
            "",
            "a b",
            "[::2]",
            "localhost.",
        ] {
            assert_eq!(status(&hosts, "host", host), 421, "{host}");
        }
    }

    #[test]
    fn foreign_origin_is_refused() {
        let hosts = hosts("127.0.0.1", &["shop.example.com"]);
        for origin in
            ["http://evil.example", "null", "", "https://evil.example:9464", "file://", "http://10.0.0.1"]
        {
            assert_eq!(status(&hosts, "origin", origin), 403, "{origin}");
        }
        for origin in ["http://127.0.0.1:5173", "http://localhost", "https://shop.example.com"] {
            assert_eq!(status(&hosts, "origin", origin), 200, "{origin}");
        }
    }

    /// The status of a request that a browser makes for a page of another site.
    fn status_of_other_site(mode: &str, destination: &str) -> u16 {
        let headers =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", destination)];
        let headers =
            headers.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let headers = HeaderMap::from_iter(headers);
        hosts("127.0.0.1", &[])
            .check(&Uri::from_static("/metrics"), &headers)
            .err()
            .map_or(200, Foreign::status)
    }

    #[test]
    fn picture_and_frame_of_another_site_are_refused() {
        let embedded = [("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe")];
        assert_eq!(embedded.map(|(mode, destination)| status_of_other_site(mode, destination)), [403; 3]);
    }

    #[test]
    fn link_of_another_site_is_followed() {
        assert_eq!(status_of_other_site("navigate", "document"), 200);
    }

    #[test]
    fn configured_name_is_allowed_in_any_case_and_with_any_port() {
        let hosts = hosts("127.0.0.1", &["Shop.Example.com", "10.0.0.7", "商店.example"]);
        for host in ["shop.example.com", "SHOP.example.com:443", "10.0.0.7:9464", "xn--czrs0t.example"] {
            assert_eq!(status(&hosts, "host", host), 200, "{host}");
        }
        assert_eq!(status(&hosts, "host", "a.shop.example.com"), 421);
        read_name("shop.example.com:80").unwrap_err();
    }

    #[test]
    fn server_on_every_address_is_reached_by_any_address_but_no_name() {
        let hosts = hosts("0.0.0.0", &[]);
        assert_eq!(status(&hosts, "host", "192.168.1.5:9464"), 200);
        assert_eq!(status(&hosts, "host", "evil.example"), 421);
    }

    #[test]
    fn absolute_target_of_a_foreign_host_is_refused() {
        let hosts = hosts("127.0.0.1", &[]);
        let target = Uri::from_static("http://evil.example/metrics");
        assert_eq!(hosts.check(&target, &HeaderMap::new()), Err(Foreign::Host));
        assert_eq!(hosts.check(&Uri::from_static("/metrics"), &HeaderMap::new()), Ok(()));
    }
}
