//! Cards: held to the manual's rules, and kept to be looked at (`GET /__sandbox/cards`).

use crate::{
    api::card::{Card, Create, Created, check},
    sandbox::{
        http::route::Simulate,
        world::{api_error::Refusal, switches::COUPON_ERRCODE, world::World},
    },
};
use serde_json::Value;

/// Cards that are kept; older ones are forgotten.
const MOST: usize = 10_000;

impl Simulate for Create {
    fn simulate(self, world: &mut World) -> Result<Created, Refusal> {
        if self.card.0.values().any(has_null) {
            return Err(Refusal::new(47001));
        }
        if self.card.card_type().is_some_and(|of| of.is_coupon)
            && let Some(errcode) = world.switches.number(COUPON_ERRCODE)
        {
            return Err(Refusal::new(errcode));
        }
        if let Some(fault) = check(&self.card).first() {
            return Err(Refusal::new(fault.errcode));
        }
        let card_id = format!("p{}", world.characters(27));
        if world.cards.len() == MOST {
            world.cards.remove(0);
        }
        world.cards.push((card_id.clone(), self.card));
        Ok(Created { errcode: 0, errmsg: "ok".to_owned(), card_id })
    }
}

/// The platform takes an absent field, and no `null` in its place.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// Every card with its id and its state, as `GET /__sandbox/cards` shows them.
pub(crate) fn list(cards: &[(String, Card)]) -> Value {
    cards
        .iter()
        .map(|(card_id, card)| {
            serde_json::json!({"card_id": card_id, "status": "CARD_STATUS_NOT_VERIFY", "card": card})
        })
        .collect()
}
