//! A write call without its type: what the journal of single calls works on.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, Effect, InDoubt, Lock, PreState, RehearseError},
    observer::{ObserveError, Observer},
};
use crate::{
    api::{Endpoint, Spec},
    bulk::model::effect::RecordedEffect,
    store::EffectKind,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::pin::Pin;

/// A future of a trait object.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call of a write endpoint, or of a path that no endpoint declares. Every [`Effect`] is one.
pub trait WriteCall: Sync {
    /// What it is called in the journal.
    fn kind(&self) -> EffectKind;
    /// The endpoint's declaration.
    fn spec(&self) -> &'static Spec;
    /// See [`Effect::lock`].
    fn lock(&self) -> Option<Lock>;
    /// See [`Effect::followers`].
    fn followers(&self) -> Option<ChangedFollowers<'_>>;
    /// See [`Effect::observe`].
    fn observe<'a>(&'a self, account: &'a Observer<'a>) -> Boxed<'a, Result<PreState, ObserveError>>;
    /// See [`Effect::resolve`].
    fn resolve<'a>(&'a self, account: &'a Observer<'a>) -> Boxed<'a, Result<InDoubt<Value>, ObserveError>>;
    /// See [`Effect::rehearse`].
    fn rehearse<'a>(
        &'a self,
        account: &'a Observer<'a>,
        dry_run: &'a DryRun,
    ) -> Boxed<'a, Result<Value, RehearseError>>;
    /// See [`Effect::complete`].
    ///
    /// # Errors
    /// When the answer is of another form than the endpoint's.
    fn complete(&self, recorded: RecordedEffect, answer: &Value) -> serde_json::Result<RecordedEffect>;

    /// How many followers it changes.
    fn count_followers(&self) -> usize {
        self.followers().map_or(0, |followers| followers.openids.len())
    }

    /// The requests that it takes: a list that is longer than the platform's bound is cut.
    fn requests(&self) -> usize {
        self.spec().list.map_or(1, |limit| self.count_followers().div_ceil(limit.max).max(1))
    }
}

impl<E: Effect> WriteCall for E {
    fn kind(&self) -> EffectKind {
        E::KIND
    }

    fn spec(&self) -> &'static Spec {
        <E as Endpoint>::SPEC
    }

    fn lock(&self) -> Option<Lock> {
        Effect::lock(self)
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        Effect::followers(self)
    }

    fn observe<'a>(&'a self, account: &'a Observer<'a>) -> Boxed<'a, Result<PreState, ObserveError>> {
        Box::pin(Effect::observe(self, account))
    }

    fn resolve<'a>(&'a self, account: &'a Observer<'a>) -> Boxed<'a, Result<InDoubt<Value>, ObserveError>> {
        Box::pin(async { Ok(Effect::resolve(self, account).await?.map(|answer| json!(answer))) })
    }

    fn rehearse<'a>(
        &'a self,
        account: &'a Observer<'a>,
        dry_run: &'a DryRun,
    ) -> Boxed<'a, Result<Value, RehearseError>> {
        Box::pin(async { Ok(json!(Effect::rehearse(self, account, dry_run).await?)) })
    }

    fn complete(&self, recorded: RecordedEffect, answer: &Value) -> serde_json::Result<RecordedEffect> {
        Ok(E::complete(recorded, &E::Answer::deserialize(answer)?))
    }
}
