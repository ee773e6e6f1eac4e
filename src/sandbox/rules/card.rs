//! Cards: held to the manual's rules, and kept to be looked at (`GET /__sandbox/cards`).

use crate::{
    api::{
        Violation,
        card::{Card, Create, Created, check, ended},
    },
    sandbox::{
        rules::simulate::Simulate,
        world::{api_error::ApiError, switches::COUPON_ERRCODE, world::World},
    },
};
use serde_json::Value;

/// Cards that are kept; older ones are forgotten.
const MAX_CARDS: usize = 10_000;

impl Simulate for Create {
    fn simulate(self, world: &mut World) -> Result<Created, ApiError> {
        match self.check_kind() {
            // Which code a coupon is refused with, if it is, is not documented.
            Err(Violation::Coupon) => {
                if let Some(errcode) = world.switches.number(COUPON_ERRCODE) {
                    return Err(ApiError::new(errcode));
                }
            }
            checked => checked?,
        }
        let faults = check(&self.card).into_iter().chain(ended(&self.card, world.now()));
        if let Some(fault) = faults.into_iter().next() {
            return Err(ApiError::new(fault.errcode));
        }
        let card_id = format!("p{}", world.characters(27));
        if world.cards.len() == MAX_CARDS {
            world.cards.remove(0);
        }
        world.cards.push((card_id.clone(), self.card));
        Ok(Created { errcode: 0, errmsg: "ok".to_owned(), card_id })
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
