//! What every floor stands on: time, secrets, retries, cancellation, locks, diagnostics, files, numbers, HTTP servers.
//!
//! Must never know WeChat: nothing here names an endpoint, an errcode or a follower.

mod atomic_file;
mod cancel;
mod clock;
mod closest_match;
mod csv_file;
mod diagnostic;
mod epoch_ms;
mod fingerprint;
pub mod http;
mod lock;
mod look_alike;
pub mod millis;
mod number;
mod plain_text;
mod process_id;
mod regular_file;
mod retry;
mod secret;
mod setting;
mod text_file;
mod typed_sign;

pub use atomic_file::AtomicFile;
pub use cancel::Cancel;
pub use clock::{Clock, ClockSkew, Stopwatch};
pub use closest_match::closest_match;
pub use csv_file::{CsvFile, no_formula};
pub use diagnostic::{Diagnostic, SourceSpan};
pub use epoch_ms::EpochMs;
pub use fingerprint::fingerprint;
pub use lock::{lock, read_lock, write_lock};
pub use look_alike::as_seen;
pub use number::{millis_as_secs, parse_percent, with_thousands};
pub use plain_text::{is_blank, is_unprintable, plain_line, plain_text};
pub use process_id::{ProcessId, StartId, UnknownProcess};
pub use regular_file::{ReadError, open_regular, read_regular, refuse_other_kinds};
pub use retry::{Retry, RetrySchedule};
pub use secret::{Redactor, Secret};
pub use setting::{Advice, Setting, SettingNames};
pub use text_file::{decode_text, read_text};
pub use typed_sign::{TypedSign, in_ascii};
