//! Created QR codes, by ticket.

use std::collections::HashMap;

/// The scene that a code stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    Number(u32),
    Text(String),
}

/// One code.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub scene: Scene,
    /// Absent for a permanent code.
    pub expires: Option<i64>,
}

/// All created codes.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    pub by_ticket: HashMap<String, Code>,
    pub permanent: usize,
}
