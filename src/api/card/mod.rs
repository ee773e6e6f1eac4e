//! Cards (卡券): made of nested objects whose fields are declared in `rules.rs` and held to them in
//! `check.rs`, before anything is sent.

mod check;
mod rules;

pub use check::{
    Fault, MisspeltField, Problem, check, ended, misspelt, misspelt_names, suspects, undeclared,
};
pub use rules::{ADVANCED_INFO, BASE_INFO, Holds, Rule, TYPES, Type};

use crate::api::{FieldKind, FieldType, Resend, Violation, answer::check_given, endpoint::endpoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A card as it is made: `card_type`, and an object by that type's name in lower case.
///
/// Fields that are not declared are kept: the platform adds some now and then.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Card(pub Map<String, Value>);

impl FieldType for Card {
    const KIND: FieldKind = FieldKind::Map;
}

impl Card {
    /// The declared type, if it is one.
    #[must_use]
    pub fn card_type(&self) -> Option<&'static Type> {
        let name = self.0.get("card_type")?.as_str()?;
        TYPES.iter().find(|of| of.name == name)
    }
}

impl Create {
    /// Whether the platform takes the card at all; [`check`] says what is wrong with its fields.
    ///
    /// # Errors
    /// It has a `null` (47001), or is a coupon (40071).
    pub fn check_kind(&self) -> Result<(), Violation> {
        // The platform takes an absent field, and no `null` in its place.
        if self.card.0.values().any(has_null) {
            return Err(Violation::NullField);
        }
        // The coupons can no longer be made since 2021-04-01.
        if self.card.card_type().is_some_and(|of| of.is_coupon) {
            return Err(Violation::Coupon);
        }
        Ok(())
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// The answer of `card/create`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Created {
    /// 0, or left out.
    #[serde(default)]
    pub errcode: i64,
    /// `ok`.
    #[serde(default)]
    pub errmsg: String,
    /// Names the card from now on; it is shown to people once it has been approved (审核).
    pub card_id: String,
}

fn names_card(_asked: &Create, created: &Created) -> Result<(), String> {
    check_given("card_id", &created.card_id)
}

endpoint! {
    /// Makes a card and gives its `card_id`.
    ///
    /// `card` holds `card_type` and an object by that name in lower case: `#{card_type: "MEMBER_CARD",
    /// member_card: #{base_info: #{…}, …}}`; the builders `card::member_card(#{…})`, `card::meeting_ticket(#{…})`
    /// and so on make it from a flat map. Required fields, lengths in bytes (a Chinese character has three),
    /// colours and dates are checked before anything is sent; fields that are not known here are kept.
    /// The coupons (`GROUPON`, `CASH`, `DISCOUNT`, `GIFT`, `GENERAL_COUPON`) can no longer be made since 2021-04-01.
    /// Source: 创建卡券.
    ///
    /// ```rhai
    /// let made = card::create(card::member_card(#{
    ///     logo_url: media::upload_image("scripts/logo.png").url,
    ///     brand_name: "微信餐厅", title: "会员卡", color: "Color010",
    ///     notice: "结账时出示", description: "每消费一元积一分", quantity: 10000,
    ///     prerogative: "生日当天双倍积分", supply_bonus: true,
    /// }));
    /// print(made.card_id.len());
    /// ```
    "card::create" = write POST "/card/create";
    request Create {
        /// The card.
        card: Card,
    }
    answer Created;
    verify names_card;
    attributes {
        resend: Resend::Never,
        errors: &[
            -1, 40001, 40009, 40053, 40070, 40071, 40072, 40076, 40079, 40100, 40122, 40124, 40141, 40150, 40151, 41011,
            45021, 45160, 47001, 48001,
        ],
    }
}
