//! Tokens and calls that need the AppSecret, from the process that holds it: a run of the daemon is a process of its own,
//! which is given no secret.
//!
//! Must never know how questions and answers travel between the processes: both are data.

use crate::{
    api::{self, Credential, Spec, WireSecret, token::Token, wire::Outgoing},
    base::Secret,
    client::{CallError, Refusal},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Asks the process that holds the AppSecret.
#[derive(Clone, Debug)]
pub struct Broker(mpsc::UnboundedSender<(Question, oneshot::Sender<Answer>)>);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Question {
    /// The account's token, other than this one if it was refused.
    Token {
        /// The refused one.
        stale: Option<WireSecret>,
    },
    /// A call that needs the AppSecret, which the other process adds.
    Call {
        /// The script function.
        endpoint: String,
        /// The query's fields.
        query: Vec<(String, String)>,
        /// The body.
        body: Option<Value>,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// A token; `None` when there is no other.
    Token(Option<Token>),
    /// The answer's body.
    Body(String),
    /// Why there is neither.
    Failed(BrokeredError),
}

/// A [`CallError`] between two processes.
#[derive(Debug, Serialize, Deserialize)]
pub enum BrokeredError {
    /// The platform answered with an errcode.
    Refused {
        /// The script function.
        endpoint: String,
        /// The code.
        errcode: i64,
        /// The server's text.
        errmsg: String,
        /// The request's id.
        rid: Option<String>,
        /// The openids that failed.
        failed: Vec<String>,
        /// Whether an earlier attempt may have taken effect.
        is_in_doubt: bool,
    },
    /// There was no answer.
    NoAnswer {
        /// The script function.
        endpoint: String,
        /// The host that was asked.
        host: String,
        /// The failure of the last attempt.
        reason: String,
        /// Attempts made.
        tries: u32,
        /// Whether it may have taken effect.
        in_doubt: bool,
    },
    /// The answer was not what is documented.
    Unreadable {
        /// The script function.
        endpoint: String,
        /// What was found instead.
        reason: String,
    },
    /// A host turned the call away (HTTP status 429).
    Throttled {
        /// The script function.
        endpoint: String,
        /// The host that was asked.
        host: String,
        /// Attempts made.
        tries: u32,
        /// The wait that was asked for.
        wait: Option<Duration>,
    },
    /// HTTPS can't be set up.
    NoTls(String),
    /// There is no token.
    NoToken(String),
    /// The run was cancelled before.
    Cancelled {
        /// The script function.
        endpoint: String,
    },
}

impl Broker {
    /// A broker, and where its questions arrive.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<(Question, oneshot::Sender<Answer>)>) {
        let (questions, asked) = mpsc::unbounded_channel();
        (Self(questions), asked)
    }

    async fn ask(&self, question: Question) -> Result<Answer, CallError> {
        let (answer, answered) = oneshot::channel();
        let closed = || CallError::NoToken { reason: "the daemon does not answer any more".to_owned() };
        self.0.send((question, answer)).map_err(|_| closed())?;
        match answered.await {
            Ok(Answer::Failed(error)) => Err(error.into()),
            Ok(answer) => Ok(answer),
            Err(_) => Err(closed()),
        }
    }

    /// The account's token, other than `stale` if possible; `None` when there is no other.
    pub(crate) async fn token(&self, stale: Option<&Secret>) -> Result<Option<Token>, CallError> {
        match self.ask(Question::Token { stale: stale.cloned().map(WireSecret) }).await? {
            Answer::Token(token) => Ok(token),
            _ => Err(CallError::NoToken { reason: "the daemon has answered another question".to_owned() }),
        }
    }

    /// The body of a call's answer.
    pub(crate) async fn call(&self, spec: &'static Spec, request: Outgoing) -> Result<Vec<u8>, CallError> {
        let Outgoing { query, body, .. } = request;
        let question = Question::Call { endpoint: spec.name.to_owned(), query, body };
        match self.ask(question).await? {
            Answer::Body(body) => Ok(body.into_bytes()),
            _ => Err(CallError::Unreadable {
                endpoint: spec.name,
                reason: "the daemon has answered another question".to_owned(),
            }),
        }
    }
}

/// The endpoint of a script function.
pub(crate) fn spec_of(function: &str) -> Option<&'static Spec> {
    api::all().into_iter().find(|spec| spec.name == function)
}

impl From<CallError> for BrokeredError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => {
                let Refusal { endpoint, errcode, errmsg, rid, failed, is_in_doubt, .. } = *refusal;
                Self::Refused { endpoint: endpoint.to_owned(), errcode, errmsg, rid, failed, is_in_doubt }
            }
            CallError::NoAnswer { endpoint, host, reason, tries, in_doubt } => {
                Self::NoAnswer { endpoint: endpoint.to_owned(), host, reason, tries, in_doubt }
            }
            CallError::Unreadable { endpoint, reason } => {
                Self::Unreadable { endpoint: endpoint.to_owned(), reason }
            }
            CallError::Throttled { endpoint, host, tries, wait } => {
                Self::Throttled { endpoint: endpoint.to_owned(), host, tries, wait }
            }
            CallError::NoTls(reason) => Self::NoTls(reason),
            CallError::NoToken { reason } => Self::NoToken(reason),
            CallError::Cancelled { endpoint } => Self::Cancelled { endpoint: endpoint.to_owned() },
        }
    }
}

impl From<BrokeredError> for CallError {
    fn from(error: BrokeredError) -> Self {
        let name = |endpoint: &str| spec_of(endpoint).map_or("token", |spec| spec.name);
        match error {
            BrokeredError::Refused { endpoint, errcode, errmsg, rid, failed, is_in_doubt } => {
                let spec = spec_of(&endpoint);
                Self::Refused(Box::new(Refusal {
                    endpoint: name(&endpoint),
                    errcode,
                    errmsg,
                    rid,
                    failed,
                    credential: spec.map_or(Credential::AccessToken, |spec| spec.credential),
                    is_in_doubt,
                }))
            }
            BrokeredError::NoAnswer { endpoint, host, reason, tries, in_doubt } => {
                Self::NoAnswer { endpoint: name(&endpoint), host, reason, tries, in_doubt }
            }
            BrokeredError::Unreadable { endpoint, reason } => {
                Self::Unreadable { endpoint: name(&endpoint), reason }
            }
            BrokeredError::Throttled { endpoint, host, tries, wait } => {
                Self::Throttled { endpoint: name(&endpoint), host, tries, wait }
            }
            BrokeredError::NoTls(reason) => Self::NoTls(reason),
            BrokeredError::NoToken(reason) => Self::NoToken { reason },
            BrokeredError::Cancelled { endpoint } => Self::Cancelled { endpoint: name(&endpoint) },
        }
    }
}
