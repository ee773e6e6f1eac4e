//! The platform's address. Plain HTTP is allowed on loopback only: elsewhere the AppSecret would travel in clear text.

use crate::api::network::HOSTS;
use std::{fmt, net::IpAddr};
use url::{Host, Url};

/// A base URL that secrets may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a base URL is refused.
#[derive(Debug, thiserror::Error)]
pub enum BaseUrlError {
    /// It is not a URL.
    #[error("base URL `{given}` is not a URL: {reason}")]
    NotAUrl {
        /// As given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is neither HTTP nor HTTPS, or carries more than a host, a port and a path.
    #[error(
        "base URL `{given}` must be https://HOST or http://127.0.0.1:PORT, without user, query or fragment"
    )]
    Shape {
        /// As given, without what may be a password.
        given: String,
    },
    /// It would send the AppSecret in clear text.
    #[error("base URL `{given}` is plain HTTP: the AppSecret and the token would be sent in clear text")]
    PlainHttp {
        /// As given.
        given: String,
    },
}

impl BaseUrl {
    /// The platform's own hosts, the nearest first.
    ///
    /// # Panics
    /// Never: the addresses are constants.
    #[must_use]
    pub fn platform() -> Vec<Self> {
        let parse = |host: &&str| Url::parse(&format!("https://{host}"));
        let unparsed = |error| unreachable!("the platform's addresses are URLs: {error}");
        HOSTS.iter().map(|host| Self(parse(host).unwrap_or_else(unparsed))).collect()
    }

    /// Reads a base URL.
    ///
    /// # Errors
    /// When it is not a URL, has more than host, port and path, or is plain HTTP to another machine.
    pub fn parse(given: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(given).map_err(|error| BaseUrlError::NotAUrl {
            given: given.split('@').next_back().unwrap_or_default().to_owned(),
            reason: error.to_string(),
        })?;
        let bare = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let has_extras = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if has_extras || url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
            return Err(BaseUrlError::Shape { given: bare });
        }
        let parsed = Self(url);
        if parsed.is_plain() && !parsed.is_loopback() {
            return Err(BaseUrlError::PlainHttp { given: given.to_owned() });
        }
        Ok(parsed)
    }

    /// Whether it is HTTP without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Names the platform behind the address: all of its own hosts are one platform, so this is the same for each.
    #[must_use]
    pub fn identity(&self) -> String {
        if self.0.host_str().is_some_and(|host| HOSTS.contains(&host)) {
            return format!("https://{}", HOSTS[0]);
        }
        self.to_string()
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    /// The host with its port, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The host alone, as it is looked up, and its port.
    pub(super) fn name_and_port(&self) -> (String, u16) {
        let host = self.0.host_str().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        (name, self.0.port_or_known_default().unwrap_or(443))
    }

    /// The address of an endpoint.
    #[must_use]
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in
            ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:9/x", "https://sh.api.weixin.qq.com"]
        {
            BaseUrl::parse(good).unwrap();
        }
        for bad in
            ["http://api.weixin.qq.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "ftp://127.0.0.1"]
        {
            BaseUrl::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn password_in_a_base_url_is_refused_and_not_repeated() {
        let error = BaseUrl::parse("https://user:hunter2@example.com").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn path_prefix_is_kept() {
        let base = BaseUrl::parse("http://127.0.0.1:9/proxy/").unwrap();
        assert_eq!(base.join("/cgi-bin/token").as_str(), "http://127.0.0.1:9/proxy/cgi-bin/token");
    }
}
