//! The page of a terminal operation that its closures run in. Steps that a closure begins are children of that page.

use crate::{
    bulk::Step,
    script::{
        host::{env::RunEnv, error::ScriptResult},
        writes::journaled_call::took_effect,
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

    /// Leaves the page. What an earlier attempt left in flight on it and replay did not reach is settled where the account
    /// shows that it took effect; else the run parks as soon as the script goes on.
    pub(crate) fn exit_page(&mut self, env: &RunEnv) -> ScriptResult<()> {
        if !self.is_entered {
            return Ok(());
        }
        self.has_written |= self.step.has_children(self.page);
        self.is_entered = false;
        let journal = self.step.journal();
        let left = env.block_on(self.step.exit_page(self.page));
        left.map_err(|error| env.journal_error(&journal.park(error.into())))?;
        for row in journal.unreached() {
            if took_effect(env, &row)? {
                journal.confirm_effect(&row.step);
            }
        }
        Ok(())
    }

    /// Leaves the page whose followers have all been visited. Fails if a step was in flight on it that replay did not
    /// reach.
    pub(crate) fn complete_page(&mut self, env: &RunEnv) -> ScriptResult<()> {
        self.exit_page(env)?;
        self.step.journal().verify_pages_replayed().map_err(|error| env.journal_error(&error))
    }
}
