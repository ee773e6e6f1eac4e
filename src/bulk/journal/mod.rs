//! The write-ahead journal of a run, and how a resumed run is matched to it.

pub(crate) mod checkpoint;
pub(crate) mod committer;
pub(crate) mod error;
pub(crate) mod fail_point;
pub(crate) mod journal;
pub(crate) mod recorded_json;
pub(crate) mod recorded_tag;
pub(crate) mod replay;
pub(crate) mod replayed_call;
