//! What replay does with a call that an earlier attempt began without recording its outcome, and with a step in flight that
//! the script does not reach again. `replay.rs` decides about all other recorded steps.
//!
//! Pure: the caller reads the journal, asks the account and the person, and passes on what they say.

use super::journal::Resolution;
use crate::{
    api::Resend,
    bulk::{
        effect::effect::InDoubt,
        model::{batch::ChangeItem, change::Change, effect::RecordedEffect},
    },
    store::StepKind,
};
use serde_json::Value;

/// What is recorded of a call without an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IncompleteCall {
    /// What it does to the account is recorded, as it is before the call is sent.
    pub has_effect: bool,
    /// The platform refused it.
    pub was_refused: bool,
    /// Whether it may be sent twice.
    pub resend: Resend,
}

/// What was asked about a call in doubt so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing.
    Nothing,
    /// The account, which shows this.
    Account(InDoubt<Value>),
    /// A person too, who decided this, if anything; an error says why their answer can't be used.
    Person(Option<Result<Resolution, String>>),
}

/// What replay does with a call without an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallAction {
    /// It is sent.
    Send,
    /// It took effect with this answer.
    Answer(Value),
    /// The account is asked first.
    AskAccount,
    /// The account does not show it: what a person decided is asked for.
    AskPerson,
    /// The run is parked until a person decides.
    Park,
    /// The run is parked: the answer that a person gave can't be used, for this reason.
    ParkUnusable(String),
}

impl IncompleteCall {
    /// Whether it may have taken effect: it did unless it was not sent, or refused.
    pub(crate) const fn is_in_doubt(self) -> bool {
        self.has_effect && !self.was_refused
    }

    /// What to do with what is known so far.
    pub(crate) fn action(self, asked: Asked) -> CallAction {
        if !self.is_in_doubt() {
            return CallAction::Send;
        }
        match (self.resend, asked) {
            (Resend::Idempotent, _) => CallAction::Send,
            (Resend::VerifyFirst | Resend::Never, asked) => match asked {
                Asked::Nothing => CallAction::AskAccount,
                Asked::Account(InDoubt::Unknown) => CallAction::AskPerson,
                Asked::Account(InDoubt::Retry) | Asked::Person(Some(Ok(Resolution::Retry))) => {
                    CallAction::Send
                }
                Asked::Account(InDoubt::Completed(answer))
                | Asked::Person(Some(Ok(Resolution::Completed(answer)))) => CallAction::Answer(answer),
                Asked::Person(Some(Err(reason))) => CallAction::ParkUnusable(reason),
                Asked::Person(None) => CallAction::Park,
            },
        }
    }
}

/// What the journal has of the state before a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordedPreState {
    /// What the call does.
    pub effect: Option<RecordedEffect>,
    /// The followers that the call changes; `None` where the state before could not be read.
    pub items: Option<Vec<ChangeItem>>,
}

impl RecordedPreState {
    /// The state before the first attempt of a call that is sent again, from the effect and the followers that it
    /// recorded; `None` where it must be observed again: nothing was sent, or the call changed no follower.
    pub(crate) fn from_recorded(effect: Option<RecordedEffect>, items: Vec<ChangeItem>) -> Option<Self> {
        let effect = effect?;
        let items = match effect {
            RecordedEffect::Change(_) if items.is_empty() => return None,
            RecordedEffect::Change(_) => Some(items),
            RecordedEffect::CreateTag { .. }
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_) => None,
        };
        Some(Self { effect: Some(effect), items })
    }
}

/// What replay does with a step in flight on a page that it left without reaching the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnreachedAction {
    /// The account is asked whether this change took effect.
    Look(Change),
    /// It took effect: it is not lost.
    Confirm,
    /// The run is parked as soon as the script goes on.
    Park,
}

