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
    transport::{Fault, Reply},
};
use crate::{
    api::{
        CallKind, Credential, Endpoint, FieldKind, Resend, Spec,
        errcode::{self, Class},
        quota,
        wire::{self, Outgoing},
    },
    base::{Cancel, Clock, Redactor, Retry, RetrySchedule, Secret},
    store::Store,
};
use serde_json::Value;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// Calls under way together, when nobody says otherwise.
pub const DEFAULT_IN_FLIGHT: usize = 32;

/// Tries of one call: busy answers, 5xx and connection faults.
const RETRIES: RetrySchedule = RetrySchedule {
    max_attempts: 5,
    initial_backoff: Duration::from_millis(200),
    max_backoff: Duration::from_secs(10),
    max_elapsed: Duration::from_mins(1),
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
    /// When the day's quotas come back.
    pub reset: quota::Reset,
    /// Whether a call waits for that when the day's quota is used up.
    pub waits_for_reset: bool,
    /// Where tokens come from.
    pub token_mode: TokenMode,
    /// Where token and ledger are kept for other processes; in memory when there is none.
    pub store: Option<Store>,
    /// Who we are to other processes: a machine and a process.
    pub owner: String,
    /// Who learns of the AppSecret and of tokens.
    pub secrets: Redactor,
    /// The clock that tokens expire by.
    pub clock: Clock,
    /// The wish to stop: nothing new is sent once it is there.
    pub cancel: Cancel,
}

/// Calls the platform. Clones share token, limits and counts.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) hosts: Hosts,
    pub(super) account: Account,
    pub(super) tokens: TokenKeeper,
    /// Absent where nothing outlives the process.
    pub(super) ledger: Option<Ledger>,
    pub(super) codes: Codes,
    pub(super) pace: Pace,
    pub(super) minutes: Minutes,
    pub(super) minute: Duration,
    pub(super) reset: quota::Reset,
    pub(super) waits_for_reset: bool,
    pub(super) is_waiting: AtomicBool,
    pub(super) clock: Clock,
    pub(super) cancel: Cancel,
    pub(super) tally: Tally,
    pub(super) redactor: Redactor,
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
        settings.secrets.learn(&settings.account.secret);
        let hosts = Hosts::new(settings.bases);
        // With its address: a sandbox must not spend what is the real account's.
        let account = format!("{} {}", settings.account.appid, hosts.first().identity());
        let ledger = settings.store.clone();
        let ledger =
            ledger.map(|store| Ledger::new(store, account.clone(), settings.clock.clone(), settings.reset));
        Self(Arc::new(Inner {
            hosts,
            account: settings.account,
            tokens: TokenKeeper::new(settings.token_mode, settings.store, account, settings.owner),
            ledger,
            codes: Codes::default(),
            pace: Pace::new(settings.in_flight),
            minutes: Minutes::default(),
            minute: settings.minute.max(Duration::from_millis(1)),
            reset: settings.reset,
            waits_for_reset: settings.waits_for_reset,
            is_waiting: AtomicBool::default(),
            clock: settings.clock,
            cancel: settings.cancel,
            tally: Tally::default(),
            redactor: settings.secrets,
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

    /// Sends until there is an answer without an errcode, or no use in going on.
    async fn send(&self, spec: &'static Spec, request: Outgoing) -> Result<Vec<u8>, CallError> {
        let mut unsure = None;
        let sent = self.send_again(spec, request, &mut unsure).await;
        sent.map_err(|error| match unsure {
            Some(unsure) => error.after(unsure),
            None => error,
        })
    }

    /// The same; a try of which nobody knows whether it took effect is told apart.
    async fn send_again(
        &self,
        spec: &'static Spec,
        mut request: Outgoing,
        unsure: &mut Option<CallError>,
    ) -> Result<Vec<u8>, CallError> {
        let account = &self.0.account;
        wire::add_app_secret(spec, &account.appid, account.secret.reveal(), &mut request);
        for field in spec.fields.iter().filter(|field| field.kind == FieldKind::Token) {
            if let Some((_, token)) = request.query.iter().find(|(name, _)| name == field.name) {
                self.0.redactor.learn_token(&Secret::new(token));
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
                Next::GiveUp(error)
                    if self.0.waits_for_reset && error.errcode() == Some(errcode::DAILY_QUOTA) =>
                {
                    self.wait_for_reset(spec).await?;
                    retry = RETRIES.start();
                }
                Next::GiveUp(error) => return Err(error),
                Next::Again(error) => {
                    if error.is_unsure() {
                        *unsure = Some(error.clone());
                    }
                    let Some(pause) = retry.next_delay() else { return Err(error) };
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
        let mut call = self.0.tally.begin(spec);
        if let Some(ledger) = &self.0.ledger {
            ledger.write_by_itself();
            ledger.count(spec.path, 1);
        }
        let host = self.0.hosts.best(self.0.clock.now_ms());
        let exchange = host.transport.exchange(spec, request, token);
        let reply = tokio::select! {
            reply = exchange => reply,
            () = async { self.0.cancel.cancelled().await; tokio::time::sleep(GRACE).await } => {
                call.end(false);
                let unsure = spec.kind == CallKind::Write;
                return Next::GiveUp(self.no_answer(spec, host, retry, "stopped while the answer was on its way", unsure));
            }
        };
        if let Ok(exchanged) = &reply {
            let answered = exchanged.as_ref().is_ok_and(|reply| reply.status < 500);
            host.remember(answered, self.0.clock.now_ms());
        }
        // A call that never left is none, to the platform too.
        if matches!(&reply, Err(_) | Ok(Err(Fault { sent: false, .. }))) {
            call.take_back();
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
        call.end(is_done);
        self.0.minutes.end(spec.path, minute, is_done, is_full);
        if let Some(place) = place {
            self.0.pace.leave(place, load_of(&next));
        }
        self.note_quota(spec, &next).await;
        tracing::debug!(
            "{} try {} {} in {} ms",
            spec.call(),
            retry.attempts(),
            match &next {
                Next::Done(_) => "done".to_owned(),
                Next::Later => "not sent".to_owned(),
                Next::Again(error) | Next::Minute(error) | Next::Renew(error) | Next::GiveUp(error) => {
                    format!("failed: {error}")
                }
            },
            call.elapsed().as_millis()
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
        let unsure = fault.sent && spec.kind == CallKind::Write;
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
                self.0.redactor.learn_token(&token);
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
            is_unsure: false,
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
            tries: retry.attempts(),
            unsure,
        }
    }
}
