//! Sends requests without obtaining tokens: one attempt under all limits, and the retries that need no other token.
//!
//! The token cache stands on it, since fetching a token is a call too; `call.rs` adds the token and its renewal.

use super::{
    AccountKey, BaseUrl, CallError, Refusal, Tally,
    concurrency::{AdaptiveLimiter, Signal},
    config::{Account, ClientConfig},
    envelope::{decode_verified, head, tokens_in},
    hosts::{ApiHost, HostPool},
    ledger::Ledger,
    minute_quotas::{MinuteOutcome, MinuteQuotas},
    timeline::CallEnd,
    transport::{Fault, Reply, read_retry_after},
    wait::Waits,
};
use crate::{
    api::{
        CallKind, Credential, Endpoint, FieldKind, Resend, Spec,
        errcode::{self, Class},
        quota,
        wire::{self, Outgoing},
    },
    base::{Cancel, Clock, Redactor, Retry, RetrySchedule, Secret},
};
use std::time::Duration;

/// Retries of a busy answer, a 5xx or a connection fault.
const RETRIES: RetrySchedule = RetrySchedule {
    max_attempts: 5,
    initial_backoff: Duration::from_millis(200),
    max_backoff: Duration::from_secs(10),
    max_elapsed: Duration::from_mins(1),
};

/// The HTTP status of a call that was turned away because there were too many.
const TOO_MANY_REQUESTS: u16 = 429;

/// How often a call waits for the next minute (45011) before it fails.
const MAX_MINUTE_WAITS: u32 = 3;

/// How often a call waits for as long as an answer asks (HTTP status 429) before it fails.
const MAX_ASKED_WAITS: u32 = 3;

/// The longest wait that an answer may ask for; a longer one is the caller's to decide.
const MAX_ASKED_WAIT: Duration = Duration::from_mins(1);

/// After cancellation, how long a request that was sent may still be answered.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// Sends the requests of one account under its limits.
pub(super) struct Sender {
    pub hosts: HostPool,
    pub account: Account,
    /// The account in the store: AppID and address, so that a sandbox never spends the real account's quota.
    account_key: String,
    /// Absent without a store.
    pub ledger: Option<Ledger>,
    pub limiter: AdaptiveLimiter,
    minute_quotas: MinuteQuotas,
    pub waits: Waits,
    pub waits_for_reset: bool,
    pub clock: Clock,
    pub cancel: Cancel,
    pub tally: Tally,
    pub redactor: Redactor,
}

/// What one attempt came to.
enum AttemptOutcome {
    Done(Vec<u8>),
    /// Retry after a backoff, while attempts are left.
    Retry(CallError),
    /// The platform says that the minute's quota is used up.
    RateLimited(CallError),
    /// Turned away (HTTP status 429), with the wait that was asked for.
    Throttled(CallError, Duration),
    /// Not sent, since the minute's quota is known to be used up.
    Deferred,
    /// The platform refused the token.
    RenewToken(CallError),
    Fail(CallError),
}

/// What sending with retries came to, short of an error.
pub(super) enum Sent {
    /// An answer without an errcode.
    Answered(Vec<u8>),
    /// The platform refused the token that the request was sent with.
    TokenRefused(CallError),
}

/// How far a call has come. It survives a token renewal, so that renewals grant no further retries.
pub(super) struct Progress {
    retry: Retry,
    /// Requests sent so far.
    tries: u32,
    minute_waits: u32,
    asked_waits: u32,
    /// The last attempt that may have taken effect although it was not answered.
    in_doubt: Option<CallError>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { retry: RETRIES.start(), tries: 0, minute_waits: 0, asked_waits: 0, in_doubt: None }
    }
}

impl Progress {
    /// The call's final error. It says so when an earlier attempt may have taken effect.
    pub(super) fn explain(self, error: CallError) -> CallError {
        match self.in_doubt {
            Some(in_doubt) => error.after(in_doubt),
            None => error,
        }
    }
}

/// The key of an account at these addresses.
#[must_use]
pub fn account_key(appid: &str, bases: &[BaseUrl]) -> AccountKey {
    key_of(appid, HostPool::new(bases.to_vec()).first())
}

