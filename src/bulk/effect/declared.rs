//! From the kind of a recorded call to its declaration: the one exhaustive list of effects.

use super::effect::{Effect, Inverse};
use crate::{
    api::{CallKind, Endpoint, Spec, blacklist, card, media, qrcode, quota, tag, user},
    bulk::model::effect::RecordedEffect,
    store::{EffectKind, StepKind},
};

/// What is declared of a kind of call.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The endpoint's declaration; `None` for an undeclared path and for the compensations of undo scripts.
    pub spec: Option<&'static Spec>,
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
            EffectKind::Undeclared => Self { spec: None, inverse: undeclared },
            // A compensation records the effect of the call that it makes.
            EffectKind::RestoreTagName => Self { spec: None, inverse: tag::Update::inverse },
            EffectKind::DeleteTagIfEmpty => Self { spec: None, inverse: tag::Delete::inverse },
        }
    }

    /// What undoes what such a call has recorded.
    #[must_use]
    pub fn inverse(self, recorded: &RecordedEffect) -> Inverse {
        (self.inverse)(recorded)
    }

    fn effect<E: Effect>() -> Self {
        Self { spec: Some(<E as Endpoint>::SPEC), inverse: E::inverse }
    }
}

impl RecordedEffect {
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

/// Whether a call of this kind changes which tags there are, or what they are called.
#[must_use]
pub const fn changes_tags(kind: EffectKind) -> bool {
    match kind {
        EffectKind::TagCreate
        | EffectKind::TagUpdate
        | EffectKind::TagDelete
        | EffectKind::RestoreTagName
        | EffectKind::DeleteTagIfEmpty
        // It may be one of these.
        | EffectKind::Undeclared => true,
        EffectKind::TagAttach
        | EffectKind::TagDetach
        | EffectKind::UserRemark
        | EffectKind::BlacklistAdd
        | EffectKind::BlacklistRemove
        | EffectKind::MediaUploadImage
        | EffectKind::CardCreate
        | EffectKind::QrcodeCreate
        | EffectKind::QuotaClear => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Method, undeclared};
    use crate::for_each_endpoint;

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
