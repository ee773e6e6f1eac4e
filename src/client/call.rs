//! One call of an endpoint: token, tries, renewals, and the reading of its answer.

use super::{
    BaseUrl, CallError, Refusal, Tally, TokenMode,
    answer::{category, head, tokens_in},
    hosts::{Host, Hosts},
    ledger::Ledger,
    oauth::Codes,
    pace::{Load, Minutes, Pace},
    repair::repair,
    token::{RENEWALS_A_CALL, TokenKeeper},
    transport::{Fault, Reply, Transport},
};
use crate::{
    api::{
        Credential, Effect, Endpoint, FieldKind, Resend, Spec,
        errcode::{self, Class},
        quota,
        wire::{self, Outgoing},
    },
    base::{Cancel, Clock, Redactor, Retry, RetrySchedule, Secret, Stopwatch},
    store::{Record, Store, StoreError},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Calls under way together, when nobody says otherwise.
pub const DEFAULT_IN_FLIGHT: usize = 32;

/// Tries of one call: busy answers, 5xx and connection faults.
const RETRIES: RetrySchedule = RetrySchedule {
    tries: 5,
    first: Duration::from_millis(200),
    longest: Duration::from_secs(10),
    in_all: Duration::from_mins(1),
};

/// How often a call waits for the next minute (45011) before it gives up.
const MINUTES_WAITED: u32 = 3;

/// After a stop is asked for, how long an answer on its way is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Whose account it is.
#[derive(Clone, Debug)]
pub struct Account {
    /// 开发者ID(AppID).
    pub appid: String,
    /// 开发者密码(AppSecret).
    pub secret: Secret,
}

/// What a client is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the platform is: the preferred host first, then those to turn to when it does not answer.
    /// The platform's own when there are none.
    pub bases: Vec<BaseUrl>,
    /// Who calls.
    pub account: Account,
    /// The most calls under way together.
    pub in_flight: usize,
    /// How long a minute of the platform's quotas is; a sandbox's may be shorter.
    pub minute: Duration,
    /// Where tokens come from.
    pub token_mode: TokenMode,
    /// Where token and ledger are kept for other processes; in memory when there is none.
    pub store: Option<Store>,
    /// Who we are to other processes: a machine and a process.
    pub owner: String,
    /// The clock that tokens expire by.
    pub clock: Clock,
    /// The wish to stop: nothing new is sent once it is there.
    pub cancel: Cancel,
}

/// Calls the platform. Clones share token, limits and counts.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    hosts: Hosts,
    account: Account,
    tokens: TokenKeeper,
    /// Absent where nothing outlives the process.
    ledger: Option<Ledger>,
    codes: Codes,
    pace: Pace,
    minutes: Minutes,
    minute: Duration,
    clock: Clock,
    cancel: Cancel,
    tally: Tally,
    redactor: Redactor,
}

/// What a call's end says of how busy the platform is.
fn load_of(next: &Next) -> Load {
    match next {
        Next::Done(_) => Load::Light,
        Next::Again(_) | Next::Minute(_) | Next::GiveUp(CallError::NoAnswer { .. }) => Load::Heavy,
        Next::GiveUp(_) | Next::Renew(_) | Next::Later => Load::Unknown,
    }
}

/// What to do after a try.
enum Next {
    Done(Vec<u8>),
    /// Another try after a pause, unless there were too many.
    Again(CallError),
    /// The minute's quota is used up.
    Minute(CallError),
    /// It is known to be: nothing was sent.
    Later,
    /// The token is no longer good.
    Renew(CallError),
    GiveUp(CallError),
}

