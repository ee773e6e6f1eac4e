//! From the kind of a recorded call to its declaration: the one exhaustive list of effects.

use super::{
    change::BatchedCalls,
    effect::{Effect, Inverse},
};
use crate::{
    api::{CallKind, Endpoint, Spec, blacklist, card, media, qrcode, quota, tag, user},
    bulk::model::{batch::ItemKind, effect::RecordedEffect},
    store::{EffectKind, JsonColumn, RecordedKind, StepKind, StepRow, StoreError},
};

/// What is declared of a kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The endpoint's declaration; `None` for an undeclared path and for the compensations of undo scripts.
    pub spec: Option<&'static Spec>,
    /// The kind of effect that such a call records.
    pub records: RecordedKind,
    /// Whether such a call changes which tags there are, or what they are called.
    pub changes_tags: bool,
    inverse: fn(&RecordedEffect) -> Inverse,
}

impl Declared {
    /// What is declared of this kind.
    #[must_use]
    pub fn from_kind(kind: EffectKind) -> Self {
        match kind {
            EffectKind::TagCreate => Self::effect::<tag::Create>(),
            EffectKind::TagUpdate => Self::effect::<tag::Update>(),
            EffectKind::TagDelete => Self::effect::<tag::Delete>(),
            EffectKind::TagAttach => Self::effect::<tag::Attach>(),
            EffectKind::TagDetach => Self::effect::<tag::Detach>(),
            EffectKind::UserRemark => Self::effect::<user::Remark>(),
            EffectKind::BlacklistAdd => Self::effect::<blacklist::Add>(),
            EffectKind::BlacklistRemove => Self::effect::<blacklist::Remove>(),
            EffectKind::MediaUploadImage => Self::effect::<media::UploadImage>(),
            EffectKind::CardCreate => Self::effect::<card::Create>(),
            EffectKind::QrcodeCreate => Self::effect::<qrcode::Create>(),
            EffectKind::QuotaClear => Self::effect::<quota::Clear>(),
            EffectKind::Undeclared => Self {
                spec: None,
                records: RecordedKind::Irreversible,
                // It may be one that does.
                changes_tags: true,
                inverse: undeclared,
            },
            // A compensation has the effect of the call that it makes.
            EffectKind::RestoreTagName => Self { spec: None, ..Self::effect::<tag::Update>() },
            EffectKind::DeleteTagIfEmpty => Self { spec: None, ..Self::effect::<tag::Delete>() },
        }
    }

    /// What undoes what such a call has recorded.
    #[must_use]
    pub fn inverse(self, recorded: &RecordedEffect) -> Inverse {
        (self.inverse)(recorded)
    }

    fn effect<E: Effect>() -> Self {
        Self {
            spec: Some(<E as Endpoint>::SPEC),
            records: E::RECORDED,
            changes_tags: E::CHANGES_TAGS,
            inverse: E::inverse,
        }
    }
}

impl RecordedEffect {
    /// The effect that a step recorded, if it recorded one. One of another kind or tag than its row says is damaged, and so
    /// are one that such a step can't have, and none where the rest of the row or the step's batches show that there was
    /// one.
    pub fn read(run: &str, row: &StepRow) -> Result<Option<Self>, StoreError> {
        let key = format!("{run}/{}", row.step);
        let damaged = |column, expected: String, found: String| {
            Err(StoreError::Decode { table: "mpscript_step", row: key.clone(), column, expected, found })
        };
        let Some(kind) = row.effect_kind else {
            let shown_by = match (row.effect.is_empty(), row.has_batches, row.effect_tag) {
                (true, false, 0) => return Ok(None),
                (false, ..) => "the kind of the effect in `effect`",
                (true, true, _) => "the kind of the effect that the step's batches had",
                (true, false, _) => "the kind of the effect on the tag in `effect_tag`",
            };
            return damaged("effect_kind", shown_by.to_owned(), "none".to_owned());
        };
        if !may_record(row.kind, kind) {
            let expected = format!("an effect that a step of the kind `{}` has", row.kind);
            return damaged("effect_kind", expected, format!("`{kind}`"));
        }
        let effect: Self = JsonColumn::for_step(&key, "effect", "an effect, as JSON").decode(&row.effect)?;
        if effect.kind() != kind {
            let expected = format!("an effect of the kind `{kind}`");
            return damaged("effect", expected, format!("one of the kind `{}`", effect.kind()));
        }
        let tag = effect.key().tag_id;
        if tag != row.effect_tag {
            let expected = format!("{tag}, the tag of the effect in `effect`");
            return damaged("effect_tag", expected, row.effect_tag.to_string());
        }
        Ok(Some(effect))
    }

