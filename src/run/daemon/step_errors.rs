//! The errors of a step, whose parts do not stop each other.

use crate::store::StoreError;

/// The first error of the parts of a step.
#[derive(Default)]
pub(super) struct StepErrors(Option<StoreError>);

impl StepErrors {
    /// Takes the result of a part. An error that concerns some rows is kept, and the step goes on; that of a store that does
    /// not answer ends the step.
    pub(super) fn absorb(&mut self, result: Result<(), StoreError>) -> Result<(), StoreError> {
        match result {
            Err(
                error @ (StoreError::Other { .. } | StoreError::Conflict { .. } | StoreError::Decode { .. }),
            ) => {
                self.0.get_or_insert(error);
                Ok(())
            }
            other => other,
        }
    }

    /// The first error that was kept.
    pub(super) fn into_result(self) -> Result<(), StoreError> {
        self.0.map_or(Ok(()), Err)
    }
}