fn key_of(appid: &str, preferred: &BaseUrl) -> AccountKey {
    AccountKey::Known { appid: appid.to_owned(), address: preferred.identity() }
}

impl Sender {
    pub(super) fn new(config: &ClientConfig) -> Self {
        config.secrets.learn(&config.account.secret);
        let hosts = HostPool::new(config.bases.clone());
        let account_key = key_of(&config.account.appid, hosts.first()).to_string();
        let ledger = config
            .store
            .clone()
            .map(|store| Ledger::new(store, account_key.clone(), config.clock.clone(), config.reset));
        Self {
            hosts,
            account: config.account.clone(),
            account_key,
            ledger,
            limiter: AdaptiveLimiter::new(config.in_flight),
            minute_quotas: MinuteQuotas::default(),
            waits: Waits::new(config.minute, config.reset, config.clock.clone(), config.cancel.clone()),
            waits_for_reset: config.waits_for_reset,
            clock: config.clock.clone(),
            cancel: config.cancel.clone(),
            tally: Tally::default(),
            redactor: config.secrets.clone(),
        }
    }

    pub(super) fn account_key(&self) -> &str {
        &self.account_key
    }

    /// Calls an endpoint that needs no access token.
    pub(super) async fn call<E: Endpoint>(&self, request: &E) -> Result<E::Answer, CallError> {
        let mut outgoing = wire::encode(request);
        self.add_credentials(E::SPEC, &mut outgoing);
        let mut progress = Progress::default();
        let sent = match self.send_with_retries(E::SPEC, &outgoing, None, &mut progress).await {
            Ok(Sent::Answered(bytes)) => Ok(bytes),
            Ok(Sent::TokenRefused(error)) | Err(error) => Err(progress.explain(error)),
        };
        decode_verified(request, &sent?)
    }

    /// Adds the AppID and the AppSecret where the declaration wants them, and masks the tokens that the request itself
    /// carries from now on.
    pub(super) fn add_credentials(&self, spec: &'static Spec, request: &mut Outgoing) {
        wire::add_app_secret(spec, &self.account.appid, self.account.secret.reveal(), request);
        for field in spec.fields.iter().filter(|field| field.kind == FieldKind::Token) {
            if let Some((_, token)) = request.query.iter().find(|(name, _)| name == field.name) {
                self.redactor.learn_token(&Secret::new(token));
            }
        }
    }

    /// Sends until there is an answer without an errcode, the token is refused, or retrying is of no use.
    pub(super) async fn send_with_retries(
        &self,
        spec: &'static Spec,
        request: &Outgoing,
        token: Option<&Secret>,
        progress: &mut Progress,
    ) -> Result<Sent, CallError> {
        loop {
            let outcome = self.attempt(spec, request, token, progress.tries + 1).await;
            progress.tries += u32::from(!matches!(outcome, AttemptOutcome::Deferred));
            match outcome {
                AttemptOutcome::Done(bytes) => return Ok(Sent::Answered(bytes)),
                AttemptOutcome::RenewToken(error) => return Ok(Sent::TokenRefused(error)),
                AttemptOutcome::Fail(error)
                    if self.waits_for_reset && error.errcode() == Some(errcode::DAILY_QUOTA) =>
                {
                    self.waits.for_reset(spec).await?;
                    progress.retry = RETRIES.start();
                }
                AttemptOutcome::Fail(error) => return Err(error),
                AttemptOutcome::Retry(error) => {
                    if error.is_in_doubt() {
                        progress.in_doubt = Some(error.clone());
                    }
                    let Some(delay) = progress.retry.next_delay() else { return Err(error) };
                    self.waits.pause(delay, spec).await?;
                }
                AttemptOutcome::RateLimited(error) => {
                    progress.minute_waits += 1;
                    if progress.minute_waits > MAX_MINUTE_WAITS {
                        return Err(error);
                    }
                    self.waits.for_next_minute(spec).await?;
                    // The wait was no failure: the retries start over.
                    progress.retry = RETRIES.start();
                }
                AttemptOutcome::Throttled(error, wait) => {
                    progress.asked_waits += 1;
                    if progress.asked_waits > MAX_ASKED_WAITS || wait > MAX_ASKED_WAIT {
                        return Err(error);
                    }
                    self.waits.pause(wait, spec).await?;
                    progress.retry = RETRIES.start();
                }
                AttemptOutcome::Deferred => self.waits.for_next_minute(spec).await?,
            }
        }
    }

