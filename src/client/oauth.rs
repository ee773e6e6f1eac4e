//! The exchange of codes: a code given twice is answered from memory, since a second exchange
//! would burn it (40163), and where people are sent to authorize.

use super::{CallError, Client};
use crate::{
    api::oauth::{CODE_LIFE, Exchange, Grant},
    base::{Stopwatch, lock},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::OnceCell;

/// Where the platform's page is.
const PAGES: &str = "https://open.weixin.qq.com";

/// Codes that are remembered.
const MOST: usize = 10_000;

type Exchanged = Arc<OnceCell<Grant>>;

/// The codes of the last five minutes.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<String, (Stopwatch, Exchanged)>>);

impl Codes {
    fn of(&self, code: &str) -> Exchanged {
        let mut codes = lock(&self.0);
        let life = Duration::from_secs(CODE_LIFE.unsigned_abs());
        codes.retain(|_, (since, _)| since.elapsed() < life);
        if codes.len() == MOST {
            codes.clear();
        }
        let (_, exchanged) =
            codes.entry(code.to_owned()).or_insert_with(|| (Stopwatch::start(), Arc::default()));
        Arc::clone(exchanged)
    }
}

impl Client {
    /// Exchanges a code for a person's tokens; once, however often it is asked for within five
    /// minutes.
    ///
    /// # Errors
    /// When the platform refuses the code or there is no usable answer.
    pub async fn exchange(&self, request: &Exchange) -> Result<Grant, CallError> {
        let exchanged = self.codes().of(&request.code);
        exchanged.get_or_try_init(|| self.call(request)).await.cloned()
    }

    /// The base of the page that people authorize on: the sandbox has its own.
    #[must_use]
    pub fn pages(&self) -> String {
        if self.base().is_loopback() { self.base().to_string() } else { PAGES.to_owned() }
    }
}
