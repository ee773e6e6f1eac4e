//! From a journal to an undo: what each step did, and what undoes it, in the order in which it must be undone. The plan
//! is plain data; the floor above makes a script of it.
//!
//! One file because what each kind of step did and what undoes it are read together.

use crate::{
    bulk::{
        effect::effect::Inverse,
        model::{change::Change, effect::RecordedEffect},
    },
    store::{EffectKind, StepKind, StepRow, Store, StoreError},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// Steps of one query.
const PAGE_ROWS: i64 = 1_000;

/// How a run is undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoPlan {
    /// The run.
    pub run: String,
    /// What is undone of each step: the last step first.
    pub steps: Vec<UndoStep>,
    /// What can't be undone, for people.
    pub irreversible: Vec<String>,
}

/// What is undone of one top-level step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoStep {
    /// The step's place.
    pub step: String,
    /// What it did, for people.
    pub label: String,
    /// What undoes it, in order.
    pub actions: Vec<UndoAction>,
}

/// One compensation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UndoAction {
    /// The followers that the step changed are changed back.
    ChangeBack {
        /// What the step did to them.
        change: Change,
        /// What undoes that; a remark is set to the one from before.
        back: Change,
        /// The name of the tag, where it was deleted since and must be created again.
        recreate: Option<String>,
    },
    /// A tag that no follower had when it was deleted is created again.
    RecreateTag {
        /// Its name.
        name: String,
    },
    /// A tag is given its former name.
    RestoreTagName {
        /// The tag's id.
        id: i64,
        /// The former name.
        from: String,
        /// The name that the run gave it.
        to: String,
    },
    /// A tag that the run created is deleted, unless a follower has it.
    DeleteTagIfEmpty {
        /// The tag's id; none where it is not known, and the name counts.
        id: Option<i64>,
        /// Its name.
        name: String,
    },
}

impl UndoPlan {
    /// Whether the run did nothing that can be undone or reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.irreversible.is_empty()
    }
}

