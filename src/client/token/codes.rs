//! Remembers exchanged codes, since a second exchange of a code would fail (40163).

use crate::{
    api::oauth::{CODE_LIFE, Grant},
    base::{Stopwatch, lock},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::OnceCell;

/// Limit of remembered codes.
const MAX_CODES: usize = 10_000;

/// The grant of one code, once it is exchanged.
type ExchangedCode = Arc<OnceCell<Grant>>;

/// The codes of the last five minutes, the time that one is valid.
#[derive(Default)]
pub(crate) struct ExchangedCodes(Mutex<HashMap<String, (Stopwatch, ExchangedCode)>>);

impl ExchangedCodes {
    pub(crate) fn for_code(&self, code: &str) -> ExchangedCode {
        let mut codes = lock(&self.0);
        let ttl = Duration::from_secs(CODE_LIFE.unsigned_abs());
        codes.retain(|_, (since, _)| since.elapsed() < ttl);
        if codes.len() == MAX_CODES {
            codes.clear();
        }
        let (_, exchanged) =
            codes.entry(code.to_owned()).or_insert_with(|| (Stopwatch::start(), Arc::default()));
        Arc::clone(exchanged)
    }
}
