//! A call of a path that no endpoint declares: nothing is known of what it does to the account.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, InDoubt, Lock, PreState, RehearseError},
    observer::{ObserveError, Observer},
    write_call::{Boxed, WriteCall},
};
use crate::{api::Spec, bulk::model::effect::RecordedEffect, store::EffectKind};
use serde_json::{Value, json};

/// A call of an undeclared path.
#[derive(Clone, Copy, Debug)]
pub struct Undeclared {
    /// What is assumed of the path.
    pub spec: &'static Spec,
}

impl WriteCall for Undeclared {
    fn kind(&self) -> EffectKind {
        EffectKind::Undeclared
    }

    fn spec(&self) -> &'static Spec {
        self.spec
    }

    fn lock(&self) -> Option<Lock> {
        None
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn observe<'a>(&'a self, _account: &'a Observer<'a>) -> Boxed<'a, Result<PreState, ObserveError>> {
        Box::pin(async { Ok(PreState::new(RecordedEffect::Other(self.spec.name.to_owned()))) })
    }

    fn resolve<'a>(&'a self, _account: &'a Observer<'a>) -> Boxed<'a, Result<InDoubt<Value>, ObserveError>> {
        Box::pin(async { Ok(InDoubt::Unknown) })
    }

    fn rehearse<'a>(
        &'a self,
        _account: &'a Observer<'a>,
        _dry_run: &'a DryRun,
    ) -> Boxed<'a, Result<Value, RehearseError>> {
        Box::pin(async { Ok(json!({"errcode": 0, "errmsg": "ok"})) })
    }

    fn complete(&self, recorded: RecordedEffect, _answer: &Value) -> serde_json::Result<RecordedEffect> {
        Ok(recorded)
    }
}
