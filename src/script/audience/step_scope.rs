//! The page of a terminal operation that its closures run in. Steps that a closure begins are children of that page.

use crate::{
    bulk::Step,
    script::{
        host::{env::RunEnv, error::ScriptResult},
        writes::journaled_call::has_taken_effect,
    },
};

/// A step of the journal and the page that is being worked on.
pub(crate) struct StepScope {
    pub step: Step,
    /// The number of the page that is at hand.
    pub page: u64,
    /// Whether steps that begin now are children of the page.
    is_entered: bool,
    /// Whether a closure made calls that change the account.
    has_written: bool,
}

impl StepScope {
    pub(crate) fn new(step: Step, page: u64, has_written: bool) -> Self {
        Self { step, page, is_entered: false, has_written }
    }

    pub(crate) fn has_written(&self) -> bool {
        self.has_written
    }

    pub(crate) fn enter_page(&mut self) {
        if !self.is_entered {
            self.step.enter_page(self.page);
            self.is_entered = true;
        }
    }

    pub(crate) fn exit_page(&mut self) {
        if self.is_entered {
            self.has_written |= self.step.has_children(self.page);
            self.step.exit();
            self.is_entered = false;
        }
    }

    /// Fails if an earlier attempt left a step of this page in flight that replay did not reach, unless the account
    /// shows that the step took effect.
    pub(crate) fn verify_page_replayed(&self, env: &RunEnv) -> ScriptResult<()> {
        for row in self.step.missing_on(self.page) {
            if !has_taken_effect(env, &row)? {
                return Err(env.journal_error(&self.step.journal().not_replayed(row)));
            }
        }
        Ok(())
    }
}