/// The plan that undoes a run. A row of its journal that can't be decoded is an error.
pub async fn plan_undo(store: &Store, run: &str) -> Result<UndoPlan, StoreError> {
    store.check_places(run).await?;
    let mut steps = TopLevelSteps::default();
    // From the first: the number of a damaged one may be negative.
    let mut after = i64::MIN;
    loop {
        let rows = store.steps(run, after, PAGE_ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in rows {
            let effect = RecordedEffect::read(run, &row)?.map(|effect| StepEffect {
                seq: row.seq,
                inverse: effect.inverse(row.kind),
                effect,
            });
            steps.add(row, effect);
        }
    }
    Ok(steps.plan(run))
}

/// A step of the script, which may be a loop of many calls, with its effects.
struct TopLevelStep {
    step: String,
    kind: StepKind,
    label: String,
    effects: Vec<StepEffect>,
}

/// What a step of the script, or a part of one, did to the account.
struct StepEffect {
    /// The number of the last step that did it.
    seq: i64,
    effect: RecordedEffect,
    /// What is declared to undo it.
    inverse: Inverse,
}

/// The steps of a script, in the order in which they started.
#[derive(Default)]
struct TopLevelSteps {
    steps: Vec<TopLevelStep>,
    places: HashMap<String, usize>,
}

/// What a run did to tags, as far as it decides what can be undone.
#[derive(Default)]
struct TagHistory {
    /// Tags that the run created.
    created: BTreeSet<i64>,
    /// Tags that it deleted; with the name by which it can be created again, where no follower had it then.
    deleted: BTreeMap<i64, Option<String>>,
    /// Tags that it took off followers.
    detached: BTreeSet<i64>,
    /// The names that tags had before the run renamed them.
    former_names: BTreeMap<i64, String>,
}

impl TopLevelSteps {
    /// Adds a step, which may be a child of a top-level one, with its effect.
    fn add(&mut self, row: StepRow, effect: Option<StepEffect>) {
        let place = row.step.split('/').next().unwrap_or_default().to_owned();
        let at = *self.places.entry(place.clone()).or_insert_with(|| {
            let (kind, label) = (row.kind, row.label.clone());
            self.steps.push(TopLevelStep { step: place, kind, label, effects: Vec::new() });
            self.steps.len() - 1
        });
        let top = &mut self.steps[at];
        if row.step == top.step {
            (top.kind, top.label) = (row.kind, row.label);
        }
        let Some(recorded) = effect else { return };
        // Followers that were changed are changed back together; whatever has a name is undone step by step.
        if matches!(recorded.effect, RecordedEffect::Change(_)) {
            top.effects.retain(|known| known.effect != recorded.effect);
        }
        top.effects.push(recorded);
    }

    fn plan(self, run: &str) -> UndoPlan {
        let history = TagHistory::from_steps(&self.steps);
        let mut plan = UndoPlan { run: run.to_owned(), ..UndoPlan::default() };
        for TopLevelStep { step, label, mut effects, .. } in self.steps.into_iter().rev() {
            effects.retain(|recorded| history.can_undo(&recorded.effect));
            // A tag comes off its followers before it is deleted.
            effects.sort_by_key(|StepEffect { seq, effect, .. }| {
                (matches!(effect, RecordedEffect::CreateTag { .. }), Reverse(*seq))
            });
            let mut actions = Vec::new();
            for recorded in effects {
                match history.action(recorded, &step) {
                    Ok(action) => actions.push(action),
                    Err(irreversible) => plan.irreversible.push(irreversible),
                }
            }
            if !actions.is_empty() {
                plan.steps.push(UndoStep { step, label, actions });
            }
        }
        plan
    }
}

impl TagHistory {
    fn from_steps(steps: &[TopLevelStep]) -> Self {
        let mut history = Self::default();
        for step in steps {
            for recorded in &step.effects {
                match &recorded.effect {
                    RecordedEffect::CreateTag { id, .. } => history.created.extend(id),
                    RecordedEffect::DeleteTag { id, name } => {
                        let was_empty = step.kind == StepKind::Call(EffectKind::DeleteTagIfEmpty);
                        // The name that it had before the run gave it others.
                        let name = history.former_names.get(id).unwrap_or(name);
                        history.deleted.insert(*id, was_empty.then(|| name.clone()));
                    }
                    RecordedEffect::RenameTag { id, from, .. } => {
                        history.former_names.entry(*id).or_insert_with(|| from.clone());
                    }
                    RecordedEffect::Change(Change::Detach(id)) => {
                        history.detached.insert(*id);
                    }
                    RecordedEffect::Change(_) | RecordedEffect::Other(_) => {}
                }
            }
        }
        history
    }

    /// The name by which a deleted tag is created again: no follower had it, and it was not the run's own.
    fn recreated(&self, id: i64) -> Option<&String> {
        self.deleted.get(&id).and_then(Option::as_ref).filter(|_| !self.created.contains(&id))
    }

    /// Whether there is something to undo, or to report. Of a tag that the run deleted nothing can be undone, and one
    /// that it had created itself is no loss.
    fn can_undo(&self, effect: &RecordedEffect) -> bool {
        match effect {
            RecordedEffect::Change(Change::Detach(id)) => {
                !self.deleted.contains_key(id) || self.recreated(*id).is_some()
            }
            RecordedEffect::Change(Change::Attach(id)) | RecordedEffect::RenameTag { id, .. } => {
                !self.deleted.contains_key(id)
            }
            // One whose id is not known is looked for by its name when it is undone.
            RecordedEffect::CreateTag { id, .. } => id.is_none_or(|id| !self.deleted.contains_key(&id)),
            // Putting it on its followers creates it.
            RecordedEffect::DeleteTag { id, .. } if self.recreated(*id).is_some() => {
                !self.detached.contains(id)
            }
            RecordedEffect::DeleteTag { id, .. } => !self.created.contains(id),
            RecordedEffect::Change(Change::Block | Change::Unblock | Change::Remark)
            | RecordedEffect::Other(_) => true,
        }
    }

    /// What undoes an effect, or why nothing does.
    fn action(&self, recorded: StepEffect, step: &str) -> Result<UndoAction, String> {
        let StepEffect { effect, inverse, .. } = recorded;
        let back = match inverse {
            Inverse::RestoreTagName { id, from, to } => {
                return Ok(UndoAction::RestoreTagName { id, from, to });
            }
            Inverse::DeleteTagIfEmpty { id, name } => return Ok(UndoAction::DeleteTagIfEmpty { id, name }),
            Inverse::Irreversible(reason) => return self.recreation(&effect, reason, step),
            Inverse::Change(back) => back,
            Inverse::RestoreRemarks => Change::Remark,
        };
        let change = match effect {
            RecordedEffect::Change(change) => change,
            RecordedEffect::CreateTag { .. }
            | RecordedEffect::RenameTag { .. }
            | RecordedEffect::DeleteTag { .. }
            | RecordedEffect::Other(_) => {
                return Err(format!("{} (step {step}): it names no followers to change back", effect.kind()));
            }
        };
        let recreate = match back {
            Change::Attach(id) => self.recreated(id).cloned(),
            Change::Detach(_) | Change::Block | Change::Unblock | Change::Remark => None,
        };
        Ok(UndoAction::ChangeBack { change, back, recreate })
    }

    /// What replaces the loss of an irreversible effect: a tag that no follower had is created again. Else the report
    /// of it.
    fn recreation(&self, effect: &RecordedEffect, reason: &str, step: &str) -> Result<UndoAction, String> {
        match effect {
            RecordedEffect::DeleteTag { id, name } => match self.recreated(*id) {
                Some(name) => Ok(UndoAction::RecreateTag { name: name.clone() }),
                None => Err(format!("the tag `{name}` ({id}) was deleted, and {reason}")),
            },
            RecordedEffect::Other(call) => Err(format!("{call} (step {step}): {reason}")),
            RecordedEffect::Change(change) => Err(format!("{change} (step {step}): {reason}")),
            RecordedEffect::CreateTag { .. } | RecordedEffect::RenameTag { .. } => {
                Err(format!("{} (step {step}): {reason}", effect.kind()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StepState, TerminalKind};

    /// The plan for steps of these places and effects, in the order in which they started.
    fn plan(steps: &[(&str, StepKind, Option<RecordedEffect>)]) -> UndoPlan {
        plan_by(steps, RecordedEffect::inverse)
    }

    /// The same where this is declared to undo the effects.
    fn plan_by(
        steps: &[(&str, StepKind, Option<RecordedEffect>)],
        inverse: impl Fn(&RecordedEffect, StepKind) -> Inverse,
    ) -> UndoPlan {
        let mut all = TopLevelSteps::default();
        for (number, (step, kind, effect)) in steps.iter().enumerate() {
            let row = StepRow {
                step: (*step).to_owned(),
                position: 1,
                seq: i64::try_from(number).unwrap_or_default(),
                kind: *kind,
                fingerprint: String::new(),
                label: format!("step {step}"),
                target: String::new(),
                target_id: 0,
                state: StepState::Done,
                effect_kind: None,
                effect_tag: 0,
                effect: String::new(),
                checkpoint: String::new(),
                answer: String::new(),
                has_batches: false,
            };
            let seq = row.seq;
            let recorded = effect.clone().map(|effect| {
                let inverse = inverse(&effect, *kind);
                StepEffect { seq, effect, inverse }
            });
            all.add(row, recorded);
        }
        all.plan("R")
    }

    const TAG: StepKind = StepKind::Terminal(TerminalKind::Tag);
    const EACH: StepKind = StepKind::Terminal(TerminalKind::Each);
    const CALL: StepKind = StepKind::Call(EffectKind::TagUpdate);

    #[allow(clippy::unnecessary_wraps, reason = "a step of the table may have no effect")]
    fn change(change: Change) -> Option<RecordedEffect> {
        Some(RecordedEffect::Change(change))
    }

    #[allow(clippy::unnecessary_wraps, reason = "a step of the table may have no effect")]
    fn created(id: i64) -> Option<RecordedEffect> {
        Some(RecordedEffect::CreateTag { id: Some(id), name: "甲".to_owned() })
    }

    #[allow(clippy::unnecessary_wraps, reason = "a step of the table may have no effect")]
    fn deleted(id: i64) -> Option<RecordedEffect> {
        Some(RecordedEffect::DeleteTag { id, name: "甲".to_owned() })
    }

    #[allow(clippy::unnecessary_wraps, reason = "a step of the table may have no effect")]
    fn renamed(from: &str, to: &str) -> Option<RecordedEffect> {
        Some(RecordedEffect::RenameTag { id: 7, from: from.to_owned(), to: to.to_owned() })
    }

    fn back(change: Change) -> UndoAction {
        let back = change.opposite().unwrap_or(Change::Remark);
        UndoAction::ChangeBack { change, back, recreate: None }
    }

    fn actions(plan: &UndoPlan) -> Vec<(&str, Vec<UndoAction>)> {
        plan.steps.iter().map(|step| (step.step.as_str(), step.actions.clone())).collect()
    }

    #[test]
    fn steps_are_undone_last_first() {
        let plan = plan(&[("1", TAG, change(Change::Attach(7))), ("2", TAG, change(Change::Block))]);
        assert_eq!(actions(&plan), [("2", vec![back(Change::Block)]), ("1", vec![back(Change::Attach(7))])]);
        assert_eq!(plan.steps[0].label, "step 2");
    }

    #[test]
    fn step_without_effect_is_left_out() {
        assert!(plan(&[("1", TAG, None), ("2", EACH, None)]).is_empty());
    }

    #[test]
    fn changes_of_one_kind_in_a_loop_are_undone_together() {
        let plan = plan(&[
            ("1", EACH, None),
            ("1/1/1", CALL, change(Change::Attach(7))),
            ("1/1/2", CALL, change(Change::Remark)),
            ("1/1/3", CALL, change(Change::Attach(7))),
        ]);
        assert_eq!(actions(&plan), [("1", vec![back(Change::Attach(7)), back(Change::Remark)])]);
        assert_eq!(plan.steps[0].label, "step 1");
    }

    #[test]
    fn renames_in_a_loop_are_undone_one_by_one() {
        let plan = plan(&[("1/1/1", CALL, renamed("甲", "乙")), ("1/1/2", CALL, renamed("乙", "丙"))]);
        let restore = |from: &str, to: &str| UndoAction::RestoreTagName {
            id: 7,
            from: from.to_owned(),
            to: to.to_owned(),
        };
        assert_eq!(actions(&plan), [("1", vec![restore("乙", "丙"), restore("甲", "乙")])]);
    }

    #[test]
    fn tag_created_by_step_comes_off_before_it_is_deleted() {
        let plan = plan(&[("1", TAG, change(Change::Attach(7))), ("1/0/1", CALL, created(7))]);
        let delete = UndoAction::DeleteTagIfEmpty { id: Some(7), name: "甲".to_owned() };
        assert_eq!(actions(&plan), [("1", vec![back(Change::Attach(7)), delete])]);
    }

    #[test]
    fn tag_whose_id_is_not_known_is_deleted_by_its_name() {
        let name = || "甲".to_owned();
        let in_doubt = Some(RecordedEffect::CreateTag { id: None, name: name() });
        let plan = plan(&[("1", CALL, in_doubt), ("2", CALL, deleted(7))]);
        assert_eq!(actions(&plan), [("1", vec![UndoAction::DeleteTagIfEmpty { id: None, name: name() }])]);
    }

    #[test]
    fn tag_created_and_deleted_by_run_leaves_nothing_to_undo() {
        let plan =
            plan(&[("1", CALL, created(7)), ("2", CALL, change(Change::Attach(7))), ("3", CALL, deleted(7))]);
        assert!(plan.is_empty());
    }

    #[test]
    fn tag_deleted_is_irreversible() {
        let plan = plan(&[("1", CALL, change(Change::Detach(7))), ("2", CALL, deleted(7))]);
        assert_eq!(plan.steps, []);
        assert_eq!(plan.irreversible, ["the tag `甲` (7) was deleted, and its id is never used again"]);
    }

    #[test]
    fn tag_deleted_when_empty_is_recreated_by_its_former_name() {
        let if_empty = StepKind::Call(EffectKind::DeleteTagIfEmpty);
        let recreated = plan(&[("1", CALL, renamed("原名", "甲")), ("2", if_empty, deleted(7))]);
        let name = "原名".to_owned();
        assert_eq!(actions(&recreated), [("2", vec![UndoAction::RecreateTag { name: name.clone() }])]);
        // Putting it back on its followers creates it.
        let put_on = plan(&[
            ("1", CALL, renamed("原名", "甲")),
            ("2", TAG, change(Change::Detach(7))),
            ("3", if_empty, deleted(7)),
        ]);
        let (change, back) = (Change::Detach(7), Change::Attach(7));
        let put_back = UndoAction::ChangeBack { change, back, recreate: Some(name) };
        assert_eq!(actions(&put_on), [("2", vec![put_back])]);
    }

    #[test]
    fn followers_are_changed_back_as_declared() {
        let steps = [("1", TAG, change(Change::Attach(7)))];
        let declared = plan_by(&steps, |_, _| Inverse::Change(Change::Detach(8)));
        let (change, back) = (Change::Attach(7), Change::Detach(8));
        assert_eq!(
            actions(&declared),
            [("1", vec![UndoAction::ChangeBack { change, back, recreate: None }])]
        );
    }

    #[test]
    fn effect_declared_irreversible_is_reported_with_its_step_and_the_reason() {
        for (effect, expected) in [
            (change(Change::Attach(7)), "attach 7 (step 4): it stays"),
            (change(Change::Remark), "remark (step 4): it stays"),
            (created(7), "tag_created (step 4): it stays"),
            (renamed("甲", "乙"), "tag_renamed (step 4): it stays"),
        ] {
            let declared = plan_by(&[("4", TAG, effect)], |_, _| Inverse::Irreversible("it stays"));
            assert_eq!(declared.steps, []);
            assert_eq!(declared.irreversible, [expected]);
        }
    }

    #[test]
    fn inverse_that_needs_followers_where_none_are_recorded_is_reported() {
        let declared = plan_by(&[("4", CALL, created(7))], |_, _| Inverse::RestoreRemarks);
        assert_eq!(declared.steps, []);
        assert_eq!(declared.irreversible, ["tag_created (step 4): it names no followers to change back"]);
    }

    #[test]
    fn call_that_nothing_undoes_is_reported_with_its_step_and_the_reason() {
        let other = |kind, name: &str| {
            let plan = plan(&[("4", StepKind::Call(kind), Some(RecordedEffect::Other(name.to_owned())))]);
            assert_eq!(plan.steps, []);
            plan.irreversible.concat()
        };
        for (kind, name, expected) in [
            (
                EffectKind::CardCreate,
                "card::create",
                "card::create (step 4): a created card stays: no declared endpoint deletes one",
            ),
            (
                EffectKind::QrcodeCreate,
                "qrcode::create",
                "qrcode::create (step 4): a QR code can not be withdrawn",
            ),
            (EffectKind::Undeclared, "api::post", "api::post (step 4): nothing is known of what it does"),
            (
                EffectKind::TagAttach,
                "tag::attach",
                "tag::attach (step 4): the state before could not be read",
            ),
            (
                EffectKind::TagUpdate,
                "tag::update",
                "tag::update (step 4): the state before could not be read",
            ),
        ] {
            assert_eq!(other(kind, name), expected);
        }
    }
}