    /// What undoes it where a step of this kind recorded it, as the effect of the endpoint that had it declares.
    #[must_use]
    pub fn inverse(&self, recorded_by: StepKind) -> Inverse {
        let kind = match (self, recorded_by) {
            (Self::Change(change), _) => change.kind(),
            (Self::CreateTag { .. }, _) => EffectKind::TagCreate,
            (Self::RenameTag { .. }, _) => EffectKind::TagUpdate,
            (Self::DeleteTag { .. }, _) => EffectKind::TagDelete,
            (Self::Other(_), StepKind::Call(kind)) => kind,
            (Self::Other(_), StepKind::Terminal(_)) => EffectKind::Undeclared,
        };
        Declared::from_kind(kind).inverse(self)
    }
}

/// The effect that a step of this kind records; `None` for a terminal operation that only reads.
fn records(step: StepKind) -> Option<RecordedKind> {
    match step {
        StepKind::Terminal(kind) => BatchedCalls::from_kind(kind).map(|calls| calls.records),
        StepKind::Call(kind) => Some(Declared::from_kind(kind).records),
    }
}

/// Whether a step of this kind may record an effect of that one: its own, and a call also one that can't be undone, where the
/// state before it could not be read.
fn may_record(step: StepKind, effect: RecordedKind) -> bool {
    let is_call = match step {
        StepKind::Terminal(_) => false,
        StepKind::Call(_) => true,
    };
    records(step) == Some(effect) || (is_call && effect == RecordedKind::Irreversible)
}

impl ItemKind {
    /// What the items of a step of this kind hold.
    #[must_use]
    pub fn of_step(step: StepKind) -> Self {
        records(step).map_or(Self::None, Self::of_effect)
    }
}

fn undeclared(_recorded: &RecordedEffect) -> Inverse {
    Inverse::Irreversible("nothing is known of what it does")
}

/// The kind of an endpoint's calls; `None` where they only read.
#[must_use]
pub fn kind_of(spec: &Spec) -> Option<EffectKind> {
    let is_it = |kind: &EffectKind| Declared::from_kind(*kind).spec.is_some_and(|of| of.name == spec.name);
    let declared = || EffectKind::ALL.iter().copied().find(is_it).unwrap_or(EffectKind::Undeclared);
    (spec.kind == CallKind::Write).then(declared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Method, undeclared};
    use crate::{bulk::model::change::Change, for_each_endpoint, store::TerminalKind};

    #[test]
    fn declared_every_write_endpoint_has_its_own_kind() {
        let mut declared: Vec<&str> = EffectKind::ALL
            .iter()
            .filter_map(|kind| Declared::from_kind(*kind).spec)
            .map(|spec| spec.name)
            .collect();
        let mut written: Vec<&str> = Vec::new();
        macro_rules! writes {
            ($($endpoint:path),* $(,)?) => {
                $( if <$endpoint as Endpoint>::SPEC.kind == CallKind::Write {
                    written.push(<$endpoint as Endpoint>::SPEC.name);
                } )*
            };
        }
        for_each_endpoint!(writes);
        declared.sort_unstable();
        written.sort_unstable();
        assert_eq!(declared, written);
    }

    #[test]
    fn change_to_followers_is_recorded_as_its_endpoint_declares() {
        for change in
            [Change::Attach(100), Change::Detach(100), Change::Block, Change::Unblock, Change::Remark]
        {
            assert_eq!(change.recorded_kind(), Declared::from_kind(change.kind()).records, "{change:?}");
        }
    }

    #[test]
    fn step_may_record_the_effect_of_its_calls_only() {
        let recorded_by = |step| {
            let kinds = RecordedKind::ALL.iter().copied();
            kinds.filter(|kind| may_record(step, *kind)).collect::<Vec<_>>()
        };
        for (step, effects) in [
            (StepKind::Terminal(TerminalKind::RestoreRemark), vec![RecordedKind::Remarked]),
            (StepKind::Terminal(TerminalKind::Each), vec![]),
            (
                StepKind::Call(EffectKind::TagAttach),
                vec![RecordedKind::TagAttached, RecordedKind::Irreversible],
            ),
            (
                StepKind::Call(EffectKind::RestoreTagName),
                vec![RecordedKind::TagRenamed, RecordedKind::Irreversible],
            ),
            (StepKind::Call(EffectKind::Undeclared), vec![RecordedKind::Irreversible]),
        ] {
            assert_eq!(recorded_by(step), effects, "{step}");
        }
    }

    #[test]
    fn declared_kind_names_its_endpoint() {
        for kind in EffectKind::ALL {
            if let Some(spec) = Declared::from_kind(*kind).spec {
                assert_eq!(kind.as_str(), spec.name.replace("::", "_"));
                assert_eq!(kind_of(spec), Some(*kind));
            }
        }
    }

    #[test]
    fn calls_that_read_have_no_kind_and_undeclared_ones_their_own() {
        assert_eq!(kind_of(<tag::List as Endpoint>::SPEC), None);
        let menu = undeclared::spec(Method::Get, "/cgi-bin/menu/delete").expect("it is a path");
        assert_eq!(kind_of(menu), Some(EffectKind::Undeclared));
    }
}