impl Client {
    /// A client; nothing is sent before the first call.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let redactor = Redactor::default();
        redactor.learn(&settings.account.secret);
        let hosts = Hosts::new(settings.bases);
        // With its address: a sandbox must not spend what is the real account's.
        let account = format!("{} {}", settings.account.appid, hosts.first().identity());
        let ledger = settings.store.clone();
        let ledger = ledger.map(|store| Ledger::new(store, account.clone(), settings.clock.clone()));
        Self(Arc::new(Inner {
            hosts,
            account: settings.account,
            tokens: TokenKeeper::new(settings.token_mode, settings.store, account, settings.owner),
            ledger,
            codes: Codes::default(),
            pace: Pace::new(settings.in_flight),
            minutes: Minutes::default(),
            minute: settings.minute.max(Duration::from_millis(1)),
            clock: settings.clock,
            cancel: settings.cancel,
            tally: Tally::default(),
            redactor,
        }))
    }

    /// Calls an endpoint.
    ///
    /// # Errors
    /// When the platform refuses the call, there is no usable answer, or the run was stopped.
    pub async fn call<E: Endpoint>(&self, request: &E) -> Result<E::Answer, CallError> {
        let bytes = self.send(E::SPEC, wire::encode(request)).await?;
        let first = match wire::decode_answer::<E>(&bytes) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        wire::decode_answer::<E>(&repair(&bytes)).map_err(|_| CallError::Unreadable {
            endpoint: E::SPEC.name,
            reason: format!("{} (line {}, column {})", category(&first), first.line(), first.column()),
        })
    }

    /// Calls any path (see [`api::any`](crate::api::any)) and gives the answer as it is.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn call_any(&self, spec: &'static Spec, request: Outgoing) -> Result<Value, CallError> {
        let bytes = self.send(spec, request).await?;
        serde_json::from_slice(&bytes).or_else(|_| serde_json::from_slice(&repair(&bytes))).map_err(|error| {
            CallError::Unreadable { endpoint: spec.name, reason: category(&error).to_owned() }
        })
    }

    /// Counts of the calls so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// The wish to stop.
    #[must_use]
    pub fn cancel(&self) -> &Cancel {
        &self.0.cancel
    }

    /// Whose calls these are.
    #[must_use]
    pub fn appid(&self) -> &str {
        &self.0.account.appid
    }

    pub(super) fn base(&self) -> &BaseUrl {
        self.0.hosts.first()
    }

    pub(super) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.0.hosts.transports()
    }

    pub(super) fn codes(&self) -> &Codes {
        &self.0.codes
    }

    /// From now on, a token is masked in whatever is shown.
    pub(super) fn learn(&self, token: &Secret) {
        self.0.redactor.learn(token);
    }

    /// The account's token, fetched if there is none.
    ///
    /// # Errors
    /// When none can be had.
    pub async fn token(&self) -> Result<Secret, CallError> {
        self.0.tokens.current(self).await
    }

    /// How many seconds the token that was given last is good for.
    #[must_use]
    pub fn token_life(&self) -> i64 {
        self.0.tokens.life(self)
    }

    /// Where tokens come from.
    #[must_use]
    pub fn token_mode(&self) -> &TokenMode {
        self.0.tokens.mode()
    }

    /// Another token than this one, which was refused; `None` when there is no other.
    ///
    /// # Errors
    /// When the platform can't be asked.
    pub async fn renew_token(&self, refused: &Secret) -> Result<Option<Secret>, CallError> {
        self.0.tokens.renew(self, refused).await
    }

    /// What the store knows of the token.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token_record(&self) -> Result<Option<Record>, StoreError> {
        self.0.tokens.record().await
    }

    /// Forced renewals of today by all processes, and how many there may be.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forced_today(&self) -> Result<(i64, i64), StoreError> {
        Ok((self.0.tokens.forced_today(self).await?, self.0.tokens.mode().forced_a_day()))
    }

    /// Writes what is still to be written, before the process ends.
    pub async fn finish(&self) {
        let Some(ledger) = &self.0.ledger else { return };
        if ledger.write().await.is_err() {
            let calls = ledger.unwritten();
            tracing::warn!("{calls} calls of today could not be written to the ledger, and are not counted");
        }
    }

    /// The key of this account in the store: its AppID and its address.
    #[must_use]
    pub fn account_key(&self) -> &str {
        self.0.tokens.account()
    }

    /// How many calls may be under way now: fewer than the cap while the platform is busy.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.0.pace.allowed()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Sends until there is an answer without an errcode, or no use in going on.
    async fn send(&self, spec: &'static Spec, mut request: Outgoing) -> Result<Vec<u8>, CallError> {
        let account = &self.0.account;
        wire::add_app_secret(spec, &account.appid, account.secret.reveal(), &mut request);
        for field in spec.fields.iter().filter(|field| field.kind == FieldKind::Token) {
            if let Some((_, token)) = request.query.iter().find(|(name, _)| name == field.name) {
                self.0.redactor.learn(&Secret::new(token));
            }
        }
        let mut retry = RETRIES.start();
        let mut renewals = 0;
        let mut minutes = 0;
        let mut token = None;
        loop {
            if token.is_none() && spec.credential == Credential::AccessToken {
                token = Some(self.0.tokens.current(self).await?);
            }
            match self.attempt(spec, &request, token.as_ref(), &retry).await {
                Next::Done(bytes) => return Ok(bytes),
                Next::GiveUp(error) => return Err(error),
                Next::Again(error) => {
                    let Some(pause) = retry.next_pause() else { return Err(error) };
                    self.pause(pause, spec).await?;
                }
                Next::Minute(error) => {
                    minutes += 1;
                    if minutes > MINUTES_WAITED {
                        return Err(error);
                    }
                    self.pause(self.to_next_minute(), spec).await?;
                    // What comes then is tried afresh: the wait was no failure.
                    retry = RETRIES.start();
                }
                Next::Later => self.pause(self.to_next_minute(), spec).await?,
                Next::Renew(error) => {
                    renewals += 1;
                    let Some(refused) = token.take().filter(|_| renewals <= RENEWALS_A_CALL) else {
                        return Err(error);
                    };
                    token = self.0.tokens.renew(self, &refused).await?;
                    if token.is_none() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// One try.
    async fn attempt(
        &self,
        spec: &'static Spec,
        request: &Outgoing,
        token: Option<&Secret>,
        retry: &Retry,
    ) -> Next {
        let cancelled = || Next::GiveUp(CallError::Cancelled { endpoint: spec.name });
        let place = tokio::select! {
            biased;
            () = self.0.cancel.cancelled() => return cancelled(),
            place = self.0.pace.place() => place,
        };
        let minute = self.minute_now();
        if !self.0.minutes.take(spec.path, minute) {
            if let Some(place) = place {
                self.0.pace.leave(place, Load::Unknown);
            }
            return Next::Later;
        }
        let watch = Stopwatch::start();
        self.0.tally.count(spec);
        if let Some(ledger) = &self.0.ledger {
            ledger.write_by_itself();
            ledger.count(spec.path, 1);
        }
        let host = self.0.hosts.best(self.0.clock.now_ms());
        let exchange = host.transport.exchange(spec, request, token);
        let reply = tokio::select! {
            reply = exchange => reply,
            () = async { self.0.cancel.cancelled().await; tokio::time::sleep(GRACE).await } => {
                let unsure = spec.effect == Effect::Write;
                return Next::GiveUp(self.no_answer(spec, host, retry, "stopped while the answer was on its way", unsure));
            }
        };
        if let Ok(exchanged) = &reply {
            let answered = exchanged.as_ref().is_ok_and(|reply| reply.status < 500);
            host.remember(answered, self.0.clock.now_ms());
        }
        // A call that never left is none, to the platform too.
        if matches!(&reply, Err(_) | Ok(Err(Fault { sent: false, .. }))) {
            self.0.tally.take_back(spec);
            if let Some(ledger) = &self.0.ledger {
                ledger.count(spec.path, -1);
            }
        }
        let next = match reply {
            Err(error) => Next::GiveUp(error),
            Ok(Err(fault)) => self.after_fault(spec, host, retry, &fault),
            Ok(Ok(reply)) => self.after_reply(spec, host, retry, reply),
        };
        let (is_done, is_full) = (matches!(next, Next::Done(_)), matches!(next, Next::Minute(_)));
        self.0.minutes.end(spec.path, minute, is_done, is_full);
        if let Some(place) = place {
            self.0.pace.leave(place, load_of(&next));
        }
        self.note_quota(spec, &next).await;
        tracing::debug!(
            "{} try {} {} in {} ms",
            spec.call(),
            retry.tried(),
            match &next {
                Next::Done(_) => "done".to_owned(),
                Next::Later => "not sent".to_owned(),
                Next::Again(error) | Next::Minute(error) | Next::Renew(error) | Next::GiveUp(error) => {
                    format!("failed: {error}")
                }
            },
            watch.elapsed().as_millis()
        );
        next
    }

    /// Remembers what an answer says of the day's quotas.
    async fn note_quota(&self, spec: &'static Spec, next: &Next) {
        let Some(ledger) = &self.0.ledger else { return };
        match next {
            Next::GiveUp(error) if error.errcode() == Some(errcode::DAILY_QUOTA) => {
                ledger.mark_spent(spec.path).await;
            }
            Next::Done(_) if spec.path == quota::Clear::SPEC.path => ledger.unmark_all().await,
            _ => {}
        }
    }

    fn after_fault(&self, spec: &'static Spec, host: &Host, retry: &Retry, fault: &Fault) -> Next {
        let may_repeat = !fault.sent || spec.resend == Resend::Idempotent;
        let unsure = fault.sent && spec.effect == Effect::Write;
        let error = self.no_answer(spec, host, retry, &fault.reason, unsure);
        if may_repeat { Next::Again(error) } else { Next::GiveUp(error) }
    }

    fn after_reply(&self, spec: &'static Spec, host: &Host, retry: &Retry, reply: Reply) -> Next {
        if reply.status != 200 {
            let reason = format!("HTTP status {}", reply.status);
            let fault = Fault { reason, sent: true };
            return match self.after_fault(spec, host, retry, &fault) {
                Next::Again(error) if reply.status < 500 => Next::GiveUp(error),
                next => next,
            };
        }
        if spec.credential != Credential::AccessToken {
            for token in tokens_in(&reply.bytes) {
                self.0.redactor.learn(&token);
            }
        }
        let head = match head(&reply.bytes) {
            Ok(Some(head)) if head.errcode != 0 => head,
            Ok(_) => return Next::Done(reply.bytes),
            Err(reason) => return Next::GiveUp(CallError::Unreadable { endpoint: spec.name, reason }),
        };
        let (errmsg, rid) = Refusal::read_message(&self.0.redactor.mask(&head.errmsg));
        let refusal = Refusal {
            endpoint: spec.name,
            errcode: head.errcode,
            errmsg: if errmsg.is_empty() { errcode::text(head.errcode).to_owned() } else { errmsg },
            rid,
            failed: head.fail_openid_list,
            credential: spec.credential,
        };
        let class = refusal.class();
        let error = CallError::Refused(Box::new(refusal));
        match class {
            Class::Busy => Next::Again(error),
            Class::Rate => Next::Minute(error),
            Class::Token => Next::Renew(error),
            Class::Quota | Class::Caller | Class::Configuration => Next::GiveUp(error),
        }
    }

    fn no_answer(
        &self,
        spec: &'static Spec,
        host: &Host,
        retry: &Retry,
        reason: &str,
        unsure: bool,
    ) -> CallError {
        CallError::NoAnswer {
            endpoint: spec.name,
            host: host.transport.base().host(),
            reason: self.0.redactor.mask(reason),
            tries: retry.tried(),
            unsure,
        }
    }

    async fn pause(&self, pause: Duration, spec: &'static Spec) -> Result<(), CallError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.0.cancel.cancelled() => Err(CallError::Cancelled { endpoint: spec.name }),
        }
    }

    /// The time to the next minute, and a sixtieth of one more at the most so that not all come back at once.
    fn to_next_minute(&self) -> Duration {
        let minute = i64::try_from(self.0.minute.as_millis()).unwrap_or(i64::MAX);
        let left = (minute - self.0.clock.now_ms().rem_euclid(minute)).unsigned_abs();
        Duration::from_millis(left + fastrand::u64(0..=minute.unsigned_abs() / 60))
    }

    /// The number of the platform's present minute.
    fn minute_now(&self) -> i64 {
        self.0.clock.now_ms().div_euclid(i64::try_from(self.0.minute.as_millis()).unwrap_or(i64::MAX))
    }
}
