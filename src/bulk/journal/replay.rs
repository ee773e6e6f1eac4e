//! Matches replayed steps to recorded ones: by position in general, by fingerprint on a page that was interrupted, because
//! the loop may have changed which followers it visits. Pure: must never ask the store; what an earlier attempt has
//! recorded is given to it.

use crate::{
    api::Resend,
    base::fingerprint,
    bulk::model::target::Target,
    store::{StepKind, StepRow, StepState},
};

/// What a step is, as the script names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepIdentity {
    /// What it is.
    pub kind: StepKind,
    /// What it does, for people: nothing compares it.
    pub label: String,
    /// What replay compares, and the journal keeps: the digest of a text that says all that the step depends on.
    pub fingerprint: String,
    /// What it acts on, for reports.
    pub target: Option<Target>,
}

impl StepIdentity {
    /// A step that `durable_text` identifies among those of its kind, shown to people as `label`. A run of an earlier
    /// version is resumed only if the same step has the same durable text, byte for byte: it is never reworded.
    #[must_use]
    pub fn new(kind: StepKind, durable_text: &str, label: String) -> Self {
        Self { kind, label, fingerprint: fingerprint([durable_text]), target: None }
    }

    /// Says what it acts on.
    #[must_use]
    pub fn on(self, target: Option<Target>) -> Self {
        Self { target, ..self }
    }

    /// Whether a recorded step is this one.
    fn matches(&self, row: &StepRow) -> bool {
        row.kind == self.kind && row.fingerprint == self.fingerprint
    }
}

/// The steps of one page, or of the script itself.
#[derive(Debug, Default)]
pub(crate) struct ReplayScope {
    pub prefix: String,
    pub next: u64,
    /// Of an interrupted page: its recorded steps that were not replayed yet.
    pub before: Option<Vec<StepRow>>,
}

/// Where a step is placed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// At the next position: what is recorded there, if anything, must be this step.
    Next(String),
    /// It was recorded on this page.
    Matched(Box<StepRow>),
    /// This page has no record of it.
    Fresh(String),
    /// This page has an unfinished call of the same kind that must not be made twice.
    Mismatch(StepRow),
}

impl ReplayScope {
    /// The steps of a page.
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix, ..Self::default() }
    }

    /// Whether it is a page whose recorded steps are not loaded yet.
    pub(crate) fn is_unread_page(&self) -> bool {
        !self.prefix.is_empty() && self.before.is_none()
    }

    /// Takes the steps that an earlier attempt has recorded of it.
    pub(crate) fn load(&mut self, rows: Vec<StepRow>) {
        self.next = rows.iter().map(|row| row.position).max().unwrap_or(0);
        self.before = Some(rows);
    }

    /// Whether replay has reached the step of this page that is at this place, or that has a part there. A page whose
    /// steps were not loaded has begun none.
    pub(crate) fn has_reached(&self, at: &str) -> bool {
        let is_of = |row: &StepRow| {
            at.strip_prefix(&row.step).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.before.as_ref().is_some_and(|rows| !rows.iter().any(is_of))
    }

    /// Places the next step.
    pub(crate) fn place(&mut self, identity: &StepIdentity, resend: Resend) -> Slot {
        let is_interrupted_page = self.before.is_some();
        if let Some(rows) = self.before.as_mut() {
            if let Some(at) = rows.iter().position(|row| identity.matches(row)) {
                return Slot::Matched(Box::new(rows.remove(at)));
            }
            let is_like = |row: &StepRow| row.state != StepState::Done && row.kind == identity.kind;
            if resend != Resend::Idempotent
                && let Some(at) = rows.iter().position(is_like)
            {
                return Slot::Mismatch(rows.remove(at));
            }
        }
        self.next += 1;
        let at = format!("{}{}", self.prefix, self.next);
        if is_interrupted_page { Slot::Fresh(at) } else { Slot::Next(at) }
    }
}

/// What replay does with a step that the script has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplayAction {
    /// Nothing is recorded: it starts.
    Start,
    /// It answers from the journal.
    Answer,
    /// It raises its recorded error: the script has handled that once.
    Raise,
    /// It resumes: a job from its checkpoint, a call by what its `Resend` says.
    Resume,
    /// The script left it early (`break`), and is past it.
    Skip,
    /// Another step is recorded in its place: the run is parked.
    Park,
}

/// Whether [`action`] depends on later steps being recorded, which is a query.
pub(crate) fn depends_on_later(identity: &StepIdentity, row: &StepRow) -> bool {
    match (identity.kind, row.state) {
        (_, StepState::Failed) => true,
        (StepKind::Terminal(kind), StepState::Begun) => kind.is_loop(),
        (StepKind::Call(_), StepState::Begun) | (_, StepState::Done) => false,
    }
}

