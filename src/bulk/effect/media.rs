//! What the write endpoint of pictures does to the account.

use super::{
    dry_run::DryRun,
    effect::{ChangedFollowers, Effect, InDoubt, Inverse, Lock, PreState, RehearseError, resolve_by_resend},
    observer::{ObserveError, Observer},
};
use crate::{
    api::media::{UploadImage, Uploaded},
    bulk::model::effect::RecordedEffect,
    store::{EffectKind, RecordedKind},
};

impl Effect for UploadImage {
    const KIND: EffectKind = EffectKind::MediaUploadImage;
    const RECORDED: RecordedKind = RecordedKind::Irreversible;
    const CHANGES_TAGS: bool = false;

    fn lock(&self) -> Option<Lock> {
        None
    }

    async fn observe(&self, _account: &Observer<'_>) -> Result<PreState, ObserveError> {
        Ok(PreState::irreversible::<Self>())
    }

    fn inverse(_recorded: &RecordedEffect) -> Inverse {
        Inverse::Irreversible("an uploaded picture is not kept in the library and stays at its address")
    }

    async fn resolve(&self, _account: &Observer<'_>) -> Result<InDoubt<Uploaded>, ObserveError> {
        Ok(resolve_by_resend::<Self>())
    }

    async fn rehearse(&self, _account: &Observer<'_>, _dry_run: &DryRun) -> Result<Uploaded, RehearseError> {
        // The file was held to the platform's rules when the script's path was read.
        Ok(Uploaded { url: "http://mmbiz.qpic.cn/dry-run/0".to_owned() })
    }

    fn followers(&self) -> Option<ChangedFollowers<'_>> {
        None
    }

    fn complete(recorded: RecordedEffect, _answer: &Uploaded) -> RecordedEffect {
        recorded
    }
}
