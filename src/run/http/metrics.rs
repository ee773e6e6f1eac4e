//! The daemon's statistics over HTTP: `/healthz`, `/readyz`, and `/metrics` in Prometheus' text format.
//!
//! No response holds a token or a secret: the address needs no authorization.

use crate::{
    api,
    base::{
        Clock, EpochMs,
        http::{Peer, Service, Urgency},
        lock, plain_line,
    },
    client::{AccountKey, UnknownAccountKey},
    run::daemon::{DaemonStats, LAG_BUCKETS, StatsSnapshot},
    store::{AutomationId, FireState, StoreError},
};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{Arc, Mutex},
};

/// Serves the statistics of a daemon.
pub struct Metrics {
    stats: Arc<DaemonStats>,
    clock: Clock,
    /// The last error of the store that was logged.
    logged: Mutex<Option<StoreError>>,
}

impl Service for Metrics {
    async fn answer(&self, request: Request<Incoming>, _peer: &Peer) -> Option<Response<Full<Bytes>>> {
        let snapshot = self.stats.snapshot();
        let (status, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => health(snapshot.liveness_error()),
            (&Method::GET | &Method::HEAD, "/readyz") => health(snapshot.readiness_error()),
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, self.page(&snapshot).await),
            (&Method::GET | &Method::HEAD, _) => {
                (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".to_owned())
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        Some(response)
    }

    fn urgency(&self, path: &str) -> Urgency {
        match path {
            "/healthz" | "/readyz" => Urgency::AtOnce,
            _ => Urgency::InTurn,
        }
    }
}

fn health(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", plain_line(&trouble))),
    }
}

impl Metrics {
    /// Serves these statistics.
    #[must_use]
    pub fn new(stats: Arc<DaemonStats>, clock: Clock) -> Self {
        Self { stats, clock, logged: Mutex::default() }
    }

    /// The value of what the store can't tell: `NaN`. Each reason is logged once, not at every request.
    fn unknown(&self, error: StoreError) -> f64 {
        let mut logged = lock(&self.logged);
        if logged.as_ref() != Some(&error) {
            tracing::warn!("a metric is not known, which NaN says: {error}");
            *logged = Some(error);
        }
        f64::NAN
    }

    async fn page(&self, snapshot: &StatsSnapshot) -> String {
        let mut page = Page::default();
        page.add_daemon(snapshot);
        page.add_clocks(snapshot);
        page.add_fires(snapshot);
        page.add_lags(snapshot);
        page.add_last_successes(snapshot);
        self.add_token_ages(&mut page, snapshot).await;
        self.add_quotas(&mut page, snapshot).await;
        page.0
    }

    /// The ages of the accounts' access tokens.
    async fn add_token_ages(&self, page: &mut Page, snapshot: &StatsSnapshot) {
        let now = self.clock.now();
        page.head("token_age_seconds", "gauge", "How old the account's access token is.");
        for (key, client) in &snapshot.accounts {
            let age = match client.token_record().await {
                Ok(Some(record)) => now.since(record.renewed_at).as_secs_f64(),
                Ok(None) => continue,
                Err(error) => self.unknown(error),
            };
            page.row("token_age_seconds", &borrowed(&account_labels(key)), age);
        }
    }