/// What is recorded after a step, where [`action`] depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Following {
    /// No step that is not a child of it.
    Nothing,
    /// Later steps, and no child of it.
    Steps,
    /// Children of it, and later steps.
    ChildrenAndSteps,
}

/// The replay table.
pub(crate) fn action(
    identity: &StepIdentity,
    recorded: Option<&StepRow>,
    following: Following,
) -> ReplayAction {
    let Some(row) = recorded else { return ReplayAction::Start };
    if !identity.matches(row) {
        return ReplayAction::Park;
    }
    match (identity.kind, row.state) {
        (_, StepState::Done) => ReplayAction::Answer,
        (_, StepState::Failed) if following != Following::Nothing => ReplayAction::Raise,
        (StepKind::Terminal(kind), StepState::Begun)
            if kind.is_loop() && following == Following::ChildrenAndSteps =>
        {
            ReplayAction::Skip
        }
        (_, StepState::Failed | StepState::Begun) => ReplayAction::Resume,
    }
}

/// The first of these steps in flight, all of the script itself, that replay did not reach: it is past this many.
pub(crate) fn first_unreached(reached: u64, in_flight: Vec<StepRow>) -> Option<StepRow> {
    in_flight.into_iter().find(|row| row.position > reached)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EffectKind, TerminalKind};

    const TAG: StepKind = StepKind::Terminal(TerminalKind::Tag);
    const EACH: StepKind = StepKind::Terminal(TerminalKind::Each);
    const ATTACH: StepKind = StepKind::Call(EffectKind::TagAttach);
    const CARD: StepKind = StepKind::Call(EffectKind::CardCreate);

    fn identity(kind: StepKind, text: &str) -> StepIdentity {
        StepIdentity::new(kind, text, format!("step {text}"))
    }

    fn row(at: &str, kind: StepKind, text: &str, state: StepState) -> StepRow {
        let StepIdentity { kind, label, fingerprint, target: _ } = identity(kind, text);
        StepRow {
            step: at.to_owned(),
            position: at.split('/').next_back().and_then(|number| number.parse().ok()).expect("a number"),
            seq: 1,
            kind,
            fingerprint,
            label,
            target: String::new(),
            target_id: 0,
            state,
            effect_kind: None,
            effect_tag: 0,
            effect: String::new(),
            checkpoint: String::new(),
            answer: String::new(),
            has_batches: false,
        }
    }

    /// The action for a step of this kind that is recorded in this state.
    fn act(kind: StepKind, state: StepState, following: Following) -> ReplayAction {
        action(&identity(kind, "x"), Some(&row("1", kind, "x", state)), following)
    }

    #[test]
    fn step_without_record_starts() {
        for kind in [TAG, EACH, ATTACH, CARD] {
            assert_eq!(action(&identity(kind, "x"), None, Following::Nothing), ReplayAction::Start);
        }
    }

    #[test]
    fn step_done_answers_whatever_follows() {
        for kind in [TAG, EACH, ATTACH, CARD] {
            for following in [Following::Nothing, Following::Steps, Following::ChildrenAndSteps] {
                assert_eq!(act(kind, StepState::Done, following), ReplayAction::Answer);
            }
        }
    }

    #[test]
    fn step_failed_with_later_steps_raises_its_error() {
        for kind in [TAG, EACH, ATTACH, CARD] {
            assert_eq!(act(kind, StepState::Failed, Following::Steps), ReplayAction::Raise);
        }
    }

    #[test]
    fn step_failed_last_resumes() {
        for kind in [TAG, EACH, ATTACH, CARD] {
            assert_eq!(act(kind, StepState::Failed, Following::Nothing), ReplayAction::Resume);
        }
    }

    #[test]
    fn step_begun_resumes() {
        for kind in [TAG, EACH, ATTACH, CARD] {
            assert_eq!(act(kind, StepState::Begun, Following::Nothing), ReplayAction::Resume);
        }
        assert_eq!(act(TAG, StepState::Begun, Following::ChildrenAndSteps), ReplayAction::Resume);
        assert_eq!(act(EACH, StepState::Begun, Following::Steps), ReplayAction::Resume);
    }

    #[test]
    fn loop_begun_with_children_and_later_steps_is_skipped() {
        assert_eq!(act(EACH, StepState::Begun, Following::ChildrenAndSteps), ReplayAction::Skip);
    }

    #[test]
    fn step_of_other_kind_or_fingerprint_parks() {
        for state in [StepState::Begun, StepState::Done, StepState::Failed] {
            let recorded = row("1", TAG, "x", state);
            assert_eq!(action(&identity(TAG, "y"), Some(&recorded), Following::Nothing), ReplayAction::Park);
            assert_eq!(action(&identity(EACH, "x"), Some(&recorded), Following::Nothing), ReplayAction::Park);
        }
    }

    #[test]
    fn step_of_another_label_is_the_same_step() {
        let recorded = row("1", TAG, "x", StepState::Done);
        let relabelled = StepIdentity::new(TAG, "x", "tag the followers".to_owned());
        assert_ne!(relabelled.label, recorded.label);
        assert_eq!(action(&relabelled, Some(&recorded), Following::Nothing), ReplayAction::Answer);
    }

    #[test]
    fn later_steps_matter_to_failed_steps_and_begun_loops_only() {
        let depends = |kind, state| depends_on_later(&identity(kind, "x"), &row("1", kind, "x", state));
        assert!(depends(ATTACH, StepState::Failed) && depends(EACH, StepState::Begun));
        assert!(!depends(TAG, StepState::Begun) && !depends(ATTACH, StepState::Begun));
        assert!(!depends(EACH, StepState::Done));
    }

    #[test]
    fn steps_in_order_take_the_next_position() {
        let mut scope = ReplayScope::default();
        assert_eq!(scope.place(&identity(TAG, "x"), Resend::Idempotent), Slot::Next("1".to_owned()));
        assert_eq!(scope.place(&identity(CARD, "y"), Resend::Never), Slot::Next("2".to_owned()));
    }

    #[test]
    fn step_of_script_in_flight_behind_those_reached_is_unreached() {
        let in_flight = || vec![row("2", TAG, "x", StepState::Begun), row("10", CARD, "y", StepState::Begun)];
        let unreached = |reached| first_unreached(reached, in_flight()).map(|row| row.step);
        assert_eq!(
            [1, 2, 9, 10].map(unreached),
            [Some("2"), Some("10"), Some("10"), None].map(|at| at.map(str::to_owned))
        );
    }

    /// The second page of step 3, which was interrupted with these steps recorded.
    fn interrupted_page(rows: &[StepRow]) -> ReplayScope {
        let mut scope = ReplayScope::new("3/2/".to_owned());
        assert!(scope.is_unread_page());
        scope.load(rows.to_vec());
        scope
    }

    #[test]
    fn step_on_interrupted_page_is_matched_by_fingerprint_once() {
        let recorded =
            [row("3/2/1", ATTACH, "a", StepState::Done), row("3/2/2", ATTACH, "b", StepState::Begun)];
        let mut scope = interrupted_page(&recorded);
        let matched = scope.place(&identity(ATTACH, "b"), Resend::Idempotent);
        assert_eq!(matched, Slot::Matched(Box::new(recorded[1].clone())));
        let again = scope.place(&identity(ATTACH, "b"), Resend::Idempotent);
        assert_eq!(again, Slot::Fresh("3/2/3".to_owned()));
    }

    #[test]
    fn step_new_to_interrupted_page_comes_after_its_steps() {
        let mut scope = interrupted_page(&[row("3/2/7", ATTACH, "a", StepState::Begun)]);
        let fresh = scope.place(&identity(ATTACH, "b"), Resend::Idempotent);
        assert_eq!(fresh, Slot::Fresh("3/2/8".to_owned()));
    }

    #[test]
    fn step_on_interrupted_page_is_reached_with_its_parts() {
        let recorded =
            [row("3/2/1", EACH, "a", StepState::Begun), row("3/2/10", ATTACH, "b", StepState::Begun)];
        let mut scope = interrupted_page(&recorded);
        let reached = |scope: &ReplayScope| ["3/2/1", "3/2/1/1/4", "3/2/10"].map(|at| scope.has_reached(at));
        assert_eq!(reached(&scope), [false, false, false]);
        scope.place(&identity(EACH, "a"), Resend::Idempotent);
        assert_eq!(reached(&scope), [true, true, false]);
    }

    #[test]
    fn page_on_which_replay_began_no_step_has_reached_none() {
        assert!(!ReplayScope::new("3/2/".to_owned()).has_reached("3/2/1"));
    }

    #[test]
    fn call_not_idempotent_beside_unfinished_one_of_its_kind_is_mismatch() {
        let recorded = row("3/2/1", CARD, "a", StepState::Begun);
        for resend in [Resend::Never, Resend::VerifyFirst] {
            let mut scope = interrupted_page(std::slice::from_ref(&recorded));
            assert_eq!(scope.place(&identity(CARD, "b"), resend), Slot::Mismatch(recorded.clone()));
        }
        // One that has ended, or is of another kind, is no reason to stop.
        for recorded in
            [row("3/2/1", CARD, "a", StepState::Done), row("3/2/1", ATTACH, "a", StepState::Begun)]
        {
            let mut scope = interrupted_page(&[recorded]);
            let fresh = scope.place(&identity(CARD, "b"), Resend::Never);
            assert_eq!(fresh, Slot::Fresh("3/2/2".to_owned()));
        }
    }
}
