//! What every floor stands on: time, secrets, retry schedule, cancellation, diagnostics, whole files.
//!
//! Must never know WeChat: nothing here names an endpoint, an errcode or a follower.

mod cancel;
mod clock;
mod diagnostic;
mod retry;
mod secret;
mod text;
mod whole_file;

pub use cancel::Cancel;
pub use clock::{Clock, Stopwatch};
pub use diagnostic::{Diagnostic, Place};
pub use retry::{Retry, RetrySchedule};
pub use secret::{Redactor, Secret};
pub use text::{digest, grouped, nearest};
pub use whole_file::WholeFile;