    /// What is left of the accounts' daily quotas.
    async fn add_quotas(&self, page: &mut Page, snapshot: &StatsSnapshot) {
        page.head(
            "quota_left",
            "gauge",
            "Calls that are left today, of those whose number a day is published.",
        );
        for (key, client) in &snapshot.accounts {
            let labels = account_labels(key);
            for spec in api::all().into_iter().filter(|spec| spec.daily.real.is_some()) {
                let left = match client.remaining(spec).await {
                    Ok(Some(remaining)) => remaining.left.to_string(),
                    Ok(None) => continue,
                    Err(error) => self.unknown(error).to_string(),
                };
                let call = spec.call();
                let labels = [&borrowed(&labels)[..], &[("call", &call)]].concat();
                page.row("quota_left", &labels, left);
            }
        }
    }
}

/// A label's name and value.
type Label = (&'static str, String);

/// What names an account, by its key in the store.
fn account_labels(key: &str) -> Vec<Label> {
    let known = key.parse::<AccountKey>().map(|key| key.labels().to_vec());
    known.unwrap_or_else(|UnknownAccountKey { found }| vec![("account", found), ("address", String::new())])
}

/// What names an automation with the account that it is served for.
fn automation_labels(id: &AutomationId) -> Vec<Label> {
    [vec![("automation", id.name.clone())], account_labels(&id.account)].concat()
}

fn borrowed(labels: &[Label]) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Lines of Prometheus' text format.
#[derive(Default)]
struct Page(String);

impl Page {
    /// The program, its automations, and how much it has to do.
    fn add_daemon(&mut self, snapshot: &StatsSnapshot) {
        self.head("build_info", "gauge", "The program's version.");
        self.row("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let names: BTreeSet<&String> = snapshot.live.iter().map(|id| &id.name).collect();
        for (name, value, help) in [
            ("automations", names.len(), "Automations that are live."),
            (
                "stale_files",
                snapshot.stale,
                "Files that can't be loaded: their last good version runs, or nothing.",
            ),
            ("active_runs", snapshot.active_runs, "Runs of this process that have not ended."),
            (
                "fires_waiting",
                snapshot.waiting,
                "Fires of this process that wait for a run to end or to be retried.",
            ),
        ] {
            self.head(name, "gauge", help);
            self.row(name, &[], value);
        }
    }

    /// How wrong the machine's clock is.
    fn add_clocks(&mut self, snapshot: &StatsSnapshot) {
        self.head(
            "clock_behind_seconds",
            "gauge",
            "Seconds until a clock that was set back shows its earlier time.",
        );
        self.row("clock_behind_seconds", &[], snapshot.clock_behind.as_secs_f64());
        // The processes of a file are on one machine.
        if let Some(skew) = snapshot.clock_skew {
            let help = "How far the machine's clock is ahead of that of the store's server; negative when it is behind.";
            self.head("clock_skew_seconds", "gauge", help);
            self.row("clock_skew_seconds", &[], skew.as_secs_f64());
        }
    }

    /// The fires that were closed, by automation and state.
    fn add_fires(&mut self, snapshot: &StatsSnapshot) {
        self.head("fires_total", "counter", "Fires that this process has closed, by their state.");
        for id in &snapshot.live {
            // Every state is there from the start, so that its first fire shows as an increase.
            for result in FireState::outcomes() {
                let count = snapshot.fires.get(&(id.clone(), result));
                self.fires(id, result, *count.unwrap_or(&0));
            }
        }
        // Automations that were removed since keep their counters.
        for ((id, result), count) in &snapshot.fires {
            if !snapshot.live.contains(id) {
                self.fires(id, *result, *count);
            }
        }
    }

    /// How late runs began, as a histogram.
    fn add_lags(&mut self, snapshot: &StatsSnapshot) {
        self.head("fire_lag_seconds", "histogram", "How late runs began, after their fires were due.");
        let mut up_to = 0;
        for (bound, count) in LAG_BUCKETS.iter().zip(snapshot.lags) {
            up_to += count;
            self.row("fire_lag_seconds_bucket", &[("le", &bound.as_secs_f64().to_string())], up_to);
        }
        self.row("fire_lag_seconds_bucket", &[("le", "+Inf")], snapshot.started);
        self.row("fire_lag_seconds_sum", &[], snapshot.lag_sum.as_secs_f64());
        self.row("fire_lag_seconds_count", &[], snapshot.started);
    }

    /// When the automations last completed.
    fn add_last_successes(&mut self, snapshot: &StatsSnapshot) {
        let name = "last_success_timestamp_seconds";
        self.head(name, "gauge", "When a fire of the automation was last done.");
        for (id, at) in &snapshot.last_success {
            let labels = automation_labels(id);
            self.row(name, &borrowed(&labels), at.since(EpochMs::default()).as_secs_f64());
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP mpscript_{name} {help}\n# TYPE mpscript_{name} {kind}\n"));
    }

    fn fires(&mut self, id: &AutomationId, result: FireState, count: u64) {
        let labels = automation_labels(id);
        let labels = [&borrowed(&labels)[..], &[("result", result.as_str())]].concat();
        self.row("fires_total", &labels, count);
    }

    fn row(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.push_str(&format!("mpscript_{name}{labels} {value}\n"));
    }
}

/// The value of a label: names of files are chosen by others.
fn escaped(text: &str) -> String {
    plain_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}