    /// One attempt.
    async fn attempt(
        &self,
        spec: &'static Spec,
        request: &Outgoing,
        token: Option<&Secret>,
        tries: u32,
    ) -> AttemptOutcome {
        let permit = tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                return AttemptOutcome::Fail(CallError::Cancelled { endpoint: spec.name });
            }
            permit = self.limiter.acquire() => permit,
        };
        let minute = self.waits.minute();
        if !self.minute_quotas.take(spec.path, minute) {
            if let Some(permit) = permit {
                self.limiter.release(permit, Signal::Neutral);
            }
            return AttemptOutcome::Deferred;
        }
        let mut call = self.tally.begin(spec);
        if let Some(ledger) = &self.ledger {
            ledger.start_writer();
            ledger.count(spec.path, 1);
        }
        let host = self.hosts.best(self.clock.monotonic());
        let exchange = host.transport.exchange(spec, request, token);
        let reply = tokio::select! {
            reply = exchange => reply,
            () = async { self.cancel.cancelled().await; tokio::time::sleep(CANCEL_GRACE).await } => {
                call.end(CallEnd::Failed);
                let fault = Fault { reason: "stopped while the answer was on its way".to_owned(), sent: true };
                return AttemptOutcome::Fail(self.no_answer(spec, host, tries, &fault));
            }
        };
        if let Ok(exchanged) = &reply {
            let answered = exchanged.as_ref().is_ok_and(|reply| reply.status < 500);
            host.record_health(answered, self.clock.monotonic());
        }
        // The platform does not count a request that never left.
        if matches!(&reply, Err(_) | Ok(Err(Fault { sent: false, .. }))) {
            call.uncount();
            if let Some(ledger) = &self.ledger {
                ledger.count(spec.path, -1);
            }
        }
        let outcome = match reply {
            Err(error) => AttemptOutcome::Fail(error),
            Ok(Err(fault)) => self.after_fault(spec, host, tries, &fault),
            Ok(Ok(reply)) => self.after_reply(spec, host, tries, reply),
        };
        let counted = match outcome {
            AttemptOutcome::Done(_) => MinuteOutcome::Succeeded,
            AttemptOutcome::RateLimited(_) => MinuteOutcome::OverQuota,
            _ => MinuteOutcome::Failed,
        };
        let is_done = counted == MinuteOutcome::Succeeded;
        call.end(if is_done { CallEnd::Done } else { CallEnd::Failed });
        self.minute_quotas.end(spec.path, minute, counted);
        if let Some(permit) = permit {
            self.limiter.release(permit, outcome.signal());
        }
        self.record_quota(spec, &outcome).await;
        tracing::debug!(
            "{} try {} {} in {} ms",
            spec.call(),
            tries,
            match outcome.error() {
                None => "done".to_owned(),
                Some(error) => format!("failed: {error}"),
            },
            call.elapsed().as_millis()
        );
        outcome
    }

    /// Records in the ledger what an answer says of the daily quotas.
    async fn record_quota(&self, spec: &'static Spec, outcome: &AttemptOutcome) {
        let Some(ledger) = &self.ledger else { return };
        match outcome {
            AttemptOutcome::Fail(error) if error.errcode() == Some(errcode::DAILY_QUOTA) => {
                ledger.mark_exhausted(spec.path).await;
            }
            AttemptOutcome::Done(_) if spec.path == quota::Clear::SPEC.path => ledger.unmark_all().await,
            _ => {}
        }
    }

    fn after_fault(&self, spec: &'static Spec, host: &ApiHost, tries: u32, fault: &Fault) -> AttemptOutcome {
        let may_resend = !fault.sent || spec.resend == Resend::Idempotent;
        let error = self.no_answer(spec, host, tries, fault);
        if may_resend { AttemptOutcome::Retry(error) } else { AttemptOutcome::Fail(error) }
    }

    fn after_reply(&self, spec: &'static Spec, host: &ApiHost, tries: u32, reply: Reply) -> AttemptOutcome {
        if reply.status == TOO_MANY_REQUESTS {
            return self.after_throttle(spec, host, tries, &reply);
        }
        if reply.status != 200 {
            let fault = Fault { reason: format!("HTTP status {}", reply.status), sent: true };
            return match self.after_fault(spec, host, tries, &fault) {
                AttemptOutcome::Retry(error) if reply.status < 500 => AttemptOutcome::Fail(error),
                outcome => outcome,
            };
        }
        if spec.credential != Credential::AccessToken {
            self.learn_tokens(&reply.bytes);
        }
        let head = match head(&reply.bytes) {
            Ok(Some(head)) if head.errcode != 0 => head,
            Ok(_) => return AttemptOutcome::Done(reply.bytes),
            Err(reason) => {
                return AttemptOutcome::Fail(CallError::Unreadable { endpoint: spec.name, reason });
            }
        };
        let (errmsg, rid) = Refusal::parse_message(&self.redactor.mask(&head.errmsg));
        let refusal = Refusal {
            endpoint: spec.name,
            errcode: head.errcode,
            errmsg: if errmsg.is_empty() { errcode::text(head.errcode).to_owned() } else { errmsg },
            rid,
            failed: head.fail_openid_list,
            credential: spec.credential,
            is_in_doubt: false,
        };
        let class = refusal.class();
        let error = CallError::Refused(Box::new(refusal));
        match class {
            Class::Busy => AttemptOutcome::Retry(error),
            Class::Rate => AttemptOutcome::RateLimited(error),
            Class::Token => AttemptOutcome::RenewToken(error),
            Class::Quota | Class::Caller | Class::Configuration => AttemptOutcome::Fail(error),
        }
    }

    /// A call that was turned away for its number has taken no effect, so that any may be made again.
    fn after_throttle(
        &self,
        spec: &'static Spec,
        host: &ApiHost,
        tries: u32,
        reply: &Reply,
    ) -> AttemptOutcome {
        let wait = reply.retry_after.as_deref();
        let wait = wait.and_then(|text| read_retry_after(text, self.clock.now_secs()));
        let host = host.transport.base().host();
        let error = CallError::Throttled { endpoint: spec.name, host, tries, wait };
        match wait {
            Some(wait) => AttemptOutcome::Throttled(error, wait),
            None => AttemptOutcome::Retry(error),
        }
    }

    /// Masks the tokens that an answer gives from now on.
    pub(super) fn learn_tokens(&self, answer: &[u8]) {
        for token in tokens_in(answer) {
            self.redactor.learn_token(&token);
        }
    }

    fn no_answer(&self, spec: &'static Spec, host: &ApiHost, tries: u32, fault: &Fault) -> CallError {
        CallError::NoAnswer {
            endpoint: spec.name,
            host: host.transport.base().host(),
            reason: self.redactor.mask(&fault.reason),
            tries,
            in_doubt: fault.sent && spec.kind == CallKind::Write,
        }
    }
}

impl AttemptOutcome {
    /// The signal of this outcome to the concurrency limit: whether the platform is overloaded.
    fn signal(&self) -> Signal {
        match self {
            Self::Done(_) => Signal::Success,
            Self::Retry(_)
            | Self::RateLimited(_)
            | Self::Throttled(..)
            | Self::Fail(CallError::NoAnswer { .. }) => Signal::Overload,
            Self::Fail(_) | Self::RenewToken(_) | Self::Deferred => Signal::Neutral,
        }
    }

    fn error(&self) -> Option<&CallError> {
        match self {
            Self::Done(_) | Self::Deferred => None,
            Self::Retry(error)
            | Self::RateLimited(error)
            | Self::Throttled(error, _)
            | Self::RenewToken(error)
            | Self::Fail(error) => Some(error),
        }
    }
}
