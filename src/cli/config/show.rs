//! `mpscript config`: each value, and where it came from. Secrets are masked.

use super::{
    account::find_account,
    connect::base_urls,
    file,
    store::{self, StoreLocation},
};
use crate::{
    cli::{
        args::ConfigArguments,
        output::{exit, render},
    },
    client::BaseUrl,
    host::Host,
    sandbox,
};
use url::Url;

pub(crate) fn execute(host: &Host, arguments: &ConfigArguments) -> anyhow::Result<u8> {
    let target = &arguments.target;
    let mut rows: Vec<(&str, String)> = Vec::new();
    let with = |value: String, source: &str| format!("{value}  ({source})");
    if let Some((path, file)) = file::read(host, target.config.as_deref())? {
        let names: Vec<&str> = file.accounts.keys().map(String::as_str).collect();
        rows.push(("file", path.display().to_string()));
        if !file.files.is_empty() {
            rows.push(("files", file.files.join(", ")));
        }
        let kept = [("keep_runs", file.keep_runs), ("keep_sessions", file.keep_sessions)];
        let shown = |span| humantime::format_duration(span).to_string();
        rows.extend(kept.into_iter().filter_map(|(name, span)| Some((name, shown(span?)))));
        rows.push(("accounts", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
    } else {
        rows.push(("file", format!("none: no {} here or in the configuration folder", file::FILE)));
    }
    if target.sandbox {
        rows.push(("account", with(sandbox::DEFAULT_APPID.to_owned(), "--sandbox")));
        rows.push(("store", with("in memory".to_owned(), "--sandbox")));
        host.out.write(&render::rows(&rows));
        return Ok(exit::DONE);
    }
    match find_account(host, target)? {
        Err(no_client) => rows.push(("account", no_client.0.message)),
        Ok(found) => {
            if let Some(name) = &found.name {
                let source = if target.account.is_some() { "--account" } else { "default" };
                rows.push(("account", with(name.clone(), source)));
            }
            rows.push(("appid", with(found.appid.clone(), &found.source)));
            rows.push(match &found.secret {
                Ok(None) => ("secret", "not needed: tokens come from elsewhere".to_owned()),
                Ok(Some((secret, source))) => ("secret", with(secret.to_string(), source)),
                Err(diagnostic) => ("secret", format!("not there: {}", diagnostic.message)),
            });
            let token = if found.name.is_some() { found.source.as_str() } else { "default" };
            rows.push(("token", with(found.token_mode.to_string(), token)));
            let given = base_urls(target, &found.base_urls)?;
            let source = match (target.base_url.is_empty(), given.is_empty()) {
                (false, _) => "--base-url",
                (true, false) => found.source.as_str(),
                (true, true) => "default",
            };
            let hosts = if given.is_empty() { BaseUrl::platform() } else { given };
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            rows.push(("base_url", with(hosts.join(", "), source)));
            rows.push(match &found.callback {
                Some(_) => ("callback", with("***".to_owned(), &found.source)),
                None => ("callback", "none".to_owned()),
            });
        }
    }
    rows.push(match store::store_location(host, target)? {
        None => ("store", with("in memory".to_owned(), "neither XDG_STATE_HOME nor HOME is set")),
        Some((StoreLocation::File(path), source)) => ("store", with(path.display().to_string(), &source)),
        Some((StoreLocation::Server(url), source)) => {
            ("store", with(without_password(url.reveal()), &source))
        }
    });
    host.out.write(&render::rows(&rows));
    Ok(exit::DONE)
}

/// A database's URL as it may be shown.
fn without_password(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "***".to_owned() };
    if url.password().is_some() {
        // This fails only for a URL without a host, which has no password either.
        let _ = url.set_password(Some("***"));
    }
    let is_secret = |name: &str| name.eq_ignore_ascii_case("password");
    if url.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(name, value)| {
                let value = if is_secret(&name) { "***".to_owned() } else { value.into_owned() };
                (name.into_owned(), value)
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}
