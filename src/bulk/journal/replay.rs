//! Where the steps of a run stand: one after another as the script comes to them, and on a page that was cut off by their
//! words. Must never ask the store: what an earlier attempt has left of a page is told to it.

use crate::{api::Resend, store::StepRow};

/// The steps of one page, or of the script itself.
#[derive(Debug, Default)]
pub(crate) struct ReplayScope {
    pub prefix: String,
    pub next: u32,
    /// Of a page that was cut off: its steps that were not met again yet. The loop may have changed whom it is for, so
    /// that they are known again by their words.
    pub before: Option<Vec<StepRow>>,
}

/// Where a step stands.
pub(crate) enum Slot {
    /// At the next place, as the script comes to it.
    Next(String),
    /// It was met on this page before.
    Matched(Box<StepRow>),
    /// This page never had it.
    Fresh(String),
    /// This page had another one like it that must not be done twice.
    Mismatch(StepRow),
}

impl ReplayScope {
    /// Those of a page.
    pub(crate) fn of_page(prefix: String) -> Self {
        Self { prefix, ..Self::default() }
    }

    /// Whether it is a page of which it is not known yet what an earlier attempt has left.
    pub(crate) fn is_unread_page(&self) -> bool {
        !self.prefix.is_empty() && self.before.is_none()
    }

    /// What an earlier attempt has left of it.
    pub(crate) fn load(&mut self, rows: Vec<StepRow>) {
        let length = self.prefix.len();
        self.next = rows.iter().filter_map(|row| row.step[length..].parse().ok()).max().unwrap_or(0);
        self.before = Some(rows);
    }

    /// The place of the next step.
    pub(crate) fn place(&mut self, what: &str, resend: Resend) -> Slot {
        let before = self.before.as_mut();
        let of_page = before.is_some();
        if let Some(rows) = before {
            if let Some(at) = rows.iter().position(|row| row.what == what) {
                return Slot::Matched(Box::new(rows.remove(at)));
            }
            let name = |what: &str| what.split('(').next().unwrap_or_default().to_owned();
            if resend != Resend::Idempotent
                && let Some(at) =
                    rows.iter().position(|row| row.state != "done" && name(&row.what) == name(what))
            {
                return Slot::Mismatch(rows.remove(at));
            }
        }
        self.next += 1;
        let at = format!("{}{}", self.prefix, self.next);
        if of_page { Slot::Fresh(at) } else { Slot::Next(at) }
    }
}
