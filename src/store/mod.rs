//! State that outlives a process: tokens, leases, budgets, the ledger of calls, runs and their journals.
//!
//! One trait with two drivers, SQLite for one machine and PostgreSQL for several; each concern is a
//! file of statements above it, the same SQL for both. Must never know what the platform does: of a step it has the
//! name of its kind, which is a durable word, and its keys are texts that others choose.
//!
//! Each file with methods of [`Store`] has those of one concern: `store` executes statements, `open` opens a store, `migrate`
//! brings the tables up to date, `run`, `journal`, `batch` and `output` are the parts of a recorded run (`run` with its write
//! locks), `purge` deletes runs, fires and automations with what depends on them, and `audience_size`, `automation`,
//! `budget`, `clock`, `fire`, `lease`, `ledger`, `seen_day` and `token` are what their names say.

mod audience_size;
mod automation;
mod automation_id;
mod automation_state;
mod batch;
mod budget;
mod clock;
mod decode;
mod driver;
mod error;
mod fire;
mod fire_kind;
mod fire_reason;
mod fire_state;
mod journal;
mod lease;
mod ledger;
mod migrate;
mod migrate_v11;
mod migrate_v12;
mod migrate_v13;
mod migrate_v14;
mod migrate_v16;
mod migrate_v6;
mod migrate_v7;
mod migrate_v8;
mod migrate_v9;
mod open;
mod opened_files;
mod output;
mod postgres;
mod purge;
mod run;
mod run_state;
mod seen_day;
mod source;
mod sql;
mod sqlite;
mod step;
mod store;
mod store_time;
mod stored_enum;
mod temp_set;
mod token;

pub use automation::{AutomationRecord, ScanChange, ServedVersion, UnreadableAutomation};
pub use automation_id::AutomationId;
pub use batch::{BatchOutcome, BatchPosition, BatchRow, BatchTotals, ChangedBatch};
pub use decode::{JsonColumn, Quoting};
pub use driver::{Row, Statement, Value};
pub use error::StoreError;
pub use fire::{Fire, LastFire};
pub use fire_kind::{FAILURE_OF, FireKind};
pub use fire_reason::{FireReason, ReportedFailure};
pub use fire_state::FireState;
pub use journal::{JournalWrite, NewStep, StepRow};
pub use lease::{LeaseKey, LeaseKind};
pub use ledger::{Spent, UnreadableUsage, Usage};
pub use output::OutputLine;
pub use run::{AttemptStatus, RunEnd, RunPayload, RunRecord, SavedState, StartedBy, UnreadableRun};
pub use run_state::RunState;
pub use seen_day::SeenDay;
pub use step::{EffectKey, EffectKind, RecordedKind, StepKind, StepState, TerminalKind};
pub use store::Store;
pub use store_time::StoreTime;
pub use temp_set::TempSet;
pub use token::TokenRecord;

use decode::Cells;