/// What to do with an unreached step of this kind, effect and followers; `shown` is whether the account shows that it took
/// effect, once that was asked.
pub(crate) fn unreached_action(
    kind: StepKind,
    effect: Option<&RecordedEffect>,
    items: &[ChangeItem],
    shown: Option<bool>,
) -> UnreachedAction {
    let change = match (kind, effect) {
        // Without an intent it was not sent.
        (StepKind::Call(_), Some(RecordedEffect::Change(change))) if !items.is_empty() => *change,
        // The batches of a job within the loop need not cover all followers that it was to change.
        (StepKind::Call(_) | StepKind::Terminal(_), _) => return UnreachedAction::Park,
    };
    match shown {
        None => UnreachedAction::Look(change),
        Some(true) => UnreachedAction::Confirm,
        Some(false) => UnreachedAction::Park,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EffectKind, TerminalKind};
    use serde_json::json;

    const CALL: StepKind = StepKind::Call(EffectKind::TagAttach);
    const JOB: StepKind = StepKind::Terminal(TerminalKind::Tag);
    const LOOP: StepKind = StepKind::Terminal(TerminalKind::Each);
    const ATTACH: RecordedEffect = RecordedEffect::Change(Change::Attach(7));
    const RESENDS: [Resend; 3] = [Resend::Idempotent, Resend::VerifyFirst, Resend::Never];

    const fn in_doubt(resend: Resend) -> IncompleteCall {
        IncompleteCall { has_effect: true, was_refused: false, resend }
    }

    fn answer() -> Value {
        json!({"card_id": "c1"})
    }

    fn items() -> Vec<ChangeItem> {
        vec![ChangeItem::Openid("o1".to_owned())]
    }

    /// The row "failed, nothing after it".
    #[test]
    fn call_failed_last_is_sent_again_if_refused_else_as_in_doubt() {
        for resend in RESENDS {
            let refused = IncompleteCall { has_effect: true, was_refused: true, resend };
            assert!(!refused.is_in_doubt());
            assert_eq!(refused.action(Asked::Nothing), CallAction::Send, "{resend:?}");
            assert!(in_doubt(resend).is_in_doubt(), "{resend:?}");
        }
    }

    /// The row "begun, no effect or batch recorded".
    #[test]
    fn call_begun_without_effect_is_sent() {
        for resend in RESENDS {
            let unsent = IncompleteCall { has_effect: false, was_refused: false, resend };
            assert!(!unsent.is_in_doubt());
            assert_eq!(unsent.action(Asked::Nothing), CallAction::Send, "{resend:?}");
        }
    }

    /// The row "begun, in doubt, idempotent".
    #[test]
    fn call_in_doubt_is_sent_again_if_idempotent() {
        assert_eq!(in_doubt(Resend::Idempotent).action(Asked::Nothing), CallAction::Send);
    }

    /// The row "begun, in doubt, not idempotent".
    #[test]
    fn call_in_doubt_is_resolved_or_parks_if_not_idempotent() {
        let retry = || Some(Ok(Resolution::Retry));
        let completed = || Some(Ok(Resolution::Completed(answer())));
        let unusable = || "no card_id".to_owned();
        for resend in [Resend::VerifyFirst, Resend::Never] {
            for (asked, expected) in [
                (Asked::Nothing, CallAction::AskAccount),
                (Asked::Account(InDoubt::Completed(answer())), CallAction::Answer(answer())),
                (Asked::Account(InDoubt::Retry), CallAction::Send),
                (Asked::Account(InDoubt::Unknown), CallAction::AskPerson),
                (Asked::Person(retry()), CallAction::Send),
                (Asked::Person(completed()), CallAction::Answer(answer())),
                (Asked::Person(Some(Err(unusable()))), CallAction::ParkUnusable(unusable())),
                (Asked::Person(None), CallAction::Park),
            ] {
                assert_eq!(in_doubt(resend).action(asked.clone()), expected, "{resend:?}, {asked:?}");
            }
        }
    }

    /// The row "in flight, never reached", for a step on a page.
    #[test]
    fn step_never_reached_on_page_is_looked_for_if_a_call_sent_it_else_parks() {
        let other = RecordedEffect::Other("card::create".to_owned());
        let look = UnreachedAction::Look(Change::Attach(7));
        for (kind, effect, items, shown, expected) in [
            (CALL, Some(&ATTACH), items(), None, look),
            (CALL, Some(&ATTACH), items(), Some(true), UnreachedAction::Confirm),
            (CALL, Some(&ATTACH), items(), Some(false), UnreachedAction::Park),
            (CALL, Some(&ATTACH), Vec::new(), None, UnreachedAction::Park),
            (CALL, Some(&other), Vec::new(), None, UnreachedAction::Park),
            (CALL, None, Vec::new(), None, UnreachedAction::Park),
            (JOB, Some(&ATTACH), items(), None, UnreachedAction::Park),
            (LOOP, None, Vec::new(), None, UnreachedAction::Park),
        ] {
            let action = unreached_action(kind, effect, &items, shown);
            assert_eq!(action, expected, "{kind:?}, {effect:?}, {items:?}, {shown:?}");
        }
    }

    #[test]
    fn call_sent_again_has_the_state_before_its_first_attempt() {
        let created = || RecordedEffect::CreateTag { id: None, name: "甲".to_owned() };
        for (effect, recorded, expected) in [
            (None, Vec::new(), None),
            (Some(ATTACH), Vec::new(), None),
            (Some(ATTACH), items(), Some((ATTACH, Some(items())))),
            (Some(created()), Vec::new(), Some((created(), None))),
        ] {
            let expected = expected.map(|(effect, items)| RecordedPreState { effect: Some(effect), items });
            assert_eq!(RecordedPreState::from_recorded(effect, recorded), expected);
        }
    }
}
