//! What every floor stands on: time, secrets, retry schedule, cancellation, diagnostics, whole files, tables.
//!
//! Must never know WeChat: nothing here names an endpoint, an errcode or a follower.

mod cancel;
mod clock;
mod csv_file;
mod diagnostic;
mod lock;
mod retry;
mod secret;
mod text;
mod whole_file;

pub use cancel::Cancel;
pub use clock::{Clock, Stopwatch};
pub use csv_file::{CsvFile, no_formula};
pub use diagnostic::{Diagnostic, Place};
pub use lock::{lock, read_lock, write_lock};
pub use retry::{Retry, RetrySchedule};
pub use secret::{Redactor, Secret};
pub use text::{digest, grouped, nearest, read_share};
pub use whole_file::WholeFile;
